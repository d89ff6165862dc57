/** Sessions by token: found in process or in Postgres, ended everywhere through the change feed. */
import { LRUCache } from 'lru-cache';
import { type AccountFacts, accountFactColumns } from '../decision/principals.ts';
import type { Database } from '../storage/postgres.ts';
import { hashedKey, isToken } from './token.ts';

/** A live session with the account it belongs to, as it was read. Never changed; read anew after any change. */
export interface FoundSession {
  sessionId: string;
  createdAtMs: number;
  expiresAtMs: number;
  account: AccountFacts;
}

export interface LiveSessionsOptions {
  db: Database;
  idleSeconds: number;
  maxEntries?: number;
}

interface Entry extends FoundSession {
  key: string;
  /** When the session was last written as used, and last used. */
  touchedAtMs: number;
  usedAtMs: number;
  /** When a role of the account ends: from then on it is another principal. */
  rolesUntilMs: number;
}

/** Use is written down at most this often, so that a busy session is not a row update per request. */
const TOUCH_EVERY_MS = 60_000;

export class LiveSessions {
  readonly #db: Database;
  readonly #idleMs: number;
  readonly #entries: LRUCache<string, Entry>;
  readonly #keysByAccount = new Map<string, Set<string>>();
  readonly #keyBySession = new Map<string, string>();
  /** Counts what was forgotten: a row read before that must not be remembered after it. */
  #epoch = 0;

  constructor({ db, idleSeconds, maxEntries = 50_000 }: LiveSessionsOptions) {
    this.#db = db;
    this.#idleMs = idleSeconds * 1000;
    this.#entries = new LRUCache({ max: maxEntries, dispose: (entry) => this.#unindex(entry) });
  }

  /**
   * The live session of a token with its active account, or undefined: unknown, ended, too old, or unused for too long.
   * At once where it is known in the process.
   */
  find(token: string): FoundSession | undefined | Promise<FoundSession | undefined> {
    if (!isToken(token)) return undefined;
    const key = hashedKey(token);
    const nowMs = Date.now();
    const isIdle = (entry: Entry) => nowMs - entry.usedAtMs >= this.#idleMs;
    const remembered = this.#entries.get(key);
    const known = remembered && nowMs < remembered.rolesUntilMs ? remembered : undefined;
    // Unused here for too long, it may have been used on another node.
    const use = (entry: Entry | undefined) => {
      if (!entry || nowMs >= entry.expiresAtMs || isIdle(entry)) return undefined;
      entry.usedAtMs = nowMs;
      if (nowMs - entry.touchedAtMs >= Math.min(TOUCH_EVERY_MS, this.#idleMs / 4)) this.#touch(entry, nowMs);
      return entry;
    };
    return known && !isIdle(known) ? use(known) : this.#read(key, nowMs).then(use);
  }

  /** An account changed: its sessions are read anew. */
  forgetAccount(accountId: string): void {
    this.#epoch++;
    for (const key of [...(this.#keysByAccount.get(accountId) ?? [])]) this.#entries.delete(key);
  }

  /** A session ended. */
  forgetSession(sessionId: string): void {
    this.#epoch++;
    const key = this.#keyBySession.get(sessionId);
    if (key) this.#entries.delete(key);
  }

  /** Something may have been missed: everything is read anew. */
  forgetAll(): void {
    this.#epoch++;
    this.#entries.clear();
  }

  async #read(key: string, nowMs: number): Promise<Entry | undefined> {
    const epoch = this.#epoch;
    const { rows } = await this.#db.raw(findSession, [Buffer.from(key, 'base64url')]);
    const [row] = rows;
    if (!row) return undefined;
    const { sessionId, sessionCreatedAt, lastSeenAt, expiresAt, ...account } = row;
    const entry: Entry = {
      key,
      sessionId,
      createdAtMs: sessionCreatedAt.getTime(),
      expiresAtMs: expiresAt.getTime(),
      touchedAtMs: lastSeenAt.getTime(),
      usedAtMs: lastSeenAt.getTime(),
      rolesUntilMs: Math.min(...Object.values<number>(account.roleEnds ?? {})),
      account: Object.freeze(account),
    };
    if (epoch === this.#epoch && nowMs < entry.expiresAtMs) this.#remember(entry);
    return entry;
  }

  #remember(entry: Entry): void {
    this.#entries.set(entry.key, entry);
    this.#keyBySession.set(entry.sessionId, entry.key);
    const keys = this.#keysByAccount.get(entry.account.id);
    if (keys) keys.add(entry.key);
    else this.#keysByAccount.set(entry.account.id, new Set([entry.key]));
  }

  #unindex(entry: Entry): void {
    this.#keyBySession.delete(entry.sessionId);
    const keys = this.#keysByAccount.get(entry.account.id);
    keys?.delete(entry.key);
    if (keys?.size === 0) this.#keysByAccount.delete(entry.account.id);
  }

  /** Not waited for: the request does not depend on it, and must not fail with it. */
  #touch(entry: Entry, nowMs: number): void {
    entry.touchedAtMs = nowMs;
    this.#db('sessions')
      .where({ id: entry.sessionId })
      .update({ last_seen_at: new Date(nowMs) })
      .catch(() => {});
  }
}

const findSession = `
  SELECT s.id AS "sessionId", s.created_at AS "sessionCreatedAt", s.last_seen_at AS "lastSeenAt", s.expires_at AS "expiresAt",
    ${accountFactColumns}
  FROM sessions s JOIN accounts a ON a.id = s.account_id
  WHERE s.token_hash = ? AND s.ended_at IS NULL AND a.is_active`;
