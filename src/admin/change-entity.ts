/** One entity written, changed or removed: one transaction, never beyond what whoever does it holds. */
import type { Request } from 'express';
import { type AuditActor, recordAudit } from '../audit/record.ts';
import { ENTITY_RESOURCE, entityAttributes } from '../decision/entities.ts';
import type { GuardedCall } from '../enforcement/access.ts';
import { AppError } from '../errors.ts';
import type { Change } from '../policy/change-feed.ts';
import { changedKeys } from '../policy/diff.ts';
import {
  canonicalName,
  type Entity,
  type EntityName,
  type EntityVocabulary,
  referenceTo,
} from '../policy/entity.ts';
import { type EntityDiff, findEntities, type StoredEntity } from '../policy/entity-store.ts';
import { putEntities, writeEntityDiff } from '../policy/put-entities.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Services } from '../services.ts';
import type { Transaction } from '../storage/postgres.ts';
import { giverOf } from './giver.ts';
import { entityGuard } from './guard-entities.ts';
import { actorOf, requireVersion } from './publish-change.ts';
import { admitted, changeDataUnderLock } from './under-lock.ts';

type EntityCall = GuardedCall<unknown>;
export type EntityParts = Omit<Entity, 'type' | 'id'>;

/** The entity that a path names, in the one form of its id. */
export function namedIn(params: Record<string, string>, snapshot: Pick<Snapshot, 'types'>): EntityName {
  return canonicalName({ type: params['type'] ?? '', id: params['id'] ?? '' }, snapshot.types);
}

/** What entities may refer to under a snapshot. */
export function vocabularyOf({ sources }: Pick<Services, 'sources'>, snapshot: Snapshot): EntityVocabulary {
  return { types: snapshot.types, roles: snapshot.roles, isInTable: (type) => sources.has(type) };
}

/**
 * Writes the entity as `make` gives it from what is there. Whether it was made. Throws `not_found` where `make` gives nothing,
 * `stale_version`, `access_denied`, `fields_denied`, `privilege_escalation`, `invalid_request`.
 */
export async function writeEntity(
  services: Services,
  call: EntityCall,
  make: (before: StoredEntity | undefined) => EntityParts | undefined,
): Promise<{ isNew: boolean }> {
  const { req } = call;
  return changeEntities(services, req, async (trx, snapshot) => {
    const name = namedIn(call.params, snapshot);
    const before = await findUnderLock(call, trx, name);
    const parts = make(before);
    if (!parts) throw new AppError('not_found');
    const entity = { ...name, ...parts };
    await requireWritable(services, call, before, entity);
    const diff = await putEntities(trx, [{ entity, pointer: '' }], {
      mode: 'merge',
      vocabulary: vocabularyOf(services, snapshot),
      guard: entityGuard(giverOf(services, req, snapshot), snapshot, trx),
    });
    await auditEntities(trx, actorOf(req), diff, {
      verb: before ? 'update' : 'create',
      id: referenceTo(name),
    });
    return { isNew: !before };
  });
}

/** Takes the entity away, and its roles with it. Throws `not_found`, `entity_in_use` and what refuses a change. */
export async function removeEntity(services: Services, call: EntityCall): Promise<void> {
  const { req } = call;
  await changeEntities(services, req, async (trx, snapshot) => {
    const before = await findUnderLock(call, trx, namedIn(call.params, snapshot));
    if (!before) throw new AppError('not_found');
    await services.gatekeeper.requireAllowedOn(admitted(req), entityAttributes(before));
    const diff: EntityDiff = { added: [], changed: [], removed: [before] };
    await writeEntityDiff(trx, diff, { guard: entityGuard(giverOf(services, req, snapshot), snapshot, trx) });
    await auditEntities(trx, actorOf(req), diff, { verb: 'delete', id: referenceTo(before) });
  });
}

/** As `changeDataUnderLock`; what this node remembers of entities is forgotten before anybody is answered. */
export async function changeEntities<T>(
  services: Services,
  req: Request,
  change: (trx: Transaction, snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  const changed = await changeDataUnderLock(services, req, change);
  services.feed.announce([ENTITIES_CHANGED]);
  return changed;
}

/** What is told when any entity was written. */
export const ENTITIES_CHANGED: Change = { kind: 'entity', subject: '*' };

async function findUnderLock(
  { req }: EntityCall,
  trx: Transaction,
  name: EntityName,
): Promise<StoredEntity | undefined> {
  const [found] = await findEntities(trx, [name]);
  if (found || req.headers['if-match'] !== undefined) requireVersion(req, found?.version ?? 0);
  return found;
}

/** As it was and as it becomes; to make one is an action of its own. */
async function requireWritable(
  { gatekeeper }: Services,
  { req, res, sentFields }: EntityCall,
  before: StoredEntity | undefined,
  entity: Entity,
): Promise<void> {
  const after = entityAttributes(entity);
  if (before) {
    const access = await gatekeeper.requireAllowedOn(admitted(req), entityAttributes(before));
    await gatekeeper.requireFields(access, changedKeys(before, { ...before, ...entity }));
  } else {
    const question = { action: 'create', resource: ENTITY_RESOURCE };
    const { request } = await gatekeeper.requireAllowed(req, res, question, after);
    await gatekeeper.requireFields({ ...admitted(req), request }, sentFields.filter(isPart));
  }
  await gatekeeper.requireAllowedAfter(admitted(req), after);
}

/** Keys of an entity that are written; the others are sent back as they were read. */
export function isPart(key: string): boolean {
  return ['attributes', 'roles', 'parents'].includes(key);
}

const MOST_AUDITED = 20;

/** Writes down what was done: of a few entities what each was and is, of more how many. The last thing of a transaction. */
export async function auditEntities(
  trx: Transaction,
  actor: AuditActor,
  diff: EntityDiff,
  { verb, id }: { verb: string; id: string },
): Promise<void> {
  if (totalOf(diff) === 0) return;
  await recordAudit(trx, {
    actor,
    action: `entity.${verb}`,
    target: { type: ENTITY_RESOURCE, id },
    ...entityStates(diff),
  });
}

/** How many entities a difference adds, changes and removes. */
export function countEntities({ added, changed, removed }: EntityDiff) {
  return { added: added.length, changed: changed.length, removed: removed.length };
}

function totalOf(diff: EntityDiff): number {
  const { added, changed, removed } = countEntities(diff);
  return added + changed + removed;
}

/** For the audit trail: before and after, as long as they are few. */
export function entityStates(diff: EntityDiff): { before?: unknown; after?: unknown } {
  if (totalOf(diff) > MOST_AUDITED) return { after: countEntities(diff) };
  const told = (list: Entity[]) => {
    const states = list.map(({ type, id, attributes, roles, parents }) => ({
      type,
      id,
      attributes,
      roles,
      parents,
    }));
    return states.length > 1 ? states : states[0];
  };
  const before = told([...diff.changed.map((change) => change.before), ...diff.removed]);
  const after = told([...diff.added, ...diff.changed.map((change) => change.after)]);
  return { ...(before && { before }), ...(after && { after }) };
}
