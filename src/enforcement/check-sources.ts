/** The columns that the code registers, held against the database: a wrong word there would be a wrong list. */
import type { Database } from '../storage/postgres.ts';
import type { Column, Sources } from './source.ts';

interface Stored {
  column: string;
  type: string;
  notNull: boolean;
  /** False where texts that differ can be equal. */
  exact: boolean;
}

const integers = /\b(smallint|integer|bigint)\b/;

/** Throws where a table or column is not there, is of another type, or may be NULL where it was said not to. */
export async function checkSources(db: Database, sources: Sources): Promise<void> {
  for (const [type, { table, columns }] of sources) {
    const { rows } = await db.raw<{ rows: Stored[] }>(
      `SELECT a.attname AS "column", format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS "notNull",
         coalesce(c.collisdeterministic, true) AS exact
       FROM pg_attribute a LEFT JOIN pg_collation c ON c.oid = a.attcollation
       WHERE a.attrelid = to_regclass(?) AND a.attnum > 0 AND NOT a.attisdropped`,
      [table],
    );
    const stored = new Map(rows.map((row) => [row.column, row]));
    if (!Object.hasOwn(columns, 'id')) throw new Error(`${type}: the table ${table} needs a column for id`);
    for (const [attribute, column] of Object.entries(columns)) {
      const problem = problemWith(column, stored.get(column.column));
      if (problem)
        throw new Error(`${type}.${attribute}: the column ${column.column} of ${table} ${problem}`);
    }
  }
}

function problemWith({ type, notNull }: Column, stored: Stored | undefined): string | undefined {
  if (!stored) return 'is not there';
  const written = wordFor(stored.type);
  if (
    written !== type &&
    !(type.startsWith('numeric') && !type.includes('(') && written.startsWith('numeric'))
  )
    return `is ${stored.type}, not ${type}`;
  if (!stored.exact) return 'has a collation in which texts that differ can be equal';
  return notNull && !stored.notNull ? 'may be NULL' : undefined;
}

/** PostgreSQL's word as ours. */
function wordFor(type: string): string {
  return type
    .replace(integers, 'integer')
    .replace('double precision', 'double')
    .replace(/timestamp(\(\d\))? with time zone/, 'timestamptz')
    .replace(/character varying(\(\d+\))?/, 'text');
}
