/** Why a decision came out as it did: every rule that could have settled it, and what kept each from it. */
import { ANONYMOUS_TYPE, effectiveRoles, principalFacts } from '../policy/ability.ts';
import type { Facts } from '../policy/matcher.ts';
import { ANY_ACTION, ANY_TYPE } from '../policy/policy.ts';
import type { CompiledRule, Snapshot } from '../policy/snapshot.ts';
import type { AccessRequest } from './access-request.ts';
import type { Decision } from './decision.ts';
import { type Failure, failuresOf } from './explain-condition.ts';
import { sentencesOf } from './explain-words.ts';

/**
 * What became of a rule: it settled the decision; it matched, but one that ranks higher settled it; it is not there
 * (disabled, outside its window); the principal does not hold it; a condition of it is not met.
 */
export type Outcome = 'settles' | 'outranked' | 'disabled' | 'outside_window' | 'not_held' | 'not_met';

export interface ExplainedRule {
  id: string;
  effect: 'allow' | 'deny';
  outcome: Outcome;
  priority: number;
  role?: string;
  principal?: string;
  /** How the principal comes to the role: from the one that was given, by inheritance, to the rule's. */
  via?: string[];
  fields?: readonly string[];
  reason?: string;
  failures: Failure[];
}

export interface Explanation {
  decision: Decision;
  principal: {
    type: string;
    id: string;
    roles: readonly string[];
    /** Each role that counts, and the way to it from a role that was given. */
    effectiveRoles: { key: string; via: string[] }[];
    attributes: Facts;
  };
  action: AccessRequest['action'];
  resource: { type: string; attributes: Facts; misfits?: readonly string[] };
  context: Facts;
  /** Every rule about this action and type, the one that settled it first, then the nearest. */
  rules: ExplainedRule[];
  /** What would have to change for a denied request to be allowed: the nearest rules, each with what it lacks. */
  nearest: { ruleId: string; lacks: string[] }[];
  /** Where Cedar decides: it goes by no rules, and these are what it went by. */
  cedar?: CedarExplanation;
  /** The same in sentences. */
  summary: string[];
}

export interface CedarExplanation {
  determining: { id: string; effect: 'permit' | 'forbid'; reason?: string }[];
  /** Without an id: Cedar had no answer at all. */
  errors: { id: string | null; message: string }[];
}

const MOST_NEAREST = 3;

/**
 * Explains a decision that was made about the request at an instant under the snapshot; `cedar`: what Cedar says of it,
 * where it decides. Rules are not asked about types that another evaluator than `casl` decides about.
 */
export function explain(
  snapshot: Snapshot,
  request: AccessRequest,
  decision: Decision,
  atMs: number,
  cedar?: CedarExplanation,
): Explanation {
  const { principal, action, resource, context } = request;
  const { evaluator = 'casl' } = snapshot.types.get(resource.type) ?? {};
  const about =
    evaluator === 'casl'
      ? [...snapshot.rules.values()].filter((rule) => isAbout(rule, action.name, resource.type))
      : [];
  const ways = waysToRoles(snapshot, request);
  const facts = principalFacts(snapshot, principal);
  const rules = about
    .map((rule) => explainRule(rule, { snapshot, request, decision, atMs, ways, facts }))
    .sort(nearestFirst);
  const explained = {
    decision,
    principal: {
      type: principal.type,
      id: principal.id,
      roles: principal.roles,
      effectiveRoles: [...effectiveRoles(snapshot, principal.roles)]
        .sort()
        .map((key) => ({ key, via: ways.get(key) ?? [key] })),
      attributes: principal.attributes,
      ...(principal.ancestors.length > 0 && { ancestors: principal.ancestors }),
    },
    action,
    resource: {
      type: resource.type,
      attributes: resource.attributes,
      ...(resource.misfits.length > 0 && { misfits: resource.misfits }),
    },
    context: { ...context },
    rules,
    ...(cedar && { cedar }),
  };
  const words = sentencesOf(explained);
  // As long as a deny settles it, no allow that does not outrank it would change anything.
  const deniedAt =
    rules.find(({ outcome, effect }) => outcome === 'settles' && effect === 'deny')?.priority ??
    Number.NEGATIVE_INFINITY;
  const nearest = decision.allow
    ? []
    : rules
        .filter(
          ({ effect, outcome, priority }) =>
            effect === 'allow' && outcome !== 'outranked' && priority > deniedAt,
        )
        .slice(0, MOST_NEAREST)
        .map((rule) => ({ ruleId: rule.id, lacks: words.lacks(rule) }));
  return { ...explained, nearest, summary: words.summary(nearest) };
}

function isAbout({ actions, subjects }: CompiledRule, action: string, type: string): boolean {
  return (
    (actions.includes(action) || actions.includes(ANY_ACTION)) &&
    (subjects.includes(type) || subjects.includes(ANY_TYPE))
  );
}

interface Ground {
  snapshot: Snapshot;
  request: AccessRequest;
  decision: Decision;
  atMs: number;
  ways: ReadonlyMap<string, string[]>;
  facts: Facts;
}

function explainRule(rule: CompiledRule, ground: Ground): ExplainedRule {
  const { source, effect, priority, fields, reason } = rule;
  const via = source.role === undefined ? undefined : ground.ways.get(source.role);
  const failures = failuresIn(rule, ground);
  return {
    id: rule.id,
    effect,
    outcome: outcomeOf(rule, ground, via, failures),
    priority,
    ...(source.role !== undefined && { role: source.role }),
    ...(source.principal !== undefined && { principal: source.principal }),
    ...(via && { via }),
    ...(fields && { fields }),
    ...(reason !== undefined && { reason }),
    failures,
  };
}

function failuresIn(rule: CompiledRule, { request, facts }: Ground): Failure[] {
  const { action, context, resource } = request;
  const scene = { principal: facts, effect: rule.effect };
  const ofRequest = { principal: facts, action: { ...action.properties, name: action.name }, context };
  return [
    ...failuresOf(rule.condition, { ...scene, in: 'conditions', facts: resource.attributes }),
    ...failuresOf(rule.when, { ...scene, in: 'when', facts: ofRequest }),
  ];
}

function outcomeOf(
  { id, source, validFromMs, validUntilMs }: CompiledRule,
  { decision, request: { principal }, atMs }: Ground,
  via: string[] | undefined,
  failures: readonly Failure[],
): Outcome {
  if (id === decision.ruleId) return 'settles';
  if (!source.enabled) return 'disabled';
  if (atMs < validFromMs || validUntilMs <= atMs) return 'outside_window';
  if (!via && source.principal !== `${principal.type}:${principal.id}`) return 'not_held';
  return failures.length > 0 ? 'not_met' : 'outranked';
}

/** For each role that counts, the way to it: given roles lead to those they inherit, the shortest way first. */
function waysToRoles(snapshot: Snapshot, { principal }: AccessRequest): Map<string, string[]> {
  const ways = new Map<string, string[]>([
    ['everyone', ['everyone']],
    principal.type === ANONYMOUS_TYPE ? ['anonymous', ['anonymous']] : ['authenticated', ['authenticated']],
  ]);
  const open = principal.roles.filter((key) => snapshot.roles.has(key)).map((key) => [key]);
  for (let way = open.shift(); way; way = open.shift()) {
    const key = way.at(-1) ?? '';
    if (ways.has(key)) continue;
    ways.set(key, way);
    for (const parent of snapshot.roles.get(key)?.inherits ?? []) open.push([...way, parent]);
  }
  return ways;
}

const ranks: Record<Outcome, number> = {
  settles: 0,
  outranked: 1,
  not_met: 2,
  not_held: 3,
  outside_window: 4,
  disabled: 5,
};

/** A rule that lacks one condition is nearer than one that lacks two, and either than one that is not held. */
function nearestFirst(a: ExplainedRule, b: ExplainedRule): number {
  const distance = ({ outcome, failures }: ExplainedRule) =>
    ranks[outcome] * 100 + Math.min(failures.length, 99);
  return distance(a) - distance(b) || (a.id < b.id ? -1 : 1);
}
