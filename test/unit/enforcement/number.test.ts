/** Numbers as decisions see them: every decimal that rounds to a double, and no other, is in its interval. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { jsonNumber, OVERFLOW, roundingTo } from '../../../src/enforcement/sql/number.ts';

/** A decimal as a whole number of units of 10^-places. */
function scaled(decimal: string, places: number): bigint {
  const [, sign = '', whole = '', part = ''] =
    /^(-?)(\d+)(?:\.(\d+))?$/.exec(decimal) ?? assert.fail(decimal);
  return BigInt(`${sign}${whole}${part.padEnd(places, '0')}`);
}

function unscaled(value: bigint, places: number): string {
  const digits = String(value < 0n ? -value : value).padStart(places + 1, '0');
  const sign = value < 0n ? '-' : '';
  return places === 0 ? `${sign}${digits}` : `${sign}${digits.slice(0, -places)}.${digits.slice(-places)}`;
}

function placesOf(decimal: string): number {
  return decimal.split('.')[1]?.length ?? 0;
}

const doubles = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer().map((whole) => whole + 0.5),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(Number),
  fc
    .tuple(fc.integer({ min: -1074, max: 1023 }), fc.constantFrom(1, -1))
    .map(([power, sign]) => sign * 2 ** power),
  fc.constantFrom(
    0,
    -0,
    5e-324,
    -5e-324,
    Number.MAX_VALUE,
    -Number.MAX_VALUE,
    2 ** -1022,
    2 ** 53,
    0.1,
    1e21,
    1e-7,
  ),
);

/** Not told apart: decisions take -0 for 0. */
function sameNumber(a: number, b: number): boolean {
  return a === b;
}

describe('the numbers that round to a double', () => {
  it('are those between the ends: what is inside rounds to it, what is outside does not', () => {
    fc.assert(
      fc.property(doubles, fc.nat({ max: 1000 }), (value, within) => {
        const { low, high, closed } = roundingTo(value);
        const places = Math.max(placesOf(low), placesOf(high)) + 1;
        const [first, last] = [scaled(low, places), scaled(high, places)];
        const rounds = (at: bigint) => sameNumber(Number(unscaled(at, places)), value);
        assert.ok(first < last);
        assert.ok(rounds(first + 1n), 'just above the low end');
        assert.ok(rounds(last - 1n), 'just below the high end');
        assert.ok(rounds(first + 1n + ((last - first - 2n) * BigInt(within)) / 1000n), 'inside');
        assert.ok(!rounds(first - 1n), 'just below the low end');
        assert.ok(!rounds(last + 1n), 'just above the high end');
        assert.equal(rounds(first), closed, 'the low end');
        assert.equal(rounds(last), closed, 'the high end');
      }),
      { numRuns: 500 },
    );
  });

  it('hold the number itself, as JavaScript writes it', () => {
    fc.assert(
      fc.property(doubles, (value) => {
        const { low, high } = roundingTo(value);
        const places = Math.max(placesOf(low), placesOf(high), 400);
        const [, mantissa = '', exponent = '0'] = /^-?([\d.]+)(?:e([+-]\d+))?$/.exec(String(value)) ?? [];
        const shift = places + Number(exponent) - placesOf(mantissa);
        const written = BigInt(mantissa.replace('.', '')) * 10n ** BigInt(shift) * (value < 0 ? -1n : 1n);
        assert.ok(scaled(low, places) <= written && written <= scaled(high, places));
      }),
      { numRuns: 300 },
    );
  });

  it('next to each other leave no gap and share no end', () => {
    fc.assert(
      fc.property(doubles, (value) => {
        fc.pre(Math.abs(value) < Number.MAX_VALUE);
        const next = nextAbove(value);
        fc.pre(Number.isFinite(next));
        const [lower, upper] = [roundingTo(value), roundingTo(next)];
        assert.equal(lower.high, upper.low);
        assert.notEqual(lower.closed, upper.closed);
      }),
      { numRuns: 300 },
    );
  });

  it('from the overflow on are none of a finite double', () => {
    assert.equal(Number(OVERFLOW), Number.POSITIVE_INFINITY);
    assert.equal(Number(BigInt(OVERFLOW) - 1n), Number.MAX_VALUE);
    assert.deepEqual(roundingTo(Number.MAX_VALUE), {
      low: roundingTo(Number.MAX_VALUE).low,
      high: OVERFLOW,
      closed: false,
    });
  });

  it('are asked of jsonpath with the ends that belong to them', () => {
    const even = roundingTo(2 ** 53);
    const odd = roundingTo(2 ** 53 - 1);
    assert.deepEqual([even.closed, odd.closed], [true, false]);
    assert.equal(jsonNumber('$eq', 2 ** 53), '@ >= 9007199254740991.5 && @ <= 9007199254740993');
    assert.equal(jsonNumber('$lt', 2 ** 53), '@ < 9007199254740991.5');
    assert.equal(jsonNumber('$gt', 2 ** 53), '@ > 9007199254740993');
    assert.equal(jsonNumber('$eq', 2 ** 53 - 1), '@ > 9007199254740990.5 && @ < 9007199254740991.5');
    assert.equal(jsonNumber('$lt', 2 ** 53 - 1), '@ <= 9007199254740990.5');
    assert.equal(jsonNumber('$gt', 2 ** 53 - 1), '@ >= 9007199254740991.5');
    assert.equal(jsonNumber('$gte', 2 ** 53 - 1), '@ > 9007199254740990.5');
    assert.equal(jsonNumber('$lte', 2 ** 53 - 1), '@ < 9007199254740991.5');
  });
});

function nextAbove(value: number): number {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value === 0 ? 0 : value);
  bits.setBigInt64(0, bits.getBigInt64(0) + (value < 0 ? -1n : 1n));
  return bits.getFloat64(0);
}
