/** Tests on what lies in a jsonb value, in the semantics of `policy/matcher.ts`: asked by jsonpath, so that GIN indexes serve them. */
import type { Condition, Operand, Scalar, TestOperator } from '../../policy/condition.ts';
import {
  all,
  any,
  bind,
  type Expression,
  FALSE,
  type Fragment,
  not,
  raw,
  render,
  sql,
  TRUE,
  test,
} from './expression.ts';
import { jsonNumber } from './number.ts';
import { compareText, isStorable } from './text.ts';

type Test = Extract<Condition, { kind: 'test' }>;

/** A jsonb value, or NULL, and the names below it that lead to what is asked about. */
export interface Place {
  value: Fragment;
  /** Safe names (see `isSafePath`); none: the value itself. */
  path: readonly string[];
  /** An element of a list: it is there, be it null. */
  isElement?: boolean;
}

/** One test on what is at the place. Throws `Untranslatable`. */
export function testJson(place: Place, { operator, value }: Pick<Test, 'operator' | 'value'>): Expression {
  switch (operator) {
    case '$ne':
      return not(testJson(place, { operator: '$eq', value }));
    case '$nin':
      return not(testJson(place, { operator: '$in', value }));
    case '$exists':
      return value === true ? exists(place) : not(exists(place));
    case '$size':
      return hasSize(place, Number(value));
    case '$in':
      return isOneOf(place, scalarsIn(value));
    case '$all':
      return all([isList(place), ...scalarsIn(value).map((item) => compare(place, '$eq', item))]);
    default:
      return any(scalarsIn(value).map((item) => compare(place, operator, item)));
  }
}

/** The list at the place has an element that meets what `translate` makes of the places of the element's own facts. */
export function elementOfJson(
  place: Place,
  depth: number,
  translate: (placeOf: (path: string) => Place) => Expression,
): Expression {
  const item = raw(`e${depth}.item`);
  // Below an element that is a list itself lies nothing; jsonpath would look into each of its elements.
  const named = sql`(CASE WHEN jsonb_typeof(${item}) = 'object' THEN ${item} END)`;
  const inner = translate((path) =>
    path === '' ? { value: item, path: [], isElement: true } : { value: named, path: path.split('.') },
  );
  if (inner === FALSE) return FALSE;
  const elements = sql`jsonb_path_query(${withoutNulls(place)}, ${bind(`${pathTo(place.path)}[*]`, 'jsonpath')})`;
  const found = sql`EXISTS (SELECT FROM ${elements} AS ${raw(`e${depth}`)}(item) WHERE ${render(inner)})`;
  return all([isList(place), test(found)]);
}

/** What a jsonb value must not be. */
export function isNoJson(value: Fragment, type: 'array' | 'object'): Expression {
  return test(sql`jsonb_typeof(${value}) NOT IN (${raw(`'${type}'`)}, 'null')`);
}

/** A jsonpath asked of a value. Where it finds nothing, also by an error of its strict mode, the test is not met. */
export function asks(value: Fragment, jsonpath: string): Expression {
  return test(sql`${value} @\\? ${bind(jsonpath, 'jsonpath')}`);
}

/** The operand's values; templates were settled before. */
export function scalarsIn(operand: Operand): Scalar[] {
  return (Array.isArray(operand) ? operand : [operand]).map((item) => {
    if (typeof item === 'object') throw new Error(`template principal.${item.template} was not settled`);
    return item;
  });
}

function isOneOf(place: Place, values: readonly Scalar[]): Expression {
  const literals = values.flatMap((value) => jsonLiteral(value) ?? []);
  const numbers = values.filter((value) => typeof value === 'number');
  return any([
    ...(literals.length > 0
      ? [asks(place.value, `${pathTo(place.path)} ? (${literals.map(({ test: is }) => is).join(' || ')})`)]
      : []),
    ...numbers.map((value) => compare(place, '$eq', value)),
  ]);
}

/** A text, true or false in jsonpath; a text that no value of PostgreSQL can have is none. */
function jsonLiteral(value: Scalar): { test: string } | undefined {
  if (typeof value === 'number' || (typeof value === 'string' && !isStorable(value))) return undefined;
  return { test: `(@.type() == "${typeof value}" && @ == ${JSON.stringify(value)})` };
}

const jsonOrders: Partial<Record<TestOperator, string>> = {
  $eq: '==',
  $lt: '<',
  $lte: '<=',
  $gt: '>',
  $gte: '>=',
};

/** Of a list, one element is enough (jsonpath's lax mode looks into lists by itself, one level deep, as matchers do). */
function compare({ value: of, path }: Place, operator: TestOperator, value: Scalar): Expression {
  if (typeof value === 'number')
    return operator === '$regex'
      ? FALSE
      : asks(of, `${pathTo(path)} ? (@.type() == "number" && ${jsonNumber(operator, value)})`);
  if (operator === '$eq' && typeof value === 'string' && !isStorable(value)) return FALSE;
  if (typeof value === 'string' && operator !== '$eq' && !isOrderedAlike(operator, value)) {
    const texts = sql`jsonb_path_query(${of}, ${bind(`${pathTo(path)} ? (@.type() == "string")`, 'jsonpath')})`;
    const met = render(compareText(raw(`(t.item #>> '{}')`), operator, value));
    return test(sql`EXISTS (SELECT FROM ${texts} AS t(item) WHERE ${met})`);
  }
  const order = jsonOrders[operator];
  return order === undefined
    ? FALSE
    : asks(of, `${pathTo(path)} ? (@.type() == "${typeof value}" && @ ${order} ${JSON.stringify(value)})`);
}

/** Whether jsonpath, which orders by code point, orders others against this text as decisions do. */
function isOrderedAlike(operator: TestOperator, value: string): boolean {
  return operator !== '$regex' && isStorable(value) && !/[\u{e000}-\u{10ffff}]/u.test(value);
}

/** Something that is not null, which decisions take for absent. Through a list: in one of its elements. */
function exists({ value, path, isElement }: Place): Expression {
  if (isElement) return TRUE;
  return path.length === 0
    ? test(sql`jsonb_typeof(${value}) <> 'null'`)
    : asks(value, `${pathTo(path)}.type() ? (@ != "null")`);
}

/** Through a list, one of its elements has a list of that length. */
function hasSize({ value, path }: Place, length: number): Expression {
  const last = path.at(-1);
  if (last === undefined)
    return test(
      sql`CASE WHEN jsonb_typeof(${value}) = 'array' THEN jsonb_array_length(${value}) = ${bind(length, 'numeric')} END`,
    );
  const inParent = `@.type() == "object" && @."${last}".type() == "array" && @."${last}".size() == ${length}`;
  return asks(value, `${pathTo(path.slice(0, -1))} ? (${inParent})`);
}

/** A list is what is a list at the place, or what several elements on the way have there. */
function isList(place: Place): Expression {
  if (place.path.length === 0) return test(sql`jsonb_typeof(${place.value}) = 'array'`);
  const value = withoutNulls(place);
  const direct = `strict ${pathTo(place.path)}`;
  return any([
    asks(value, `${direct} ? (@.type() == "array")`),
    all([asks(value, `${pathTo(place.path)}[*]`), not(asks(value, direct))]),
  ]);
}

/** As decisions see it: without the fields that are null; elements that are null stay. */
function withoutNulls({ value, path, isElement }: Place): Fragment {
  return isElement || path.length === 0 ? value : sql`jsonb_strip_nulls(${value})`;
}

/** Names are quoted: none is taken for a method, a variable or a keyword. */
function pathTo(path: readonly string[]): string {
  return ['$', ...path.map((name) => `"${name}"`)].join('.');
}
