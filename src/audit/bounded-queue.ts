/** First in, first out, in a bounded part of the memory: what does not fit any more is the oldest. */

/** As large as its text; the instant is when it came. */
export interface Queued {
  atMs: number;
  text: string;
}

export interface QueueBounds {
  most: number;
  /** Of all texts together. */
  mostCharacters: number;
}

const GONE: Queued = Object.freeze({ atMs: 0, text: '' });

/** Entries that wait to be taken. Those taken still count for the bounds until it is told what became of them. */
export class BoundedQueue {
  #entries: Queued[] = [];
  #first = 0;
  #characters = 0;
  #taken: Queued[] = [];
  readonly #bounds: QueueBounds;

  constructor(bounds: QueueBounds) {
    this.#bounds = bounds;
  }

  /** Those waiting, and those taken. */
  get size(): number {
    return this.#entries.length - this.#first + this.#taken.length;
  }

  /** Adds one; how many did not fit for it. */
  add(entry: Queued): number {
    this.#entries.push(entry);
    this.#characters += entry.text.length;
    return this.#shrink();
  }

  /** Takes the oldest, at most so many. They are to be `done` with or `giveBack` before the next are taken. */
  take(most: number): readonly Queued[] {
    this.#taken = this.#entries.slice(this.#first, this.#first + most);
    this.#advance(this.#taken.length);
    return this.#taken;
  }

  /** What was taken is gone. */
  done(): void {
    for (const { text } of this.#taken) this.#characters -= text.length;
    this.#taken = [];
  }

  /** What was taken waits again, as the oldest. */
  giveBack(): void {
    this.#entries = [...this.#taken, ...this.#entries.slice(this.#first)];
    this.#first = 0;
    this.#taken = [];
  }

  #shrink(): number {
    const { most, mostCharacters } = this.#bounds;
    let dropped = 0;
    while (this.#first < this.#entries.length && (this.size > most || this.#characters > mostCharacters)) {
      this.#characters -= this.#entries[this.#first]?.text.length ?? 0;
      this.#advance(1);
      dropped++;
    }
    return dropped;
  }

  /** Moving thousands for each one that goes would cost more than what is written; so that is done now and then. */
  #advance(by: number): void {
    this.#entries.fill(GONE, this.#first, this.#first + by);
    this.#first += by;
    if (this.#first * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#first);
    this.#first = 0;
  }
}
