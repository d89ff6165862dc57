/** Where the rows of a resource type are: what the code registers, never what the policy says. */
import { misfit } from '../policy/attributes.ts';
import type { ResourceType } from '../policy/policy.ts';
import type { Database } from '../storage/postgres.ts';
import type { ColumnType } from './sql/column.ts';

/** A table, and the column of each attribute. */
export interface Source {
  table: string;
  /** By attribute; what is not here cannot be asked of the table. `id` must be. */
  columns: Readonly<Record<string, Column>>;
  /** The attribute in whose order lists are unless another is asked for; `-` before it: descending. Left out: by id. */
  sortedBy?: string;
}

export interface Column {
  column: string;
  type: ColumnType;
  /** The database refuses NULL in it: then an index gives the order of a list by it. */
  notNull?: true;
  /** A CHECK of the table keeps out what no decision takes, such as infinity: then a list need not ask for it. */
  checked?: true;
}

/** By resource type. */
export type Sources = ReadonlyMap<string, Source>;

/** The declared attributes of one row; undefined: there is none. */
export async function loadFromSource(
  db: Database,
  source: Source,
  type: ResourceType,
  id: string,
): Promise<Record<string, unknown> | undefined> {
  return (await loadSomeFromSource(db, source, type, [id]))(id);
}

/** The same of many rows in one query: what there is of each id. */
export async function loadSomeFromSource(
  db: Database,
  source: Source,
  type: ResourceType,
  ids: readonly string[],
): Promise<(id: string) => Record<string, unknown> | undefined> {
  const { table, columns } = source;
  const { column, type: columnType } = columns['id'] ?? { column: 'id', type: 'text' };
  // Compared as what the column is, so that its index is used; an id that is no UUID is that of no such row.
  const asUuid = columnType === 'uuid';
  const wanted = asUuid ? ids.filter((id) => misfit(id, { type: 'uuid' }) === undefined) : ids;
  if (wanted.length === 0) return () => undefined;
  const rows: Row[] = await db(table)
    .select({ ...selected(columns, type), id: column })
    .whereRaw(
      asUuid
        ? '?? = ANY (?::uuid[])'
        : columnType === 'text'
          ? '?? = ANY (?::text[])'
          : '??::text = ANY (?::text[])',
      [column, wanted as string[]],
    );
  const found = new Map(rows.map((row) => [String(row['id']), toAttributes(row, source)]));
  return (id) => found.get(asUuid ? id.toLowerCase() : id);
}

/** Some rows, in the order of their ids: random ids make a fair sample. */
export async function loadSamples(
  db: Database,
  source: Source,
  type: ResourceType,
  limit: number,
): Promise<Record<string, unknown>[]> {
  const { table, columns } = source;
  const rows: Row[] = await db(table)
    .select(selected(columns, type))
    .orderBy(columns['id']?.column ?? 'id')
    .limit(limit);
  return rows.map((row) => toAttributes(row, source));
}

type Row = Record<string, unknown>;

/** Column by attribute, of those that the type declares. */
function selected(columns: Source['columns'], type: ResourceType): Record<string, string> {
  const declared = Object.entries(columns).filter(([name]) => Object.hasOwn(type.attributes, name));
  return Object.fromEntries(declared.map(([name, { column }]) => [name, column]));
}

/** A row whose columns are called as the attributes: as decisions see it. */
export function toAttributes(row: Row, { columns }: Source): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      isNumeric(columns[name]?.type) ? toNumber(value) : value,
    ]),
  );
}

function isNumeric(type: ColumnType | undefined): boolean {
  return type !== undefined && /^(integer|numeric|double)/.test(type);
}

/** Postgres gives numerics, and integers of 64 bits, as text. */
function toNumber(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toNumber);
  return typeof value === 'string' ? Number(value) : value;
}
