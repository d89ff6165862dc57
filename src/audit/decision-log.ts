/** The decision log: what was decided, kept for those who ask later; written behind the requests, which never wait for it. */
import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn, setTimeout } from 'node:timers/promises';
import type { DecisionRecord } from '../decision/decide.ts';
import type { Database } from '../storage/postgres.ts';
import { BoundedQueue, type Queued } from './bounded-queue.ts';
import { daysOf, makeDecisionPartitions } from './decision-partitions.ts';
import { decisionRow } from './decision-row.ts';
import { writeDecisions } from './write-decisions.ts';

export type DecisionLogMode = 'off' | 'denials' | 'sample' | 'all';

export interface DecisionLogOptions {
  /** The log's own; closed with it. */
  db: Database;
  mode: DecisionLogMode;
  /** The share of the allows that `sample` keeps, beside every denial. */
  sample: number;
  /** Entries in memory at most. */
  buffer: number;
  flushMs: number;
  onWritten(count: number): void;
  /** Told of entries that are lost: under pressure, at the stop, or because PostgreSQL does not take them. */
  onDropped(count: number): void;
  /** Told when writing begins to fail. */
  onTrouble(cause: unknown): void;
}

const BATCH = 1000;
/** Of all entries in memory together: a rule may ask about texts of any length. */
const MOST_CHARACTERS = 64 * 1024 * 1024;
/** A database that does not answer must not hold a reader or the stop for longer. */
const PATIENCE_MS = 2000;

export class DecisionLog {
  readonly #options: DecisionLogOptions;
  readonly #queue: BoundedQueue;
  readonly #timer: NodeJS.Timeout;
  /** Days whose partitions are known to be there. */
  readonly #days = new Set<string>();
  #flight: Promise<void> | undefined;
  #failing = false;
  #closed = false;

  constructor(options: DecisionLogOptions) {
    this.#options = options;
    this.#queue = new BoundedQueue({ most: options.buffer, mostCharacters: MOST_CHARACTERS });
    this.#timer = setInterval(() => void this.flush(), options.flushMs).unref();
  }

  /** How many entries are in memory. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** Keeps the decision, where it is one to keep; its id then. Never throws and never waits. */
  note(entry: DecisionRecord): string | undefined {
    if (!this.#keeps(entry)) return undefined;
    try {
      const id = randomUUID();
      const atMs = Date.now();
      const dropped = this.#queue.add({ atMs, text: decisionRow(entry, id, atMs) });
      if (dropped > 0) this.#options.onDropped(dropped);
      if (this.#queue.size >= BATCH && !this.#failing) void this.flush();
      return id;
    } catch (cause) {
      this.#options.onDropped(1);
      this.#options.onTrouble(cause);
      return undefined;
    }
  }

  /** Writes what is waiting; resolves when it is written, or could not be. One at a time: who comes later waits for the same. */
  flush(): Promise<void> {
    this.#flight ??= this.#writeAll().finally(() => {
      this.#flight = undefined;
    });
    return this.#flight;
  }

  /** Resolves when what was noted until now is written, or after 2 s. */
  written(): Promise<void> {
    return this.#queue.size === 0 ? Promise.resolve() : withinMs(PATIENCE_MS, this.flush());
  }

  /** Writes what is waiting, within 2 s; what is left is lost, and counted. Nothing is kept from now on. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.written();
    if (this.#queue.size > 0) this.#options.onDropped(this.#queue.size);
    await withinMs(PATIENCE_MS / 2, this.#options.db.destroy());
  }

  #keeps({ decision: { allow }, logging }: DecisionRecord): boolean {
    const { mode, sample } = this.#options;
    if (mode === 'off' || this.#closed || logging === 'never') return false;
    if (!allow) return true;
    if (mode === 'denials' || logging === 'denied') return false;
    return mode === 'all' || Math.random() < sample;
  }

  async #writeAll(): Promise<void> {
    try {
      while (this.#queue.size > 0) {
        await nextTurn(); // requests that came meanwhile go first
        await this.#writeBatch();
      }
      this.#failing = false;
    } catch (cause) {
      this.#days.clear(); // a partition may be gone
      if (!this.#failing) this.#options.onTrouble(cause);
      this.#failing = true;
    }
  }

  async #writeBatch(): Promise<void> {
    const batch = this.#queue.take(BATCH);
    try {
      await this.#requirePartitions(batch);
      const rows = batch.map(({ text }) => text);
      const refused = await writeDecisions(this.#options.db, rows);
      this.#queue.done();
      this.#options.onWritten(batch.length - refused);
      if (refused > 0) this.#options.onDropped(refused);
    } catch (cause) {
      this.#queue.giveBack();
      throw cause;
    }
  }

  async #requirePartitions(batch: readonly Queued[]): Promise<void> {
    const missing = daysOf(batch).filter((day) => !this.#days.has(day));
    if (missing.length === 0) return;
    await makeDecisionPartitions(this.#options.db, missing);
    for (const day of missing) this.#days.add(day);
  }
}

/** When it is done, or when the time is over. */
async function withinMs(ms: number, work: Promise<void>): Promise<void> {
  const over = new AbortController();
  const timeOut = setTimeout(ms, undefined, { signal: over.signal }).catch(() => {});
  await Promise.race([work, timeOut]).finally(() => over.abort());
}
