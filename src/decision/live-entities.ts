/** Entities by name: found in process or in Postgres, forgotten everywhere through the change feed. */
import { LRUCache } from 'lru-cache';
import { canonicalName, type EntityName, referenceTo } from '../policy/entity.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Database } from '../storage/postgres.ts';
import { type FindEntity, type KnownEntity, readEntities } from './entities.ts';

/** Null: there is none of this name, which is worth as much to know. */
type Known = KnownEntity | null;

const NONE: FindEntity = () => undefined;

/** An entity counts for itself and for each that it lies in. */
const MOST = 50_000;

export class LiveEntities {
  readonly #db: Database;
  readonly #maxSize: number;
  /** What an entity is made of depends on the resource types, so what is known is known under one snapshot. */
  #known: LRUCache<string, { entity: Known }>;
  #snapshot: Snapshot | undefined;
  /** Counts what was forgotten: a row read before that must not be remembered after it. */
  #epoch = 0;

  constructor({ db, maxEntries = MOST }: { db: Database; maxEntries?: number }) {
    this.#db = db;
    this.#maxSize = maxEntries;
    this.#known = this.#empty();
  }

  /**
   * The entities of these names with all that they lie in: at most one query, however many, and at once where all are
   * known.
   */
  find(snapshot: Snapshot, names: readonly EntityName[]): FindEntity | Promise<FindEntity> {
    if (names.length === 0) return NONE;
    const found = new Map<string, Known>();
    const missing: EntityName[] = [];
    this.#turnTo(snapshot);
    for (const name of names) {
      const canonical = canonicalName(name, snapshot.types);
      const reference = referenceTo(canonical);
      const known = this.#snapshot === snapshot ? this.#known.get(reference) : undefined;
      if (known) found.set(reference, known.entity);
      else missing.push(canonical);
    }
    const find: FindEntity = (name) =>
      found.get(referenceTo(canonicalName(name, snapshot.types))) ?? undefined;
    return missing.length > 0 ? this.#read(snapshot, missing, found).then(() => find) : find;
  }

  /** Some entity changed, or may have: everything is read anew. */
  forgetAll(): void {
    this.#epoch++;
    this.#known.clear();
  }

  async #read(snapshot: Snapshot, names: readonly EntityName[], into: Map<string, Known>): Promise<void> {
    const epoch = this.#epoch;
    const read = await readEntities(this.#db, snapshot, names);
    const mayRemember = epoch === this.#epoch && this.#snapshot === snapshot;
    for (const name of names) {
      const reference = referenceTo(name);
      const entity = read(reference) ?? null;
      into.set(reference, entity);
      if (mayRemember) this.#known.set(reference, { entity });
    }
  }

  /** A request that began under an older snapshot is answered without what is remembered. */
  #turnTo(snapshot: Snapshot): void {
    if (this.#snapshot === snapshot || (this.#snapshot && this.#snapshot.revision > snapshot.revision))
      return;
    this.#snapshot = snapshot;
    this.#known = this.#empty();
  }

  #empty(): LRUCache<string, { entity: Known }> {
    return new LRUCache({
      maxSize: this.#maxSize,
      sizeCalculation: ({ entity }) => 1 + (entity?.ancestors.length ?? 0),
    });
  }
}
