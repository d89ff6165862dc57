/** Tests on a column that holds a list, as an array of PostgreSQL. */
import type { Condition, Scalar } from '../../policy/condition.ts';
import {
  all,
  any,
  bind,
  type Expression,
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
import { translateGroup } from './group.ts';
import { scalarsIn } from './json.ts';
import {
  canonicalUuid,
  compareScalar,
  misfitScalar,
  type ScalarColumnType,
  testScalar,
} from './scalar-column.ts';
import { isStorable } from './text.ts';

type Test = Extract<Condition, { kind: 'test' }>;

/** One test on the list. Operators that GIN indexes know are used where they are exact; otherwise it is element by element. */
export function testList(column: Fragment, type: ScalarColumnType, asked: Test): Expression {
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
    return any(values.map((value) => someElement(column, (item) => compareScalar(item, type, '$eq', value))));
  return list.length === 0 ? FALSE : test(sql`${column} && ${arrayOf(type, list)}`);
}

function hasAll(column: Fragment, type: ScalarColumnType, values: readonly Scalar[]): Expression {
  const list = exactly(type, values);
  if (list && list.length < values.length) return FALSE;
  if (list) return test(sql`${column} @> ${arrayOf(type, list)}`);
  const each = values.map((value) => someElement(column, (item) => compareScalar(item, type, '$eq', value)));
  return all([test(sql`${column} IS NOT NULL`), ...each]);
}

/** Those of the values that an element can have, where arrays compare elements as decisions do. */
function exactly(type: ScalarColumnType, values: readonly Scalar[]): string[] | undefined {
  if (type !== 'text' && type !== 'uuid') return undefined;
  const texts = values.filter((value) => typeof value === 'string');
  const possible = type === 'uuid' ? texts.filter((text) => canonicalUuid.test(text)) : texts;
  return possible.filter(isStorable);
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

/** An element that meets the condition; one that is no object is known as ''. */
export function elementOfList(column: Fragment, type: ScalarColumnType, of: Condition): Expression {
  return someElement(column, (item) => translateScalars(of, item, type));
}

/** A list in a list, and elements that are missing or that no decision would take. */
export function misfitList(column: Fragment, type: ScalarColumnType, whole: boolean): Expression {
  const broken = misfitScalar(raw('u.item'), type, whole);
  const isBroken = render(any([test(sql`u.item IS NULL`), broken]));
  return any([
    test(sql`array_ndims(${column}) > 1`),
    test(sql`EXISTS (SELECT FROM unnest(${column}) AS u(item) WHERE ${isBroken})`),
  ]);
}

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

/** A test on what is not there. */
function missing({ operator, value }: Test): Expression {
  if (operator === '$exists') return fixed(value === false);
  return fixed(operator === '$ne' || operator === '$nin');
}
