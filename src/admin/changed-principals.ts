/** What a change of entities makes of them, and of all below them, as principals: one change of each kind, read batch by batch. */
import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { entityPrincipal, entityReader, type KnownEntity } from '../decision/entities.ts';
import { relevantPaths } from '../decision/principal-groups.ts';
import { ancestorFacts, type Principal, principalFacts } from '../policy/ability.ts';
import { canonicalName, type EntityName, referenceTo } from '../policy/entity.ts';
import { read } from '../policy/matcher.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Transaction } from '../storage/postgres.ts';
import { isFromAbove } from './concerned-entities.ts';
import { isSeen, type Sight, seenOf } from './seen-elsewhere.ts';

/** A principal before and after. */
export interface Change {
  was: Principal;
  is: Principal;
  /** Whether evaluators other than `casl` see another difference than that of roles. */
  isSeenElsewhere: boolean;
}

export interface ChangesWanted {
  trx: Transaction;
  snapshot: Snapshot;
  sight: Sight;
  /** Whether the change writes or removes the entity of this reference. */
  isWritten(reference: string): boolean;
  /** Whether it adds it, so that there is nothing before. */
  isAdded(reference: string): boolean;
  /** Told how many ancestors were looked at so far, each as often as there are different lists of them; throws where they are too many. */
  onAncestors(count: number): Promise<void>;
}

/**
 * Reads the principals as they are, and returns what reads them again: the changes between, one of each kind. Of those that
 * are not written themselves, have the same roles of their own and lie in the same places, one stands for all of one kind.
 */
export async function watchPrincipals(
  wanted: ChangesWanted,
  names: readonly EntityName[],
): Promise<() => Promise<Change[]>> {
  const kindOf = kinds(wanted);
  const isStored = (name: EntityName) => !wanted.isAdded(referenceTo(name));
  const before = new Map<string, { name: EntityName; kind: Kind }>();
  await eachEntity(wanted, names, isStored, async (name, found) => {
    const kind = await kindOf(name, found);
    const reference = referenceTo(name);
    const isOnlyOne = kind.isNamed || wanted.isWritten(reference);
    const alike = isOnlyOne
      ? reference
      : JSON.stringify([kind.key, kind.seen, found?.own.roles, found?.own.parents]);
    if (!before.has(alike)) before.set(alike, { name, kind });
  });
  const kindsBefore = new Map([...before.values()].map(({ name, kind }) => [referenceTo(name), kind]));
  const representatives = [...before.values()].map(({ name }) => name);
  return async () => {
    const changes = new Map<string, Change>();
    await eachEntity(
      wanted,
      representatives,
      () => true,
      async (name, found) => {
        const [was, is] = [kindsBefore.get(referenceTo(name)), await kindOf(name, found)];
        if (!was || was === is) return;
        const isSeenElsewhere = is.seen !== was.seen;
        if (is.key === was.key && !isSeenElsewhere) return;
        const { id } = is.principal;
        // By their ids these two may differ, as far as these count at all; that is no difference between before and after.
        const change = { was: { ...was.principal, id }, is: is.principal, isSeenElsewhere };
        changes.set(JSON.stringify([was.key, is.key, isSeenElsewhere]), change);
      },
    );
    return [...changes.values()];
  };
}

const BATCH = 5000;
/** So long others wait at most. */
const TURN_MS = 20;

async function eachEntity(
  { trx, snapshot }: ChangesWanted,
  names: readonly EntityName[],
  isStored: (name: EntityName) => boolean,
  use: (name: EntityName, found: KnownEntity | undefined) => Promise<void>,
): Promise<void> {
  const readBatch = entityReader(trx, snapshot);
  let turnMs = performance.now();
  for (let i = 0; i < names.length; i += BATCH) {
    const batch = names.slice(i, i + BATCH).map((name) => canonicalName(name, snapshot.types));
    const find = await readBatch(batch.filter(isStored));
    for (const name of batch) {
      await use(name, find(name));
      if (performance.now() - turnMs < TURN_MS) continue;
      await nextTurn();
      turnMs = performance.now();
    }
  }
}

/**
 * Whoever is of one kind has the same type and roles, and the same where rules look, and so gains and loses the same; whom
 * rules name is a kind of their own.
 */
interface Kind {
  key: string;
  isNamed: boolean;
  /** What evaluators other than `casl` see beside the roles. */
  seen: string;
  /** One of them. To keep a hundred thousand of one kind would take much time and memory. */
  principal: Principal;
}

/** Of what is stored alike one principal is made; what is common to all that lie in one place is looked at once. */
function kinds({ snapshot, sight, onAncestors }: ChangesWanted) {
  const { paths, ids } = relevantPaths(snapshot, snapshot);
  const above = segmentsOf(paths.filter(isFromAbove));
  const own = segmentsOf(paths.filter((path) => !isFromAbove(path)));
  const names = new Set(own.map(([first]) => first));
  const lookAbove = lookerAbove(above, sight, onAncestors);
  const known = new Map<string, Kind>();
  return async (name: EntityName, found: KnownEntity | undefined): Promise<Kind> => {
    const isNamed = ids || sight.ids.has(name.id) || snapshot.rulesByPrincipal.has(referenceTo(name));
    const fromAbove = await lookAbove(found?.ancestors ?? NO_ANCESTORS);
    const stored = Object.entries(found?.own.attributes ?? {}).filter(
      ([attribute]) => names.has(attribute) || isSeen(sight, attribute),
    );
    const text = JSON.stringify([name.type, isNamed && name.id, found?.roles, stored, fromAbove]);
    const alike = known.get(text);
    if (alike) return alike;
    const principal = entityPrincipal(name, found, snapshot);
    const values = valuesOf(principalFacts(snapshot, principal), own);
    const kind = {
      isNamed,
      key: digestOf([name.type, isNamed && name.id, principal.roles, values, fromAbove.ofRules]),
      seen: digestOf([seenOf(sight, principal), fromAbove.seen]),
      principal,
    };
    known.set(text, kind);
    return kind;
  };
}

function segmentsOf(paths: readonly string[]): string[][] {
  return paths.map((path) => path.split('.'));
}

function valuesOf(facts: object, segments: readonly string[][]): unknown[] {
  return segments.map((path) => read(facts, path) ?? null);
}

const NO_ANCESTORS: Principal['ancestors'] = Object.freeze([]);

/** What rules and evaluators see of ancestors, looked at once for each list of them. */
function lookerAbove(above: string[][], sight: Sight, onAncestors: ChangesWanted['onAncestors']) {
  const digests = new WeakMap<Principal['ancestors'], { ofRules: string; seen: string }>();
  let count = 0;
  return async (ancestors: Principal['ancestors']) => {
    const known = digests.get(ancestors);
    if (known) return known;
    count += ancestors.length;
    await onAncestors(count);
    const made = {
      ofRules: digestOf(valuesOf(ancestorFacts(ancestors), above)),
      seen: sight.ancestors ? digestOf(ancestors) : '',
    };
    digests.set(ancestors, made);
    return made;
  };
}

function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url');
}
