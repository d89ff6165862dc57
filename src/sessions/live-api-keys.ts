/** API keys by token: found in process or in Postgres, changed and revoked everywhere through the change feed. */
import { LRUCache } from 'lru-cache';
import { type ApiKeyFacts, apiKeyFactColumns } from '../decision/principals.ts';
import type { Database, Transaction } from '../storage/postgres.ts';
import { hashedKey, isApiKeyToken } from './token.ts';

/** A key that is in force, as it was read by one of its secrets. Never changed; read anew after any change. */
export interface FoundApiKey extends ApiKeyFacts {
  /** SHA-256 of the secret by which it was found. */
  tokenHash: Buffer;
  /** When this secret ends: with the key, or with the overlap of a rotation. */
  endsAtMs: number;
  /** Null: never yet. */
  lastUsedAt: Date | null;
}

/** Use is written down at most this often, so that a busy key is not a row update per request. */
const TOUCH_EVERY_MS = 60_000;

export class LiveApiKeys {
  readonly #db: Database;
  readonly #entries: LRUCache<string, FoundApiKey>;
  /** A key has at most two secrets. */
  readonly #tokensById = new Map<string, Set<string>>();
  /** When each key was last written as used. */
  readonly #touchedAtMs: LRUCache<string, number>;
  /** Counts what was forgotten: a row read before that must not be remembered after it. */
  #epoch = 0;

  constructor({ db, maxEntries = 10_000 }: { db: Database; maxEntries?: number }) {
    this.#db = db;
    this.#entries = new LRUCache({ max: maxEntries, dispose: (key, token) => this.#unindex(key, token) });
    this.#touchedAtMs = new LRUCache({ max: maxEntries });
  }

  /** The key of a token, or undefined: unknown, revoked, expired, rotated away. At once where it is known in the process. */
  find(token: string): FoundApiKey | undefined | Promise<FoundApiKey | undefined> {
    if (!isApiKeyToken(token)) return undefined;
    const entry = hashedKey(token);
    const known = this.#entries.get(entry);
    return known ? this.#use(known) : this.#read(entry).then((found) => this.#use(found));
  }

  /** The key changed, was rotated or revoked. */
  forget(id: string): void {
    this.#epoch++;
    for (const entry of [...(this.#tokensById.get(id) ?? [])]) this.#entries.delete(entry);
  }

  /** Something may have been missed: everything is read anew. */
  forgetAll(): void {
    this.#epoch++;
    this.#entries.clear();
  }

  #use(found: FoundApiKey | undefined): FoundApiKey | undefined {
    const nowMs = Date.now();
    if (!found || nowMs >= found.endsAtMs) return undefined;
    const touchedAtMs = this.#touchedAtMs.get(found.id) ?? found.lastUsedAt?.getTime();
    if (touchedAtMs === undefined || nowMs - touchedAtMs >= TOUCH_EVERY_MS) this.#touch(found.id, nowMs);
    return found;
  }

  async #read(entry: string): Promise<FoundApiKey | undefined> {
    const epoch = this.#epoch;
    const found = await findApiKeyByHash(this.#db, Buffer.from(entry, 'base64url'));
    if (found && epoch === this.#epoch && Date.now() < found.endsAtMs) {
      this.#entries.set(entry, found);
      const tokens = this.#tokensById.get(found.id);
      if (tokens) tokens.add(entry);
      else this.#tokensById.set(found.id, new Set([entry]));
    }
    return found;
  }

  #unindex({ id }: FoundApiKey, entry: string): void {
    const tokens = this.#tokensById.get(id);
    tokens?.delete(entry);
    if (tokens?.size === 0) this.#tokensById.delete(id);
  }

  /** Not waited for: the request does not depend on it, and must not fail with it. Other nodes may have written it as well. */
  #touch(id: string, nowMs: number): void {
    this.#touchedAtMs.set(id, nowMs);
    this.#db('api_keys')
      .where({ id })
      .where((due) =>
        due.whereNull('last_used_at').orWhere('last_used_at', '<=', new Date(nowMs - TOUCH_EVERY_MS)),
      )
      .update({ last_used_at: new Date(nowMs) })
      .catch(() => {});
  }
}

/** The key that has a secret of this hash and is not revoked; whether it has ended is for the caller to see. */
export async function findApiKeyByHash(
  db: Database | Transaction,
  hash: Buffer,
): Promise<FoundApiKey | undefined> {
  const { rows } = await db.raw(findKey, [hash, hash, hash]);
  const [row] = rows;
  if (!row) return undefined;
  const { expiresAt, secretExpiresAt, ...key } = row;
  const endsAtMs = Math.min(...[expiresAt, secretExpiresAt].map((end) => end?.getTime() ?? Infinity));
  return Object.freeze({ ...key, tokenHash: hash, endsAtMs });
}

const findKey = `
  SELECT ${apiKeyFactColumns}, k.last_used_at AS "lastUsedAt", k.expires_at AS "expiresAt",
    CASE WHEN k.token_hash = ? THEN NULL ELSE k.previous_expires_at END AS "secretExpiresAt"
  FROM api_keys k
  WHERE (k.token_hash = ? OR k.previous_token_hash = ?) AND k.revoked_at IS NULL`;
