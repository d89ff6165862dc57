/** Active accounts one by one, as many as can be looked at while somebody waits. */
import { type AccountFacts, accountFactColumns } from '../decision/principals.ts';
import type { Database } from '../storage/postgres.ts';

/** How many there are, and were looked at. */
export interface Examined {
  total: number;
  examined: number;
  /** There are too many: some were looked at. Ids are random, so the first in their order are a fair sample. */
  sampled: boolean;
}

const BATCH = 1000;
const MOST_EXAMINED = 50_000;

/** Tells of each, and after each batch how far it is. */
export async function eachActiveAccount(
  db: Database,
  look: (account: AccountFacts) => Promise<void>,
  onProgress?: (examined: number, total: number) => void,
): Promise<Examined> {
  const total = Number((await db('accounts').where({ is_active: true }).count())[0]?.count ?? 0);
  let examined = 0;
  for (let lastId: string | null = null; examined < MOST_EXAMINED; ) {
    const { rows }: { rows: AccountFacts[] } = await db.raw(findAccounts, [lastId, lastId, BATCH]);
    for (const account of rows) await look(account);
    examined += rows.length;
    onProgress?.(examined, total);
    if (rows.length < BATCH) break;
    lastId = rows.at(-1)?.id ?? null;
  }
  return { total, examined, sampled: examined < total };
}

const findAccounts = `
  SELECT ${accountFactColumns} FROM accounts a
  WHERE a.is_active AND (?::uuid IS NULL OR a.id > ?::uuid) ORDER BY a.id LIMIT ?`;
