/** Where the rows of a resource type are: what the code registers, never what the policy says. */
import type { ResourceType } from '../policy/policy.ts';
import type { Database } from '../storage/postgres.ts';

/** A table, and the column of each attribute. */
export interface Source {
  table: string;
  /** Attribute -> column; what is not here cannot be asked of the table. `id` must be. */
  columns: Readonly<Record<string, string>>;
}

/** By resource type. */
export type Sources = ReadonlyMap<string, Source>;

/** The declared attributes of one row; undefined: there is none. */
export async function loadFromSource(
  db: Database,
  { table, columns }: Source,
  type: ResourceType,
  id: string,
): Promise<Record<string, unknown> | undefined> {
  const row: Row | undefined = await db(table)
    .select(selected(columns, type))
    .whereRaw('??::text = ?', [columns['id'] ?? 'id', id])
    .first();
  return row && toAttributes(row, type);
}

/** Some rows, in the order of their ids: random ids make a fair sample. */
export async function loadSamples(
  db: Database,
  { table, columns }: Source,
  type: ResourceType,
  limit: number,
): Promise<Record<string, unknown>[]> {
  const rows: Row[] = await db(table)
    .select(selected(columns, type))
    .orderBy(columns['id'] ?? 'id')
    .limit(limit);
  return rows.map((row) => toAttributes(row, type));
}

type Row = Record<string, unknown>;

/** Column by attribute, of those that the type declares. */
function selected(columns: Source['columns'], type: ResourceType): Record<string, string> {
  const declared = Object.entries(columns).filter(([name]) => Object.hasOwn(type.attributes, name));
  return Object.fromEntries(declared);
}

function toAttributes(row: Row, type: ResourceType): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, toAttribute(value, type, name)]),
  );
}

/** Postgres gives numerics as text. */
function toAttribute(value: unknown, { attributes }: ResourceType, name: string): unknown {
  const isNumber = attributes[name]?.type === 'number' || attributes[name]?.type === 'integer';
  return isNumber && typeof value === 'string' ? Number(value) : value;
}
