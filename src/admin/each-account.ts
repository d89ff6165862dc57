/** Active accounts one by one, as many as can be looked at while somebody waits. */
import { setImmediate as nextTurn } from 'node:timers/promises';
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
const TURN_MS = 20;
/** So long somebody waits; what was not looked at by then is not. */
const LONGEST_MS = 5000;

/** Tells of each, and after each batch how far it is. */
export async function eachActiveAccount(
  db: Database,
  look: (account: AccountFacts) => Promise<void>,
  onProgress?: (examined: number, total: number) => void,
): Promise<Examined> {
  const total = Number((await db('accounts').where({ is_active: true }).count())[0]?.count ?? 0);
  let examined = 0;
  let turnMs = performance.now();
  const untilMs = turnMs + LONGEST_MS;
  for (let lastId: string | null = null; examined < MOST_EXAMINED; ) {
    const { rows }: { rows: AccountFacts[] } = await db.raw(findAccounts, [lastId, lastId, BATCH]);
    for (const account of rows) {
      await look(account);
      examined++;
      if (performance.now() - turnMs < TURN_MS) continue;
      // Requests that came meanwhile go first.
      await nextTurn();
      turnMs = performance.now();
      if (turnMs > untilMs) break;
    }
    onProgress?.(examined, total);
    if (rows.length < BATCH || performance.now() > untilMs) break;
    lastId = rows.at(-1)?.id ?? null;
  }
  return { total, examined, sampled: examined < total };
}

const findAccounts = `
  SELECT ${accountFactColumns} FROM accounts a
  WHERE a.is_active AND (?::uuid IS NULL OR a.id > ?::uuid) ORDER BY a.id LIMIT ?`;
