/** What may come with every request is told of a hundred times at once, and then so many times in a second. */
const BURST = 100;
const PER_SECOND = 10;

/** A kind may be what a caller says it is. */
const MOST_KINDS = 1000;

/** Room for what is told, of each kind by itself. */
export class Burst {
  readonly #rooms = new Map<string, { room: number; atMs: number }>();

  /** Takes room for one of a kind, where there is some left. */
  take(kind: string, nowMs = performance.now()): boolean {
    if (this.#rooms.size >= MOST_KINDS) this.#rooms.clear();
    const known = this.#rooms.get(kind) ?? { room: BURST, atMs: nowMs };
    const room = Math.min(BURST, known.room + ((nowMs - known.atMs) / 1000) * PER_SECOND);
    const isTaken = room >= 1;
    this.#rooms.set(kind, { room: isTaken ? room - 1 : room, atMs: nowMs });
    return isTaken;
  }
}
