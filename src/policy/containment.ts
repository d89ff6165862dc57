/**
 * Does what somebody holds cover what is given? The question behind "nobody gives what they do not hold" (design 4.7;
 * compare Kubernetes' escalation check). Exact where conditions are equal or one is plainly narrower; "no" where it
 * cannot tell.
 */
import { type Ability, type AbilityRule, isAlways } from './ability.ts';
import { type Condition, isTemplate, type Operand } from './condition.ts';
import { ANY_ACTION, ANY_TYPE } from './policy.ts';
import type { CompiledRule, Snapshot } from './snapshot.ts';

/** What stands against it, in words; undefined: it is covered. */
export type Gap = string | undefined;

/** An allow rule on its way to somebody. */
export interface GivenRule extends AbilityRule {
  /** It reaches those whom nobody identified, too. */
  toAnonymous?: boolean;
}

/** A rule as it would be given to somebody else: not settled, so that templates stand for any value. */
export function asGiven(rule: CompiledRule): GivenRule {
  const { id, effect, actions, subjects, fields, condition, when, priority, source } = rule;
  const toAnonymous = source.role === 'everyone' || source.role === 'anonymous';
  return { id, effect, actions, subjects, ...(fields && { fields }), condition, when, priority, toAnonymous };
}

/** A deny that is taken away, as the allow that it amounts to. */
export function asLifted(rule: CompiledRule): GivenRule {
  return { ...asGiven(rule), effect: 'allow' };
}

/** The first thing in `given` (an allow rule) that `holder` does not hold under `snapshot`. */
export function gapIn(holder: Ability, given: GivenRule, snapshot: Snapshot): Gap {
  if (given.effect === 'deny') return undefined;
  for (const subject of given.subjects) {
    for (const action of given.actions) {
      const gap = gapInPair(holder, given, action, subject, snapshot);
      if (gap) return gap;
    }
  }
  return undefined;
}

/** The first thing that `after` allows beyond `before`, both of one principal. */
export function gainIn(before: Ability, after: Ability, snapshot: Snapshot): Gap {
  return gains(before, after)
    .map((rule) => gapIn(before, rule, snapshot))
    .find((gap) => gap !== undefined);
}

/** What `after` may allow beyond `before`, both of one principal: rules gained, and denies lost. */
export function gains(before: Ability, after: Ability): GivenRule[] {
  const texts = (ability: Ability) => new Set(ability.rules.map((rule) => JSON.stringify(rule)));
  const [were, are] = [texts(before), texts(after)];
  const gained = after.rules.filter((rule) => !were.has(JSON.stringify(rule)));
  const lost = before.rules.filter((rule) => rule.effect === 'deny' && !are.has(JSON.stringify(rule)));
  return [...gained, ...lost.map((rule): AbilityRule => ({ ...rule, effect: 'allow' }))];
}

/** Whether a deny takes something of what is `held`: of what is allowed there, no higher rule of `after` keeps it. */
export function takesFrom(held: Ability, deny: AbilityRule, after: Ability, snapshot: Snapshot): boolean {
  const meets = (rule: AbilityRule) =>
    deny.actions.some((action) => deny.subjects.some((subject) => touches(rule, action, subject)));
  if (!held.rules.some((rule) => rule.effect === 'allow' && meets(rule))) return false;
  const above = { ...after, rules: after.rules.filter(({ priority }) => priority > deny.priority) };
  return gapIn(above, { ...deny, effect: 'allow' }, snapshot) !== undefined;
}

function gapInPair(
  holder: Ability,
  given: GivenRule,
  action: string,
  subject: string,
  snapshot: Snapshot,
): Gap {
  const covering = holder.rules.filter(
    (rule) =>
      rule.effect === 'allow' &&
      lasts(rule, snapshot) &&
      names(rule, action, subject) &&
      isWider(rule, given),
  );
  // Holding each of today's actions is not holding `manage`: that covers those of tomorrow too.
  if (covering.length === 0)
    return `you do not hold ${action} on ${subject} as widely as rule ${given.id} gives it`;
  const strongest = Math.max(...covering.map(({ priority }) => priority));
  const against = holder.rules.find(
    (rule) =>
      rule.effect === 'deny' &&
      rule.priority >= strongest &&
      touches(rule, action, subject) &&
      !bindsBoth(rule, given, snapshot),
  );
  return against && `rule ${against.id} denies you a part of ${action} on ${subject}`;
}

/** What is held only for a time is not passed on: the gift would outlast it. */
function lasts(held: AbilityRule, snapshot: Snapshot): boolean {
  return snapshot.rules.get(held.id)?.validUntilMs === Number.POSITIVE_INFINITY;
}

function names(rule: AbilityRule, action: string, subject: string): boolean {
  return (
    (rule.actions.includes(action) || rule.actions.includes(ANY_ACTION)) &&
    (rule.subjects.includes(subject) || rule.subjects.includes(ANY_TYPE))
  );
}

/** Whether a rule could reach some request that the pair stands for. */
export function touches(rule: AbilityRule, action: string, subject: string): boolean {
  const actionMeets =
    action === ANY_ACTION || rule.actions.includes(action) || rule.actions.includes(ANY_ACTION);
  return (
    actionMeets &&
    (subject === ANY_TYPE || rule.subjects.includes(subject) || rule.subjects.includes(ANY_TYPE))
  );
}

/** A deny on everybody holds for whoever receives the rule as well, as long as the rule does not outrank it. */
function bindsBoth(deny: AbilityRule, given: GivenRule, snapshot: Snapshot): boolean {
  const rule = snapshot.rules.get(deny.id);
  if (!rule || deny.id === given.id || deny.priority < given.priority) return false;
  if (asksWho(rule.condition) || asksWho(rule.when)) return false;
  return rule.source.role === 'everyone' || (rule.source.role === 'authenticated' && !given.toAnonymous);
}

/**
 * Whether a deny asks what its principal is like: then a receiver who is not like the holder goes free, such as an
 * account made for the purpose. "Not on one's own" (`${principal.id}`) is asked of everybody alike.
 */
export function asksWho(condition: Condition): boolean {
  switch (condition.kind) {
    case 'all':
    case 'any':
      return condition.of.some(asksWho);
    case 'not':
      return asksWho(condition.of);
    case 'element':
      return condition.path.startsWith('principal.') || asksWho(condition.of);
    case 'test': {
      const isOther = (item: unknown) => isTemplate(item) && item.template !== 'id';
      return condition.path.startsWith('principal.') || [condition.value].flat().some(isOther);
    }
    case 'fixed':
      return false;
  }
}

/** Whether a condition excepts what is the principal's own, by `$ne` and the like, rather than asking for it. */
export function exceptsOneself(condition: Condition, isDenied = false): boolean {
  switch (condition.kind) {
    case 'all':
    case 'any':
      return condition.of.some((part) => exceptsOneself(part, isDenied));
    case 'not':
      return exceptsOneself(condition.of, true);
    case 'element':
      return exceptsOneself(condition.of, isDenied);
    case 'test': {
      const isNamed = [condition.value].flat().some((item) => isTemplate(item) && item.template === 'id');
      return isNamed && (isDenied || !['$eq', '$in', '$all'].includes(condition.operator));
    }
    case 'fixed':
      return false;
  }
}

function isWider(held: AbilityRule, given: AbilityRule): boolean {
  return hasFields(held, given) && implies(given.condition, held.condition) && implies(given.when, held.when);
}

function hasFields(held: AbilityRule, given: AbilityRule): boolean {
  if (!held.fields) return true;
  return (
    given.fields?.every((field) =>
      held.fields?.some((own) => field === own || field.startsWith(`${own}.`)),
    ) ?? false
  );
}

/** Whether everything that meets `narrow` plainly meets `wide`: each demand of `wide` is made by `narrow` too. */
export function implies(narrow: Condition, wide: Condition): boolean {
  if (isAlways(wide)) return true;
  if (JSON.stringify(narrow) === JSON.stringify(wide)) return true;
  if (narrow.kind === 'any') return narrow.of.every((part) => implies(part, wide));
  if (wide.kind === 'all') return wide.of.every((part) => implies(narrow, part));
  if (wide.kind === 'any') return wide.of.some((part) => implies(narrow, part));
  if (narrow.kind === 'all') return narrow.of.some((part) => implies(part, wide));
  return narrow.kind === 'test' && wide.kind === 'test' && testImplies(narrow, wide);
}

type Test = Extract<Condition, { kind: 'test' }>;

function testImplies(narrow: Test, wide: Test): boolean {
  if (narrow.path !== wide.path) return false;
  const values = listed(narrow);
  const allowed = listed(wide);
  if (values && allowed)
    return values.every((value) => allowed.some((other) => JSON.stringify(value) === JSON.stringify(other)));
  return isNarrowerOrder(narrow, wide);
}

/** The values that an equality lets through. */
function listed({ operator, value }: Test): Operand[] | undefined {
  if (operator === '$eq') return [value];
  return operator === '$in' && Array.isArray(value) ? value : undefined;
}

function isNarrowerOrder(narrow: Test, wide: Test): boolean {
  const [a, b] = [narrow.value, wide.value];
  if (typeof a === 'object' || typeof b === 'object' || typeof a !== typeof b) return false;
  const strict = wide.operator === '$lt' || wide.operator === '$gt';
  const allowsEnd = !strict || narrow.operator === wide.operator;
  if (wide.operator.startsWith('$lt'))
    return narrow.operator.startsWith('$lt') && (a < b || (a === b && allowsEnd));
  return (
    wide.operator.startsWith('$gt') && narrow.operator.startsWith('$gt') && (a > b || (a === b && allowsEnd))
  );
}
