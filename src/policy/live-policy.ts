/** The policy in force on this node: one reference to one snapshot, swapped whole. */
import { AppError, type Problem, policyInvalid } from '../errors.ts';
import type { Database } from '../storage/postgres.ts';
import { type CompileOptions, compile, emptySnapshot, type TableCheck } from './compile.ts';
import type { Policy } from './policy.ts';
import type { Snapshot } from './snapshot.ts';
import { currentRevision, loadPolicy } from './store.ts';

export interface LivePolicyOptions {
  db: Database;
  evaluators: readonly string[];
  staleAfterMs: number;
  /** What is new is held against these. */
  tables?: TableCheck;
  /** Where new routes may not lead, and why. */
  refusalOf?: (target: URL) => string | undefined;
  /** Called after each swap. */
  onAdopted?(snapshot: Snapshot): void;
  /** Called once for each published revision that cannot be compiled here, and when none can be read; the one before stays in force. */
  onFailure?(revision: number, cause: unknown): void;
}

/** What `/readyz` says of the policy. */
export interface PolicyHealth {
  revision: number;
  confirmedMsAgo: number;
  stale: boolean;
  failure: { revision: number; problems: readonly Problem[] } | undefined;
}

/** Far longer than a commit takes to be told of. */
const ARRIVAL_MS = 500;

export class LivePolicy {
  #snapshot: Snapshot | undefined;
  #confirmedAtMs = 0;
  #failure: PolicyHealth['failure'];
  #refreshing: Promise<void> | undefined;
  #refreshAgain = false;
  /** Each settled once it is in force here, or is known not to come by itself. */
  readonly #expected = new Map<number, Promise<void>>();
  readonly #waiting = new Set<{ revision: number; reached: () => void }>();
  readonly #options: LivePolicyOptions;

  constructor(options: LivePolicyOptions) {
    this.#options = options;
  }

  /** The snapshot in force, however old. Throws before the first `load`. */
  get snapshot(): Snapshot {
    if (!this.#snapshot) throw new AppError('policy_stale', { detail: 'no policy was loaded yet' });
    return this.#snapshot;
  }

  /** The snapshot for one request from beginning to end. Throws `policy_stale` when it could not be confirmed for too long. */
  pin(): Snapshot {
    if (this.health().stale) throw new AppError('policy_stale', { retryAfterSeconds: 1 });
    return this.snapshot;
  }

  health(): PolicyHealth {
    const confirmedMsAgo = Date.now() - this.#confirmedAtMs;
    return {
      revision: this.#snapshot?.revision ?? 0,
      confirmedMsAgo,
      stale: confirmedMsAgo > this.#options.staleAfterMs,
      failure: this.#failure,
    };
  }

  /** Compiles a new policy against what this node knows, without putting it in force. Throws `policy_invalid`. */
  compile(policy: Policy, revision: number): Snapshot {
    const { tables, refusalOf } = this.#options;
    return this.#compile(policy, revision, { ...(tables && { tables }), ...(refusalOf && { refusalOf }) });
  }

  /** Compiles what is stored: it was accepted, so it is not held against tables and settings that came later. Throws `policy_invalid`. */
  compileStored(policy: Policy, revision: number): Snapshot {
    return this.#compile(policy, revision, {});
  }

  #compile(policy: Policy, revision: number, checks: Pick<CompileOptions, 'tables' | 'refusalOf'>): Snapshot {
    const previous = this.#snapshot;
    const { snapshot, problems } = compile(policy, {
      revision,
      evaluators: this.#options.evaluators,
      ...checks,
      ...(previous && { previous }),
    });
    if (!snapshot) throw policyInvalid(problems);
    return snapshot;
  }

  /** Reads the policy from the database. Throws when it cannot be read or does not compile. */
  async load(): Promise<void> {
    const asked = Date.now();
    if (this.#snapshot && (await currentRevision(this.#options.db)) === this.#snapshot.revision) {
      this.#confirmedAtMs = Math.max(this.#confirmedAtMs, asked);
      return;
    }
    const { revision, policy } = await loadPolicy(this.#options.db, this.#snapshot?.policy);
    if (this.#snapshot?.revision !== revision)
      this.adopt(revision === 0 ? emptySnapshot() : this.compileStored(policy, revision));
    this.#confirmedAtMs = asked;
  }

  /** Puts a snapshot in force unless a later one is. */
  adopt(snapshot: Snapshot): void {
    if (this.#snapshot && this.#snapshot.revision >= snapshot.revision) return;
    this.#snapshot = snapshot;
    this.#failure = undefined;
    this.#options.onAdopted?.(snapshot);
    for (const waiter of this.#waiting) if (waiter.revision <= snapshot.revision) waiter.reached();
  }

  /** Said by the poll: at `atMs` the revision in force was `revision`. Catches up first when that is later than ours. */
  async confirm(revision: number, atMs: number): Promise<void> {
    await this.arrival(revision);
    if (revision > this.snapshot.revision) await this.refresh();
    if (this.snapshot.revision >= revision) this.#confirmedAtMs = Math.max(this.#confirmedAtMs, atMs);
  }

  /** Told that a revision was published, here or elsewhere. Catches up where it is news. */
  hear(revision: number): void {
    if (revision > this.snapshot.revision && !this.#expected.has(revision)) void this.refresh();
  }

  /**
   * Said by whoever publishes here, under the policy lock: the revision will be put in force by `adopt`, so to hear of it
   * before is no reason to read it. What is returned ends that, and catches up where it came otherwise.
   */
  expect(revision: number): () => void {
    let arrive = () => {};
    this.#expected.set(revision, new Promise((resolve) => (arrive = resolve)));
    return () => {
      this.#expected.delete(revision);
      if (revision > this.snapshot.revision) void this.refresh();
      arrive();
    };
  }

  /**
   * Waits for a revision that is expected, which comes in a moment; for no other, and not for long: whoever publishes it may
   * hear nothing more from the database, and whoever waits holds the policy lock.
   */
  async arrival(revision: number): Promise<void> {
    const expected = this.#expected.get(revision);
    if (!expected) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ARRIVAL_MS);
      void expected.then(() => resolve(clearTimeout(timer)));
    });
  }

  /** Catches up with the database; one at a time, and once more when asked meanwhile. Never throws. */
  refresh(): Promise<void> {
    this.#refreshAgain = this.#refreshing !== undefined;
    this.#refreshing ??= this.#catchUp();
    return this.#refreshing;
  }

  async #catchUp(): Promise<void> {
    do {
      this.#refreshAgain = false;
      await this.load().catch((cause) => this.#fail(cause));
    } while (this.#refreshAgain);
    // In the same turn as the last look at it: whoever asks from here on starts anew.
    this.#refreshing = undefined;
  }

  async #fail(cause: unknown): Promise<void> {
    const revision = await currentRevision(this.#options.db).catch(() => 0);
    const told = this.#failure?.revision === revision;
    if (cause instanceof AppError && cause.problems) this.#failure = { revision, problems: cause.problems };
    // The poll tries again every second, since somebody may mend the rows.
    if (!told) this.#options.onFailure?.(revision, cause);
  }

  /** Waits until `revision` is in force here. Throws `revision_not_reached` after `timeoutMs`. */
  async waitFor(revision: number, timeoutMs: number): Promise<void> {
    if (this.snapshot.revision >= revision) return;
    void this.refresh();
    await new Promise<void>((resolve, reject) => {
      const waiter = { revision, reached: () => settle(resolve) };
      const settle = (then: () => void) => {
        clearTimeout(timer);
        this.#waiting.delete(waiter);
        then();
      };
      const late = () =>
        settle(() =>
          reject(
            new AppError('revision_not_reached', {
              message: `this node is at revision ${this.snapshot.revision}`,
              retryAfterSeconds: 1,
            }),
          ),
        );
      const timer = setTimeout(late, timeoutMs);
      this.#waiting.add(waiter);
    });
  }
}
