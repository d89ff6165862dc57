/** Rows of the decision log into their table, a batch at a time. */
import type { Database } from '../storage/postgres.ts';
import { decisionColumns } from './decision-row.ts';

const columns = Object.keys(decisionColumns).join(', ');
const typed = Object.entries(decisionColumns)
  .map(([column, type]) => `${column} ${type}`)
  .join(', ');
/** One that was sent twice, because the answer to the first was lost, is there once. */
const insert = `
  INSERT INTO decisions (${columns})
  SELECT ${columns} FROM jsonb_to_recordset(?::jsonb) AS row (${typed})
  ON CONFLICT DO NOTHING`;

/** Somebody else may hold the table; then it is tried again, and the connection is free meanwhile. */
const TIMEOUT = '5s';

/**
 * Writes rows that `decisionRow` made; how many PostgreSQL would not take as they are, whenever they were sent. Throws
 * when it cannot be written to at all.
 */
export async function writeDecisions(db: Database, rows: readonly string[]): Promise<number> {
  try {
    await insertAll(db, rows);
    return 0;
  } catch (cause) {
    if (!isOfTheRows(cause)) throw cause;
    if (rows.length === 1) return 1;
    // One bad row must not hold up the others.
    const half = Math.ceil(rows.length / 2);
    return (await writeDecisions(db, rows.slice(0, half))) + (await writeDecisions(db, rows.slice(half)));
  }
}

async function insertAll(db: Database, rows: readonly string[]): Promise<void> {
  await db.transaction(async (trx) => {
    await trx.raw(`SET LOCAL statement_timeout = '${TIMEOUT}'`);
    await trx.raw(insert, [`[${rows.join(',')}]`]);
  });
}

/** SQLSTATE classes 22 (data exception) and 54 (program limit exceeded). */
function isOfTheRows(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && /^(22|54)...$/.test(String(cause.code));
}
