/** Nobody gives what they do not hold (design 4.7): every way to give, held against what the giver holds. */
import { resourceOf } from '../decision/access-request.ts';
import { accessDenied } from '../decision/decision.ts';
import { apiKeyAttributes, apiKeyPrincipal } from '../decision/principals.ts';
import { AppError } from '../errors.ts';
import { makeAbilityToCome, type Principal, rulesOfRole } from '../policy/ability.ts';
import { ACCOUNT_TYPE } from '../policy/built-in.ts';
import { pathsOf, templatesOf } from '../policy/condition.ts';
import { asGiven, asLifted, type GivenRule, gains } from '../policy/containment.ts';
import type { PolicyDiff } from '../policy/diff.ts';
import { ANY_TYPE, type ResourceType } from '../policy/policy.ts';
import type { Publication } from '../policy/publish.ts';
import { readsAncestors } from '../policy/resolve-ancestors.ts';
import type { CompiledRule, Snapshot } from '../policy/snapshot.ts';
import type { Transaction } from '../storage/postgres.ts';
import type { ApiKey } from './api-key.ts';
import type { Giver } from './giver.ts';
import { cedarGap, guardCedar } from './guard-cedar.ts';
import { guardDenies, rewiredRoles } from './guard-denies.ts';
import { guardRoutes } from './guard-routes.ts';
import { unseenAttributesGap, unseenGap } from './guard-unseen.ts';
import {
  compiled,
  requireHolds,
  requireNoGap,
  roleTarget,
  rulesOfOther,
  ruleTarget,
  type Target,
} from './require-holds.ts';

/** A publication: rules and roles added, changed and removed, held against what was in force before it. */
export async function guardPublication(
  giver: Giver,
  publication: Publication,
  trx: Transaction,
): Promise<void> {
  const { before, after, diff } = publication;
  await guardRetyping(giver, before, after, diff);
  await guardShadows(giver, publication);
  await guardCedar(giver, publication);
  await guardRoutes(giver, publication);
  const touched = [...diff.rules.removed, ...diff.rules.changed.map((change) => change.before)];
  for (const rule of touched)
    await requireHolds(giver, before, takesOrGives(compiled(before, rule.id)), ruleTarget(rule));
  const given = [...diff.rules.added, ...diff.rules.changed.map((change) => change.after)];
  for (const rule of given)
    await requireHolds(giver, before, givesOrDenies(compiled(after, rule.id)), ruleTarget(rule));
  const left = [...diff.roles.removed, ...diff.roles.changed.map((change) => change.before)];
  for (const { key } of left)
    await requireHolds(giver, before, rulesOfRole(before, key).flatMap(takesOrGives), roleTarget(key));
  const made = [...diff.roles.added, ...diff.roles.changed.map((change) => change.after)];
  for (const { key } of made)
    await requireHolds(giver, before, rulesOfRole(after, key).flatMap(givesOrDenies), roleTarget(key));
  // Rules elsewhere that ask for roles mean something else for those who have these.
  const rewired = rewiredRoles(publication);
  const asking =
    rewired.length > 0
      ? [...after.rules.values()].filter((rule) => readOfPrincipal(rule).includes('roles'))
      : [];
  for (const { key } of rewired)
    await requireHolds(giver, before, asking.flatMap(takesOrGives), roleTarget(key));
  await guardDenies(giver, publication, trx);
}

/**
 * A rule means something else once an attribute that it reads is of another type: values that do not fit count as missing,
 * so that a deny may no longer fire, and an allow by `$ne` may. It takes `escalate` on the policy as a whole.
 */
async function guardRetyping(
  giver: Giver,
  before: Snapshot,
  after: Snapshot,
  diff: PolicyDiff,
): Promise<void> {
  for (const { type } of diff.resourceTypes.changed.map((change) => change.before)) {
    const [was, is] = [before.types.get(type), after.types.get(type)];
    if (!was || !is) continue;
    const retyped = Object.keys(was.attributes).filter(
      (name) => shapeOf(was, name) !== shapeOf(is, name) && isRead(before, type, name),
    );
    if (was.evaluator !== is.evaluator) retyped.push('evaluator');
    const gap =
      retyped.length > 0
        ? `rules that read ${retyped.join(', ')} of ${type} would mean something else`
        : undefined;
    await requireNoGap(giver, before, gap, { type: 'castellan.policy', attributes: {} });
  }
}

/** A shadow is told of every decision about the type, with all attributes: whoever names one may `escalate` on the policy. */
async function guardShadows(giver: Giver, { before, after }: Publication): Promise<void> {
  for (const { type, shadow } of after.types.values()) {
    if (shadow === before.types.get(type)?.shadow) continue;
    const gap = `another evaluator would be told of what is asked about ${type}, or be told no more`;
    await requireNoGap(giver, before, gap, { type: 'castellan.policy', attributes: {} });
  }
}

function shapeOf({ attributes }: ResourceType, name: string): string {
  return JSON.stringify([attributes[name]?.type, attributes[name]?.items]);
}

/** Whether any rule reads an attribute: of its resource, or of the principal where the type is that of accounts. */
function isRead(snapshot: Snapshot, type: string, name: string): boolean {
  const isIt = (path: string) => path.split('.')[0] === name;
  return [...snapshot.rules.values()].some((rule) => {
    // It may be that of an ancestor.
    if (readsAncestors(rule)) return true;
    const isAbout = rule.subjects.includes(type) || rule.subjects.includes(ANY_TYPE);
    if (isAbout && pathsOf(rule.condition).some(isIt)) return true;
    return type === ACCOUNT_TYPE && readOfPrincipal(rule).some(isIt);
  });
}

/** The paths of the principal that a rule reads. */
export function readOfPrincipal({ condition, when }: CompiledRule): string[] {
  const asked = pathsOf(when).flatMap((path) =>
    path.startsWith('principal.') ? [path.slice('principal.'.length)] : [],
  );
  return [...asked, ...templatesOf(condition), ...templatesOf(when)];
}

/** Giving a role to an account: being allowed to assign it, and everything in it, inherited rules included. */
export async function guardAssignment(
  giver: Giver,
  snapshot: Snapshot,
  role: string,
  to: Principal,
): Promise<void> {
  await guardGift(giver, snapshot, role, roleTarget(role));
  await guardRoles(giver, snapshot, to, [...to.roles, role], roleTarget(role));
}

/** Taking a role away: what it denied is free then. */
export async function guardUnassignment(
  giver: Giver,
  snapshot: Snapshot,
  role: string,
  from: Principal,
): Promise<void> {
  await guardTaking(giver, snapshot, role, roleTarget(role));
  const left = from.roles.filter((key) => key !== role);
  await guardRoles(giver, snapshot, from, left, roleTarget(role));
}

/** Giving a role: being allowed to assign it, and holding everything in it. */
export async function guardGift(
  giver: Giver,
  snapshot: Snapshot,
  role: string,
  target: Target,
): Promise<void> {
  await requireAssign(giver, snapshot, role);
  await requireHolds(giver, snapshot, rulesOfRole(snapshot, role).flatMap(givesOrDenies), target);
  await requireNoGap(giver, snapshot, unseenGap(giver, snapshot, [role]), target);
}

/** Taking a role away: being allowed to assign it, and holding everything that is free or gone then. */
export async function guardTaking(
  giver: Giver,
  snapshot: Snapshot,
  role: string,
  target: Target,
): Promise<void> {
  await requireAssign(giver, snapshot, role);
  await requireHolds(giver, snapshot, rulesOfRole(snapshot, role).flatMap(takesOrGives), target);
  await requireNoGap(giver, snapshot, unseenGap(giver, snapshot, [role]), target);
}

/** Nobody changes the roles of somebody stronger; and rules elsewhere may ask for the roles that an account has. */
async function guardRoles(
  giver: Giver,
  snapshot: Snapshot,
  account: Principal,
  roles: readonly string[],
  target: Target,
): Promise<void> {
  if (account.id !== giver.principal.id) await guardAccount(giver, snapshot, account, target);
  const nowMs = Date.now();
  const before = makeAbilityToCome(snapshot, account, nowMs);
  const after = makeAbilityToCome(snapshot, { ...account, roles }, nowMs);
  await requireHolds(giver, snapshot, gains(before, after), target);
  await requireNoGap(giver, snapshot, cedarGap(giver, snapshot, { ...account, roles }), target);
}

/** Throws `access_denied` unless the policy lets the giver assign this role, which may be one that is about to be made. */
export async function requireAssign(
  { principal, decisions, context }: Giver,
  snapshot: Snapshot,
  key: string,
  { roles }: Pick<Snapshot, 'roles'> = snapshot,
): Promise<void> {
  const type = snapshot.types.get('castellan.role');
  const role = roles.get(key);
  if (!type || !role) throw new AppError('not_found', { message: `there is no role ${key}` });
  const resource = resourceOf(type, { id: key, name: role.name, inherits: role.inherits });
  const request = { principal, action: { name: 'assign' }, resource, context };
  const decision = await decisions.decide(snapshot, request, 'denied');
  if (!decision.allow) throw accessDenied(decision, `you may not assign the role ${key}: ${decision.reason}`);
}

/** Touching an account (its state, attributes, roles): everything that it can do, now and later, but for its own things. */
export async function guardAccount(
  giver: Giver,
  snapshot: Snapshot,
  account: Principal,
  ...targets: Target[]
): Promise<void> {
  await guardAbility(giver, snapshot, account, rulesOfOther(giver, snapshot, account), targets);
}

/** Taking an account over, by its password or its address: its own things as well, for they are the giver's then. */
export async function guardTakeover(giver: Giver, snapshot: Snapshot, account: Principal): Promise<void> {
  const { rules } = makeAbilityToCome(snapshot, account, Date.now());
  await guardAbility(giver, snapshot, account, rules, []);
}

async function guardAbility(
  giver: Giver,
  snapshot: Snapshot,
  account: Principal,
  rules: readonly GivenRule[],
  targets: readonly Target[],
): Promise<void> {
  const own = accountTarget(account);
  await requireHolds(giver, snapshot, rules, own, ...targets);
  const gap = cedarGap(giver, snapshot, account) ?? unseenGap(giver, snapshot, account.roles);
  await requireNoGap(giver, snapshot, gap, own, ...targets);
}

/** Changing an account: everything that it can do, as it was and as it becomes; `before` is none where it is made. */
export async function guardAccountChange(
  giver: Giver,
  snapshot: Snapshot,
  before: Principal | undefined,
  after: Principal,
): Promise<void> {
  await guardAccount(giver, snapshot, after);
  const gap = unseenAttributesGap(snapshot, before ?? { attributes: {} }, after);
  for (const account of [before, after])
    if (account) await requireNoGap(giver, snapshot, gap, accountTarget(account));
}

function accountTarget({ id, attributes }: Principal): Target {
  return { type: 'user', attributes: { ...attributes, id } };
}

export interface KeyTouch {
  given?: readonly string[];
  taken?: readonly string[];
  takeover?: boolean;
}

/**
 * Making or changing an API key: everything that it can do, now and later, as with an account, and with a secret of one
 * that is there already its own things as well. Roles that it is given or that are taken from it are held against the giver
 * each by itself, whatever the others deny.
 */
export async function guardApiKey(
  giver: Giver,
  snapshot: Snapshot,
  key: ApiKey,
  { given = [], taken = [], takeover = false }: KeyTouch = {},
): Promise<void> {
  const target: Target = { type: 'castellan.api-key', attributes: apiKeyAttributes(key) };
  for (const role of given) await guardGift(giver, snapshot, role, target);
  for (const role of taken) await guardTaking(giver, snapshot, role, target);
  const principal = apiKeyPrincipal(key);
  const rules = takeover
    ? makeAbilityToCome(snapshot, principal, Date.now()).rules
    : rulesOfOther(giver, snapshot, principal);
  await requireHolds(giver, snapshot, rules, target);
  const gap = cedarGap(giver, snapshot, principal) ?? unseenGap(giver, snapshot, principal.roles);
  await requireNoGap(giver, snapshot, gap, target);
}

/**
 * Nobody gives what they do not hold, nor denies to others what they do not hold: that would take it away. A rule that is
 * switched off counts as one that is on: somebody may switch it on who takes it for what it was.
 */
export function givesOrDenies(rule: CompiledRule): GivenRule[] {
  // What binds everyone does not stand against a deny.
  return [
    rule.effect === 'allow' ? asGiven(rule) : { ...asLifted(rule), priority: Number.NEGATIVE_INFINITY },
  ];
}

/** Changing or taking away: nobody touches an allow that is more than they hold, and without a deny there is more for all. */
export function takesOrGives(rule: CompiledRule): GivenRule[] {
  return [rule.effect === 'allow' ? asGiven(rule) : asLifted(rule)];
}
