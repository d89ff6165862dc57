/** Tests on a column that holds one value, by its type. */
import type { Condition, Scalar, TestOperator } from '../../policy/condition.ts';
import { compareDate, misfitDate } from './date.ts';
import {
  any,
  bind,
  type Expression,
  equalsOneOf,
  FALSE,
  type Fragment,
  not,
  raw,
  sql,
  test,
} from './expression.ts';
import { scalarsIn } from './json.ts';
import { compareNumber, misfitNumber, type NumberColumn } from './number.ts';
import { compareText } from './text.ts';

type Test = Extract<Condition, { kind: 'test' }>;

/** What one value in a column can be. */
export type ScalarColumnType =
  | 'text'
  | 'uuid'
  | 'boolean'
  | 'integer'
  | 'numeric'
  | `numeric(${number},${number})`
  | 'double'
  | 'timestamptz';

/** One test on one value. What is of another type equals nothing and is ordered against nothing. */
export function testScalar(
  column: Fragment,
  type: ScalarColumnType,
  { path, operator, value }: Test,
): Expression {
  switch (operator) {
    case '$ne':
      return not(testScalar(column, type, { kind: 'test', path, operator: '$eq', value }));
    case '$nin':
      return not(testScalar(column, type, { kind: 'test', path, operator: '$in', value }));
    case '$exists': {
      const isThere = test(sql`${column} IS NOT NULL`);
      return value === true ? isThere : not(isThere);
    }
    case '$in':
      return any(scalarsIn(value).map((item) => compareScalar(column, type, '$eq', item)));
    case '$all':
    case '$size':
      return FALSE;
    default:
      return any(scalarsIn(value).map((item) => compareScalar(column, type, operator, item)));
  }
}

/** One comparison; a list of operands is several. */
export function compareScalar(
  column: Fragment,
  type: ScalarColumnType,
  operator: TestOperator,
  value: Scalar,
): Expression {
  const number = numberColumn(type);
  if (number)
    return typeof value === 'number' && operator !== '$regex'
      ? compareNumber(column, number, operator, value)
      : FALSE;
  if (type === 'boolean') return typeof value === 'boolean' ? compareBoolean(column, operator, value) : FALSE;
  if (typeof value !== 'string') return FALSE;
  if (type === 'timestamptz') return compareDate(column, operator, value);
  if (type === 'text') return compareText(column, operator, value);
  if (operator !== '$eq') return compareText(sql`${column}::text`, operator, value);
  return canonicalUuid.test(value) ? equalsOneOf(column, 'uuid', [value]) : FALSE;
}

/** As PostgreSQL and decisions write it. */
export const canonicalUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const booleanOrders: Partial<Record<TestOperator, string>> = { $lt: '<', $lte: '<=', $gt: '>', $gte: '>=' };

function compareBoolean(column: Fragment, operator: TestOperator, value: boolean): Expression {
  if (operator === '$eq') return equalsOneOf(column, 'boolean', [value]);
  const order = booleanOrders[operator];
  return order === undefined ? FALSE : test(sql`${column} ${raw(order)} ${bind(value, 'boolean')}`);
}

/** Values of which no decision can be made, such as infinity; `whole`: those that are no whole numbers, too. */
export function misfitScalar(column: Fragment, type: ScalarColumnType, whole: boolean): Expression {
  const number = numberColumn(type);
  if (number) return misfitNumber(column, number, whole);
  return type === 'timestamptz' ? misfitDate(column) : FALSE;
}

const MOST_EXACT_DIGITS = 15;

function numberColumn(type: ScalarColumnType): NumberColumn | undefined {
  if (type === 'integer' || type === 'double' || type === 'numeric') return type;
  const digits = /^numeric\((\d+),/.exec(type)?.[1];
  if (digits === undefined) return undefined;
  return Number(digits) <= MOST_EXACT_DIGITS ? 'decimal' : 'numeric';
}
