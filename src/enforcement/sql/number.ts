/** Tests on numbers. Decisions see doubles (IEEE 754), columns hold more than those: what rounds to a double counts as it. */
import type { TestOperator } from '../../policy/condition.ts';
import {
  all,
  any,
  bind,
  type Expression,
  equalsOneOf,
  FALSE,
  type Fragment,
  raw,
  render,
  sql,
  test,
} from './expression.ts';

/** All numbers that round to one double; the ends are decimals. */
export interface Interval {
  low: string;
  high: string;
  /** Whether the ends round to it, too: halves round to the even one. */
  closed: boolean;
}

export type NumberColumn = 'integer' | 'decimal' | 'numeric' | 'double';

const orders: Partial<Record<TestOperator, string>> = { $lt: '<', $lte: '<=', $gt: '>', $gte: '>=' };

/** From here on a number rounds to infinity. */
export const OVERFLOW = String(2n ** 1024n - 2n ** 970n);

/** A comparison of a column with a double. `decimal`: of at most 15 digits, where no two round to one double. */
export function compareNumber(
  column: Fragment,
  kind: NumberColumn,
  operator: TestOperator,
  value: number,
): Expression {
  if (kind === 'integer') return compareInteger(column, operator, value);
  if (kind === 'numeric') return compareNumeric(column, operator, value);
  const type = kind === 'double' ? 'float8' : 'numeric';
  return operator === '$eq'
    ? equalsOneOf(column, type, [written(value)])
    : test(sql`${column} ${raw(orders[operator] ?? '')} ${bind(written(value), type)}`);
}

/** What jsonpath asks of a number `@`. */
export function jsonNumber(operator: TestOperator, value: number): string {
  const { low, high, closed } = roundingTo(value);
  const [above, below] = closed ? ['>=', '<='] : ['>', '<'];
  switch (operator) {
    case '$eq':
      return `@ ${above} ${low} && @ ${below} ${high}`;
    case '$lt':
      return `@ ${closed ? '<' : '<='} ${low}`;
    case '$lte':
      return `@ ${below} ${high}`;
    case '$gt':
      return `@ ${closed ? '>' : '>='} ${high}`;
    default:
      return `@ ${above} ${low}`;
  }
}

function compareNumeric(column: Fragment, operator: TestOperator, value: number): Expression {
  const { low, high, closed } = roundingTo(value);
  const [above, below] = closed ? ['>=', '<='] : ['>', '<'];
  const bounded = (order: string, end: string) => test(sql`${column} ${raw(order)} ${bind(end, 'numeric')}`);
  switch (operator) {
    case '$eq':
      return all([bounded(above ?? '', low), bounded(below ?? '', high)]);
    case '$lt':
      return bounded(closed ? '<' : '<=', low);
    case '$lte':
      return bounded(below ?? '', high);
    case '$gt':
      return bounded(closed ? '>' : '>=', high);
    default:
      return bounded(above ?? '', low);
  }
}

const SMALLEST = -(2n ** 63n);
const LARGEST = 2n ** 63n - 1n;

/** The whole numbers that round to it are from `first` to `last`; there is none where `last` is before `first`. */
function compareInteger(column: Fragment, operator: TestOperator, value: number): Expression {
  const { first, last } = wholeRoundingTo(value);
  const bounded = (order: '>=' | '<=', end: bigint): Expression => {
    if (order === '>=' ? end > LARGEST : end < SMALLEST) return FALSE;
    if (order === '>=' ? end <= SMALLEST : end >= LARGEST) return test(sql`${column} IS NOT NULL`);
    return test(sql`${column} ${raw(order)} ${bind(String(end), 'bigint')}`);
  };
  switch (operator) {
    case '$eq':
      if (first === last && first >= SMALLEST && first <= LARGEST)
        return equalsOneOf(column, 'bigint', [String(first)]);
      return first > last ? FALSE : all([bounded('>=', first), bounded('<=', last)]);
    case '$lt':
      return bounded('<=', first - 1n);
    case '$lte':
      return bounded('<=', last);
    case '$gt':
      return bounded('>=', last + 1n);
    default:
      return bounded('>=', first);
  }
}

/** Of a double that is no whole number, `first` is the whole number above it and `last` the one below. */
function wholeRoundingTo(value: number): { first: bigint; last: bigint } {
  const whole = BigInt(Math.floor(value));
  if (!Number.isInteger(value)) return { first: whole + 1n, last: whole };
  if (Number.isSafeInteger(value) && Math.abs(value) < 2 ** 52) return { first: whole, last: whole };
  const { numerators, shift, closed } = halfway(value);
  const [low, high] = numerators.map((numerator) => floorOf(numerator, shift)) as [Floor, Floor];
  return {
    first: low.exact && closed ? low.whole : low.whole + 1n,
    last: high.exact && !closed ? high.whole - 1n : high.whole,
  };
}

interface Floor {
  whole: bigint;
  exact: boolean;
}

/** The whole number at or below `numerator * 2^shift`. */
function floorOf(numerator: bigint, shift: bigint): Floor {
  if (shift >= 0n) return { whole: numerator << shift, exact: true };
  const whole = numerator >> -shift;
  return { whole, exact: whole << -shift === numerator };
}

const bits = new DataView(new ArrayBuffer(8));

/** The halves between a double and its neighbours: `numerators[i] * 2^shift`. */
function halfway(value: number): { numerators: [bigint, bigint]; shift: bigint; closed: boolean } {
  bits.setFloat64(0, Math.abs(value));
  const raw = bits.getBigUint64(0);
  const exponent = raw >> 52n;
  const fraction = raw & (2n ** 52n - 1n);
  const mantissa = exponent === 0n ? fraction : fraction + 2n ** 52n;
  const shift = (exponent === 0n ? 1n : exponent) - 1075n;
  // Below a power of two doubles lie twice as close.
  const isPower = fraction === 0n && exponent > 1n;
  const low = isPower ? mantissa * 4n - 1n : mantissa * 4n - 2n;
  const high = mantissa * 4n + 2n;
  const closed = mantissa % 2n === 0n;
  const numerators: [bigint, bigint] = value < 0 ? [-high, -low] : [low, high];
  return { numerators, shift: shift - 2n, closed };
}

/** All numbers that round to a finite double (IEEE 754-2019, 4.3.1: to the nearest, ties to even). */
export function roundingTo(value: number): Interval {
  const { numerators, shift, closed } = halfway(value);
  const [low, high] = numerators.map((numerator) => decimal(numerator, shift)) as [string, string];
  return { low, high, closed };
}

/** `numerator * 2^shift`, exactly. */
function decimal(numerator: bigint, shift: bigint): string {
  if (shift >= 0n) return String(numerator << shift);
  const places = Number(-shift);
  const digits = String((numerator < 0n ? -numerator : numerator) * 5n ** -shift).padStart(places + 1, '0');
  const whole = digits.slice(0, -places);
  const part = digits.slice(-places).replace(/0+$/, '');
  return `${numerator < 0n ? '-' : ''}${whole}${part && `.${part}`}`;
}

/** Whether numbers of the column are finite doubles, and whole where they must be: the SQL of those that are not. */
export function misfitNumber(column: Fragment, kind: NumberColumn, whole: boolean): Expression {
  switch (kind) {
    case 'integer':
      return FALSE;
    case 'decimal':
      return any([
        equalsOneOf(column, 'numeric', ['NaN']),
        ...(whole ? [test(sql`${column} <> trunc(${column})`)] : []),
      ]);
    case 'double':
      return any([
        equalsOneOf(column, 'float8', ['NaN', 'Infinity', '-Infinity']),
        ...(whole ? [test(sql`${column} <> trunc(${column})`)] : []),
      ]);
    case 'numeric':
      return whole ? test(isOutsideOrBroken(column)) : outside(column);
  }
}

function outside(number: Fragment): Expression {
  return any([test(sql`${number} >= ${raw(OVERFLOW)}`), test(sql`${number} <= -${raw(OVERFLOW)}`)]);
}

/** Or no whole number. What is too large, or so near to 0 that it rounds to it, would be an error of the cast. */
function isOutsideOrBroken(number: Fragment): Fragment {
  const isTooLarge = render(outside(number));
  const isBroken = sql`${number}::float8 <> trunc(${number}::float8)`;
  return sql`CASE WHEN ${isTooLarge} THEN true WHEN abs(${number}) <= ${raw(roundingTo(0).high)} THEN false ELSE ${isBroken} END`;
}

function written(value: number): string {
  return Object.is(value, -0) ? '0' : String(value);
}
