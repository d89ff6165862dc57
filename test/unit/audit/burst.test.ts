import assert from 'node:assert/strict';
import { Burst } from '../../../src/audit/burst.ts';

describe('what may come with every request', () => {
  const taken = (burst: Burst, kind: string, times: number, nowMs: number) =>
    Array.from({ length: times }, () => burst.take(kind, nowMs)).filter(Boolean).length;

  it('is told of a hundred times at once, ten times a second from then on, and never more than a hundred', () => {
    const burst = new Burst();
    assert.equal(taken(burst, 'a', 500, 0), 100);
    assert.equal(taken(burst, 'a', 500, 1000), 10);
    assert.equal(taken(burst, 'a', 500, 1_000_000), 100);
  });

  it('leaves what is of another kind its own room', () => {
    const burst = new Burst();
    taken(burst, 'loud', 500, 0);
    assert.equal(taken(burst, 'quiet', 5, 0), 5);
  });
});
