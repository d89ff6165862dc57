/** What the upstream of an attack got, and whether that is as it should be. */
import assert from 'node:assert/strict';
import type { Upstream } from '../../http/gateway/upstream.ts';

/** A request as it reached the upstream. */
export interface Arrived {
  method: string;
  url: string;
  /** In lower case, in the order they came; repeated ones each for itself. */
  headers: [string, string][];
  body: string;
}

export interface Outcome {
  /** Of the first answer; 0 where there was none. */
  status: number;
  /** Everything that was answered. */
  answer: string;
  arrived: Arrived[];
  /** What the upstream heard, byte by byte (latin1). */
  heard: string;
}

/** What came after the first `count` requests. */
export function arrivedSince({ seen }: Upstream, count: number): Arrived[] {
  return seen
    .slice(count)
    .map(({ method, url, rawHeaders, body }) => ({ method, url, headers: pairsOf(rawHeaders), body }));
}

function pairsOf(rawHeaders: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at < rawHeaders.length; at += 2)
    pairs.push([(rawHeaders[at] ?? '').toLowerCase(), rawHeaders[at + 1] ?? '']);
  return pairs;
}

/** What the upstream got under this name. */
export function valuesOf({ headers }: Arrived, name: string): string[] {
  return headers.filter(([key]) => key === name).map(([, value]) => value);
}

/** Refused as something that could be read in two ways, before anything was sent on. */
export function assertRefused(
  { status, arrived, heard, answer }: Outcome,
  what: string,
  expected = 400,
): void {
  assert.equal(status, expected, `${what}: ${answer}`);
  assert.deepEqual(arrived, [], `${what} arrived`);
  assert.equal(heard, '', `something of ${what} was heard`);
}

/** Sent on as exactly this. */
export function assertArrived({ status, arrived, answer }: Outcome, url: string, what = url): Arrived {
  assert.equal(status, 200, `${what}: ${answer}`);
  assert.deepEqual(
    arrived.map((one) => one.url),
    [url],
    what,
  );
  return arrived[0] as Arrived;
}
