import assert from 'node:assert/strict';
import fc from 'fast-check';
import { makeAbility } from '../../../src/policy/ability.ts';
import { timeSlice } from '../../../src/policy/snapshot.ts';
import { principalWith, snapshotOf } from './sample-policy.ts';

const DAY_MS = 86_400_000;

describe('the slice of time', () => {
  it('counts the boundaries that have passed, the instant of a boundary included', () => {
    const snapshot = snapshotOf(
      { validFrom: '2026-01-01' },
      { validFrom: '2026-01-01', validUntil: '2026-02-01' },
    );
    const sliceAt = (iso: string) => timeSlice(snapshot, Date.parse(iso));
    assert.deepEqual(
      ['2025-12-31T23:59:59.999Z', '2026-01-01', '2026-01-31T23:59:59.999Z', '2026-02-01', '2027-01-01'].map(
        sliceAt,
      ),
      [0, 1, 1, 2, 2],
    );
  });

  it('is always the same where no rule has a window', () => {
    assert.equal(timeSlice(snapshotOf({}), 0), timeSlice(snapshotOf({}), Number.MAX_SAFE_INTEGER));
  });

  it('tells abilities apart: two instants of one slice have one ability, so a cached one is never of another time', () => {
    const day = fc.integer({ min: 0, max: 20 });
    const window = fc
      .tuple(fc.option(day), fc.option(fc.integer({ min: 1, max: 10 })))
      .map(([from, length]) => ({
        validFrom: from === null ? null : new Date(from * DAY_MS).toISOString(),
        validUntil: length === null ? null : new Date(((from ?? 0) + length) * DAY_MS).toISOString(),
      }));
    const instant = fc.integer({ min: -DAY_MS, max: 32 * DAY_MS });
    const anyInstant = fc.oneof(
      instant,
      day.map((n) => n * DAY_MS),
      day.map((n) => n * DAY_MS - 1),
    );
    fc.assert(
      fc.property(fc.array(window, { maxLength: 6 }), anyInstant, anyInstant, (windows, a, b) => {
        const snapshot = snapshotOf(...windows.map((rule, index) => ({ id: `r${index}`, ...rule })));
        if (timeSlice(snapshot, a) !== timeSlice(snapshot, b)) return;
        const principal = principalWith();
        assert.deepEqual(makeAbility(snapshot, principal, a), makeAbility(snapshot, principal, b));
      }),
      { numRuns: 500 },
    );
  });
});
