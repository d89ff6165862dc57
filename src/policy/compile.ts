/** Policy rows in, immutable snapshot or all problems out. A pure function. */
import { createHash } from 'node:crypto';
import type { Problem } from '../errors.ts';
import { canonicalId } from './attributes.ts';
import { checkCedar } from './cedar/check-cedar.ts';
import { checkCases } from './check-cases.ts';
import { checkParts } from './check-parts.ts';
import { checkRule, type Vocabulary } from './check-rule.ts';
import type { Condition } from './condition.ts';
import {
  ANY_TYPE,
  emptyPolicy,
  listOf,
  type Policy,
  type ResourceType,
  type Role,
  type Rule,
} from './policy.ts';
import { type CheckedRoutes, checkRoutes } from './routes/check-routes.ts';
import { targetsOf } from './routes/compile-route.ts';
import type { Route } from './routes/route.ts';
import { makeRouteTable } from './routes/route-table.ts';
import type { CompiledRule, Snapshot } from './snapshot.ts';

export interface CompileOptions {
  revision: number;
  /** The names of the evaluators that a resource type may ask for. */
  evaluators: readonly string[];
  /** Left out: rules are not held against tables, as when what is stored is read. */
  tables?: TableCheck;
  /** Why a route may not lead to a target; undefined where it may. Left out: routes may lead anywhere. */
  refusalOf?(target: URL): string | undefined;
  /** The snapshot before: rules that are the same object, under the same vocabulary, are not read again. */
  previous?: Snapshot;
}

/** What the tables behind resource types can be asked; it is enforcement that knows. */
export interface TableCheck {
  /** Attributes that the type's table holds in columns of another kind, and what is wrong with them. */
  attributes(type: ResourceType): { attribute: string; message: string }[];
  /** Why a list of the type could not be narrowed by the condition; undefined where it can, or there is no table. */
  condition(type: ResourceType, condition: Condition): string | undefined;
}

export type Compiled =
  | { snapshot: Snapshot; problems?: undefined }
  | { snapshot?: undefined; problems: Problem[] };

/** Compiles a policy whose parts have the right shape; pointers are into the policy document. */
export function compile(policy: Policy, options: CompileOptions): Compiled {
  const problems = checkParts(policy, options.evaluators);
  const types = new Map(policy.resourceTypes.map((type) => [type.type, type]));
  const roles = new Map(policy.roles.map((role) => [role.key, role]));
  problems.push(...checkColumns(policy, options));
  const rules = compileRules(policy, { types, roles: new Set(roles.keys()) }, options, problems);
  const routes = compileRoutes(policy, types, options);
  problems.push(...routes.problems, ...checkTargets(policy.routes, options));
  problems.push(...checkCases(policy, types, roles), ...checkCedar(policy));
  if (problems.length > 0) return { problems };
  const snapshot: Snapshot = {
    revision: options.revision,
    digest: digestOf(policy),
    policy,
    types,
    roles,
    lineage: lineages(roles),
    rules: new Map(rules.map((rule) => [rule.id, rule])),
    rulesByRole: groupBy(rules, (rule) => rule.source.role),
    rulesByPrincipal: groupBy(rules, (rule) => principalKey(rule.source.principal, types)),
    routes: routes.table,
    boundariesMs: boundaries(rules),
  };
  return { snapshot: Object.freeze(snapshot) };
}

/** Before the first revision: no types, no rules, so everything is denied. */
export function emptySnapshot(): Snapshot {
  const policy = emptyPolicy();
  return Object.freeze({
    revision: 0,
    digest: digestOf(policy),
    policy,
    types: new Map(),
    roles: new Map(),
    lineage: new Map(),
    rules: new Map(),
    rulesByRole: new Map(),
    rulesByPrincipal: new Map(),
    routes: makeRouteTable([]),
    boundariesMs: [],
  });
}

/** SHA-256 of the policy as JSON with sorted keys, parts in the order of their names. */
export function digestOf(policy: Policy): string {
  return createHash('sha256').update(canonicalText(policy)).digest('hex');
}

/** The last one that was made: a publication asks for it twice. To keep more would be to keep every policy twice. */
let last: { of: WeakRef<Policy>; text: string } | undefined;

/** JSON with sorted keys; parts of the policy in the order of their names. */
export function canonicalText(policy: Policy): string {
  if (last?.of.deref() === policy) return last.text;
  const text = makeCanonicalText(policy);
  last = { of: new WeakRef(policy), text };
  return text;
}

function makeCanonicalText(policy: Policy): string {
  const resourceTypes = policy.resourceTypes.toSorted((a, b) => order(a.type, b.type)).map(partText);
  const roles = policy.roles.toSorted((a, b) => order(a.key, b.key)).map(partText);
  const rules = policy.rules.toSorted((a, b) => order(a.id, b.id)).map(partText);
  const cases = policy.cases.toSorted((a, b) => order(a.id, b.id)).map(partText);
  // Left out where there is none: the digest of a policy without routes or Cedar is what it was before there were any.
  const rest = [['cedar', policy.cedar] as const, ['routes', policy.routes] as const].flatMap(
    ([name, parts]) => {
      const texts = parts.toSorted((a, b) => order(a.id, b.id)).map(partText);
      return texts.length > 0 ? [`,"${name}":[${texts}]`] : [];
    },
  );
  return `{"resourceTypes":[${resourceTypes}],"roles":[${roles}],"rules":[${rules}],"cases":[${cases}]${rest.join('')}}`;
}

/** Parts are never changed in place, so the text of one that was not touched is not made again. */
const partTexts = new WeakMap<object, string>();

/** JSON with sorted keys. */
export function partText(part: object): string {
  const known = partTexts.get(part);
  if (known) return known;
  const text = sortedText(part);
  partTexts.set(part, text);
  return text;
}

/** JSON with sorted keys. A replacer would do, in three times the time; of a hundred thousand rules that is felt. */
export function sortedText(value: unknown): string {
  if (Array.isArray(value)) {
    let text = '';
    for (const item of value) text += `${text === '' ? '' : ','}${sortedText(item ?? null)}`;
    return `[${text}]`;
  }
  if (!isRecord(value)) return JSON.stringify(value);
  let text = '';
  for (const key of Object.keys(value).sort()) {
    const entry = value[key];
    if (entry !== undefined) text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${sortedText(entry)}`;
  }
  return `{${text}}`;
}

/** By code unit: the same on every machine. */
export function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function compileRules(
  policy: Policy,
  vocabulary: Vocabulary,
  { previous, tables }: CompileOptions,
  problems: Problem[],
): CompiledRule[] {
  const reusable = previous && sameVocabulary(policy, previous.policy) ? previous.rules : undefined;
  return policy.rules.map((rule, index) => {
    const before = reusable?.get(rule.id);
    if (before?.source === rule) return before;
    const checked = checkRule(rule, vocabulary, `/rules/${index}`);
    problems.push(...checked.problems);
    if (tables && checked.problems.length === 0)
      problems.push(
        ...checkTables(rule, checked.condition, vocabulary, tables, `/rules/${index}/conditions`),
      );
    return compileRule(rule, checked.condition, checked.when);
  });
}

/** What is wrong with a rule that no list could follow: lists must be neither wider nor narrower than the decisions. */
export function checkTables(
  { id, subject }: Rule,
  condition: Condition,
  { types }: Vocabulary,
  tables: TableCheck,
  pointer: string,
): Problem[] {
  const names = listOf(subject);
  const about = names.includes(ANY_TYPE) ? [...types.values()] : names.map((name) => types.get(name));
  return about.flatMap((type) => {
    const found = type && tables.condition(type, condition);
    const message = `the rule ${id} cannot be asked of the table of ${type?.type}, so that lists would disagree: ${found}`;
    return found === undefined ? [] : [{ pointer, code: 'untranslatable', message }];
  });
}

/** Routes and types that are the same objects make the same table. */
function compileRoutes(
  { routes, resourceTypes }: Policy,
  types: ReadonlyMap<string, ResourceType>,
  { previous }: CompileOptions,
): CheckedRoutes {
  const isSame = routes === previous?.policy.routes && resourceTypes === previous.policy.resourceTypes;
  return isSame ? { table: previous.routes, problems: [] } : checkRoutes(routes, types);
}

/** Only of what is new: a route that was accepted under another setting must not keep others from being written. */
function checkTargets(routes: readonly Route[], { refusalOf, previous }: CompileOptions): Problem[] {
  if (!refusalOf || routes === previous?.policy.routes) return [];
  const before = new Map(previous?.policy.routes.map((route) => [route.id, route]));
  return routes.flatMap((route, index) => {
    const known = before.get(route.id);
    if (known && (known === route || partText(known) === partText(route))) return [];
    return targetsOf(route).flatMap(({ target, pointer }) => {
      const message = refusalOf(target);
      return message === undefined
        ? []
        : [{ pointer: `/routes/${index}${pointer}`, code: 'upstream_refused', message }];
    });
  });
}

function checkColumns({ resourceTypes }: Policy, { tables, previous }: CompileOptions): Problem[] {
  if (!tables || resourceTypes === previous?.policy.resourceTypes) return [];
  return resourceTypes.flatMap((type, index) =>
    tables.attributes(type).map(({ attribute, message }) => ({
      pointer: `/resourceTypes/${index}/attributes/${attribute}`,
      code: 'untranslatable',
      message,
    })),
  );
}

function sameVocabulary(policy: Policy, before: Policy): boolean {
  return policy.resourceTypes === before.resourceTypes && policy.roles === before.roles;
}

function compileRule(
  rule: Rule,
  condition: CompiledRule['condition'],
  when: CompiledRule['when'],
): CompiledRule {
  return {
    id: rule.id,
    effect: rule.inverted ? 'deny' : 'allow',
    actions: listOf(rule.action),
    subjects: listOf(rule.subject),
    fields: rule.fields,
    condition,
    when,
    reason: rule.reason,
    priority: rule.priority,
    validFromMs: rule.validFrom ? Date.parse(rule.validFrom) : Number.NEGATIVE_INFINITY,
    validUntilMs: rule.validUntil ? Date.parse(rule.validUntil) : Number.POSITIVE_INFINITY,
    source: rule,
  };
}

function principalKey(principal: string | undefined, types: Vocabulary['types']): string | undefined {
  const [type = '', id = ''] = principal?.split(':') ?? [];
  return principal && `${type}:${canonicalId(id, types.get(type))}`;
}

function lineages(roles: ReadonlyMap<string, Role>): Map<string, ReadonlySet<string>> {
  const done = new Map<string, Set<string>>();
  const lineage = (key: string): Set<string> => {
    const known = done.get(key);
    if (known) return known;
    const all = new Set([key, ...(roles.get(key)?.inherits ?? []).flatMap((parent) => [...lineage(parent)])]);
    done.set(key, all);
    return all;
  };
  for (const key of roles.keys()) lineage(key);
  return done;
}

function boundaries(rules: CompiledRule[]): number[] {
  const instants = new Set<number>();
  for (const { validFromMs, validUntilMs } of rules) {
    if (Number.isFinite(validFromMs)) instants.add(validFromMs);
    if (Number.isFinite(validUntilMs)) instants.add(validUntilMs);
  }
  return [...instants].sort((a, b) => a - b);
}

function groupBy(
  rules: CompiledRule[],
  keyOf: (rule: CompiledRule) => string | undefined,
): Map<string, CompiledRule[]> {
  const groups = new Map<string, CompiledRule[]>();
  for (const rule of rules) {
    const key = keyOf(rule);
    if (key === undefined) continue;
    const group = groups.get(key);
    if (group) group.push(rule);
    else groups.set(key, [rule]);
  }
  return groups;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
