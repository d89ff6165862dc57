/** Nobody gives what they do not hold (design 4.7): every way to give, held against what the giver holds. */
import { resourceOf } from '../decision/access-request.ts';
import type { DecisionPoint } from '../decision/decide.ts';
import { AppError } from '../errors.ts';
import { type AbilityRule, makeAbility, type Principal } from '../policy/ability.ts';
import { asGiven, asLifted, gapIn } from '../policy/containment.ts';
import { type Rule, ruleAttributes } from '../policy/policy.ts';
import type { Publication } from '../policy/publish.ts';
import type { CompiledRule, Snapshot } from '../policy/snapshot.ts';

export interface Giver {
  principal: Principal;
  decisions: DecisionPoint;
}

/** On what the giver may hold `escalate` instead of the permission itself. */
interface Target {
  type: 'castellan.rule' | 'castellan.role' | 'user';
  attributes: object;
}

/** Throws `privilege_escalation` unless the giver holds every permission given, or may `escalate` on the target. */
export async function requireHolds(
  { principal, decisions }: Giver,
  snapshot: Snapshot,
  given: readonly AbilityRule[],
  target: Target,
): Promise<void> {
  const held = makeAbility(snapshot, principal, Date.now());
  const gap = given.map((rule) => gapIn(held, rule, snapshot)).find((found) => found !== undefined);
  if (gap === undefined) return;
  const type = snapshot.types.get(target.type);
  if (type) {
    const resource = resourceOf(type, target.attributes);
    const { allow } = await decisions.decide(snapshot, {
      principal,
      action: { name: 'escalate' },
      resource,
      context: {},
    });
    if (allow) return;
  }
  throw new AppError('privilege_escalation', { message: gap });
}

/** A publication: rules and roles added, changed and removed, held against what was in force before it. */
export async function guardPublication(giver: Giver, { before, after, diff }: Publication): Promise<void> {
  const touched = [...diff.rules.removed, ...diff.rules.changed.map((change) => change.before)];
  for (const rule of touched)
    await requireHolds(giver, before, takesOrGives(compiled(before, rule.id)), ruleTarget(rule));
  const given = [...diff.rules.added, ...diff.rules.changed.map((change) => change.after)];
  for (const rule of given)
    await requireHolds(giver, before, gives(compiled(after, rule.id)), ruleTarget(rule));
  const left = [...diff.roles.removed, ...diff.roles.changed.map((change) => change.before)];
  for (const { key } of left)
    await requireHolds(giver, before, rulesOfRole(before, key).flatMap(takesOrGives), roleTarget(key));
  const made = [...diff.roles.added, ...diff.roles.changed.map((change) => change.after)];
  for (const { key } of made)
    await requireHolds(giver, before, rulesOfRole(after, key).flatMap(gives), roleTarget(key));
}

/** Giving a role to an account, or taking it away: everything in it, inherited rules included. */
export async function guardAssignment(giver: Giver, snapshot: Snapshot, role: string): Promise<void> {
  await requireHolds(giver, snapshot, rulesOfRole(snapshot, role).flatMap(takesOrGives), roleTarget(role));
}

/** Touching an account (its password, state, attributes): everything that it can do, before and after. */
export async function guardAccount(giver: Giver, snapshot: Snapshot, account: Principal): Promise<void> {
  const { rules } = makeAbility(snapshot, account, Date.now());
  await requireHolds(giver, snapshot, rules, {
    type: 'user',
    attributes: { ...account.attributes, id: account.id },
  });
}

function gives(rule: CompiledRule): AbilityRule[] {
  return rule.effect === 'allow' && rule.source.enabled ? [asGiven(rule)] : [];
}

/** Changing or taking away: nobody touches an allow that is more than they hold, and without a deny there is more for all. */
function takesOrGives(rule: CompiledRule): AbilityRule[] {
  return [rule.effect === 'allow' ? asGiven(rule) : asLifted(rule)];
}

function rulesOfRole(snapshot: Snapshot, role: string): CompiledRule[] {
  return [...(snapshot.lineage.get(role) ?? [])].flatMap((key) => [...(snapshot.rulesByRole.get(key) ?? [])]);
}

function compiled(snapshot: Snapshot, id: string): CompiledRule {
  const rule = snapshot.rules.get(id);
  if (!rule)
    throw new AppError('internal_error', { detail: `rule ${id} is not in revision ${snapshot.revision}` });
  return rule;
}

function ruleTarget(rule: Rule): Target {
  return { type: 'castellan.rule', attributes: ruleAttributes(rule) };
}

function roleTarget(key: string): Target {
  return { type: 'castellan.role', attributes: { id: key } };
}
