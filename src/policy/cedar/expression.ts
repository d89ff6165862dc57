/** Conditions of rules as expressions of Cedar, of the same meaning for every request that Cedar can be asked. */
import { type Condition, isTemplate, type Operand, type Template, type TestOperator } from '../condition.ts';
import type { AttributeSpec } from '../policy.ts';
import { comparedAs, inexpressible, literal, networkLiteral } from './literals.ts';

/** A place that a test asks about. */
export interface Place {
  value: string;
  /** Whether it is there; undefined: it always is. */
  has: string | undefined;
  spec: AttributeSpec;
}

export interface Places {
  /** The place of a path of the condition. Throws InexpressibleError. */
  at(path: string): Place;
  /** The place of a principal's attribute, for templates. Throws InexpressibleError. */
  ofPrincipal(path: string): Place;
}

type Test = Extract<Condition, { kind: 'test' }>;

/**
 * The expression for a condition. `unknown`: what a test counts as whose template cannot be resolved, which a negation
 * turns round; as in `settle`. What is missing is asked for first (`has`): to Cedar it would be an error. Throws
 * InexpressibleError.
 */
export function expressionOf(condition: Condition, places: Places, unknown: boolean): string {
  switch (condition.kind) {
    case 'fixed':
      return String(condition.value);
    case 'all':
      return joined(
        condition.of.map((part) => expressionOf(part, places, unknown)),
        '&&',
      );
    case 'any':
      return joined(
        condition.of.map((part) => expressionOf(part, places, unknown)),
        '||',
      );
    case 'not':
      return `!(${expressionOf(condition.of, places, !unknown)})`;
    case 'element':
      return inexpressible('asks about elements of a list one by one ($elemMatch)');
    case 'test':
      return testOf(condition, places, unknown);
  }
}

export function joined(parts: readonly string[], operator: '&&' | '||'): string {
  if (parts.length === 0) return String(operator === '&&');
  return parts.length === 1 ? (parts[0] ?? '') : `(${parts.join(` ${operator} `)})`;
}

/** A test whose templates are all there, or else what an unknown test counts as. */
function testOf(test: Test, places: Places, unknown: boolean): string {
  const templates = [test.value].flat().filter(isTemplate);
  const known = templates.flatMap(({ template }) => places.ofPrincipal(template).has ?? []);
  const told = plainTest(test, places);
  if (known.length === 0) return told;
  return unknown ? `(!(${known.join(' && ')}) || ${told})` : joined([...known, told], '&&');
}

function plainTest({ path, operator, value }: Test, places: Places): string {
  const place = places.at(path);
  const negated = opposites[operator];
  const inner = negated
    ? comparison(negated, place, value, places)
    : comparison(operator, place, value, places);
  if (operator === '$exists') return value === true ? (place.has ?? 'true') : `!(${place.has ?? 'true'})`;
  const there = place.has === undefined ? inner : joined([place.has, inner], '&&');
  return negated ? `!(${there})` : there;
}

/** `$ne` and `$nin` are the plain opposites: they match what is missing. */
const opposites: Partial<Record<TestOperator, TestOperator>> = { $ne: '$eq', $nin: '$in' };

const orders: Partial<Record<TestOperator, { sign: string; decimal: string }>> = {
  $lt: { sign: '<', decimal: 'lessThan' },
  $lte: { sign: '<=', decimal: 'lessThanOrEqual' },
  $gt: { sign: '>', decimal: 'greaterThan' },
  $gte: { sign: '>=', decimal: 'greaterThanOrEqual' },
};

function comparison(operator: TestOperator, place: Place, value: Operand, places: Places): string {
  const { value: found, spec } = place;
  if (operator === '$exists') return 'true';
  if (operator === '$cidr') return rangesOf(found, value);
  const isList = spec.type === 'array';
  const order = orders[operator];
  if (order && !isList) return orderOf(order, place, value, places);
  switch (operator) {
    case '$eq':
      return isList
        ? `${found}.contains(${one(value, place, places)})`
        : `${found} == ${one(value, place, places)}`;
    case '$in':
      return isList
        ? `${found}.containsAny(${several(value, place, places)})`
        : `${several(value, place, places)}.contains(${found})`;
    case '$all':
      return `${found}.containsAll(${several(value, place, places)})`;
    case '$size':
      return value === 0
        ? `${found}.isEmpty()`
        : inexpressible('asks for the size of a list: sets of Cedar count no value twice');
    default:
      return inexpressible(`uses ${operator}${isList ? ' on a list' : ''}`);
  }
}

function rangesOf(found: string, value: Operand): string {
  const networks = [value].flat().map((network) => networkLiteral(String(network)));
  return joined(
    networks.map((network) => `${found}.isInRange(${network})`),
    '||',
  );
}

function orderOf(
  { sign, decimal }: { sign: string; decimal: string },
  place: Place,
  value: Operand,
  places: Places,
): string {
  const kind = comparedAs[place.spec.type];
  const other = one(value, place, places);
  if (kind === 'decimal') return `${place.value}.${decimal}(${other})`;
  return kind === 'Long' || kind === 'datetime'
    ? `${place.value} ${sign} ${other}`
    : inexpressible(`orders a ${place.spec.type}, which has no order in Cedar`);
}

/** A single value: written out, or an attribute of the principal of the same kind. */
function one(value: Operand, { spec }: Place, places: Places): string {
  const type = elementTypeOf(spec);
  if (Array.isArray(value)) return inexpressible('compares with a list');
  if (!isTemplate(value)) return literal(value, type);
  const { value: text, spec: given } = places.ofPrincipal(value.template);
  if (given.type === 'array' || comparedAs[given.type] !== comparedAs[type]) return unlike(value, given);
  return text;
}

/** A set: written out, or a list of the principal whose elements are of the same kind. */
function several(value: Operand, place: Place, places: Places): string {
  if (Array.isArray(value)) return `[${value.map((item) => one(item, place, places)).join(', ')}]`;
  if (!isTemplate(value)) return inexpressible('compares with a single value where a list is asked for');
  const { value: text, spec: given } = places.ofPrincipal(value.template);
  const isSame =
    given.type === 'array' &&
    given.items &&
    comparedAs[given.items] === comparedAs[elementTypeOf(place.spec)];
  return isSame ? text : unlike(value, given);
}

function unlike({ template }: Template, { type }: AttributeSpec): never {
  return inexpressible(`compares with principal.${template}, a ${type}, which is of another kind in Cedar`);
}

function elementTypeOf(spec: AttributeSpec): AttributeSpec['type'] {
  if (spec.type !== 'array') return spec.type === 'object' ? inexpressible('compares an object') : spec.type;
  const { items } = spec;
  return items && comparedAs[items]
    ? items
    : inexpressible('compares elements whose type is not declared, or is no single value');
}
