/** How far rules reach: whether an action on a type is allowed always, on some conditions, or never. */
import { isAlways } from './ability.ts';
import type { Condition } from './condition.ts';
import { ANY_ACTION, ANY_TYPE, builtInRoles } from './policy.ts';
import type { CompiledRule, Snapshot } from './snapshot.ts';

/** `deny` stands also for what no rule allows. */
export type Reach = 'allow' | 'conditional' | 'deny';

/** What counts of a rule here; settled or not. */
export interface ReachingRule {
  id: string;
  effect: 'allow' | 'deny';
  actions: readonly string[];
  subjects: readonly string[];
  fields?: readonly string[] | undefined;
  condition: Condition;
  when: Condition;
  priority: number;
}

/** Of rules in CASL's order: the last that speaks without a condition settles what those before it said. */
export function reachOf(rules: readonly ReachingRule[], action: string, type: string): Reach {
  let reach: Reach = 'deny';
  for (const rule of rules) {
    if (!speaksOf(rule, action, type)) continue;
    const always = isUnconditional(rule);
    if (rule.effect === 'allow') reach = always ? 'allow' : reach === 'allow' ? 'allow' : 'conditional';
    else if (always) reach = 'deny';
    // A deny of some fields, or on a condition, leaves the rest.
    else if (reach === 'allow') reach = 'conditional';
  }
  return reach;
}

export function speaksOf({ actions, subjects }: ReachingRule, action: string, type: string): boolean {
  return (
    (actions.includes(action) || actions.includes(ANY_ACTION)) &&
    (subjects.includes(type) || subjects.includes(ANY_TYPE))
  );
}

export function isUnconditional({ fields, condition, when }: ReachingRule): boolean {
  return !fields && isAlways(condition) && isAlways(when);
}

/** By role, resource type and action. */
export type Matrix = Record<string, Record<string, Record<string, Reach>>>;

/** What somebody may who has this role and no other, for every role, the built-in ones included, at an instant. */
export function matrixOf(snapshot: Snapshot, atMs: number): Matrix {
  const keys = [...builtInRoles, ...[...snapshot.roles.keys()].sort()];
  return Object.fromEntries(
    keys.map((key) => {
      const rules = rulesOfHolder(snapshot, key, atMs);
      return [key, rowOf(snapshot, rules)];
    }),
  );
}

function rowOf(snapshot: Snapshot, rules: readonly ReachingRule[]): Record<string, Record<string, Reach>> {
  const types = [...snapshot.types.values()].sort((a, b) => (a.type < b.type ? -1 : 1));
  return Object.fromEntries(
    types.map(({ type, actions }) => {
      const about = rules.filter(({ subjects }) => subjects.includes(type) || subjects.includes(ANY_TYPE));
      return [type, Object.fromEntries(actions.map((action) => [action, reachOf(about, action, type)]))];
    }),
  );
}

/** The rules in force of whoever has a role and nothing else, in CASL's order. */
export function rulesOfHolder(snapshot: Snapshot, role: string, atMs: number): CompiledRule[] {
  const built: readonly string[] = builtInRoles;
  const roles = built.includes(role)
    ? new Set(['everyone', role])
    : new Set(['everyone', 'authenticated', ...(snapshot.lineage.get(role) ?? [])]);
  return [...roles]
    .flatMap((key) => snapshot.rulesByRole.get(key) ?? [])
    .filter((rule) => isInForce(rule, atMs))
    .sort(inCaslOrder);
}

export function isInForce({ source, validFromMs, validUntilMs }: CompiledRule, atMs: number): boolean {
  return source.enabled && validFromMs <= atMs && atMs < validUntilMs;
}

function inCaslOrder(a: ReachingRule, b: ReachingRule): number {
  if (a.priority !== b.priority) return a.priority - b.priority;
  return Number(a.effect === 'deny') - Number(b.effect === 'deny');
}
