/** An ability as plain CASL rules, for browsers and other CASL clients: what they can decide themselves, and what not. */
import type { RawRule } from '@casl/ability';
import type { Ability, AbilityRule } from '../policy/ability.ts';
import { isAlways } from '../policy/ability.ts';
import { type Condition, pathsOf, type TestOperator } from '../policy/condition.ts';
import {
  ANY_TYPE,
  type AttributeSpec,
  type AttributeType,
  type Query,
  type ResourceType,
} from '../policy/policy.ts';
import { isOfAncestors } from '../policy/resolve-ancestors.ts';

export interface PlainAbility {
  revision: number;
  /** Feed `createMongoAbility` as they are. */
  rules: (RawRule<[string, string], Query> & { id?: never })[];
  /** Rules that only the gateway can decide: about the request, or beyond what plain CASL can say. */
  serverOnly: {
    id: string;
    action: readonly string[];
    subject: readonly string[];
    inverted: boolean;
    reason?: string;
  }[];
}

/** How a path is declared in every type of the rule; undefined where it is not declared in detail. */
type Declared = (path: string) => AttributeSpec | undefined;

type Test = Extract<Condition, { kind: 'test' }>;
type Conjunct = (Test | Extract<Condition, { kind: 'element' }>)[];

const MOST_ALTERNATIVES = 32;

/** Splits an ability into plain CASL rules, in CASL's order, and those that have to stay on the server. */
export function toPlainAbility(ability: Ability, types: ReadonlyMap<string, ResourceType>): PlainAbility {
  const plain: PlainAbility = { revision: ability.revision, rules: [], serverOnly: [] };
  for (const rule of ability.rules) {
    const queries = canDecide(rule) ? toQueries(rule.condition, declaredBy(rule, types)) : undefined;
    const common = {
      action: [...rule.actions],
      subject: [...rule.subjects],
      inverted: rule.effect === 'deny',
    };
    if (!queries) {
      plain.serverOnly.push({
        id: rule.id,
        ...common,
        ...(rule.reason !== undefined && { reason: rule.reason }),
      });
      continue;
    }
    for (const query of queries)
      plain.rules.push({
        ...common,
        ...fieldsOf(rule, types),
        ...(query && { conditions: query }),
        ...(rule.reason !== undefined && { reason: rule.reason }),
      });
  }
  return plain;
}

/** About the request a browser knows too little; and what a resource lies in, only the gateway knows: a deny would not fire. */
function canDecide({ when, condition }: AbilityRule): boolean {
  return isAlways(when) && !pathsOf(condition).some(isOfAncestors);
}

/** In Castellan a field covers what lies below it; CASL wants that spelled out. */
function fieldsOf(rule: AbilityRule, types: ReadonlyMap<string, ResourceType>): { fields?: string[] } {
  if (!rule.fields) return {};
  const hasParts = (field: string) =>
    rule.subjects.some((name) =>
      ['object', 'array'].includes(types.get(name)?.attributes[field.split('.')[0] ?? '']?.type ?? ''),
    );
  return { fields: rule.fields.flatMap((field) => (hasParts(field) ? [field, `${field}.**`] : [field])) };
}

function declaredBy(rule: AbilityRule, types: ReadonlyMap<string, ResourceType>): Declared {
  return (path) =>
    rule.subjects
      .map((name) => (name === ANY_TYPE && path === 'id' ? anyId : types.get(name)?.attributes[path]))
      .reduce((all, spec) =>
        spec && all && spec.type === all.type && spec.items === all.items ? all : undefined,
      );
}

const anyId: AttributeSpec = { type: 'string' };

/** One query for each alternative (rules of one effect side by side are an "or"); undefined: CASL cannot say it. */
function toQueries(condition: Condition, declared: Declared): (Query | undefined)[] | undefined {
  if (isAlways(condition)) return [undefined];
  const queries = alternatives(condition)?.map((conjunct) => toQuery(conjunct, declared));
  return queries?.every((query) => query !== undefined) ? queries : undefined;
}

/** Disjunctive normal form, as long as it stays small. */
function alternatives(condition: Condition): Conjunct[] | undefined {
  switch (condition.kind) {
    case 'test':
    case 'element':
      return [[condition]];
    case 'any': {
      const parts = condition.of.map(alternatives);
      return parts.every((part) => part !== undefined) ? small(parts.flat()) : undefined;
    }
    case 'all': {
      let all: Conjunct[] | undefined = [[]];
      for (const part of condition.of) {
        const options = alternatives(part);
        all = options && all && small(all.flatMap((left) => options.map((right) => [...left, ...right])));
      }
      return all;
    }
    case 'not': {
      const opposite = negate(condition.of);
      return opposite && alternatives(opposite);
    }
    default:
      return undefined;
  }
}

function small(conjuncts: Conjunct[]): Conjunct[] | undefined {
  return conjuncts.length <= MOST_ALTERNATIVES ? conjuncts : undefined;
}

const opposites: Partial<Record<TestOperator, TestOperator>> = {
  $eq: '$ne',
  $ne: '$eq',
  $in: '$nin',
  $nin: '$in',
};

/** By De Morgan; what is missing is ordered against nothing, so the opposite of `$lt` is no `$gte`. */
function negate(condition: Condition): Condition | undefined {
  if (condition.kind === 'not') return condition.of;
  if (condition.kind === 'all' || condition.kind === 'any') {
    const of = condition.of.map(negate);
    if (!of.every((part) => part !== undefined)) return undefined;
    return { kind: condition.kind === 'all' ? 'any' : 'all', of };
  }
  if (condition.kind !== 'test') return undefined;
  if (condition.operator === '$exists') return { ...condition, value: !condition.value };
  const operator = opposites[condition.operator];
  return operator && { ...condition, operator };
}

function toQuery(conjunct: Conjunct, declared: Declared): Query | undefined {
  const query: Record<string, Record<string, unknown>> = {};
  for (const part of conjunct) {
    const tests = part.kind === 'element' ? elementTests(part, declared) : plainTests(part, declared);
    if (!tests) return undefined;
    const merged = query[part.path] ?? {};
    query[part.path] = merged;
    for (const [operator, value] of Object.entries(tests)) {
      if (operator in merged && merged[operator] !== value) return undefined;
      merged[operator] = value;
    }
  }
  return Object.fromEntries(Object.entries(query).map(([path, tests]) => [path, simplest(tests)]));
}

/** What CASL reads otherwise than we do is left to the server. */
function plainTests(
  { path, operator, value }: Test,
  declared: Declared,
): Record<string, unknown> | undefined {
  if (path.split('.').slice(1).includes('length')) return undefined;
  switch (operator) {
    case '$regex': {
      const source = portablePattern(String(value));
      return source === undefined ? undefined : { $regex: source, $options: 'u' };
    }
    case '$lt':
    case '$lte':
    case '$gt':
    case '$gte':
      // Of two types, CASL compares 10 with "9". It also orders what is missing below everything.
      if (!isOfItsType(value, declared(path))) return undefined;
      return operator === '$lt' || operator === '$lte'
        ? { [operator]: value, $exists: true }
        : { [operator]: value };
    case '$exists':
      // Through a list, CASL's absence means that any element lacks it; of an element itself, it is always met.
      return value === false && (path === '' || path.includes('.')) ? undefined : { $exists: value };
    case '$all':
      return path.includes('.') && Array.isArray(value) && value.length === 0 ? undefined : { $all: value };
    default:
      return { [operator]: value };
  }
}

/** Of a list: as its elements are declared. */
function isOfItsType(value: unknown, spec: AttributeSpec | undefined): boolean {
  const type = spec?.type === 'array' ? spec.items : spec?.type;
  return typeof value === (type === 'number' || type === 'integer' ? 'number' : 'string') && isOrdered(type);
}

function isOrdered(type: AttributeType | undefined): boolean {
  return type !== undefined && !['boolean', 'array', 'object'].includes(type);
}

function elementTests(
  { path, of }: Extract<Condition, { kind: 'element' }>,
  declared: Declared,
): Record<string, unknown> | undefined {
  const [conjunct, ...others] = alternatives(of) ?? [];
  if (!conjunct || others.length > 0) return undefined;
  const onItself = conjunct.filter((part) => part.path === '');
  if (onItself.length > 0 && onItself.length < conjunct.length) return undefined;
  const items = declared(path)?.items;
  // CASL throws when it looks below an element that is 0 or ''.
  if (onItself.length === 0 && items !== 'object') return undefined;
  const query = toQuery(conjunct, (inner) => (inner === '' && items ? { type: items } : undefined));
  const inner = onItself.length > 0 && query ? operatorsOf(query['']) : query;
  return inner && { $elemMatch: inner };
}

function operatorsOf(tests: unknown): Query {
  return typeof tests === 'object' && tests !== null ? (tests as Query) : { $eq: tests };
}

function simplest(tests: Record<string, unknown>): unknown {
  return Object.keys(tests).length === 1 && '$eq' in tests ? tests.$eq : tests;
}

/** A piece of a pattern: an escape, the beginning or end of a class, any other character. */
const pieces = /\\[\s\S]|\[\^?|[\s\S]/gu;
const sharedEscapes = /^\\[dDwWbB\\.^$|?*+()[\]{}/-]$/;
const space = '\\t\\n\\f\\r ';

/**
 * The pattern for JavaScript's `u` mode that matches what RE2 matches; undefined where there may be none. RE2 has its own
 * flags, groups and classes; its `.` stops only at \n and its `\s` knows only ASCII.
 */
function portablePattern(pattern: string): string | undefined {
  if (/\(\?(?!:)|\[\^?\]|\[:/.test(pattern)) return undefined;
  // A repeated group can take a backtracking engine for ever; RE2 does not mind, a browser's page would freeze.
  if (/\)[*+?{]/.test(pattern)) return undefined;
  let isInClass = false;
  let portable = '';
  for (const [piece] of pattern.matchAll(pieces)) {
    if (piece === '\\s') portable += isInClass ? space : `[${space}]`;
    else if (piece === '\\S' && !isInClass) portable += `[^${space}]`;
    else if (piece.startsWith('\\') && !sharedEscapes.test(piece)) return undefined;
    else if (piece === '.' && !isInClass) portable += '[^\\n]';
    else portable += piece;
    if (piece.startsWith('[')) isInClass = true;
    else if (piece === ']') isInClass = false;
  }
  try {
    new RegExp(portable, 'u');
    return portable;
  } catch {
    return undefined;
  }
}
