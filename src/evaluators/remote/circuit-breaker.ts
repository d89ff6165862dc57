/** A circuit breaker: who fails again and again is left alone for a while, and then tried once before all ask again. */

export interface BreakerOptions {
  /** Failures in a row after which nobody asks. */
  threshold: number;
  /** How long nobody asks then. */
  openMs: number;
  /** Whoever tries it and has no answer after that has failed, so that another one may try. */
  probeMs: number;
  /** A clock that only goes forward. */
  nowMs?(): number;
}

export type BreakerState = 'closed' | 'open' | 'half-open';

/** Nobody is asked now. */
export class CircuitOpenError extends Error {
  override name = 'CircuitOpenError';
}

export class CircuitBreaker {
  readonly #options: BreakerOptions;
  readonly #nowMs: () => number;
  #failures = 0;
  #openUntilMs: number | undefined;
  /** Until when whoever tries it is waited for. */
  #probe: { untilMs: number } | undefined;

  constructor(options: BreakerOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  /** `half-open`: the next one to ask tries it, alone. */
  get state(): BreakerState {
    if (this.#openUntilMs === undefined) return 'closed';
    return this.#nowMs() < this.#openUntilMs ? 'open' : 'half-open';
  }

  /**
   * What `work` gives. Throws CircuitOpenError without beginning it while the circuit is open, or while another one tries;
   * throws what `work` throws, which counts where `isFailure` says so.
   */
  async run<T>(work: () => Promise<T>, isFailure: (cause: unknown) => boolean): Promise<T> {
    const probe = this.#enter();
    try {
      const result = await work();
      this.#close();
      return result;
    } catch (cause) {
      if (isFailure(cause)) this.#fail();
      else this.#close();
      throw cause;
    } finally {
      if (probe && probe === this.#probe) this.#probe = undefined;
    }
  }

  /** What marks the one that tries it; undefined where all ask. Throws CircuitOpenError where nobody may. */
  #enter(): { untilMs: number } | undefined {
    const nowMs = this.#nowMs();
    if (this.#probe && nowMs >= this.#probe.untilMs) {
      this.#fail(this.#probe.untilMs);
      this.#probe = undefined;
    }
    const { state } = this;
    if (state === 'closed') return undefined;
    if (state === 'open' || this.#probe)
      throw new CircuitOpenError(`it is left alone after ${this.#failures} failures in a row`);
    this.#probe = { untilMs: nowMs + this.#options.probeMs };
    return this.#probe;
  }

  #close(): void {
    this.#failures = 0;
    this.#openUntilMs = undefined;
  }

  #fail(atMs = this.#nowMs()): void {
    this.#failures++;
    if (this.#failures >= this.#options.threshold) this.#openUntilMs = atMs + this.#options.openMs;
  }
}
