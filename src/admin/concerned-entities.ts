/** Which entities a change may make other principals: those that it writes, and what lies below them. */
import { isDeepStrictEqual } from 'node:util';
import { relevantPaths } from '../decision/principal-groups.ts';
import { changedKeys } from '../policy/diff.ts';
import { type Entity, type EntityName, referenceTo } from '../policy/entity.ts';
import { bindNames, type EntityDiff, namesGiven } from '../policy/entity-store.ts';
import { isOfAncestors } from '../policy/resolve-ancestors.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Transaction } from '../storage/postgres.ts';
import { rolesFromAbove } from './roles-from-above.ts';
import { isSeen, type Sight } from './seen-elsewhere.ts';

interface Concerned {
  /** Themselves. */
  own: EntityName[];
  /** With all that lies below them. */
  withBelow: EntityName[];
}

/**
 * Those concerned by a difference, `most + 1` at most below what it writes. An attribute that nobody reads of a principal
 * concerns none, and neither does a place that gives nothing: a hundred thousand files in folders are nobody's gain.
 */
export async function concernedEntities(
  trx: Transaction,
  { snapshot, sight, diff, most }: { snapshot: Snapshot; sight: Sight; diff: EntityDiff; most: number },
): Promise<EntityName[]> {
  const reads = readsIn(snapshot, sight);
  const giveSomething = reads.places ? () => true : await rolesFromAbove(trx, diff);
  const { own, withBelow } = concerned(reads, giveSomething, diff);
  const below = withBelow.length > 0 ? await withDescendants(trx, withBelow, most + 1) : [];
  return [...new Map([...own, ...below].map((name) => [referenceTo(name), name])).values()];
}

function concerned(
  reads: Reads,
  giveSomething: (parents: readonly string[]) => boolean,
  { added, changed, removed }: EntityDiff,
): Concerned {
  const found: Concerned = { own: [], withBelow: [] };
  const look = (name: EntityName, before: Parts, after: Parts) => {
    const attributes = changedKeys(before.attributes, after.attributes);
    const isMoved =
      !isDeepStrictEqual(before.parents, after.parents) &&
      (giveSomething(before.parents) || giveSomething(after.parents));
    if (isMoved || !isDeepStrictEqual(before.roles, after.roles) || attributes.some(reads.fromAbove))
      found.withBelow.push(name);
    else if (attributes.some(reads.own)) found.own.push(name);
  };
  for (const after of added) look(after, NOTHING, after);
  for (const { before, after } of changed) look(after, before, after);
  for (const before of removed) look(before, before, NOTHING);
  return found;
}

type Parts = Pick<Entity, 'attributes' | 'roles' | 'parents'>;
const NOTHING: Parts = { attributes: {}, roles: [], parents: [] };

interface Reads {
  /** Whether an attribute is read of a principal itself. */
  own(attribute: string): boolean;
  /** Whether it is read of what a principal belongs to. */
  fromAbove(attribute: string): boolean;
  /** Whether anything is read of that at all; roles come down from it however that is. */
  places: boolean;
}

function readsIn(snapshot: Snapshot, sight: Sight): Reads {
  const { paths } = relevantPaths(snapshot, snapshot);
  const [own, above] = [new Set<string>(), new Set<string>()];
  for (const path of paths) {
    const [first = '', second = ''] = path.split('.');
    if (isOfAncestors(path)) above.add(second);
    else own.add(first);
  }
  // What is asked of one ancestor may be any of it.
  const isAnyAbove = above.has('') || sight.ancestors;
  return {
    own: (name: string) => own.has(name) || isSeen(sight, name),
    fromAbove: (name: string) => isAnyAbove || above.has(name),
    places: sight.ancestors || paths.some(isFromAbove),
  };
}

/** Whether a path of a principal begins with what lies above it. */
export function isFromAbove(path: string): boolean {
  return isOfAncestors(path) || path === 'ancestorIds';
}

async function withDescendants(
  trx: Transaction,
  names: readonly EntityName[],
  limit: number,
): Promise<EntityName[]> {
  const { rows } = await trx.raw(
    `WITH RECURSIVE below AS (
       SELECT given.type, given.id FROM ${namesGiven}
       UNION SELECT p.type, p.id FROM entity_parents p JOIN below b ON (p.parent_type, p.parent_id) = (b.type, b.id)
     ) SELECT type, id FROM below LIMIT ?`,
    [...bindNames(names), limit],
  );
  return rows;
}
