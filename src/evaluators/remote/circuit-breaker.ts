/** A circuit breaker: who fails again and again is left alone for a while, and then tried once before all ask again. */

export interface BreakerOptions {
  /** Failures in a row after which nobody asks. */
  threshold: number;
  /** How long nobody asks then. */
  openMs: number;
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
  #probing = false;

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
    const { state } = this;
    if (state === 'open' || (state === 'half-open' && this.#probing))
      throw new CircuitOpenError(`it is left alone after ${this.#failures} failures in a row`);
    const probes = state === 'half-open';
    this.#probing ||= probes;
    try {
      const result = await work();
      this.#close();
      return result;
    } catch (cause) {
      if (isFailure(cause)) this.#fail();
      else this.#close();
      throw cause;
    } finally {
      if (probes) this.#probing = false;
    }
  }

  #close(): void {
    this.#failures = 0;
    this.#openUntilMs = undefined;
  }

  #fail(): void {
    this.#failures++;
    if (this.#failures >= this.#options.threshold) this.#openUntilMs = this.#nowMs() + this.#options.openMs;
  }
}
