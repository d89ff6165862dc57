/** Drafts and reach over HTTP: who would gain and lose what, who may do what by role, and which rules decide nothing. */
import Joi from 'joi';
import type { Knex } from 'knex';
import pLimit from 'p-limit';
import { endpoint, type GuardedCall, type GuardedEndpoint } from '../enforcement/access.ts';
import { ACCOUNT_TYPE, API_KEY_TYPE } from '../policy/built-in.ts';
import { deadRules, type Holders } from '../policy/dead-rules.ts';
import { matrixOf } from '../policy/reach.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Services } from '../services.ts';
import type { Database } from '../storage/postgres.ts';
import { decisionAttributes } from './decision-rows.ts';
import { isReadable } from './fill-stored.ts';
import { applyDraft, importQuery, readDraft } from './import-policy.ts';
import { draftShape, policyBody } from './policy.ts';
import { presentPrincipal } from './present-principal.ts';
import { compileDraft, type Simulation, simulate, simulationShape } from './simulate.ts';

const policy = { resource: 'castellan.policy', load: () => ({}) };

interface SimulateQuery {
  mode: 'merge' | 'replace';
  decisions: number;
}

export function reachEndpoints(services: Services): GuardedEndpoint[] {
  return [
    endpoint<unknown, SimulateQuery>({
      method: 'post',
      path: '/api/v1/admin/policy/simulate',
      summary: 'What a draft would change: who gains and loses what, cases and logged decisions that flip',
      access: { action: 'read', ...policy },
      query: Joi.object({
        mode: importQuery.extract('mode'),
        decisions: Joi.number()
          .integer()
          .min(0)
          .max(10_000)
          .default(1000)
          .description('how many of the latest logged decisions are decided again'),
      }),
      bodyShape: draftShape,
      bodyOptions: policyBody(services),
      reply: { status: 200, description: 'What would change', shape: simulationShape },
      errors: ['policy_invalid'],
      handle: (call) => simulateDraft(services, call),
    }),
    endpoint({
      method: 'get',
      path: '/api/v1/admin/policy/matrix',
      summary: 'Role × resource type × action: allow, deny or conditional; and the rules that decide nothing',
      access: { action: 'read', ...policy },
      reply: {
        status: 200,
        description: 'The matrix',
        shape: Joi.object({
          revision: Joi.number().integer(),
          matrix: Joi.object().unknown(true),
          deadRulesComplete: Joi.boolean(),
          deadRules: Joi.array().items(
            Joi.object({
              ruleId: Joi.string(),
              because: Joi.string().valid('disabled', 'expired', 'held_by_nobody', 'shadowed', 'never_met'),
              by: Joi.string(),
              message: Joi.string(),
            }),
          ),
        }),
      },
      handle: async ({ context: { snapshot } }) => {
        const atMs = Date.now();
        const found = await deadRules(snapshot, await holdersOf(services.db, snapshot), atMs);
        const body = {
          revision: snapshot.revision,
          matrix: matrixOf(snapshot, atMs),
          deadRules: found.deadRules,
          deadRulesComplete: found.isComplete,
        };
        return { status: 200, body };
      },
    }),
  ];
}

/** One at a time in a process: each may take seconds of it. */
const oneAtATime = pLimit(1);

async function simulateDraft(services: Services, call: GuardedCall<unknown, SimulateQuery>) {
  const { db, live, sources, decisionsAt } = services;
  const before = live.snapshot;
  const draft = readDraft(call.body);
  const after = compileDraft(live, before, applyDraft(before.policy, draft, call.query.mode), draft.policy);
  const { decisions } = call.query;
  const mayRead = readableBy(services, call);
  const found = await oneAtATime(() =>
    simulate({ db, sources, before, after, decisions, decisionsAt, mayRead }),
  );
  return { status: 200, body: await presentSimulation(services, call, found) };
}

/** Whether the caller may read all of something. */
export function readableBy(services: Services, call: GuardedCall<unknown, unknown>) {
  return (resource: string, attributes: object) => isReadable(services, call, resource, attributes);
}

/** The simulation with its principals and decisions as they are shown. */
export async function presentSimulation(
  services: Services,
  call: GuardedCall<unknown, unknown>,
  { principals, decisions, ...rest }: Simulation,
) {
  const shown = [];
  for (const { account, ...effect } of principals) {
    const principal = await presentPrincipal(services, call, account);
    if (principal) shown.push({ principal, ...effect });
  }
  const flips = decisions.flips.map(({ row, ...flip }) => {
    const { id, at, principal, action, resource } = decisionAttributes(row);
    return { id, at, principal, action, resource, ...flip };
  });
  return { ...rest, decisions: { ...decisions, flips }, principals: shown };
}

/** Roles that active accounts, live API keys and entities have or claims may give, and those of them that rules name. */
export async function holdersOf(db: Database, { rulesByPrincipal, types }: Snapshot): Promise<Holders> {
  const roles: string[] = await db('role_assignments')
    .join('accounts', 'accounts.id', 'role_assignments.account_id')
    .where('accounts.is_active', true)
    .whereRaw('(expires_at IS NULL OR expires_at > now())')
    .distinct('role_key')
    .pluck('role_key');
  const keys = () =>
    db('api_keys').whereNull('revoked_at').whereRaw('(expires_at IS NULL OR expires_at > now())');
  const rolesOfKeys: string[] = await db('api_key_roles')
    .whereIn('key_id', keys().select('id'))
    .distinct('role_key')
    .pluck('role_key');
  const rolesOfEntities: string[] = await db('entity_roles').distinct('role_key').pluck('role_key');
  const named = async (type: string, living: Knex.QueryBuilder): Promise<string[]> => {
    const prefix = `${type}:`;
    const names = [...rulesByPrincipal.keys()].filter((name) => name.startsWith(prefix));
    const ids: string[] = await living
      .whereRaw('id::text = ANY (?)', [names.map((name) => name.slice(prefix.length))])
      .pluck('id');
    return ids.map((id) => `${prefix}${id}`);
  };
  const principals = [
    ...(await named(ACCOUNT_TYPE, db('accounts').where({ is_active: true }))),
    ...(await named(API_KEY_TYPE, keys())),
  ];
  const rolesByClaims = [...types.values()].flatMap(
    ({ identity }) => identity?.roles.map(({ role }) => role) ?? [],
  );
  return {
    roles: new Set([...roles, ...rolesOfKeys, ...rolesOfEntities, ...rolesByClaims]),
    principals: new Set(principals),
  };
}
