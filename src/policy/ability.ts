/** A snapshot narrowed to one principal: the rules that are left, settled as far as the principal goes, in CASL's order. */
import { ALWAYS, type Condition } from './condition.ts';
import type { Facts } from './matcher.ts';
import { settle, settleWhen } from './settle.ts';
import type { CompiledRule, Snapshot } from './snapshot.ts';

/** Who asks. Frozen; `attributes` are clean (null prototype, canonical values). */
export interface Principal {
  readonly type: string;
  readonly id: string;
  /** Roles given, without those inherited. */
  readonly roles: readonly string[];
  readonly attributes: Facts;
  /** What it belongs to, however far up, each clean: `type`, `id` and its attributes. Never what a caller says. */
  readonly ancestors: readonly Facts[];
  /** SHA-256 of everything above and of the access version: the principal's part of cache keys. */
  readonly digest: string;
}

/** The principal of a request that nobody is identified by. */
export const ANONYMOUS_TYPE = 'anonymous';

/** A rule as far as one principal is concerned. `when` holds only what depends on the request. */
export interface AbilityRule {
  id: string;
  effect: 'allow' | 'deny';
  actions: readonly string[];
  subjects: readonly string[];
  fields?: readonly string[];
  condition: Condition;
  when: Condition;
  reason?: string;
  priority: number;
}

/** Plain JSON, so that it can be cached anywhere. The last rule that matches decides. */
export interface Ability {
  revision: number;
  rules: AbilityRule[];
}

/** Makes the ability of a principal at an instant. */
export function makeAbility(snapshot: Snapshot, principal: Principal, nowMs: number): Ability {
  return narrow(snapshot, principal, (rule) => rule.validFromMs <= nowMs && nowMs < rule.validUntilMs);
}

/** All that a principal may or may not, from now on or later: an ability to judge by, never to decide by. */
export function makeAbilityToCome(snapshot: Snapshot, principal: Principal, nowMs: number): Ability {
  return narrow(snapshot, principal, (rule) => nowMs < rule.validUntilMs);
}

function narrow(snapshot: Snapshot, principal: Principal, isThere: (rule: CompiledRule) => boolean): Ability {
  const facts = principalFacts(snapshot, principal);
  const rules = rulesOf(snapshot, principal)
    .filter((rule) => rule.source.enabled && isThere(rule))
    .flatMap((rule) => settleRule(rule, facts))
    .sort(inCaslOrder);
  return { revision: snapshot.revision, rules };
}

/** All rules that name the principal or a role it has, built-in roles and inherited ones included. */
function rulesOf(snapshot: Snapshot, principal: Principal): CompiledRule[] {
  const roles = [
    'everyone',
    principal.type === ANONYMOUS_TYPE ? 'anonymous' : 'authenticated',
    ...effectiveRoles(snapshot, principal.roles),
  ];
  return [
    ...roles.flatMap((role) => snapshot.rulesByRole.get(role) ?? []),
    ...(snapshot.rulesByPrincipal.get(`${principal.type}:${principal.id}`) ?? []),
  ];
}

/** The roles given with all that they inherit; roles that the policy does not know are nothing. */
export function effectiveRoles(snapshot: Snapshot, roles: readonly string[]): Set<string> {
  return new Set(roles.flatMap((role) => [...(snapshot.lineage.get(role) ?? [])]));
}

/** The rules of a role and of all that it inherits, switched off or not. */
export function rulesOfRole(snapshot: Snapshot, role: string): CompiledRule[] {
  return [...(snapshot.lineage.get(role) ?? [])].flatMap((key) => [...(snapshot.rulesByRole.get(key) ?? [])]);
}

/** What templates and `when` see under `principal.`. */
export function principalFacts(snapshot: Snapshot, principal: Principal): Facts {
  const facts = Object.assign(Object.create(null), principal.attributes, {
    id: principal.id,
    type: principal.type,
    roles: [...effectiveRoles(snapshot, principal.roles)].sort(),
    ...ancestorFacts(principal.ancestors),
  });
  return Object.freeze(facts);
}

interface AncestorFacts {
  ancestors: Principal['ancestors'];
  ancestorIds: readonly string[];
}

const factsOfAncestors = new WeakMap<Principal['ancestors'], AncestorFacts>();

/** What rules see of a principal's ancestors; made once for a list that nobody changes, and many share. */
export function ancestorFacts(ancestors: Principal['ancestors']): AncestorFacts {
  const facts = factsOfAncestors.get(ancestors) ?? {
    ancestors,
    ancestorIds: Object.freeze(ancestors.map(({ type, id }) => `${type}:${id}`)),
  };
  if (Object.isFrozen(ancestors)) factsOfAncestors.set(ancestors, facts);
  return facts;
}

/** The rule as far as these facts go; nothing when it can never match this principal. */
export function settleRule(rule: CompiledRule, facts: Facts): AbilityRule[] {
  const condition = settle(rule.condition, facts, rule.effect);
  const when = settleWhen(rule.when, facts, rule.effect);
  if (isNever(condition) || isNever(when)) return [];
  return [
    {
      id: rule.id,
      effect: rule.effect,
      actions: rule.actions,
      subjects: rule.subjects,
      ...(rule.fields && { fields: rule.fields }),
      condition,
      when,
      ...(rule.reason !== undefined && { reason: rule.reason }),
      priority: rule.priority,
    },
  ];
}

export function isAlways(condition: Condition): boolean {
  return condition === ALWAYS || (condition.kind === 'fixed' && condition.value);
}

function isNever(condition: Condition): boolean {
  return condition.kind === 'fixed' && !condition.value;
}

/** Later beats earlier: higher priority last, and at one priority denies after allows; the id only makes it repeatable. */
function inCaslOrder(a: AbilityRule, b: AbilityRule): number {
  if (a.priority !== b.priority) return a.priority - b.priority;
  if (a.effect !== b.effect) return a.effect === 'allow' ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}
