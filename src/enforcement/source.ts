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
  const names = Object.keys(type.attributes).filter((name) => Object.hasOwn(columns, name));
  const row: Record<string, unknown> | undefined = await db(table)
    .select(Object.fromEntries(names.map((name) => [name, columns[name] ?? name])))
    .whereRaw('??::text = ?', [columns['id'] ?? 'id', id])
    .first();
  return row && Object.fromEntries(names.map((name) => [name, toAttribute(row[name], type, name)]));
}

/** Postgres gives numerics as text. */
function toAttribute(value: unknown, { attributes }: ResourceType, name: string): unknown {
  const isNumber = attributes[name]?.type === 'number' || attributes[name]?.type === 'integer';
  return isNumber && typeof value === 'string' ? Number(value) : value;
}
