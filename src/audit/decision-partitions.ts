/** The days of the decision log: a partition for each, made ahead and dropped whole when its time is over; migration 0006 has how. */
import type { Database, Transaction } from '../storage/postgres.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const EVERY_MS = 60 * 60 * 1000;
/** Whoever reads the log is waited for so long; what failed is tried again by the next round. */
const LOCK_TIMEOUT = '2s';
const partitionName = /^decisions_(\d{4})_(\d\d)_(\d\d)$/;

/** The days of instants in UTC, each once, as `2026-01-31`. */
export function daysOf(instants: Iterable<{ atMs: number }>): string[] {
  const days = new Set<number>();
  for (const { atMs } of instants) days.add(Math.floor(atMs / DAY_MS));
  return [...days].map((day) => new Date(day * DAY_MS).toISOString().slice(0, 10));
}

/** Makes the partitions of these days where they are missing; of several nodes at once, each finds them there. */
export async function makeDecisionPartitions(db: Database, days: readonly string[]): Promise<void> {
  const missing = await missingOf(db, days);
  if (missing.length === 0) return;
  await underLock(db, async (trx) => {
    for (const day of await missingOf(trx, missing))
      await trx.raw('SELECT castellan_make_decision_day(?::date)', [day]);
  });
}

/** Drops the partitions whose last instant is longer ago than so many days; their names. */
export async function dropOldDecisions(db: Database, keptDays: number, nowMs: number): Promise<string[]> {
  const isOld = (name: string) => Date.parse(dayOf(name)) + (keptDays + 1) * DAY_MS <= nowMs;
  if (!(await partitions(db)).some(isOld)) return [];
  return underLock(db, async (trx) => {
    const old = (await partitions(trx)).filter(isOld);
    for (const name of old) await trx.raw('SELECT castellan_drop_decision_day(?::date)', [dayOf(name)]);
    return old;
  });
}

export interface KeepingOptions {
  db: Database;
  keptDays: number;
  /** Without it none are made: nothing is written. */
  isWritten: boolean;
  onTrouble(cause: unknown): void;
}

/** Makes and drops partitions now and every hour, on every node; what fails is told and tried again. */
export async function keepDecisionPartitions({ db, keptDays, isWritten, onTrouble }: KeepingOptions) {
  const round = async () => {
    const nowMs = Date.now();
    const ahead = daysOf([{ atMs: nowMs }, { atMs: nowMs + DAY_MS }]);
    if (isWritten) await makeDecisionPartitions(db, ahead);
    await dropOldDecisions(db, keptDays, nowMs);
  };
  await round().catch(onTrouble);
  const timer = setInterval(() => void round().catch(onTrouble), EVERY_MS).unref();
  return { stop: () => clearInterval(timer) };
}

function nameOf(day: string): string {
  return `decisions_${day.replaceAll('-', '_')}`;
}

/** Empty where it is a partition of somebody else's making. */
function dayOf(name: string): string {
  return (partitionName.exec(name) ?? []).slice(1).join('-');
}

async function missingOf(db: Database | Transaction, days: readonly string[]): Promise<string[]> {
  const there = new Set(await partitions(db));
  return days.filter((day) => !there.has(nameOf(day)));
}

async function partitions(db: Database | Transaction): Promise<string[]> {
  const { rows } = await db.raw(
    `SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = 'decisions'::regclass`,
  );
  return rows.map(({ name }: { name: string }) => name);
}

function underLock<T>(db: Database, change: (trx: Transaction) => Promise<T>): Promise<T> {
  return db.transaction(async (trx) => {
    await trx.raw(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`);
    await trx.raw(`SELECT pg_advisory_xact_lock(hashtext('castellan.decisions'))`);
    return change(trx);
  });
}
