/** /admin/audit: who changed what, the newest first. */
import Joi from 'joi';
import type { Knex } from 'knex';
import { endpoint, type GuardedCall, type GuardedEndpoint, type LoadCall } from '../enforcement/access.ts';
import { showReadable } from '../enforcement/mask.ts';
import type { Source } from '../enforcement/source.ts';
import { narrow as narrowByRules } from '../enforcement/sql-filter.ts';
import { AppError, invalidField } from '../errors.ts';
import { type PageQuery, pageKeys } from '../http/page.ts';
import { instantMs, misfit } from '../policy/attributes.ts';
import type { Services } from '../services.ts';
import { listReadable } from './list-readable.ts';

const path = '/api/v1/admin/audit';
const number = /^[1-9]\d{0,17}$/;
const question = { action: 'read', resource: 'castellan.audit' };

/** An instant as rules write it: without an offset it is UTC. */
const instant = Joi.string().custom((value: string, helpers) => {
  const problem = misfit(value, { type: 'date' });
  return problem ? helpers.message({ custom: problem }) : new Date(instantMs(value));
});

interface AuditFilter extends PageQuery {
  actor?: string;
  action?: string;
  targetType?: string;
  targetId?: string;
  requestId?: string;
  revision?: number;
  from?: Date;
  to?: Date;
}

const filters = Joi.object({
  ...pageKeys,
  actor: Joi.string().description('the id of an account, or a name'),
  action: Joi.string(),
  targetType: Joi.string(),
  targetId: Joi.string(),
  requestId: Joi.string(),
  revision: Joi.number().integer().min(1).max(2_147_483_647),
  from: instant.description('entries of this instant and later, ISO 8601'),
  to: instant.description('entries before this instant, ISO 8601'),
});

/** The attributes that each filter asks for: whoever may not read them is not told by the filter either. */
const asked: Record<Exclude<keyof AuditFilter, keyof PageQuery>, readonly string[]> = {
  actor: ['actorId', 'actor'],
  action: ['action'],
  targetType: ['targetType'],
  targetId: ['targetId'],
  requestId: ['requestId'],
  revision: ['revision'],
  from: ['at'],
  to: ['at'],
};

interface AuditRow {
  id: string;
  at: Date;
  actorId: string | null;
  actor: string;
  action: string;
  targetType: string;
  targetId: string;
  before: unknown;
  after: unknown;
  requestId: string | null;
  revision: number | null;
  address: string | null;
  hash: Buffer;
}

const told = [
  'id',
  'at',
  'actorId',
  'actor',
  'action',
  'targetType',
  'targetId',
  'before',
  'after',
  'requestId',
  'revision',
  'address',
  'hash',
] as const satisfies (keyof AuditRow)[];

const shape = Joi.object({
  id: Joi.string(),
  at: Joi.date().iso(),
  actor: Joi.object({ id: Joi.string().allow(null), name: Joi.string() }),
  action: Joi.string(),
  target: Joi.object({ type: Joi.string(), id: Joi.string() }),
  before: Joi.any(),
  after: Joi.any(),
  requestId: Joi.string().allow(null),
  revision: Joi.number().integer().allow(null),
  address: Joi.string().allow(null),
  hash: Joi.string().hex(),
});

/** List and read. */
export function auditEndpoints(services: Services): GuardedEndpoint[] {
  const load = ({ params: { id = '' } }: LoadCall): Promise<AuditRow | undefined> =>
    entries(services).where({ id }).first();
  return [
    endpoint<undefined, AuditFilter>({
      method: 'get',
      path,
      summary: 'List the entries of the audit trail, the newest first',
      access: question,
      query: filters,
      reply: {
        status: 200,
        description: 'A page',
        shape: Joi.object({ items: Joi.array().items(shape), nextCursor: Joi.string().allow(null) }),
      },
      handle: async (call) => ({ status: 200, body: await listEntries(services, call) }),
    }),
    endpoint({
      method: 'get',
      path: `${path}/:id`,
      summary: 'Read an entry of the audit trail',
      params: Joi.object({ id: Joi.string().pattern(number, 'number').required() }),
      access: { ...question, load },
      reply: { status: 200, description: 'The entry, without the fields that may not be read', shape },
      handle: async (call) => ({
        status: 200,
        body: await present(services, call, call.context.loaded as AuditRow),
      }),
    }),
  ];
}

function entries({ db }: Services) {
  return db<AuditRow>('audit_entries').select<AuditRow[]>(...told);
}

async function listEntries(services: Services, call: GuardedCall<unknown, AuditFilter>) {
  const { limit: _size, cursor: _place, actor, from, to, ...equal } = call.query;
  const query = entries(services).where(equal);
  if (actor !== undefined) query.where((either) => either.where('actorId', actor).orWhere('actor', actor));
  if (from) query.where('at', '>=', from);
  if (to) query.where('at', '<', to);
  await narrow(services, call, query);
  return listReadable<AuditRow, object>(services, call, {
    page: (after, size) => {
      const page = query.clone().orderBy('id', 'desc').limit(size);
      if (after === undefined) return page;
      if (!number.test(after)) throw invalidField('/query/cursor', 'must be a nextCursor of this list');
      return page.where('id', '<', after);
    },
    nameOf: ({ id }) => id,
    filteredBy: Object.entries(asked).flatMap(([filter, fields]) => (filter in call.query ? fields : [])),
    resource: question.resource,
    attributesOf: (row) => row,
    present: (row) => present(services, call, row),
  });
}

const source: Source = {
  table: 'audit_entries',
  columns: Object.fromEntries(
    Object.entries({
      actorId: 'actor_id',
      actor: 'actor',
      action: 'action',
      targetType: 'target_type',
      targetId: 'target_id',
      requestId: 'request_id',
      address: 'address',
    }).map(([attribute, column]) => [attribute, { column, type: 'text' }]),
  ),
};

/**
 * Spares going through a long trail for somebody who may read little of it. Each row is decided on all the same, so a
 * rule that cannot be asked of the table only makes it slower.
 */
async function narrow(
  { abilityOf, gatekeeper }: Services,
  { req, context: { snapshot, principal } }: GuardedCall<unknown, AuditFilter>,
  query: Knex.QueryBuilder,
): Promise<void> {
  const type = snapshot.types.get(question.resource);
  if (type?.evaluator !== 'casl') return;
  const ability = await abilityOf(snapshot, principal);
  const { context } = gatekeeper.accessRequest(req, snapshot, question, {});
  try {
    narrowByRules(query, { ability, action: question.action, context, type, source });
  } catch (cause) {
    if (!(cause instanceof AppError && cause.code === 'internal_error')) throw cause;
  }
}

/** The entry as the caller may read it. */
async function present(
  { decisions, gatekeeper }: Services,
  { req, context: { snapshot } }: Pick<GuardedCall, 'req' | 'context'>,
  row: AuditRow,
): Promise<object> {
  const request = gatekeeper.accessRequest(req, snapshot, question, row);
  const whole = { ...row, hash: row.hash.toString('hex') };
  const readable = await showReadable(decisions, snapshot, request, whole);
  const { id, at, actorId, actor, action, targetType, targetId, ...rest } = readable;
  return {
    id,
    at,
    ...nested('actor', { id: actorId, name: actor }),
    action,
    ...nested('target', { type: targetType, id: targetId }),
    ...rest,
  };
}

/** Left out when there is nothing in it. */
function nested(name: string, parts: Record<string, unknown>): Record<string, unknown> {
  return Object.values(parts).every((part) => part === undefined) ? {} : { [name]: parts };
}
