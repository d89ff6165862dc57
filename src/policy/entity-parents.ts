/** What entities lie in: that parents are there, how they are written, and that nothing lies in itself. */
import type { Transaction } from '../storage/postgres.ts';
import { type Entity, type EntityName, entityNamed, referenceTo } from './entity.ts';
import { bindNames, inBatches, namesGiven, withAbove } from './entity-store.ts';

/** That one entity is a parent of another. */
export interface Parenthood {
  child: EntityName;
  parent: EntityName;
}

/** Who has whom as parent, of these entities as they are given. */
export function parenthoods(entities: readonly Entity[]): Parenthood[] {
  return entities.flatMap((child) => child.parents.map((parent) => ({ child, parent: entityNamed(parent) })));
}

/** Those of the parents that are no entities. */
export async function missingParents(trx: Transaction, edges: readonly Parenthood[]): Promise<Set<string>> {
  const missing = new Set<string>();
  const distinct = [...new Map(edges.map(({ parent }) => [referenceTo(parent), parent])).values()];
  await inBatches(distinct, async (batch) => {
    const { rows }: { rows: EntityName[] } = await trx.raw(
      `SELECT given.type, given.id FROM ${namesGiven} LEFT JOIN entities e USING (type, id) WHERE e.version IS NULL`,
      bindNames(batch),
    );
    for (const name of rows) missing.add(referenceTo(name));
  });
  return missing;
}

/** Writes who has whom as parent; all of them must be there. */
export async function writeParents(trx: Transaction, edges: readonly Parenthood[]): Promise<void> {
  await inBatches(edges, (batch) =>
    trx.raw(insertParents, [
      JSON.stringify(batch.map(({ child, parent }) => [child.type, child.id, parent.type, parent.id])),
    ]),
  );
}

const insertParents = `
  INSERT INTO entity_parents (type, id, parent_type, parent_id)
  SELECT edge ->> 0, edge ->> 1, edge ->> 2, edge ->> 3 FROM jsonb_array_elements(?::jsonb) AS given (edge)`;

/** Where an entity stands: the roles that it gives to what lies below, and what it lies in itself. */
export type Place = Pick<Entity, 'type' | 'id' | 'roles' | 'parents'>;

/** Those of these names and all above them, each once; of a name that is no entity, a place with nothing. */
export async function readPlacesAbove(trx: Transaction, references: Iterable<string>): Promise<Place[]> {
  const names = [...references].map(entityNamed);
  if (names.length === 0) return [];
  const { rows } = await trx.raw(
    `${withAbove} SELECT type, id,
       ARRAY(SELECT role_key FROM entity_roles r WHERE (r.type, r.id) = (a.type, a.id)) AS roles,
       ARRAY(SELECT parent_type || ':' || parent_id FROM entity_parents p WHERE (p.type, p.id) = (a.type, a.id)) AS parents
     FROM above a`,
    bindNames(names),
  );
  return rows;
}

/**
 * The way from one of these entities, which are written as they are here, over parents back to itself, where there is one;
 * what lies above them is read once. For whoever holds the policy lock.
 */
export async function findCycle(trx: Transaction, moved: readonly Entity[]): Promise<string[] | undefined> {
  const parentsOf = new Map(moved.map((entity) => [referenceTo(entity), entity.parents]));
  const others = new Set(moved.flatMap(({ parents }) => parents).filter((parent) => !parentsOf.has(parent)));
  for (const place of await readPlacesAbove(trx, others)) parentsOf.set(referenceTo(place), place.parents);
  return cycleIn(parentsOf);
}

/** Without recursion: a chain may be longer than the stack. */
function cycleIn(parentsOf: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  for (const start of parentsOf.keys()) {
    const path: string[] = [];
    const onPath = new Set<string>();
    const open: { name: string; leave: boolean }[] = [{ name: start, leave: false }];
    for (let next = open.pop(); next; next = open.pop()) {
      const { name, leave } = next;
      if (leave) {
        onPath.delete(name);
        path.pop();
        done.add(name);
        continue;
      }
      if (onPath.has(name)) return [...path.slice(path.indexOf(name)), name];
      if (done.has(name)) continue;
      onPath.add(name);
      path.push(name);
      open.push({ name, leave: true });
      for (const parent of parentsOf.get(name) ?? []) open.push({ name: parent, leave: false });
    }
  }
  return undefined;
}
