/** What entities lie in: that parents are there, how they are written, and that nothing lies in itself. */
import type { Transaction } from '../storage/postgres.ts';
import { type Entity, type EntityName, entityNamed, referenceTo } from './entity.ts';
import { bindNames, inBatches, namesGiven } from './entity-store.ts';

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

/** The way from one of these entities over parents back to itself, where there is one. For whoever holds the policy lock. */
export async function findCycle(
  trx: Transaction,
  names: readonly EntityName[],
): Promise<string[] | undefined> {
  const parentsOf = new Map<string, string[]>();
  const { rows }: { rows: { child: string; parent: string }[] } = await trx.raw(
    `WITH RECURSIVE above AS (
       SELECT p.* FROM entity_parents p JOIN ${namesGiven} USING (type, id)
       UNION SELECT p.* FROM entity_parents p JOIN above a ON (p.type, p.id) = (a.parent_type, a.parent_id)
     ) SELECT type || ':' || id AS child, parent_type || ':' || parent_id AS parent FROM above`,
    bindNames(names),
  );
  for (const { child, parent } of rows) {
    const known = parentsOf.get(child);
    if (known) known.push(parent);
    else parentsOf.set(child, [parent]);
  }
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
