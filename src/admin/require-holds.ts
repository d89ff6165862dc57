/** The one question of every escalation guard: does whoever gives hold all of it, for good, or may they escalate? */
import { resourceOf } from '../decision/access-request.ts';
import { AppError } from '../errors.ts';
import { type Ability, type AbilityRule, makeAbilityToCome, type Principal } from '../policy/ability.ts';
import { pathsOf, templatesOf } from '../policy/condition.ts';
import { exceptsOneself, type Gap, type GivenRule, gapIn, touches } from '../policy/containment.ts';
import { type Rule, ruleAttributes } from '../policy/policy.ts';
import type { CompiledRule, Snapshot } from '../policy/snapshot.ts';
import type { Giver } from './giver.ts';

/** On what the giver may hold `escalate` instead of the permission itself. */
export interface Target {
  type:
    | 'castellan.rule'
    | 'castellan.role'
    | 'castellan.route'
    | 'castellan.policy'
    | 'castellan.api-key'
    | 'castellan.entity'
    | 'user';
  attributes: object;
}

export function ruleTarget(rule: Rule): Target {
  return { type: 'castellan.rule', attributes: ruleAttributes(rule) };
}

export function roleTarget(key: string): Target {
  return { type: 'castellan.role', attributes: { id: key } };
}

/** A rule of the policy as it was compiled. */
export function compiled(snapshot: Snapshot, id: string): CompiledRule {
  const rule = snapshot.rules.get(id);
  if (!rule)
    throw new AppError('internal_error', { detail: `rule ${id} is not in revision ${snapshot.revision}` });
  return rule;
}

/**
 * All that somebody may, now and later, with what is their own by `${principal.id}` as the giver's own: that everybody has
 * things of their own makes nobody stronger. Not to be asked of whoever could act as that somebody then.
 */
export function rulesOfOther({ principal }: Giver, snapshot: Snapshot, other: Principal): AbilityRule[] {
  const nowMs = Date.now();
  const { rules } = makeAbilityToCome(snapshot, other, nowMs);
  const asGiver = makeAbilityToCome(snapshot, { ...other, id: principal.id }, nowMs);
  const own = new Map(asGiver.rules.map((rule) => [rule.id, rule]));
  return rules.map((rule) => {
    return (isOfEverybody(compiled(snapshot, rule.id)) && own.get(rule.id)) || rule;
  });
}

/**
 * Whether a rule is about one's own and goes by nothing that somebody else could change. One that went away with an attribute
 * would be gone while the account is taken over, and come back after. One that excepts one's own is none: a second account
 * goes free of it. Accounts and keys belong to nothing, so that `ancestorIds` is empty for all of them.
 */
function isOfEverybody({ condition, when }: CompiledRule): boolean {
  const asksWho = pathsOf(when).some((path) => path.startsWith('principal.')) || templatesOf(when).length > 0;
  const isOwn = templatesOf(condition).every((name) => name === 'id' || name === 'ancestorIds');
  return !asksWho && isOwn && !exceptsOneself(condition);
}

/** Throws `privilege_escalation` unless the giver holds every permission given, or may `escalate` on a target. */
export async function requireHolds(
  giver: Giver,
  snapshot: Snapshot,
  given: readonly GivenRule[],
  ...targets: Target[]
): Promise<void> {
  await requireNoGap(giver, snapshot, gapAmong(giver, snapshot, given), ...targets);
}

/** The first of the permissions given that the giver does not hold, now and for as long as the gift lasts. */
export function gapAmong(giver: Giver, snapshot: Snapshot, given: readonly GivenRule[]): Gap {
  for (const held of heldBy(giver, snapshot))
    for (const rule of given) {
      const gap = gapIn(held, rule, snapshot);
      if (gap) return gap;
    }
  return undefined;
}

/** Throws `privilege_escalation` where there is a gap, unless the giver may `escalate` on one of the targets. */
export async function requireNoGap(
  giver: Giver,
  snapshot: Snapshot,
  gap: Gap,
  ...targets: Target[]
): Promise<void> {
  if (gap === undefined) return;
  for (const target of targets) if (await mayEscalate(giver, snapshot, target)) return;
  throw new AppError('privilege_escalation', { message: gap });
}

const abilities = new WeakMap<Giver, WeakMap<Snapshot, Ability[]>>();

/**
 * Made once for each giver: an import asks of a hundred thousand rules. What is held for a time may be a deny as well, so
 * both what is held now and what is held for good must cover a gift. A deny that begins later counts already: what will be
 * lost is not passed on before.
 */
function heldBy(giver: Giver, snapshot: Snapshot): Ability[] {
  const known = abilities.get(giver) ?? new WeakMap<Snapshot, Ability[]>();
  abilities.set(giver, known);
  const held = known.get(snapshot) ?? holders(giver).map((one) => heldForGood(snapshot, one));
  known.set(snapshot, held);
  return held;
}

function heldForGood(snapshot: Snapshot, principal: Principal): Ability {
  const { revision, rules } = makeAbilityToCome(snapshot, principal, Date.now());
  return { revision, rules: rules.filter(({ id, effect }) => effect === 'deny' || !isToCome(snapshot, id)) };
}

function isToCome(snapshot: Snapshot, id: string): boolean {
  return (snapshot.rules.get(id)?.validFromMs ?? 0) > Date.now();
}

function holders({ principal, lasting }: Giver): Principal[] {
  return principal === lasting ? [principal] : [principal, lasting];
}

/**
 * Whether the giver may give what they do not hold on this target, for good. It is done by this request, so it is asked in
 * its context: from an address where they may not, they may not. A rule that asks for the time is one with an end: an allow
 * by it is none for good, and a deny by it counts at any time.
 */
export async function mayEscalate(giver: Giver, snapshot: Snapshot, target: Target): Promise<boolean> {
  const type = snapshot.types.get(target.type);
  if (!type) return false;
  const rules = heldBy(giver, snapshot).flatMap((held) => held.rules);
  const mayBeLost = rules.some(
    (rule) =>
      rule.effect === 'deny' &&
      (isToCome(snapshot, rule.id) || asksForTime(rule)) &&
      touches(rule, 'escalate', target.type),
  );
  if (mayBeLost) return false;
  const resource = resourceOf(type, target.attributes);
  for (const principal of holders(giver)) {
    const request = { principal, action: { name: 'escalate' }, resource, context: giver.context };
    const { allow, ruleId } = await giver.decisions.decide(snapshot, request, 'never');
    if (!allow || hasEnd(snapshot.rules.get(ruleId ?? ''))) return false;
  }
  return true;
}

function hasEnd(rule: CompiledRule | undefined): boolean {
  return rule !== undefined && (rule.validUntilMs !== Number.POSITIVE_INFINITY || asksForTime(rule));
}

function asksForTime({ when }: Pick<CompiledRule, 'when'>): boolean {
  return pathsOf(when).includes('context.time');
}
