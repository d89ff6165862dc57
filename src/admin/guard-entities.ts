/** Nobody gives what they do not hold (design 4.7), by way of entities: their roles, their attributes, what they belong to. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ENTITY_RESOURCE, entityAttributes } from '../decision/entities.ts';
import { makeAbilityToCome } from '../policy/ability.ts';
import { gains } from '../policy/containment.ts';
import { type Entity, referenceTo } from '../policy/entity.ts';
import type { EntityDiff } from '../policy/entity-store.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Transaction } from '../storage/postgres.ts';
import { type Change, type ChangesWanted, watchPrincipals } from './changed-principals.ts';
import { concernedEntities } from './concerned-entities.ts';
import type { Giver } from './giver.ts';
import { guardGift, guardTaking, requireAssign } from './guard-escalation.ts';
import { mayEscalate, requireHolds, requireNoGap, type Target } from './require-holds.ts';
import { gapElsewhere, type Sight, sightOf, without } from './seen-elsewhere.ts';

/** So many principals that differ are held against the giver one by one. */
const MOST_CHECKED = 1000;
/** So many are looked at: of one change, with all that descends from it. */
const MOST_LOADED = 100_000;
/** So many ancestors are looked at, counted once for all that have the same parents: some seconds of work. */
const MOST_ANCESTORS = 500_000;

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
    const sight = sightOf(snapshot);
    const names = await concernedEntities(trx, { snapshot, sight, diff, most: MOST_LOADED });
    const refuse = (what: string) =>
      requireNoGap(giver, snapshot, `${what}, too many to look at: ${instead}`);
    if (names.length > MOST_LOADED) await refuse(`more than ${MOST_LOADED} entities are concerned`);
    const onAncestors = async (count: number) => {
      if (count > MOST_ANCESTORS)
        await refuse(`what is concerned lies below more than ${MOST_ANCESTORS} entities in all`);
    };
    const written = new Set(entitiesIn(diff).map(referenceTo));
    const added = new Set(diff.added.map(referenceTo));
    const wanted: ChangesWanted = {
      trx,
      snapshot,
      sight,
      isWritten: (reference) => written.has(reference),
      isAdded: (reference) => added.has(reference),
      onAncestors,
    };
    const changes = await watchPrincipals(wanted, names);
    return async () => guardChanges(giver, snapshot, sight, await changes(), target);
  };
}

const instead = 'change fewer of them at once, or ask somebody who may escalate on all of castellan.entity';

/** What `escalate` is asked on: the one entity as it was and as it becomes, or entities as such. */
function targetsOf({ added, changed, removed }: EntityDiff): Target[] {
  const all = entitiesIn({ added, changed, removed });
  const isOne = added.length + changed.length + removed.length === 1;
  const attributes = isOne ? all.map(entityAttributes) : [{}];
  return attributes.map((of) => ({ type: ENTITY_RESOURCE, attributes: of }));
}

/** Those that are written or removed; of what is changed both states. */
function entitiesIn({ added, changed, removed }: EntityDiff): Entity[] {
  return [...added, ...changed.flatMap(({ before, after }) => [before, after]), ...removed];
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

async function guardChanges(
  giver: Giver,
  snapshot: Snapshot,
  sight: Sight,
  changes: readonly Change[],
  target: Target,
): Promise<void> {
  if (changes.length > MOST_CHECKED)
    await requireNoGap(
      giver,
      snapshot,
      `${changes.length} entities would change as principals, too many to check: ${instead}`,
      target,
    );
  const [given, taken] = [new Set<string>(), new Set<string>()];
  for (const { was, is } of changes) {
    for (const role of without(is.roles, was.roles)) given.add(role);
    for (const role of without(was.roles, is.roles)) taken.add(role);
  }
  for (const role of given) await guardGift(giver, snapshot, role, target);
  for (const role of taken) await guardTaking(giver, snapshot, role, target);
  for (const change of changes) {
    await guardChange(giver, snapshot, change, target);
    await requireNoGap(giver, snapshot, gapElsewhere(giver, snapshot, sight, change), target);
    await nextTurn();
  }
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
