/** Nobody gives what they do not hold (design 4.7), by way of entities: their roles, their attributes, what they belong to. */

import { ENTITY_RESOURCE, entityAttributes, entityPrincipal, loadEntities } from '../decision/entities.ts';
import { relevantPaths } from '../decision/principal-groups.ts';
import { makeAbilityToCome, type Principal, principalFacts } from '../policy/ability.ts';
import { gains } from '../policy/containment.ts';
import { changedKeys } from '../policy/diff.ts';
import { canonicalName, type Entity, type EntityName, referenceTo } from '../policy/entity.ts';
import { bindNames, type EntityDiff, namesGiven } from '../policy/entity-store.ts';
import { read } from '../policy/matcher.ts';
import { isOfAncestors } from '../policy/resolve-ancestors.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Transaction } from '../storage/postgres.ts';
import type { Giver } from './giver.ts';
import { guardGift, guardTaking, requireAssign } from './guard-escalation.ts';
import { mayEscalate, requireHolds, requireNoGap, type Target } from './require-holds.ts';

/** So many principals that differ are held against the giver one by one. */
const MOST_CHECKED = 1000;
/** So many are looked at: of one change, with all that descends from it. */
const MOST_LOADED = 100_000;

/** A principal before and after. */
interface Change {
  was: Principal;
  is: Principal;
}

/**
 * A guard for `putEntities`: what the change makes of each entity as principal, and of all that descend from it. Throws
 * `access_denied` for a role that may not be assigned, `privilege_escalation` for permissions that the giver does not
 * hold, unless they may `escalate`; so also where there are too many to be looked at.
 */
export function entityGuard(giver: Giver, snapshot: Snapshot, trx: Transaction) {
  return async (diff: EntityDiff): Promise<() => Promise<void>> => {
    await requireAssignable(giver, snapshot, diff);
    const target = await closedTo(giver, snapshot, targetsOf(diff));
    if (!target) return async () => {};
    const names = await withDescendants(trx, concerned(snapshot, diff));
    if (names.length > MOST_LOADED)
      await requireNoGap(
        giver,
        snapshot,
        `more than ${MOST_LOADED} entities are concerned, too many to look at`,
      );
    const before = await principalsOf(trx, snapshot, names);
    return async () => {
      const after = await principalsOf(trx, snapshot, names);
      await guardChanges(giver, snapshot, changesOf(snapshot, before, after), target);
    };
  };
}

/** What `escalate` is asked on: the one entity as it was and as it becomes, or entities as such. */
function targetsOf({ added, changed, removed }: EntityDiff): Target[] {
  const all = [...added, ...changed.flatMap(({ before, after }) => [before, after]), ...removed];
  const isOne = added.length + changed.length + removed.length === 1;
  const attributes = isOne ? all.map(entityAttributes) : [{}];
  return attributes.map((of) => ({ type: ENTITY_RESOURCE, attributes: of }));
}

/** The first on which the giver may not escalate: who may on what an entity becomes could otherwise make it that. */
async function closedTo(
  giver: Giver,
  snapshot: Snapshot,
  targets: readonly Target[],
): Promise<Target | undefined> {
  for (const target of targets) if (!(await mayEscalate(giver, snapshot, target))) return target;
  return undefined;
}

async function requireAssignable(giver: Giver, snapshot: Snapshot, diff: EntityDiff): Promise<void> {
  const { added, changed, removed } = diff;
  const differing = changed.flatMap(({ before, after }) => [
    ...without(after.roles, before.roles),
    ...without(before.roles, after.roles),
  ]);
  const roles = new Set([...[...added, ...removed].flatMap((entity) => entity.roles), ...differing]);
  for (const role of roles) await requireAssign(giver, snapshot, role);
}

/** Those that may become other principals: a title that no rule reads of a principal makes none. */
function concerned(snapshot: Snapshot, { added, changed, removed }: EntityDiff): EntityName[] {
  const { paths } = relevantPaths(snapshot, snapshot);
  const readOfAny = paths.some(isOfAncestors);
  const read = new Set(paths.map((path) => path.split('.')[0] ?? ''));
  const isConcerned = (before: Pick<Entity, 'attributes' | 'roles' | 'parents'>, after: typeof before) =>
    changedKeys(
      { roles: before.roles, parents: before.parents },
      { roles: after.roles, parents: after.parents },
    ).length > 0 ||
    changedKeys(before.attributes, after.attributes).some((name) => readOfAny || read.has(name));
  return [
    ...added.filter((after) => isConcerned(NOTHING, after)),
    ...changed.filter(({ before, after }) => isConcerned(before, after)).map(({ after }) => after),
    ...removed.filter((before) => isConcerned(before, NOTHING)),
  ];
}

const NOTHING = { attributes: {}, roles: [], parents: [] };

async function withDescendants(trx: Transaction, names: readonly EntityName[]): Promise<EntityName[]> {
  const { rows } = await trx.raw(
    `WITH RECURSIVE below AS (
       SELECT given.type, given.id FROM ${namesGiven}
       UNION SELECT p.type, p.id FROM entity_parents p JOIN below b ON (p.parent_type, p.parent_id) = (b.type, b.id)
     ) SELECT type, id FROM below LIMIT ?`,
    [...bindNames(names), MOST_LOADED + 1],
  );
  return rows;
}

const BATCH = 5000;

async function principalsOf(
  trx: Transaction,
  snapshot: Snapshot,
  names: readonly EntityName[],
): Promise<Map<string, Principal>> {
  const principals = new Map<string, Principal>();
  for (let i = 0; i < names.length; i += BATCH) {
    const batch = names.slice(i, i + BATCH).map((name) => canonicalName(name, snapshot.types));
    const find = await loadEntities(trx, snapshot, batch);
    for (const name of batch) principals.set(referenceTo(name), entityPrincipal(name, find(name), snapshot));
  }
  return principals;
}

/** One change of each kind: whoever has the same roles, and the same where rules look, gains and loses the same. */
function changesOf(
  snapshot: Snapshot,
  before: ReadonlyMap<string, Principal>,
  after: ReadonlyMap<string, Principal>,
): Change[] {
  const { paths, ids } = relevantPaths(snapshot, snapshot);
  const segments = paths.map((path) => path.split('.'));
  const keyOf = (principal: Principal) => {
    const facts = principalFacts(snapshot, principal);
    return JSON.stringify([principal.roles, segments.map((path) => read(facts, path) ?? null)]);
  };
  const changes = new Map<string, Change>();
  for (const [name, was] of before) {
    const is = after.get(name);
    if (!is) continue;
    const [key, afterwards] = [keyOf(was), keyOf(is)];
    const isNamed = ids || snapshot.rulesByPrincipal.has(name);
    if (key !== afterwards)
      changes.set(JSON.stringify([is.type, isNamed && name, key, afterwards]), { was, is });
  }
  return [...changes.values()];
}

async function guardChanges(
  giver: Giver,
  snapshot: Snapshot,
  changes: readonly Change[],
  target: Target,
): Promise<void> {
  if (changes.length > MOST_CHECKED)
    await requireNoGap(
      giver,
      snapshot,
      `${changes.length} entities would change as principals, too many to check`,
      target,
    );
  const [given, taken] = [new Set<string>(), new Set<string>()];
  for (const { was, is } of changes) {
    for (const role of without(is.roles, was.roles)) given.add(role);
    for (const role of without(was.roles, is.roles)) taken.add(role);
  }
  for (const role of given) await guardGift(giver, snapshot, role, target);
  for (const role of taken) await guardTaking(giver, snapshot, role, target);
  for (const change of changes) await guardChange(giver, snapshot, change, target);
}

/** What it gains is held; and nobody takes something from somebody stronger. */
async function guardChange(
  giver: Giver,
  snapshot: Snapshot,
  { was, is }: Change,
  target: Target,
): Promise<void> {
  const nowMs = Date.now();
  const [before, after] = [makeAbilityToCome(snapshot, was, nowMs), makeAbilityToCome(snapshot, is, nowMs)];
  const lost = gains(after, before);
  await requireHolds(giver, snapshot, [...gains(before, after), ...lost], target);
  if (lost.length > 0) await requireHolds(giver, snapshot, before.rules, target);
}

function without(roles: readonly string[], others: readonly string[]): string[] {
  return roles.filter((role) => !others.includes(role));
}
