/** Rules of one effect and priority as one: found by the value of an attribute instead of one after the other. */
import type { AccessRequest } from '../decision/access-request.ts';
import { type AbilityRule, isAlways } from '../policy/ability.ts';
import type { Condition } from '../policy/condition.ts';
import { compileCondition, read } from '../policy/matcher.ts';

/** Finds a rule of the group that the request meets. */
export type RuleGroup = (request: AccessRequest) => AbilityRule | undefined;

const WORTH_INDEXING = 8;

/** Within a group order does not matter: all its rules have one effect and one priority, so any that matches settles it. */
export function groupRules(rules: AbilityRule[]): RuleGroup {
  const unconditional = rules.find((rule) => isAlways(rule.condition) && isAlways(rule.when));
  return unconditional ? () => unconditional : index(rules);
}

function compileRule(rule: AbilityRule): (request: AccessRequest) => boolean {
  const condition = compileCondition(rule.condition);
  if (isAlways(rule.when)) return (request) => condition(request.resource.attributes);
  const when = compileCondition(rule.when);
  return (request) => condition(request.resource.attributes) && when(requestFacts(request));
}

/** What is left of `when` once the principal is known is about these. */
export function requestFacts({
  action,
  context,
}: Pick<AccessRequest, 'action' | 'context'>): Record<string, unknown> {
  return { action: { ...action.properties, name: action.name }, context };
}

function index(rules: AbilityRule[]): RuleGroup {
  const path = rules.length < WORTH_INDEXING ? undefined : mostTelling(rules);
  if (path === undefined) return inTurn(rules);
  const byValue = new Map<unknown, AbilityRule[]>();
  const others: AbilityRule[] = [];
  for (const rule of rules) {
    const value = equalities(rule.condition).get(path);
    const group = value === undefined ? others : byValue.get(value);
    if (group) group.push(rule);
    else byValue.set(value, [rule]);
  }
  return lookUp(
    path.split('.'),
    new Map([...byValue].map(([value, group]) => [value, inTurn(group)])),
    index(others),
  );
}

function lookUp(segments: string[], byValue: Map<unknown, RuleGroup>, others: RuleGroup): RuleGroup {
  return (request) => {
    const found = read(request.resource.attributes, segments);
    for (const value of Array.isArray(found) ? found : [found]) {
      const rule = byValue.get(value)?.(request);
      if (rule) return rule;
    }
    return others(request);
  };
}

/** Compiled when first asked: of a thousand rules for a thousand owners, few are. */
function inTurn(rules: AbilityRule[]): RuleGroup {
  let candidates: { rule: AbilityRule; matches(request: AccessRequest): boolean }[] | undefined;
  return (request) => {
    candidates ??= rules.map((rule) => ({ rule, matches: compileRule(rule) }));
    return candidates.find(({ matches }) => matches(request))?.rule;
  };
}

/** The path on which the rules demand the most different values; undefined when it would not save much. */
function mostTelling(rules: AbilityRule[]): string | undefined {
  const values = new Map<string, Set<unknown>>();
  for (const { condition } of rules) {
    for (const [path, value] of equalities(condition)) {
      const set = values.get(path);
      if (set) set.add(value);
      else values.set(path, new Set([value]));
    }
  }
  const [best] = [...values].sort(([, a], [, b]) => b.size - a.size);
  return best && best[1].size > 1 ? best[0] : undefined;
}

/** The values that a condition demands outright: its `$eq` tests that no `$or` or `$not` loosens. */
function equalities(condition: Condition): Map<string, unknown> {
  const tests = condition.kind === 'all' ? condition.of : [condition];
  const demanded = new Map<string, unknown>();
  for (const test of tests)
    if (test.kind === 'test' && test.operator === '$eq') demanded.set(test.path, test.value);
  return demanded;
}
