/** The rows of entities: read by name, compared with what is wanted, and a difference written. */
import type { Database, Transaction } from '../storage/postgres.ts';
import { sortedText } from './compile.ts';
import { type Entity, type EntityName, referenceTo } from './entity.ts';

export interface StoredEntity extends Entity {
  version: number;
  createdAt: Date;
  updatedAt: Date;
}

/** Columns of `entities` (as e) with the roles and parents of each. */
export const entityColumns = `
  e.type, e.id, e.attributes, e.version, e.created_at AS "createdAt", e.updated_at AS "updatedAt",
  ARRAY(SELECT role_key FROM entity_roles r WHERE (r.type, r.id) = (e.type, e.id) ORDER BY role_key COLLATE "C") AS roles,
  ARRAY(SELECT parent_type || ':' || parent_id FROM entity_parents p WHERE (p.type, p.id) = (e.type, e.id)
    ORDER BY (parent_type || ':' || parent_id) COLLATE "C") AS parents`;

/** The rows of a list of names, as SQL: two arrays to be bound, types and ids. */
export const namesGiven = 'unnest(?::text[], ?::text[]) AS given (type, id)';

/** What is bound for `namesGiven`. */
export function bindNames(names: readonly EntityName[]): [string[], string[]] {
  return [names.map(({ type }) => type), names.map(({ id }) => id)];
}

/**
 * `above`: the rows of these names and of all that lies above them, as SQL. `OFFSET 0`: looked up by index, name by name.
 * The planner cannot know how few they are, and would read whole tables.
 */
export const withAbove = `
  WITH RECURSIVE above AS (
    SELECT given.type, given.id FROM ${namesGiven}
    UNION SELECT p.parent_type, p.parent_id FROM above a CROSS JOIN LATERAL (
      SELECT parent_type, parent_id FROM entity_parents WHERE (type, id) = (a.type, a.id) OFFSET 0
    ) p
  )`;

/** The entities of these names, as many as there are. */
export async function findEntities(
  db: Database | Transaction,
  names: readonly EntityName[],
): Promise<StoredEntity[]> {
  const { rows } = await db.raw(
    `SELECT ${entityColumns} FROM entities e JOIN ${namesGiven} USING (type, id)`,
    bindNames(names),
  );
  return rows;
}

/** The first `limit` entities after one in the order of type and id, of one type or of all. */
export async function listEntities(
  db: Database | Transaction,
  { type, after, limit }: { type?: string | undefined; after?: EntityName | undefined; limit: number },
): Promise<StoredEntity[]> {
  const { rows } = await db.raw(
    `SELECT ${entityColumns} FROM entities e
     WHERE (?::text IS NULL OR e.type = ?) AND (?::text IS NULL OR (e.type, e.id) > (?, ?))
     ORDER BY e.type, e.id LIMIT ?`,
    [type ?? null, type ?? null, after?.type ?? null, after?.type ?? null, after?.id ?? null, limit],
  );
  return rows;
}

const BATCH = 5000;

/** Every entity, or every one of a type, batch by batch in the order of type and id. */
export async function* allEntities(
  db: Database | Transaction,
  type?: string,
): AsyncGenerator<StoredEntity[]> {
  for (let after: EntityName | undefined; ; ) {
    const batch = await listEntities(db, { type, after, limit: BATCH });
    if (batch.length > 0) yield batch;
    after = batch.at(-1);
    if (batch.length < BATCH) return;
  }
}

export interface EntityDiff {
  added: Entity[];
  changed: { before: StoredEntity; after: Entity }[];
  removed: StoredEntity[];
}

/** What makes the entities in the database those that are given: beside the others (merge), or in their place (replace). */
export async function diffEntities(
  trx: Transaction,
  given: readonly Entity[],
  mode: 'merge' | 'replace',
): Promise<EntityDiff> {
  const wanted = new Map(given.map((entity) => [referenceTo(entity), entity]));
  const diff: EntityDiff = { added: [], changed: [], removed: [] };
  for await (const batch of mode === 'replace' ? allEntities(trx) : named(trx, given))
    for (const before of batch) {
      const after = wanted.get(referenceTo(before));
      wanted.delete(referenceTo(before));
      if (!after) diff.removed.push(before);
      else if (textOf(before) !== textOf(after)) diff.changed.push({ before, after });
    }
  diff.added.push(...wanted.values());
  return diff;
}

async function* named(trx: Transaction, names: readonly EntityName[]): AsyncGenerator<StoredEntity[]> {
  for (let i = 0; i < names.length; i += BATCH) yield await findEntities(trx, names.slice(i, i + BATCH));
}

function textOf({ attributes, roles, parents }: Entity): string {
  // PostgreSQL orders by bytes, we by code units.
  return sortedText([attributes, [...roles].sort(), [...parents].sort()]);
}

/** Writes a difference but the parents that it brings: these may refer to any of it. */
export async function writeEntities(
  trx: Transaction,
  { added, changed, removed }: EntityDiff,
  onWritten: (count: number) => void = () => {},
): Promise<void> {
  const written = [...added, ...changed.map(({ after }) => after)];
  await inBatches(written, async (batch, done) => {
    await trx.raw(upsert, [JSON.stringify(batch)]);
    onWritten(done);
  });
  for (const part of ['roles', 'parents'] as const) {
    const stale = [
      ...changed.filter((change) => differs(change, part)).map(({ before }) => before),
      ...removed,
    ];
    await inBatches(stale, (batch) =>
      trx.raw(
        `DELETE FROM entity_${part} t USING ${namesGiven} WHERE (t.type, t.id) = (given.type, given.id)`,
        bindNames(batch),
      ),
    );
  }
  const roles = withOther('roles', { added, changed }).flatMap(({ type, id, roles }) =>
    roles.map((role_key) => ({ type, id, role_key })),
  );
  await inBatches(roles, (batch) => trx.raw(insertRoles, [JSON.stringify(batch)]));
}

function differs({ before, after }: EntityDiff['changed'][number], part: 'roles' | 'parents'): boolean {
  return JSON.stringify([...before[part]].sort()) !== JSON.stringify([...after[part]].sort());
}

/** What is added, and what is changed in this part. */
export function withOther(
  part: 'roles' | 'parents',
  { added, changed }: Pick<EntityDiff, 'added' | 'changed'>,
): Entity[] {
  return [...added, ...changed.filter((change) => differs(change, part)).map(({ after }) => after)];
}

const upsert = `
  INSERT INTO entities (type, id, attributes)
  SELECT type, id, attributes FROM jsonb_to_recordset(?::jsonb) AS given (type text, id text, attributes jsonb)
  ON CONFLICT (type, id) DO UPDATE
  SET attributes = excluded.attributes, version = entities.version + 1, updated_at = now()`;
const insertRoles = `
  INSERT INTO entity_roles (type, id, role_key)
  SELECT type, id, role_key FROM jsonb_to_recordset(?::jsonb) AS given (type text, id text, role_key text)`;

/** Takes entities away that have no parents any more. The database refuses where one that stays has one of them as parent. */
export async function removeEntities(trx: Transaction, names: readonly EntityName[]): Promise<void> {
  if (names.length > 0)
    await trx.raw(
      `DELETE FROM entities e USING ${namesGiven} WHERE (e.type, e.id) = (given.type, given.id)`,
      bindNames(names),
    );
}

/** Uses a list some thousand at a time; `done`: how many are used after it. */
export async function inBatches<T>(
  list: readonly T[],
  use: (batch: T[], done: number) => PromiseLike<unknown>,
): Promise<void> {
  for (let i = 0; i < list.length; i += BATCH)
    await use(list.slice(i, i + BATCH), Math.min(i + BATCH, list.length));
}
