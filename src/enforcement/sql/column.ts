/** Conditions on columns: for each type of column, what a test is in SQL, and which values no decision would take. */
import type { Condition } from '../../policy/condition.ts';
import type { AttributeSpec, AttributeType } from '../../policy/policy.ts';
import { any, bind, type Expression, FALSE, type Fragment, raw, render, sql, test } from './expression.ts';
import { translateGroup } from './group.ts';
import { asks, elementOfJson, isNoJson, type Place, testJson } from './json.ts';
import { elementOfList, misfitList, testList } from './list-column.ts';
import { misfitNumber, OVERFLOW } from './number.ts';
import { misfitScalar, type ScalarColumnType, testScalar } from './scalar-column.ts';
import { Untranslatable } from './untranslatable.ts';

type Test = Extract<Condition, { kind: 'test' }>;
type Element = Extract<Condition, { kind: 'element' }>;

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
  return elementOfList(column, elementType(type), of);
}

/** Rows whose value no decision would take, so that they are denied as a whole. */
export function misfitColumn({ column, type }: TypedColumn, spec: AttributeSpec): Expression {
  if (type === 'jsonb') return misfitJson(column, spec);
  return isList(type)
    ? misfitList(column, elementType(type), spec.items === 'integer')
    : misfitScalar(column, type, spec.type === 'integer');
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
