/** One rule against the resource types and roles of its policy: read into conditions, or every problem with it. */
import type { Problem } from '../errors.ts';
import {
  ACCOUNT_TYPE,
  ANCESTORS,
  API_KEY_TYPE,
  actionFacts,
  ancestorsSpec,
  contextFacts,
  principalFacts,
} from './built-in.ts';
import { ALWAYS, type Condition, isSafePath } from './condition.ts';
import { parseQuery, type Resolved, type Scope, unsafePath } from './parse-condition.ts';
import {
  ANY_ACTION,
  ANY_TYPE,
  type AttributeSpec,
  builtInRoles,
  listOf,
  type ResourceType,
  type Rule,
} from './policy.ts';
import { isOfAncestors, resolveBelowAncestors, resolveOfAncestor } from './resolve-ancestors.ts';
import { closest, unknownName } from './suggest.ts';

/** What a rule may refer to. */
export interface Vocabulary {
  types: ReadonlyMap<string, ResourceType>;
  roles: ReadonlySet<string>;
}

export interface CheckedRule {
  condition: Condition;
  when: Condition;
  problems: Problem[];
}

/** Reads a rule of the right shape. `base` is the pointer to it. */
export function checkRule(rule: Rule, vocabulary: Vocabulary, base = ''): CheckedRule {
  const problems = [
    ...checkHolder(rule, vocabulary, base),
    ...checkWhat(rule, vocabulary, base),
    ...checkWindow(rule, base),
  ];
  const types = listOf(rule.subject).map((name) =>
    name === ANY_TYPE ? anyType : vocabulary.types.get(name),
  );
  const known = types.filter((type) => type !== undefined);
  problems.push(...checkFields(rule, known, base));
  const condition = readConditions(rule, known, vocabulary, base, problems);
  const when = rule.when
    ? parseQuery(rule.when, `${base}/when`, whenScope(vocabulary))
    : { condition: ALWAYS, problems: [] };
  problems.push(...when.problems);
  return { condition, when: when.condition, problems };
}

/** What every resource type has in common. */
const anyType: ResourceType = {
  type: ANY_TYPE,
  description: '',
  actions: [],
  attributes: { id: { type: 'string' } },
  source: null,
  evaluator: '',
};

function checkHolder(rule: Rule, { roles, types }: Vocabulary, base: string): Problem[] {
  if ((rule.role === undefined) === (rule.principal === undefined)) {
    return [
      { pointer: `${base}/role`, code: 'holder', message: 'exactly one of role and principal must be given' },
    ];
  }
  if (rule.principal !== undefined) {
    // Principals may be of types that nobody registered, but a name that is close to a known one is taken for a slip.
    const [type = ''] = rule.principal.split(':');
    const isSlip = type !== API_KEY_TYPE && !types.has(type) && closest(type, types.keys()) !== undefined;
    return isSlip ? [unknownName(`${base}/principal`, 'type', type, [...types.keys()])] : [];
  }
  if (
    rule.role === undefined ||
    roles.has(rule.role) ||
    (builtInRoles as readonly string[]).includes(rule.role)
  )
    return [];
  return [unknownName(`${base}/role`, 'role', rule.role, [...roles, ...builtInRoles])];
}

function checkWhat(rule: Rule, { types }: Vocabulary, base: string): Problem[] {
  const problems: Problem[] = [];
  const subjects = listOf(rule.subject);
  subjects.forEach((name, index) => {
    if (name !== ANY_TYPE && !types.has(name))
      problems.push(
        unknownName(at(base, 'subject', rule.subject, index), 'type', name, [...types.keys(), ANY_TYPE]),
      );
  });
  listOf(rule.action).forEach((action, index) => {
    if (action === ANY_ACTION) return;
    const without = subjects.filter((name) =>
      name === ANY_TYPE
        ? !anyTypeHas(types, action)
        : types.has(name) && !types.get(name)?.actions.includes(action),
    );
    if (without.length === 0) return;
    const asked = without.includes(ANY_TYPE) ? [...types.values()] : without.map((name) => types.get(name));
    const candidates = [...asked.flatMap((type) => type?.actions ?? []), ANY_ACTION];
    problems.push(
      unknownName(
        at(base, 'action', rule.action, index),
        'action',
        action,
        candidates,
        ` of ${without.join(', ')}`,
      ),
    );
  });
  return problems;
}

function anyTypeHas(types: Vocabulary['types'], action: string): boolean {
  return [...types.values()].some((type) => type.actions.includes(action));
}

function checkWindow(rule: Rule, base: string): Problem[] {
  if (!rule.validFrom || !rule.validUntil || Date.parse(rule.validFrom) < Date.parse(rule.validUntil))
    return [];
  return [{ pointer: `${base}/validUntil`, code: 'window', message: 'must be later than validFrom' }];
}

function checkFields(rule: Rule, types: ResourceType[], base: string): Problem[] {
  return (rule.fields ?? []).flatMap((field, index): Problem[] => {
    const pointer = `${base}/fields/${index}`;
    for (const type of types) {
      const resolved = resolveAttribute(field, declaredOf(type), type.type, 'field');
      if ('problem' in resolved)
        return [
          {
            pointer,
            code: resolved.code,
            message: resolved.problem,
            ...(resolved.suggestion && { suggestion: resolved.suggestion }),
          },
        ];
    }
    return [];
  });
}

/** A condition must mean the same for each of the rule's types. */
function readConditions(
  rule: Rule,
  types: ResourceType[],
  vocabulary: Vocabulary,
  base: string,
  problems: Problem[],
): Condition {
  if (!rule.conditions) return ALWAYS;
  const pointer = `${base}/conditions`;
  const readings = types.map((type) => parseQuery(rule.conditions, pointer, resourceScope(type, vocabulary)));
  const [first] = readings;
  const found = new Map(
    readings
      .flatMap((reading) => reading.problems)
      .map((problem) => [`${problem.pointer} ${problem.code}`, problem]),
  );
  if (found.size > 0) problems.push(...found.values());
  else if (
    readings.some((reading) => JSON.stringify(reading.condition) !== JSON.stringify(first?.condition))
  ) {
    problems.push({
      pointer,
      code: 'ambiguous',
      message: 'an attribute has different types in the resource types named; write one rule for each',
    });
  }
  return first?.condition ?? ALWAYS;
}

function resourceScope(type: ResourceType, vocabulary: Vocabulary): Scope {
  return {
    network: false,
    resolve: (path) => {
      if (path === ANCESTORS) return { spec: ancestorsSpec };
      if (isOfAncestors(path))
        return resolveBelowAncestors(path.slice(ANCESTORS.length + 1), vocabulary.types);
      return resolveAttribute(path, declaredOf(type), type.type, 'attribute', [ANCESTORS]);
    },
    ofElement: (path, query) =>
      path === ANCESTORS ? (inner) => resolveOfAncestor(inner, vocabulary.types, query) : undefined,
    principalAttribute: (path) => resolvePrincipal(path, vocabulary),
  };
}

/** Every resource has an id, whether its type says of what kind or not. */
function declaredOf({ attributes }: ResourceType): Record<string, AttributeSpec> {
  return { id: { type: 'string' }, ...attributes };
}

function whenScope(vocabulary: Vocabulary): Scope {
  return {
    network: true,
    ofElement: (path, query) =>
      path === `principal.${ANCESTORS}`
        ? (inner) => resolveOfAncestor(inner, vocabulary.types, query)
        : undefined,
    principalAttribute: (path) => resolvePrincipal(path, vocabulary),
    resolve: (path) => {
      if (!isSafePath(path)) return unsafePath(path);
      const [root, ...rest] = path.split('.');
      const name = rest.join('.');
      if (rest.length > 0 && root === 'principal') return resolvePrincipal(name, vocabulary);
      if (rest.length > 0 && root === 'action') return resolveFact(root, name, actionFacts);
      if (rest.length > 0 && root === 'context') return resolveFact(root, name, contextFacts);
      return {
        code: 'unknown_path',
        problem: `${path} is not a path of when; they begin with principal., action. or context.`,
      };
    },
  };
}

/** Whoever asks may give facts of their own, but a name that is close to a known one is taken for a slip. */
function resolveFact(root: string, name: string, facts: Record<string, AttributeSpec>): Resolved {
  const spec = Object.hasOwn(facts, name) ? facts[name] : undefined;
  if (spec) return { spec };
  const suggestion = closest(name, Object.keys(facts));
  return suggestion
    ? {
        code: 'unknown_attribute',
        problem: `${root}.${name} is not known; did you mean ${root}.${suggestion}?`,
        suggestion,
      }
    : {};
}

const ofPrincipals = new WeakMap<Vocabulary['types'], Record<string, AttributeSpec>>();

function resolvePrincipal(path: string, { types }: Vocabulary): Resolved {
  if (path !== ANCESTORS && isOfAncestors(path))
    return resolveBelowAncestors(path.slice(ANCESTORS.length + 1), types);
  const attributes = ofPrincipals.get(types) ?? {
    ...types.get(ACCOUNT_TYPE)?.attributes,
    ...principalFacts,
  };
  ofPrincipals.set(types, attributes);
  return resolveAttribute(path, attributes, 'principal', 'attribute');
}

function resolveAttribute(
  path: string,
  attributes: Record<string, AttributeSpec>,
  owner: string,
  what: string,
  alsoKnown: readonly string[] = [],
): Resolved {
  if (!isSafePath(path)) return unsafePath(path);
  const [name = '', ...rest] = path.split('.');
  const spec = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
  if (!spec) {
    const suggestion = closest(name, [...Object.keys(attributes), ...alsoKnown]);
    const hint = suggestion
      ? `; did you mean ${[suggestion, ...rest].join('.')}?`
      : `; it has ${Object.keys(attributes).join(', ')}`;
    return {
      code: `unknown_${what}`,
      problem: `${name} is not an attribute of ${owner}${hint}`,
      ...(suggestion && { suggestion }),
    };
  }
  if (rest.length === 0) return { spec };
  if (spec.type === 'object' || (spec.type === 'array' && (spec.items ?? 'object') === 'object')) return {};
  return { code: `unknown_${what}`, problem: `${name} is a ${spec.type}; nothing lies below it` };
}

function at(base: string, key: string, value: string | string[], index: number): string {
  return Array.isArray(value) ? `${base}/${key}/${index}` : `${base}/${key}`;
}
