/** The columns that the code registers, held against the database: a wrong word there would be a wrong list. */
import type { Database } from '../storage/postgres.ts';
import type { Column, Source, Sources } from './source.ts';
import { isScalar, misfitScalar } from './sql/column.ts';
import { render } from './sql/expression.ts';

interface Stored {
  column: string;
  type: string;
  notNull: boolean;
  /** False where texts that differ can be equal. */
  exact: boolean;
}

const integers = /\b(smallint|integer|bigint)\b/;

/** Throws where a table or column is not there, is of another type, or may hold what it was said not to. */
export async function checkSources(db: Database, sources: Sources): Promise<void> {
  for (const [type, source] of sources) {
    const { table, columns } = source;
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
    for (const column of await unprovedColumns(db, source))
      throw new Error(`${type}: no CHECK of ${table} keeps out of ${column} what no decision takes`);
  }
}

/** Of the columns that are said to be checked, those that could hold a misfit as far as PostgreSQL can prove. */
async function unprovedColumns(db: Database, { table, columns }: Source): Promise<string[]> {
  const said = Object.values(columns).filter(({ checked }) => checked);
  if (said.length === 0) return [];
  return db.transaction(async (trx) => {
    // Then the planner holds a WHERE against the table's CHECKs, and reads nothing where they contradict it.
    await trx.raw('SET LOCAL constraint_exclusion = on');
    const unproved: string[] = [];
    for (const { column, type } of said) {
      if (!isScalar(type))
        throw new Error(`${table}.${column} is ${type}: only single values can be checked`);
      const { text, bindings } = render(misfitScalar({ text: '??', bindings: [column] }, type, false));
      const { rows } = await trx.raw<{ rows: object[] }>(`EXPLAIN SELECT FROM ?? WHERE ${text}`, [
        table,
        ...bindings,
      ]);
      if (!rows.some((line) => /One-Time Filter: false/.test(Object.values(line).join())))
        unproved.push(column);
    }
    return unproved;
  });
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
