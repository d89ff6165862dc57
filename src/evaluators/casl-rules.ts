/** An ability as plain CASL rules, for browsers and other CASL clients: what they can decide themselves, and what not. */
import type { RawRule } from '@casl/ability';
import type { Ability, AbilityRule } from '../policy/ability.ts';
import { isAlways } from '../policy/ability.ts';
import type { Condition, TestOperator } from '../policy/condition.ts';
import type { Query, ResourceType } from '../policy/policy.ts';

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

type Test = Extract<Condition, { kind: 'test' }>;
type Conjunct = (Test | Extract<Condition, { kind: 'element' }>)[];

const MOST_ALTERNATIVES = 32;

/** Splits an ability into plain CASL rules, in CASL's order, and those that have to stay on the server. */
export function toPlainAbility(ability: Ability, types: ReadonlyMap<string, ResourceType>): PlainAbility {
  const plain: PlainAbility = { revision: ability.revision, rules: [], serverOnly: [] };
  for (const rule of ability.rules) {
    const queries = isAlways(rule.when) ? toQueries(rule.condition) : undefined;
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

/** In Castellan a field covers what lies below it; CASL wants that spelled out. */
function fieldsOf(rule: AbilityRule, types: ReadonlyMap<string, ResourceType>): { fields?: string[] } {
  if (!rule.fields) return {};
  const hasParts = (field: string) =>
    rule.subjects.some((name) =>
      ['object', 'array'].includes(types.get(name)?.attributes[field.split('.')[0] ?? '']?.type ?? ''),
    );
  return { fields: rule.fields.flatMap((field) => (hasParts(field) ? [field, `${field}.**`] : [field])) };
}

/** One query for each alternative (rules of one effect side by side are an "or"); undefined: CASL cannot say it. */
function toQueries(condition: Condition): (Query | undefined)[] | undefined {
  if (isAlways(condition)) return [undefined];
  const queries = alternatives(condition)?.map(toQuery);
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

function toQuery(conjunct: Conjunct): Query | undefined {
  const query: Record<string, Record<string, unknown>> = {};
  for (const part of conjunct) {
    const tests = part.kind === 'element' ? elementTests(part.of) : plainTests(part);
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

/** Plain CASL orders what is missing below everything, so an order asks for presence too (design 3: "ordered against nothing"). */
function plainTests({ operator, value }: Test): Record<string, unknown> | undefined {
  if (operator === '$regex' && !isPortablePattern(String(value))) return undefined;
  return operator === '$lt' || operator === '$lte'
    ? { [operator]: value, $exists: true }
    : { [operator]: value };
}

function elementTests(condition: Condition): Record<string, unknown> | undefined {
  const [conjunct, ...others] = alternatives(condition) ?? [];
  if (!conjunct || others.length > 0) return undefined;
  const onItself = conjunct.filter((part) => part.path === '');
  if (onItself.length > 0 && onItself.length < conjunct.length) return undefined;
  const query = toQuery(conjunct);
  const inner = onItself.length > 0 && query ? operatorsOf(query['']) : query;
  return inner && { $elemMatch: inner };
}

function operatorsOf(tests: unknown): Query {
  return typeof tests === 'object' && tests !== null ? (tests as Query) : { $eq: tests };
}

function simplest(tests: Record<string, unknown>): unknown {
  return Object.keys(tests).length === 1 && '$eq' in tests ? tests.$eq : tests;
}

/** Only what RE2 and JavaScript read alike: no flags, no groups but `(` and `(?:`, no escapes but the common ones. */
function isPortablePattern(pattern: string): boolean {
  if (
    /\(\?(?!:)/.test(pattern) ||
    /\\[^dDwWsSbB\\.^$|?*+()[\]{}/-]/.test(pattern) ||
    /\[\[:|\[\]|\[\^\]/.test(pattern)
  )
    return false;
  try {
    new RegExp(pattern);
    return true;
  } catch {
    return false;
  }
}
