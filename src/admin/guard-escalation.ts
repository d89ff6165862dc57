/** Nobody gives what they do not hold (design 4.7): every way to give, held against what the giver holds. */
import { resourceOf } from '../decision/access-request.ts';
import { accessDenied } from '../decision/decision.ts';
import { accountPrincipal, apiKeyPrincipal, findAccountFacts } from '../decision/principals.ts';
import { AppError } from '../errors.ts';
import { type Ability, effectiveRoles, makeAbility, type Principal } from '../policy/ability.ts';
import { ACCOUNT_TYPE, API_KEY_TYPE } from '../policy/built-in.ts';
import { pathsOf, templatesOf } from '../policy/condition.ts';
import { asGiven, asksWho, asLifted, type Gap, type GivenRule, gapIn } from '../policy/containment.ts';
import type { PolicyDiff } from '../policy/diff.ts';
import { ANY_TYPE, type ResourceType, type Rule, ruleAttributes } from '../policy/policy.ts';
import type { Publication } from '../policy/publish.ts';
import type { CompiledRule, Snapshot } from '../policy/snapshot.ts';
import type { Transaction } from '../storage/postgres.ts';
import { type ApiKey, apiKeyAttributes, findApiKey } from './api-key.ts';
import type { Giver } from './giver.ts';

/** On what the giver may hold `escalate` instead of the permission itself. */
interface Target {
  type: 'castellan.rule' | 'castellan.role' | 'castellan.policy' | 'castellan.api-key' | 'user';
  attributes: object;
}

/** Throws `privilege_escalation` unless the giver holds every permission given, or may `escalate` on the target. */
export async function requireHolds(
  giver: Giver,
  snapshot: Snapshot,
  given: readonly GivenRule[],
  target: Target,
): Promise<void> {
  await requireNoGap(giver, snapshot, gapAmong(giver, snapshot, given), target);
}

/** The first of the permissions given that the giver does not hold, now and for as long as the gift lasts. */
function gapAmong(giver: Giver, snapshot: Snapshot, given: readonly GivenRule[]): Gap {
  for (const held of heldBy(giver, snapshot))
    for (const rule of given) {
      const gap = gapIn(held, rule, snapshot);
      if (gap) return gap;
    }
  return undefined;
}

const abilities = new WeakMap<Giver, WeakMap<Snapshot, Ability[]>>();

/**
 * Made once for each giver: an import asks of a hundred thousand rules. What is held for a time may be a deny as well, so
 * both what is held now and what is held for good must cover a gift.
 */
function heldBy(giver: Giver, snapshot: Snapshot): Ability[] {
  const known = abilities.get(giver) ?? new WeakMap<Snapshot, Ability[]>();
  abilities.set(giver, known);
  const held = known.get(snapshot) ?? holders(giver).map((one) => makeAbility(snapshot, one, Date.now()));
  known.set(snapshot, held);
  return held;
}

function holders({ principal, lasting }: Giver): Principal[] {
  return principal === lasting ? [principal] : [principal, lasting];
}

async function requireNoGap(giver: Giver, snapshot: Snapshot, gap: Gap, target: Target): Promise<void> {
  if (gap === undefined || (await mayEscalate(giver, snapshot, target))) return;
  throw new AppError('privilege_escalation', { message: gap });
}

async function mayEscalate(giver: Giver, snapshot: Snapshot, target: Target): Promise<boolean> {
  const type = snapshot.types.get(target.type);
  if (!type) return false;
  const resource = resourceOf(type, target.attributes);
  for (const principal of holders(giver)) {
    const request = { principal, action: { name: 'escalate' }, resource, context: {} };
    if (!(await giver.decisions.decide(snapshot, request, 'never')).allow) return false;
  }
  return true;
}

/** A publication: rules and roles added, changed and removed, held against what was in force before it. */
export async function guardPublication(
  giver: Giver,
  { before, after, diff }: Publication,
  trx: Transaction,
): Promise<void> {
  await guardRetyping(giver, before, after, diff);
  const touched = [...diff.rules.removed, ...diff.rules.changed.map((change) => change.before)];
  for (const rule of touched)
    await requireHolds(giver, before, takesOrGives(compiled(before, rule.id)), ruleTarget(rule));
  const given = [...diff.rules.added, ...diff.rules.changed.map((change) => change.after)];
  const bound: Bound = new Map();
  for (const rule of given) {
    await requireHolds(giver, before, givesOrDenies(compiled(after, rule.id)), ruleTarget(rule));
    if (rule.inverted && rule.enabled) await guardBound(giver, before, compiled(after, rule.id), bound, trx);
  }
  const left = [...diff.roles.removed, ...diff.roles.changed.map((change) => change.before)];
  for (const { key } of left)
    await requireHolds(giver, before, rulesOfRole(before, key).flatMap(takesOrGives), roleTarget(key));
  const made = [...diff.roles.added, ...diff.roles.changed.map((change) => change.after)];
  for (const { key } of made)
    await requireHolds(giver, before, rulesOfRole(after, key).flatMap(givesOrDenies), roleTarget(key));
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

function shapeOf({ attributes }: ResourceType, name: string): string {
  return JSON.stringify([attributes[name]?.type, attributes[name]?.items]);
}

/** Whether any rule reads an attribute: of its resource, or of the principal where the type is that of accounts. */
function isRead(snapshot: Snapshot, type: string, name: string): boolean {
  const isIt = (path: string) => path.split('.')[0] === name;
  return [...snapshot.rules.values()].some(({ subjects, condition, when }) => {
    if ((subjects.includes(type) || subjects.includes(ANY_TYPE)) && pathsOf(condition).some(isIt))
      return true;
    if (type !== ACCOUNT_TYPE) return false;
    const ofPrincipal = pathsOf(when).flatMap((path) =>
      path.startsWith('principal.') ? [path.slice('principal.'.length)] : [],
    );
    return [...ofPrincipal, ...templatesOf(condition), ...templatesOf(when)].some(isIt);
  });
}

/** Giving a role to an account: being allowed to assign it, and everything in it, inherited rules included. */
export async function guardAssignment(
  giver: Giver,
  snapshot: Snapshot,
  role: string,
  to: Principal,
): Promise<void> {
  await guardGift(giver, snapshot, role, roleTarget(role));
  // What denies weakens whoever gets it.
  if (rulesOfRole(snapshot, role).some(({ effect }) => effect === 'deny'))
    await guardAccount(giver, snapshot, to);
}

async function guardGift(giver: Giver, snapshot: Snapshot, role: string, target: Target): Promise<void> {
  await requireAssign(giver, snapshot, role);
  const rules = rulesOfRole(snapshot, role);
  const allows = rules.filter(({ effect }) => effect === 'allow').map(asGiven);
  await requireHolds(giver, snapshot, [...allows, ...rules.flatMap(denies)], target);
}

/** Taking a role away: what it denied is free then. */
export async function guardUnassignment(
  giver: Giver,
  snapshot: Snapshot,
  role: string,
  target = roleTarget(role),
): Promise<void> {
  await requireAssign(giver, snapshot, role);
  await requireHolds(giver, snapshot, rulesOfRole(snapshot, role).flatMap(takesOrGives), target);
}

/**
 * Making, changing or having a secret of an API key: everything that it can do, as with an account. Roles that it is given
 * or that are taken from it are held against the giver each by itself, whatever the others deny.
 */
export async function guardApiKey(
  giver: Giver,
  snapshot: Snapshot,
  key: ApiKey,
  { given = [], taken = [] }: { given?: readonly string[]; taken?: readonly string[] } = {},
): Promise<void> {
  const target = apiKeyTarget(key);
  for (const role of given) await guardGift(giver, snapshot, role, target);
  for (const role of taken) await guardUnassignment(giver, snapshot, role, target);
  await guardPrincipal(giver, snapshot, apiKeyPrincipal(key), target);
}

/** Throws `access_denied` unless the policy lets the giver assign this role. */
async function requireAssign(
  { principal, decisions }: Giver,
  snapshot: Snapshot,
  key: string,
): Promise<void> {
  const type = snapshot.types.get('castellan.role');
  const role = snapshot.roles.get(key);
  if (!type || !role) throw new AppError('not_found', { message: `there is no role ${key}` });
  const resource = resourceOf(type, { id: key, name: role.name, inherits: role.inherits });
  const request = { principal, action: { name: 'assign' }, resource, context: {} };
  const decision = await decisions.decide(snapshot, request, 'denied');
  if (!decision.allow) throw accessDenied(decision, `you may not assign the role ${key}: ${decision.reason}`);
}

/** For each role that denies were given to: what those who have it may, and the giver does not hold. */
type Bound = Map<string, Gap>;

/** Nobody weakens somebody stronger: who denies something to a role or an account holds all that it may. */
async function guardBound(
  giver: Giver,
  before: Snapshot,
  { source, condition, when }: CompiledRule,
  bound: Bound,
  trx: Transaction,
): Promise<void> {
  // What is denied to everybody alike binds the giver as well; what asks who they are can be meant for the strongest.
  const isForAll = source.role === 'everyone' || source.role === 'authenticated';
  const role = isForAll && (asksWho(condition) || asksWho(when)) ? ANY_ROLE : source.role;
  if (role !== undefined) {
    if (!bound.has(role)) bound.set(role, gapAmong(giver, before, allowedToHeirs(before, role)));
    await requireNoGap(giver, before, bound.get(role), ruleTarget(source));
  }
  const [, type, id = ''] = storedPrincipal.exec(source.principal ?? '') ?? [];
  const [facts] = type === ACCOUNT_TYPE ? await findAccountFacts(trx, [id]) : [];
  if (facts) await guardAccount(giver, before, accountPrincipal(facts, before));
  const key = type === API_KEY_TYPE ? await findApiKey(trx, id) : undefined;
  if (key) await guardApiKey(giver, before, key);
}

const ANY_ROLE = '*';

/** All that the role and those that inherit it may. */
function allowedToHeirs(snapshot: Snapshot, role: string): GivenRule[] {
  const heirs = [...snapshot.lineage].filter(([, lineage]) => role === ANY_ROLE || lineage.has(role));
  const rules = new Set(heirs.flatMap(([key]) => rulesOfRole(snapshot, key)));
  return [...rules].flatMap(gives);
}

const storedPrincipal = new RegExp(
  `^(${ACCOUNT_TYPE}|${API_KEY_TYPE}):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$`,
  'i',
);

/** Touching an account (its password, state, attributes): everything that it can do, before and after. */
export async function guardAccount(giver: Giver, snapshot: Snapshot, account: Principal): Promise<void> {
  const target: Target = { type: 'user', attributes: { ...account.attributes, id: account.id } };
  await guardPrincipal(giver, snapshot, account, target);
}

async function guardPrincipal(
  giver: Giver,
  snapshot: Snapshot,
  principal: Principal,
  target: Target,
): Promise<void> {
  const instants = [Date.now(), ...beginnings(snapshot, principal)];
  const rules = instants.flatMap((atMs) => makeAbility(snapshot, principal, atMs).rules);
  await requireHolds(giver, snapshot, rules, target);
}

/** When rules of the principal begin that are not there yet: who takes it now would have them then. */
function beginnings(snapshot: Snapshot, { type, id, roles }: Principal): Set<number> {
  const held = effectiveRoles(snapshot, roles).add('everyone').add('authenticated');
  const nowMs = Date.now();
  const coming = [...snapshot.rules.values()].filter(
    ({ source, validFromMs }) =>
      validFromMs > nowMs && (source.principal === `${type}:${id}` || held.has(source.role ?? '')),
  );
  return new Set(coming.map(({ validFromMs }) => validFromMs));
}

function gives(rule: CompiledRule): GivenRule[] {
  return rule.effect === 'allow' && rule.source.enabled ? [asGiven(rule)] : [];
}

/** Nobody denies to others what they do not hold: that would take it away. What binds everyone does not stand against it. */
function denies(rule: CompiledRule): GivenRule[] {
  const isDeny = rule.effect === 'deny' && rule.source.enabled;
  return isDeny ? [{ ...asLifted(rule), priority: Number.NEGATIVE_INFINITY }] : [];
}

function givesOrDenies(rule: CompiledRule): GivenRule[] {
  return [...gives(rule), ...denies(rule)];
}

/** Changing or taking away: nobody touches an allow that is more than they hold, and without a deny there is more for all. */
function takesOrGives(rule: CompiledRule): GivenRule[] {
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

function apiKeyTarget(key: ApiKey): Target {
  return { type: 'castellan.api-key', attributes: apiKeyAttributes(key) };
}
