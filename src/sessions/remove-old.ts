/** Sessions that are over for long are removed: nothing asks for them any more, and a busy gateway ends many. */
import type { Database } from '../storage/postgres.ts';

/** So long a login tells that its address is one of the account's own (see the throttle). */
const KEPT_DAYS = 30;
const EVERY_MS = 60 * 60 * 1000;
const AT_ONCE = 10_000;

/** Removes what is over for longer than 30 days, at most 10,000 at once; how many. */
export async function removeOldSessions(db: Database): Promise<number> {
  const { rowCount } = await db.raw(
    `DELETE FROM sessions WHERE id IN (
       SELECT id FROM sessions
       WHERE least(ended_at, expires_at) < now() - make_interval(days => ?) AND created_at < now() - make_interval(days => ?)
       LIMIT ?)`,
    [KEPT_DAYS, KEPT_DAYS, AT_ONCE],
  );
  return rowCount;
}

/** Does so every hour, on every node; what fails is told and tried again. */
export function keepRemovingOldSessions(db: Database, onTrouble: (cause: unknown) => void): { stop(): void } {
  const timer = setInterval(() => void removeOldSessions(db).catch(onTrouble), EVERY_MS).unref();
  return { stop: () => clearInterval(timer) };
}
