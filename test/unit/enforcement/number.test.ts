/** Numbers as decisions see them: every decimal that rounds to a double, and no other, is in its interval. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Knex } from 'knex';
import { testColumn } from '../../../src/enforcement/sql/column.ts';
import { type Fragment, raw, render } from '../../../src/enforcement/sql/expression.ts';
import { asks } from '../../../src/enforcement/sql/json.ts';
import { compareNumber, jsonNumber, OVERFLOW, roundingTo } from '../../../src/enforcement/sql/number.ts';
import { operators } from '../../../src/policy/operators.ts';
import { openPool } from '../../../src/storage/postgres.ts';
import { makeDatabase } from '../../harness.ts';

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

const orders = ['$eq', '$lt', '$lte', '$gt', '$gte'] as const;

describe('a comparison of stored numbers with a double', () => {
  let db: Knex;
  before(async () => {
    db = openPool({ url: await makeDatabase(), poolMax: 1 });
  });
  after(() => db.destroy());

  /** Those of the numbers that meet the condition on `n.v`, by PostgreSQL. */
  async function met(
    type: string,
    numbers: readonly string[],
    { text, bindings }: Fragment,
  ): Promise<string[]> {
    const { rows } = await db.raw<{ rows: { written: string }[] }>(
      `SELECT written FROM unnest(?::text[]) WITH ORDINALITY AS w(written, at), LATERAL (SELECT written::${type} AS v) AS n
       WHERE ${text} ORDER BY at`,
      [[...numbers], ...bindings],
    );
    return rows.map(({ written }) => written);
  }

  /** Numbers at the ends of the interval, inside it and outside. */
  function around(value: number): string[] {
    const { low, high } = roundingTo(value);
    const places = Math.max(placesOf(low), placesOf(high)) + 1;
    const [first, last] = [scaled(low, places), scaled(high, places)];
    return [first - 1n, first, first + 1n, (first + last) / 2n, last - 1n, last, last + 1n].map((at) =>
      unscaled(at, places),
    );
  }

  function wholesAround(value: number): string[] {
    const { low, high } = roundingTo(value);
    const ends = [low, high, unscaled(BigInt(Math.trunc(value)), 0)].map((end) =>
      BigInt(end.split('.')[0] ?? ''),
    );
    const near = ends.flatMap((end) => [-2n, -1n, 0n, 1n, 2n].map((step) => end + step));
    const limits = [-(2n ** 63n), 2n ** 63n - 1n, 0n];
    return [...new Set([...near, ...limits])]
      .filter((whole) => BigInt.asIntN(64, whole) === whole)
      .map(String);
  }

  const wholesOfColumns = fc.oneof(
    fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }).map(Number),
    fc.bigInt({ min: 2n ** 52n, max: 2n ** 54n }).map(Number),
    fc.integer({ min: -20, max: 20 }).map((tenths) => tenths / 4),
    fc.constantFrom(
      2 ** 53,
      2 ** 53 + 2,
      -(2 ** 53) - 2,
      2 ** 63,
      -(2 ** 63),
      2 ** 63 - 1024,
      1e300,
      -1e300,
      0,
      -0,
    ),
  );

  it('finds the integers of 64 bits that a decision would take for less, equal or more', async () => {
    await fc.assert(
      fc.asyncProperty(wholesOfColumns, async (value) => {
        const numbers = wholesAround(value);
        for (const operator of orders) {
          const test = operators[operator].test(value);
          const found = await met(
            'bigint',
            numbers,
            render(compareNumber(raw('n.v'), 'integer', operator, value)),
          );
          assert.deepEqual(
            found,
            numbers.filter((written) => test(Number(written))),
            operator,
          );
        }
      }),
      { numRuns: 60 },
    );
  });

  it('of a column with more than 15 digits goes by what rounds to the double, of fewer by the decimal itself', async () => {
    const many = ['9007199254740991.00', '9007199254740992.00', '9007199254740992.99', '9007199254740993.00'];
    const few = ['0.1', '0.3', '999999999999.999'];
    for (const [type, numbers, values] of [
      ['numeric(20,2)', many, [2 ** 53, 2 ** 53 - 1]],
      ['numeric(15,3)', few, [0.1, 0.3, 0.1 + 0.2, 999999999999.999]],
    ] as const)
      for (const value of values)
        for (const operator of orders) {
          const asked = { kind: 'test', path: 'x', operator, value } as const;
          const test = operators[operator].test(value);
          assert.deepEqual(
            await met(type, numbers, render(testColumn({ column: raw('n.v'), type }, [], asked))),
            numbers.filter((written) => test(Number(written))),
            `${operator} ${value} in ${type}`,
          );
        }
  });

  it('finds the decimals, in a column and in jsonb, that a decision would take for less, equal or more', async () => {
    const moderate = doubles.filter(
      (value) => Math.abs(value) < 1e60 && (value === 0 || Math.abs(value) > 1e-60),
    );
    await fc.assert(
      fc.asyncProperty(moderate, async (value) => {
        const numbers = around(value);
        for (const operator of orders) {
          const test = operators[operator].test(value);
          const expected = numbers.filter((written) => test(Number(written)));
          const inColumn = render(compareNumber(raw('n.v'), 'numeric', operator, value));
          assert.deepEqual(await met('numeric', numbers, inColumn), expected, operator);
          const inJson = render(asks(raw('n.v'), `$ ? (${jsonNumber(operator, value)})`));
          assert.deepEqual(await met('jsonb', numbers, inJson), expected, `${operator} in jsonb`);
        }
      }),
      { numRuns: 40 },
    );
  });
});

function nextAbove(value: number): number {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value === 0 ? 0 : value);
  bits.setBigInt64(0, bits.getBigInt64(0) + (value < 0 ? -1n : 1n));
  return bits.getFloat64(0);
}
