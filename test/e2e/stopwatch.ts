/** How long a change takes to arrive at another node: measured by asking without a pause, and printed. */
import type { Answer } from '../harness.ts';

/** The freshness promise: a change is in force on every other node within this time. */
export const PROMISED_MS = 1000;

/** Asks again and again until `there` holds for an answer; the milliseconds it took. Fails after `timeoutMs`. */
export async function timeUntil(
  what: string,
  ask: () => Promise<Answer>,
  there: (answer: Answer) => boolean,
  timeoutMs = 5000,
): Promise<number> {
  const beganMs = performance.now();
  for (;;) {
    const answer = await ask();
    const tookMs = performance.now() - beganMs;
    if (there(answer)) return tookMs;
    if (tookMs > timeoutMs)
      throw new Error(`${what}: not within ${timeoutMs} ms; the last answer was ${answer.status}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Prints the middle and the longest of the times below the test's line. */
export function report(what: string, timesMs: readonly number[]): void {
  const sorted = [...timesMs].sort((a, b) => a - b);
  const shown = (ms: number | undefined) => `${(ms ?? 0).toFixed(ms !== undefined && ms < 10 ? 1 : 0)} ms`;
  const middle = shown(sorted[Math.floor((sorted.length - 1) / 2)]);
  const text =
    sorted.length > 1 ? `${middle} (median of ${sorted.length}), ${shown(sorted.at(-1))} at most` : middle;
  console.log(`        ${what}: ${text}`);
}
