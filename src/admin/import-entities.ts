/** Entities imported in bulk: beside those that are there, or in their place; all of them or none. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { resourceOf } from '../decision/access-request.ts';
import { accessDenied } from '../decision/decision.ts';
import { ENTITY_RESOURCE, entityAttributes } from '../decision/entities.ts';
import type { GuardedCall } from '../enforcement/access.ts';
import { isAlways } from '../policy/ability.ts';
import { changedKeys } from '../policy/diff.ts';
import { type Entity, referenceTo } from '../policy/entity.ts';
import type { EntityDiff } from '../policy/entity-store.ts';
import { ANY_TYPE, type ResourceType } from '../policy/policy.ts';
import { type GivenEntity, putEntities } from '../policy/put-entities.ts';
import { readEntityDocument, readEntityLines } from '../policy/read-entities.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Services } from '../services.ts';
import type { Transaction } from '../storage/postgres.ts';
import {
  auditEntities,
  changeEntities,
  countEntities,
  type EntityParts,
  isPart,
  vocabularyOf,
} from './change-entity.ts';
import { type Giver, giverOf } from './giver.ts';
import { entityGuard } from './guard-entities.ts';
import { actorOf } from './publish-change.ts';

export interface EntityImport {
  mode: 'merge' | 'replace';
}

export const LINES = 'application/x-ndjson';

/** `POST /entities/import`: how many it added, changed and removed. Throws what refuses one of them. */
export async function importEntities(services: Services, call: GuardedCall<unknown, EntityImport>) {
  const { req, body, query } = call;
  const given = typeof body === 'string' && req.is(LINES) ? readEntityLines(body) : readEntityDocument(body);
  const diff = await changeEntities(services, req, async (trx, snapshot) => {
    const written = await putForCaller(services, req, { trx, snapshot, given, mode: query.mode });
    await auditEntities(trx, actorOf(req), written, { verb: 'import', id: query.mode });
    return written;
  });
  const counts = countEntities(diff);
  return { status: 200, body: { ...counts, unchanged: given.length - counts.added - counts.changed } };
}

interface Put {
  trx: Transaction;
  snapshot: Snapshot;
  given: readonly GivenEntity[];
  mode: EntityImport['mode'];
}

/** Writes entities as far as the caller may do each of it, and holds what it gives. */
export function putForCaller(
  services: Services,
  req: GuardedCall['req'],
  { trx, snapshot, given, mode }: Put,
): Promise<EntityDiff> {
  const giver = giverOf(services, req, snapshot);
  const guard = entityGuard(giver, snapshot, trx);
  return putEntities(trx, given, {
    mode,
    vocabulary: vocabularyOf(services, snapshot),
    guard: async (diff) => {
      await requireEntityActions(services, giver, snapshot, diff);
      return guard(diff);
    },
  });
}

const DECIDED_AT_ONCE = 500;

/** Many at once are no way round what the policy says of each. Throws `access_denied`, `fields_denied` for the first that may not be. */
async function requireEntityActions(
  { gatekeeper }: Pick<Services, 'gatekeeper'>,
  { principal, decisions, context }: Giver,
  snapshot: Snapshot,
  diff: EntityDiff,
): Promise<void> {
  const type = snapshot.types.get(ENTITY_RESOURCE);
  const { byField, byEntity } = whatRulesAsk(snapshot, type);
  const decided = new Set<string>();
  for (const [index, { action, entity, fields }] of actionsIn(diff).entries()) {
    if (decided.has(action)) continue;
    // A hundred thousand decisions at a stretch would keep everybody else waiting.
    if (index % DECIDED_AT_ONCE === DECIDED_AT_ONCE - 1) await nextTurn();
    const resource = type && resourceOf(type, entityAttributes(entity));
    const request = resource && { principal, action: { name: action }, resource, context };
    const decision = request && (await decisions.decide(snapshot, request, 'denied'));
    if (decision?.allow) {
      if (byField) await gatekeeper.requireFields({ snapshot, request }, fields());
      if (!byField && !byEntity) decided.add(action);
      continue;
    }
    throw accessDenied(
      decision ?? {
        allow: false,
        reason: `${ENTITY_RESOURCE} is not there`,
        ruleId: null,
        revision: snapshot.revision,
      },
      `you may not ${action} the entity ${referenceTo(entity)}`,
    );
  }
}

/**
 * Whether any rule about entities is about some of their fields: else each allow is of all, and need not be asked for them.
 * And whether the answer can differ from one entity to another: else who may do it to one may to all.
 */
function whatRulesAsk({ rules }: Snapshot, type: ResourceType | undefined) {
  const about = [...rules.values()].filter(
    ({ subjects }) => subjects.includes(ENTITY_RESOURCE) || subjects.includes(ANY_TYPE),
  );
  const isByRules = type?.evaluator === 'casl' && type.shadow === undefined;
  return {
    byField: about.some(({ fields }) => fields),
    byEntity: !isByRules || about.some(({ condition }) => !isAlways(condition)),
  };
}

interface Asked {
  action: string;
  entity: Entity;
  /** Those that it writes. */
  fields(): string[];
}

function actionsIn({ added, changed, removed }: EntityDiff): Asked[] {
  return [
    ...added.map((entity) => ({ action: 'create', entity, fields: () => writtenIn(NOTHING, entity) })),
    ...changed.flatMap(({ before, after }) => {
      const fields = () => writtenIn(before, after);
      return [before, after].map((entity) => ({ action: 'update', entity, fields }));
    }),
    ...removed.map((entity) => ({ action: 'delete', entity, fields: () => [] })),
  ];
}

const NOTHING: EntityParts = { attributes: {}, roles: [], parents: [] };

function writtenIn(before: EntityParts, after: EntityParts): string[] {
  return changedKeys(before, after).filter(isPart);
}
