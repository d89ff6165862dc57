/** Conditions on columns: for each type of column, what a test is in SQL, and which values no decision would take. */
import type { Condition, Scalar, TestOperator } from '../../policy/condition.ts';
import type { AttributeSpec, AttributeType } from '../../policy/policy.ts';
import { compareDate, misfitDate } from './date.ts';
import {
  all,
  any,
  bind,
  type Expression,
  equalsOneOf,
  FALSE,
  type Fragment,
  fixed,
  join,
  not,
  raw,
  render,
  sql,
  test,
} from './expression.ts';
import { asks, elementOfJson, isNoJson, type Place, scalarsIn, testJson } from './json.ts';
import { compareNumber, misfitNumber, type NumberColumn, OVERFLOW } from './number.ts';
import { compareText, isOneOfTexts } from './text.ts';
import { Untranslatable } from './untranslatable.ts';

type Test = Extract<Condition, { kind: 'test' }>;
type Element = Extract<Condition, { kind: 'element' }>;

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

/** How a column holds an attribute. `integer` is any of smallint, integer, bigint. */
export type ColumnType = ScalarColumnType | `${ScalarColumnType}[]` | 'jsonb';

interface TypedColumn {
  column: Fragment;
  type: ColumnType;
}

/** Columns by the declared type of an attribute. */
const fitting: Record<AttributeType, RegExp> = {
  string: /^(text|uuid)$/,
  uuid: /^uuid$/,
  boolean: /^boolean$/,
  integer: /^(integer|double|numeric.*)$/,
  number: /^(integer|double|numeric.*)$/,
  date: /^timestamptz$/,
  array: /^(jsonb|.*\[\])$/,
  object: /^jsonb$/,
};

/** Why the attribute cannot be in a column of this type, or undefined. */
export function columnProblem(spec: AttributeSpec, type: ColumnType): string | undefined {
  if (!fitting[spec.type].test(type)) return `a ${spec.type} cannot be asked of a column of type ${type}`;
  if (spec.type !== 'array') return undefined;
  if (type === 'jsonb')
    return spec.items === 'date' || spec.items === 'uuid'
      ? `a list of items of type ${spec.items} in jsonb cannot be asked; use an array of PostgreSQL`
      : undefined;
  const items = spec.items ?? 'object';
  return fitting[items].test(elementType(type))
    ? undefined
    : `a list of ${spec.items ?? 'anything'} cannot be asked of a column of type ${type}`;
}

/** One test on a column; `path`: names below it, in jsonb only. */
export function testColumn({ column, type }: TypedColumn, path: readonly string[], asked: Test): Expression {
  if (type === 'jsonb') return testJson({ value: column, path }, asked);
  if (path.length > 0) throw new Untranslatable(`what lies below a column of type ${type}`);
  return isList(type) ? testList(column, elementType(type), asked) : testScalar(column, type, asked);
}

/** An element of the list in a column; `translate` makes the condition on the element's own facts. */
export function elementOfColumn(
  { column, type }: TypedColumn,
  path: readonly string[],
  { of }: Element,
): Expression {
  if (type === 'jsonb') return elementInJson({ value: column, path }, of, 0);
  if (!isList(type) || path.length > 0) return FALSE;
  return someElement(column, (item) => translateScalars(of, item, elementType(type)));
}

/** Rows whose value no decision would take, so that they are denied as a whole. */
export function misfitColumn({ column, type }: TypedColumn, spec: AttributeSpec): Expression {
  if (type === 'jsonb') return misfitJson(column, spec);
  if (!isList(type)) return misfitScalar(column, type, spec.type === 'integer');
  const element = elementType(type);
  const broken = misfitScalar(raw('u.item'), element, spec.items === 'integer');
  const isBroken = render(any([test(sql`u.item IS NULL`), broken]));
  return any([
    test(sql`array_ndims(${column}) > 1`),
    test(sql`EXISTS (SELECT FROM unnest(${column}) AS u(item) WHERE ${isBroken})`),
  ]);
}

/** Values of which no decision can be made, such as infinity; `whole`: those that are no whole numbers, too. */
export function misfitScalar(column: Fragment, type: ScalarColumnType, whole: boolean): Expression {
  const number = numberColumn(type);
  if (number) return misfitNumber(column, number, whole);
  return type === 'timestamptz' ? misfitDate(column) : FALSE;
}

function misfitJson(column: Fragment, { type, items }: AttributeSpec): Expression {
  if (type === 'object') return isNoJson(column, 'object');
  const isNoList = isNoJson(column, 'array');
  if (!items) return isNoList;
  if (items !== 'number' && items !== 'integer')
    return any([isNoList, asks(column, `strict $[*] ? (@.type() != "${items}")`)]);
  const isNoNumber = `strict $[*] ? (@.type() != "number" || @ >= ${OVERFLOW} || @ <= -${OVERFLOW})`;
  if (items === 'number') return any([isNoList, asks(column, isNoNumber)]);
  const number = raw("(u.item #>> '{}')::numeric");
  const broken = render(misfitNumber(number, 'numeric', true));
  const numbers = bind('strict $[*] ? (@.type() == "number")', 'jsonpath');
  const isBroken = sql`EXISTS (SELECT FROM jsonb_path_query(${column}, ${numbers}, '{}', true) AS u(item) WHERE ${broken})`;
  return any([isNoList, asks(column, isNoNumber), test(isBroken)]);
}

function elementInJson(place: Place, of: Condition, depth: number): Expression {
  return elementOfJson(place, depth, (placeOf) => {
    const translate = (condition: Condition): Expression => {
      switch (condition.kind) {
        case 'test':
          return testJson(placeOf(condition.path), condition);
        case 'element':
          return elementInJson(placeOf(condition.path), condition.of, depth + 1);
        default:
          return translateGroup(condition, translate);
      }
    };
    return translate(of);
  });
}

/** Conditions on an element that is no object: it is known as ''. */
function translateScalars(of: Condition, item: Fragment, type: ScalarColumnType): Expression {
  const translate = (condition: Condition): Expression => {
    switch (condition.kind) {
      case 'test':
        return condition.path === '' ? testScalar(item, type, condition) : missing(condition);
      case 'element':
        return FALSE;
      default:
        return translateGroup(condition, translate);
    }
  };
  return translate(of);
}

type Group = Exclude<Condition, Test | Element>;

/** And, or, not. */
export function translateGroup(
  condition: Group,
  translate: (condition: Condition) => Expression,
): Expression {
  switch (condition.kind) {
    case 'fixed':
      return fixed(condition.value);
    case 'all':
      return all(condition.of.map(translate));
    case 'any':
      return any(condition.of.map(translate));
    case 'not':
      return not(translate(condition.of));
  }
}

/** A test on what is not there. */
function missing({ operator, value }: Test): Expression {
  if (operator === '$exists') return fixed(value === false);
  return fixed(operator === '$ne' || operator === '$nin');
}

function testScalar(column: Fragment, type: ScalarColumnType, { path, operator, value }: Test): Expression {
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
      return any(scalarsIn(value).map((item) => compare(column, type, '$eq', item)));
    case '$all':
    case '$size':
      return FALSE;
    default:
      return any(scalarsIn(value).map((item) => compare(column, type, operator, item)));
  }
}

/** What is of another type equals nothing and is ordered against nothing. */
function compare(
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

const canonicalUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const booleanOrders: Partial<Record<TestOperator, string>> = { $lt: '<', $lte: '<=', $gt: '>', $gte: '>=' };

function compareBoolean(column: Fragment, operator: TestOperator, value: boolean): Expression {
  if (operator === '$eq') return equalsOneOf(column, 'boolean', [value]);
  const order = booleanOrders[operator];
  return order === undefined ? FALSE : test(sql`${column} ${raw(order)} ${bind(value, 'boolean')}`);
}

/** Operators that GIN indexes know where they are exact, otherwise element by element. */
function testList(column: Fragment, type: ScalarColumnType, asked: Test): Expression {
  const { operator, value } = asked;
  switch (operator) {
    case '$exists':
      return testScalar(column, 'text', asked);
    case '$size':
      return test(sql`cardinality(${column}) = ${bind(Number(value), 'numeric')}`);
    case '$ne':
      return not(testList(column, type, { ...asked, operator: '$eq' }));
    case '$nin':
      return not(testList(column, type, { ...asked, operator: '$in' }));
    case '$all':
      return hasAll(column, type, scalarsIn(value));
    case '$eq':
    case '$in':
      return hasOneOf(column, type, scalarsIn(value));
    default:
      return someElement(column, (item) => testScalar(item, type, asked));
  }
}

function hasOneOf(column: Fragment, type: ScalarColumnType, values: readonly Scalar[]): Expression {
  const list = exactly(type, values);
  if (!list)
    return any(values.map((value) => someElement(column, (item) => compare(item, type, '$eq', value))));
  return list.length === 0 ? FALSE : test(sql`${column} && ${arrayOf(type, list)}`);
}

function hasAll(column: Fragment, type: ScalarColumnType, values: readonly Scalar[]): Expression {
  const list = exactly(type, values);
  if (list && list.length < values.length) return FALSE;
  if (list) return test(sql`${column} @> ${arrayOf(type, list)}`);
  const each = values.map((value) => someElement(column, (item) => compare(item, type, '$eq', value)));
  return all([test(sql`${column} IS NOT NULL`), ...each]);
}

/** Those of the values that an element can have, where arrays compare elements as decisions do. */
function exactly(type: ScalarColumnType, values: readonly Scalar[]): string[] | undefined {
  if (type !== 'text' && type !== 'uuid') return undefined;
  const texts = values.filter((value) => typeof value === 'string');
  const possible = type === 'uuid' ? texts.filter((text) => canonicalUuid.test(text)) : texts;
  return possible.filter((text) => isOneOfTexts(raw(''), [text]) !== FALSE);
}

function arrayOf(type: ScalarColumnType, values: readonly string[]): Fragment {
  return sql`ARRAY[${join(
    values.map((value) => bind(value, type)),
    ', ',
  )}]::${raw(type)}[]`;
}

function someElement(column: Fragment, condition: (item: Fragment) => Expression): Expression {
  const inner = condition(raw('u.item'));
  if (inner === FALSE) return FALSE;
  return test(sql`EXISTS (SELECT FROM unnest(${column}) AS u(item) WHERE ${render(inner)})`);
}

function isList(type: ColumnType): type is `${ScalarColumnType}[]` {
  return type.endsWith('[]');
}

/** Whether it holds one value that is neither a list nor JSON. */
export function isScalar(type: ColumnType): type is ScalarColumnType {
  return type !== 'jsonb' && !isList(type);
}

function elementType(type: ColumnType): ScalarColumnType {
  return type.replace('[]', '') as ScalarColumnType;
}

const MOST_EXACT_DIGITS = 15;

function numberColumn(type: ScalarColumnType): NumberColumn | undefined {
  if (type === 'integer' || type === 'double' || type === 'numeric') return type;
  const digits = /^numeric\((\d+),/.exec(type)?.[1];
  if (digits === undefined) return undefined;
  return Number(digits) <= MOST_EXACT_DIGITS ? 'decimal' : 'numeric';
}
