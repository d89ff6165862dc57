/** How this node hears of changes: NOTIFY, Redis beside it, and a poll behind both that misses nothing. */
import pg from 'pg';
import type { Database } from '../storage/postgres.ts';
import type { SharedCache } from '../storage/shared-cache.ts';

export type Change = { kind: 'policy' | 'principal' | 'session' | 'entity'; subject: string };

export interface ChangeFeedOptions {
  db: Database;
  databaseUrl: string;
  shared: SharedCache;
  pollMs: number;
  /** Told of every change, at least once. Must not throw. */
  onChange(change: Change): void;
  /** Some may have been missed: everything that was remembered is in doubt. */
  onGap(): void;
  /** After each poll: the revision in force when it was asked, and when that was. */
  onConfirmed(revision: number, atMs: number): void;
  onTrouble?(what: string, cause: unknown): void;
}

/** Whether the channels are up; the poll works without them. */
export interface FeedHealth {
  listening: boolean;
  polledMsAgo: number;
}

const CHANNEL = 'castellan';
/** So long may the NOTIFY connection take to answer before it counts as lost. */
const LISTENER_TIMEOUT_MS = 2000;
const RECONNECT_MS = [50, 100, 250, 500, 1000, 2000];
const POLL_TIMEOUT_MS = 5000;
/** Rows older than this are removed; a node that was away for longer starts over. */
const KEPT_MS = 60 * 60 * 1000;

export class ChangeFeed {
  readonly #options: ChangeFeedOptions;
  #listener: pg.Client | undefined;
  #connecting: Promise<void> | undefined;
  #attempts = 0;
  #horizon: string | undefined;
  #seen = new Set<string>();
  #polls = 0;
  #polledAtMs = 0;
  #prunedAtMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #polling: Promise<void> | undefined;
  #closed = false;

  constructor(options: ChangeFeedOptions) {
    this.#options = options;
  }

  /** Starts to listen and to poll. The first poll has been answered when it resolves. */
  async open(): Promise<void> {
    this.#options.shared.subscribe(
      (message) => this.#hear(message),
      () => this.#options.onGap(),
    );
    await this.#connect();
    await this.poll();
    this.#schedule();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#polling;
    await this.#connecting;
    await this.#listener?.end().catch(() => {});
  }

  health(): FeedHealth {
    return { listening: this.#listener !== undefined, polledMsAgo: Date.now() - this.#polledAtMs };
  }

  /** Applies changes that this node has committed itself, at once, and tells Redis. Postgres told its listeners already. */
  announce(changes: readonly Change[]): void {
    for (const change of changes) {
      this.#options.onChange(change);
      void this.#options.shared.publish(`${change.kind} ${change.subject}`);
    }
  }

  /** A message is a hint: what it names is read anew from Postgres, so a forged one can do no harm. */
  #hear(message: string | undefined): void {
    const match = /^(policy|principal|session|entity) (\S+)$/.exec(message ?? '');
    if (match?.[1] && match[2])
      this.#options.onChange({ kind: match[1] as Change['kind'], subject: match[2] });
  }

  #connect(): Promise<void> {
    this.#connecting = this.#listen();
    return this.#connecting;
  }

  async #listen(): Promise<void> {
    if (this.#closed) return;
    const client = new pg.Client({
      connectionString: this.#options.databaseUrl,
      application_name: 'castellan feed',
      keepAlive: true,
      connectionTimeoutMillis: LISTENER_TIMEOUT_MS,
      query_timeout: LISTENER_TIMEOUT_MS,
    });
    let lost = false;
    let nextBeat: NodeJS.Timeout | undefined;
    const lose = (cause: unknown) => {
      if (lost) return;
      lost = true;
      clearTimeout(nextBeat);
      this.#listenerLost(client, cause);
    };
    client.on('error', lose);
    client.on('end', () => lose(new Error('connection ended')));
    client.on('notification', ({ payload }) => this.#hear(payload));
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANNEL}`);
    } catch (cause) {
      return lose(cause);
    }
    if (this.#attempts > 0) {
      this.#options.onGap();
      void this.poll();
    }
    this.#attempts = 0;
    this.#listener = client;
    // A wire that has gone silent looks like one on which nothing happens.
    const beat = () => client.query('SELECT').then(beatLater, lose);
    const beatLater = () => {
      nextBeat = setTimeout(beat, this.#options.pollMs).unref();
    };
    beatLater();
  }

  #listenerLost(client: pg.Client, cause: unknown): void {
    if (this.#closed) return;
    this.#listener = undefined;
    this.#options.onTrouble?.('listening', cause);
    client.end().catch(() => {});
    const wait = RECONNECT_MS[Math.min(this.#attempts++, RECONNECT_MS.length - 1)];
    setTimeout(() => void this.#connect(), wait).unref();
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.poll().finally(() => this.#schedule()), this.#options.pollMs);
    this.#timer.unref();
  }

  /** Reads what was committed since the last poll. Never throws; one at a time. */
  poll(): Promise<void> {
    this.#polling ??= this.#read()
      .catch((cause) => this.#options.onTrouble?.('polling', cause))
      .finally(() => {
        this.#polling = undefined;
      });
    return this.#polling;
  }

  async #read(): Promise<void> {
    const askedMs = Date.now();
    const isFirst = this.#polls++ === 0;
    if (this.#polledAtMs > 0 && askedMs - this.#polledAtMs > KEPT_MS / 2) this.#horizon = undefined;
    const { rows } = await this.#options.db
      .raw(readChanges, [this.#horizon ?? null])
      .timeout(POLL_TIMEOUT_MS);
    // Whatever happened before the new horizon was not read, unless nothing had been remembered yet. Said after the
    // reading, lest something be remembered and changed between the two.
    const wentBack = this.#horizon !== undefined && BigInt(rows[0].horizon) < BigInt(this.#horizon);
    if ((this.#horizon === undefined && !isFirst) || wentBack) this.#options.onGap();
    const fresh = rows.filter((row: ChangeRow) => row.id !== null && !this.#seen.has(row.id));
    this.#seen = new Set(rows.map((row: ChangeRow) => row.id));
    this.#horizon = rows[0].horizon;
    this.#polledAtMs = askedMs;
    for (const { kind, subject } of fresh) this.#options.onChange({ kind, subject });
    this.#options.onConfirmed(rows[0].revision, askedMs);
    if (askedMs - this.#prunedAtMs > KEPT_MS / 6) await this.#prune(askedMs);
  }

  async #prune(nowMs: number): Promise<void> {
    this.#prunedAtMs = nowMs;
    await this.#options
      .db('changes')
      .where('at', '<', new Date(nowMs - KEPT_MS))
      .delete();
  }
}

interface ChangeRow {
  horizon: string;
  revision: number;
  id: string;
  kind: Change['kind'];
  subject: string;
}

/**
 * Everything at or after the horizon of the last poll. A horizon is the oldest transaction that was still running, so
 * a change that commits late is still after it; what is seen twice is passed over. Without a horizon: only the start.
 */
const readChanges = `
  WITH now AS (
    SELECT pg_snapshot_xmin(pg_current_snapshot()) AS horizon, (SELECT coalesce(max(number), 0) FROM revisions) AS revision
  )
  SELECT now.horizon::text, now.revision, changes.id::text, changes.kind, changes.subject
  FROM now LEFT JOIN changes ON changes.xid >= ?::xid8
  ORDER BY changes.id`;
