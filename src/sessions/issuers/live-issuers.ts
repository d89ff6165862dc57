/** Tokens of trusted issuers: verified once, remembered for a minute, each with what is stored here of its subject. */
import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { TrustedIssuer } from '../../config/trusted-issuers.ts';
import { type FindEntity, type KnownEntity, loadEntities } from '../../decision/entities.ts';
import { type EntityName, isEntityType } from '../../policy/entity.ts';
import type { Snapshot } from '../../policy/snapshot.ts';
import type { Database, Transaction } from '../../storage/postgres.ts';
import { type IssuerKeys, issuerKeys } from './issuer-keys.ts';
import { claimedIssuer, type VerifiedToken, verifyToken } from './verify-token.ts';

/** A token that is in force, and the stored entity of its subject, as both are under one snapshot. */
export interface FoundToken {
  token: VerifiedToken;
  entity: KnownEntity | undefined;
  snapshot: Snapshot;
}

export interface LiveIssuersOptions {
  issuers: readonly TrustedIssuer[];
  db: Database;
  entities: {
    find(snapshot: Snapshot, names: readonly EntityName[]): FindEntity | Promise<FindEntity>;
  };
  isInTable(type: string): boolean;
  onTrouble(issuer: string, cause: unknown): void;
  maxEntries?: number;
}

interface Trusted {
  issuer: TrustedIssuer;
  keys: IssuerKeys;
}

/** A key that the issuer took back, or an account that took the subject's name: so long it may go unnoticed. */
const REMEMBERED_MS = 60_000;

export class LiveIssuers {
  readonly #options: LiveIssuersOptions;
  readonly #trusted: ReadonlyMap<string, Trusted>;
  readonly #verified: LRUCache<string, { token: VerifiedToken; untilMs: number }>;
  /** The same token is verified once at a time. */
  readonly #pending = new Map<string, Promise<VerifiedToken | undefined>>();

  constructor(options: LiveIssuersOptions) {
    this.#options = options;
    this.#verified = new LRUCache({ max: options.maxEntries ?? 10_000 });
    this.#trusted = new Map(
      options.issuers.map((issuer) => {
        const keys = issuerKeys(issuer, (cause) => options.onTrouble(issuer.issuer, cause));
        return [issuer.issuer, { issuer, keys }];
      }),
    );
  }

  /** Whether any issuer is trusted at all. */
  get isEmpty(): boolean {
    return this.#trusted.size === 0;
  }

  /**
   * Who a token identifies under a snapshot, or undefined: no token, of nobody that is trusted, not verified, or of a type
   * that the policy does not have. An issuer that cannot be asked is that, too: its tokens are nobody's.
   */
  async find(token: string, snapshot: Snapshot): Promise<FoundToken | undefined> {
    const trusted = this.#trusted.get(claimedIssuer(token) ?? '');
    if (!trusted) return undefined;
    const verified = await this.#verify(token, trusted);
    return verified && this.under(verified, snapshot);
  }

  /** The same token under another snapshot. */
  async under(token: VerifiedToken, snapshot: Snapshot): Promise<FoundToken | undefined> {
    return this.#settle(token, snapshot, (names) => this.#options.entities.find(snapshot, names));
  }

  /** The same, its entity read in a transaction and nowhere else. Undefined: it has ended, or is of no type any more. */
  async readAnew(
    trx: Transaction,
    token: VerifiedToken,
    snapshot: Snapshot,
  ): Promise<FoundToken | undefined> {
    if (Date.now() >= token.endsAtMs || (await isOurs(trx, token.subject))) return undefined;
    return this.#settle(token, snapshot, (names) => loadEntities(trx, snapshot, names));
  }

  /** How many there are whose keys could not be had when they were last asked for. */
  get failing(): number {
    return [...this.#trusted.values()].filter(({ keys }) => keys.isFailing()).length;
  }

  /** How it stands, in words for everybody. */
  state(snapshot: Snapshot): string {
    const all = [...this.#trusted.values()];
    const { failing } = this;
    if (failing > 0)
      return `the keys of ${failing} of ${all.length} issuers cannot be had; their tokens are nobody`;
    const without = this.#withoutType(snapshot).length;
    if (without > 0) return `the policy has no resource type for ${without} of ${all.length} issuers`;
    return 'believed';
  }

  /** Issuers whose tokens are nobody, because the policy has no such type of principals. */
  #withoutType({ types }: Pick<Snapshot, 'types'>): TrustedIssuer[] {
    return this.#options.issuers.filter(({ principalType }) => !this.#isType(principalType, types));
  }

  #isType(name: string, types: Snapshot['types']): boolean {
    return isEntityType(name, { types, isInTable: this.#options.isInTable });
  }

  async #settle(
    token: VerifiedToken,
    snapshot: Snapshot,
    find: (names: EntityName[]) => FindEntity | Promise<FindEntity>,
  ): Promise<FoundToken | undefined> {
    const name = { type: token.issuer.principalType, id: token.subject };
    if (!this.#isType(name.type, snapshot.types)) return undefined;
    const entity = (await find([name]))(name);
    // What it belongs to does not fit what is declared, so that a deny might not fire.
    return entity && entity.misfits.length > 0 ? undefined : { token, entity, snapshot };
  }

  #verify(token: string, trusted: Trusted): VerifiedToken | undefined | Promise<VerifiedToken | undefined> {
    const key = hash('sha256', token, 'base64url');
    const known = this.#verified.get(key);
    if (known && Date.now() < known.untilMs) return known.token;
    const pending = this.#pending.get(key) ?? this.#verifyNow(token, key, trusted);
    this.#pending.set(key, pending);
    return pending.finally(() => this.#pending.delete(key));
  }

  async #verifyNow(
    token: string,
    key: string,
    { issuer, keys }: Trusted,
  ): Promise<VerifiedToken | undefined> {
    const verified = await verifyToken(token, issuer, keys.find).catch(() => undefined);
    if (!verified || (await isOurs(this.#options.db, verified.subject))) return undefined;
    const untilMs = Math.min(verified.endsAtMs, Date.now() + REMEMBERED_MS);
    this.#verified.set(key, { token: verified, untilMs });
    return verified;
  }
}

/**
 * Whether a subject has the id of an account or API key. Rules go by ids (`ownerId: ${principal.id}`), whatever the type,
 * so an issuer could speak for whom it likes. In any form that PostgreSQL takes for a UUID.
 */
async function isOurs(db: Database | Transaction, subject: string): Promise<boolean> {
  const digits = subject.replace(/[{}-]/g, '');
  if (!/^[0-9a-f]{32}$/i.test(digits)) return false;
  const { rows } = await db.raw(
    'SELECT 1 FROM accounts WHERE id = ?::uuid UNION ALL SELECT 1 FROM api_keys WHERE id = ?::uuid',
    [digits, digits],
  );
  return rows.length > 0;
}
