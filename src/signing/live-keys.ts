/** The keys as this process has them: read at the start and each minute, the next one made when it is time. */
import { AppError } from '../errors.ts';
import type { Database } from '../storage/postgres.ts';
import type { PublicJwk } from './key-pair.ts';
import { openKeyRows, readKeyRows, type SigningKey } from './key-rows.ts';
import { keyAt, makeNextKey, nextStart, READ_EVERY_MS } from './rotate.ts';
import type { Secrets } from './secret.ts';

export interface LiveKeysOptions {
  db: Database;
  secrets: Secrets;
  /** How long a key signs. */
  periodMs: number;
  nowMs?: () => number;
  onMade?(key: SigningKey): void;
  /** A key that does not open is told once; what was read before stays where nothing can be read. */
  onTrouble(what: string, cause: unknown): void;
}

export class LiveKeys {
  readonly #options: LiveKeysOptions;
  readonly #nowMs: () => number;
  readonly #told = new Set<string>();
  #keys: readonly SigningKey[] = [];
  #reading: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LiveKeysOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? Date.now;
  }

  /** Reads the keys and goes on reading them until `close`. Throws what the database throws. */
  async open(): Promise<void> {
    await this.refresh();
    const again = () =>
      this.refresh().catch((cause) => this.#options.onTrouble('the signing keys cannot be read', cause));
    this.#timer = setInterval(again, READ_EVERY_MS).unref();
  }

  /** Stops reading, and waits for what is being read. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#reading?.catch(() => {});
  }

  /** Reads the keys, of several callers once, and makes the next one where it is time. Throws what the database throws. */
  refresh(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** What verifies what is signed here: also the key that will sign next, and those that signed not long ago. */
  published(): PublicJwk[] {
    const nowMs = this.#nowMs();
    return this.#keys
      .filter(({ publishedUntil }) => publishedUntil.getTime() > nowMs)
      .map(({ publicJwk }) => publicJwk);
  }

  /** The key that signs now. The database is asked only where the last one has ended. Throws `unavailable` where there is none. */
  async current(): Promise<SigningKey> {
    const known = keyAt(this.#keys, this.#nowMs());
    if (known) return known;
    await this.refresh().catch((cause) => this.#options.onTrouble('the signing keys cannot be read', cause));
    const read = keyAt(this.#keys, this.#nowMs());
    if (!read) throw new AppError('unavailable', { message: 'there is no key to sign with' });
    return read;
  }

  async #read(): Promise<void> {
    const { db, secrets, periodMs, onMade } = this.#options;
    await this.#readRows();
    const nowMs = this.#nowMs();
    if (nextStart(this.#keys, nowMs, periodMs) === undefined) return;
    const made = await makeNextKey(db, { secrets, periodMs, nowMs });
    if (made) onMade?.(made);
    await this.#readRows();
  }

  async #readRows(): Promise<void> {
    const { db, secrets, onTrouble } = this.#options;
    const { keys, broken } = await openKeyRows(await readKeyRows(db), secrets);
    for (const { kid, cause } of broken) {
      if (!this.#told.has(kid))
        onTrouble(`the signing key ${kid} cannot be decrypted and is passed over`, cause);
      this.#told.add(kid);
    }
    this.#keys = keys;
  }
}
