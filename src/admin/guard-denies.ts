/**
 * Nobody weakens somebody stronger (design 4.7): whoever makes others lose something holds all that these may, or may
 * `escalate`. By whatever door a deny comes to bind them: a rule, a role that inherits, an import, a restore.
 */
import { entityPrincipal, loadEntities } from '../decision/entities.ts';
import { groupKey, relevantPaths } from '../decision/principal-groups.ts';
import {
  type AccountFacts,
  type ApiKeyFacts,
  accountFactColumns,
  accountPrincipal,
  apiKeyFactColumns,
  apiKeyPrincipal,
} from '../decision/principals.ts';
import {
  type AbilityRule,
  effectiveRoles,
  isAlways,
  makeAbilityToCome,
  type Principal,
  rulesOfRole,
} from '../policy/ability.ts';
import { ACCOUNT_TYPE, API_KEY_TYPE } from '../policy/built-in.ts';
import { asGiven, asksWho, type Gap, takesFrom } from '../policy/containment.ts';
import { type EntityName, entityNamed } from '../policy/entity.ts';
import { bindNames, namesGiven } from '../policy/entity-store.ts';
import { ANY_TYPE, type Role, type Rule } from '../policy/policy.ts';
import type { Publication } from '../policy/publish.ts';
import type { CompiledRule, Snapshot } from '../policy/snapshot.ts';
import type { Transaction } from '../storage/postgres.ts';
import type { Giver } from './giver.ts';
import { compiled, gapAmong, requireNoGap, roleTarget, ruleTarget, type Target } from './require-holds.ts';

/** Throws `privilege_escalation` when the publication denies something to somebody stronger than the giver. */
export async function guardDenies(giver: Giver, publication: Publication, trx: Transaction): Promise<void> {
  const { before, diff } = publication;
  const written = [...diff.rules.added, ...diff.rules.changed.map((change) => change.after)];
  const denies = written.filter(({ inverted, enabled }) => inverted && enabled);
  const change: Change = { ...publication, denies, rewired: rewiredRoles(publication) };
  const beyond = beyondIn(giver, before);
  await guardRoles(giver, change, beyond);
  await guardHolders(giver, change, await findBound(giver, change, beyond, trx));
  await guardHolders(giver, change, await findBoundEntities(giver, change, trx));
}

/** Roles that inherit others than before; nobody has one that is new. */
export function rewiredRoles({ diff }: Publication): Role[] {
  return diff.roles.changed
    .filter(({ before, after }) => [...before.inherits].sort().join() !== [...after.inherits].sort().join())
    .map(({ after }) => after);
}

interface Change extends Publication {
  /** Denies added or changed, and switched on. */
  denies: Rule[];
  rewired: Role[];
}

/** What is missing for the giver to hold these rules: of the first that they do not hold. */
type Beyond = (rules: Iterable<CompiledRule>) => Gap;

/** Each rule is held against those of the giver at most once, and only when it is asked about: there can be very many. */
function beyondIn(giver: Giver, snapshot: Snapshot): Beyond {
  const known = new Map<string, Gap>();
  const gapOf = (rule: CompiledRule): Gap => {
    if (rule.effect === 'deny' || !rule.source.enabled) return undefined;
    if (!known.has(rule.id)) known.set(rule.id, gapAmong(giver, snapshot, [asGiven(rule)]));
    return known.get(rule.id);
  };
  return (rules) => {
    for (const rule of rules) {
      const gap = gapOf(rule);
      if (gap) return gap;
    }
    return undefined;
  };
}

/** Of the roles, whoever is given them: neither one that is denied something nor its heirs may more than the giver. */
async function guardRoles(giver: Giver, change: Change, beyond: Beyond): Promise<void> {
  const { before, after } = change;
  const gaps = new Map<string, Gap>();
  const gapOf = (role: string): Gap => {
    const heirs = () => new Set(heirsOf(before, [role]).flatMap((key) => rulesOfRole(before, key)));
    if (!gaps.has(role)) gaps.set(role, beyond(heirs()));
    return gaps.get(role);
  };
  for (const rule of change.denies) {
    if (rule.role === undefined || isAlike(after, rule)) continue;
    const gap = isForAll(rule.role) ? beyond(before.rules.values()) : gapOf(rule.role);
    await requireNoGap(giver, before, gap, ruleTarget(rule));
  }
  // Whoever is from elsewhere may have any role that claims give.
  for (const rule of change.denies) {
    const type = before.types.get(entityNamed(rule.principal ?? '').type);
    for (const { role } of type?.identity?.roles ?? [])
      await requireNoGap(giver, before, gapOf(role), ruleTarget(rule));
  }
  for (const { key } of change.rewired) {
    const were = new Set(rulesOfRole(before, key).map(({ id }) => id));
    const isDenied = rulesOfRole(after, key).some(
      ({ id, effect, source }) => effect === 'deny' && source.enabled && !were.has(id),
    );
    if (isDenied) await requireNoGap(giver, before, gapOf(key), roleTarget(key));
  }
}

/** The roles themselves and those that inherit one of them. */
function heirsOf(snapshot: Snapshot, roles: Iterable<string>): string[] {
  const wanted = new Set(roles);
  return [...snapshot.lineage]
    .filter(([, lineage]) => [...lineage].some((key) => wanted.has(key)))
    .map(([heir]) => heir);
}

function isForAll(role: string | undefined): boolean {
  return role === 'everyone' || role === 'authenticated';
}

/**
 * What is denied to all alike binds the giver as well. What can be meant for the strongest is not alike: by who they are,
 * by facts of the request that the giver knows how to meet, or because it is to administer that it keeps from all.
 */
function isAlike(after: Snapshot, { id, role }: Rule): boolean {
  const { when, condition, subjects } = compiled(after, id);
  return isForAll(role) && isAlways(when) && !asksWho(condition) && !subjects.some(administers);
}

function administers(subject: string): boolean {
  return subject === ANY_TYPE || subject === ACCOUNT_TYPE || subject.startsWith('castellan.');
}

/** An account, an API key or an entity that may lose something. */
interface Holder {
  roles: readonly string[];
  under(snapshot: Snapshot): Principal;
}

/** Of accounts, API keys and entities: what makes them stronger may come by another role, a rule of their own, or an attribute. */
async function guardHolders(giver: Giver, change: Change, holders: readonly Holder[]): Promise<void> {
  if (holders.length === 0) return;
  const { before, after } = change;
  const relevant = relevantPaths(before, after);
  const seen = new Set<string>();
  for (const holder of holders) {
    const [was, is] = [holder.under(before), holder.under(after)];
    const group = groupKey(was, is, relevant, before, after);
    if (seen.has(group)) continue;
    seen.add(group);
    const nowMs = Date.now();
    const held = makeAbilityToCome(before, was, nowMs);
    const gap = gapAmong(giver, before, held.rules);
    if (gap === undefined) continue;
    const then = makeAbilityToCome(after, is, nowMs);
    const bound = new Set(held.rules.map((rule) => bindingText(before, rule)));
    const come = then.rules.filter((rule) => rule.effect === 'deny' && !bound.has(bindingText(after, rule)));
    for (const deny of come.filter((rule) => takesFrom(held, rule, then, after)))
      for (const target of causesOf(deny, change, holder)) await requireNoGap(giver, before, gap, target);
  }
}

/** What a rule does to a principal, without its words. */
function bindingText(snapshot: Snapshot, { reason: _words, ...rule }: AbilityRule): string {
  const { validFromMs, validUntilMs } = compiled(snapshot, rule.id);
  return JSON.stringify([rule, validFromMs, validUntilMs]);
}

/** By what a deny came to bind somebody: as a rule that was written, or by the roles that inherit otherwise. */
function causesOf(
  { id }: AbilityRule,
  { denies, rewired, before, after }: Change,
  { roles }: Holder,
): Target[] {
  const rule = denies.find((written) => written.id === id);
  // On all alike: it was judged by itself.
  if (rule) return isForAll(rule.role) ? [] : [ruleTarget(rule)];
  const [had, has] = [effectiveRoles(before, roles), effectiveRoles(after, roles)];
  const causes = rewired.filter(({ key }) => had.has(key) || has.has(key)).map(({ key }) => roleTarget(key));
  return causes.length > 0 ? causes : [{ type: 'castellan.policy', attributes: {} }];
}

/**
 * The accounts and API keys that the change can come to bind, of those that can be stronger than the giver: one look at
 * them. What roles they have is asked before, so that the rules of those alone are held against the giver's.
 */
async function findBound(
  { principal }: Giver,
  { before, after, denies, rewired }: Change,
  beyond: Beyond,
  trx: Transaction,
): Promise<Holder[]> {
  const touched = [...denies.flatMap(({ role }) => role ?? []), ...rewired.map(({ key }) => key)];
  const bound = [
    isHeldHere(principal) ? principal.id : NOBODY,
    denies.flatMap(holderNamed),
    heirsOf(
      after,
      touched.filter((key) => !isForAll(key)),
    ),
  ] as const;
  if (bound[1].length === 0 && bound[2].length === 0) return [];
  const { rows: had }: { rows: { role: string }[] } = await trx.raw(rolesOfBound, [...bound]);
  const stronger = had.map(({ role }) => role).filter((role) => beyond(rulesOfRole(before, role)));
  const isAny = ['everyone', 'authenticated'].some((role) => beyond(before.rulesByRole.get(role) ?? []));
  const named = before.policy.rules.filter(({ inverted }) => !inverted).flatMap(holderNamed);
  const { rows }: { rows: BoundRow[] } = await trx.raw(boundHolders, [...bound, isAny, named, stronger]);
  return rows.map(({ apiKey, ...account }) => (apiKey ? apiKeyHolder(apiKey) : accountHolder(account)));
}

/** The giver's own id, where it is one of ours: any other might not even be a UUID. */
function isHeldHere({ type }: Principal): boolean {
  return type === ACCOUNT_TYPE || type === API_KEY_TYPE;
}

const NOBODY = '00000000-0000-0000-0000-000000000000';

/** So many entities are looked at one by one. */
const MOST_ENTITIES = 1000;

/**
 * The entities that the change can come to bind: named by a deny, or with a role of their own or of their groups that it
 * touches. Throws `privilege_escalation` where there are too many to be looked at, unless the giver may `escalate` on the policy.
 */
async function findBoundEntities(
  giver: Giver,
  { before, after, denies, rewired }: Change,
  trx: Transaction,
): Promise<Holder[]> {
  const touched = [...denies.flatMap(({ role }) => role ?? []), ...rewired.map(({ key }) => key)];
  const roles = heirsOf(
    after,
    touched.filter((key) => !isForAll(key)),
  );
  const named = denies.flatMap(({ principal }) => (principal === undefined ? [] : [entityNamed(principal)]));
  if (roles.length === 0 && named.length === 0) return [];
  const { rows }: { rows: EntityName[] } = await trx.raw(boundEntities, [
    roles,
    ...bindNames(named),
    MOST_ENTITIES + 1,
  ]);
  if (rows.length > MOST_ENTITIES)
    await requireNoGap(
      giver,
      before,
      `it would bind more than ${MOST_ENTITIES} entities, too many to look at`,
      {
        type: 'castellan.policy',
        attributes: {},
      },
    );
  const find = await loadEntities(trx, before, rows.slice(0, MOST_ENTITIES));
  return rows.flatMap((name) => {
    const known = find(name);
    return known ? [{ roles: known.roles, under: (snapshot) => entityPrincipal(name, known, snapshot) }] : [];
  });
}

const boundEntities = `
  WITH RECURSIVE concerned AS (
    SELECT type, id FROM entity_roles WHERE role_key = ANY (?::text[])
    UNION SELECT given.type, given.id FROM ${namesGiven}
    UNION SELECT p.type, p.id FROM entity_parents p JOIN concerned c ON (p.parent_type, p.parent_id) = (c.type, c.id)
  ) SELECT type, id FROM concerned JOIN entities USING (type, id) LIMIT ?`;

/** An account's, or else an API key's. */
type BoundRow = AccountFacts & { apiKey: ApiKeyFacts | null };

function accountHolder(facts: AccountFacts): Holder {
  // One that is deactivated may come back.
  const active = { ...facts, isActive: true };
  return { roles: facts.roles, under: (snapshot) => accountPrincipal(active, snapshot) };
}

function apiKeyHolder(facts: ApiKeyFacts): Holder {
  return { roles: facts.roles, under: () => apiKeyPrincipal(facts) };
}

/** Who is gone for good has nothing to lose; an API key that has expired may be given another end. */
const withBound = `
  WITH held AS (
    SELECT account_id AS id, role_key FROM role_assignments WHERE expires_at IS NULL OR expires_at > clock_timestamp()
    UNION ALL SELECT key_id, role_key FROM api_key_roles
  ), lasting AS (
    SELECT id FROM accounts WHERE deleted_at IS NULL
    UNION ALL SELECT id FROM api_keys WHERE revoked_at IS NULL
  ), bound AS (
    SELECT id FROM lasting
    WHERE id <> ?::uuid AND (id = ANY (?::uuid[]) OR id IN (SELECT id FROM held WHERE role_key = ANY (?::text[])))
  )`;
const rolesOfBound = `${withBound}
  SELECT DISTINCT role_key AS role FROM held JOIN bound USING (id)`;
const boundHolders = `${withBound}
  SELECT account.*, to_jsonb(api_key) AS "apiKey" FROM bound
  LEFT JOIN LATERAL (SELECT ${accountFactColumns} FROM accounts a WHERE a.id = bound.id) account ON true
  LEFT JOIN LATERAL (SELECT ${apiKeyFactColumns} FROM api_keys k WHERE k.id = bound.id) api_key ON true
  WHERE ?::boolean OR bound.id = ANY (?::uuid[])
    OR bound.id IN (SELECT id FROM held WHERE role_key = ANY (?::text[]))`;

/** The id of the account or API key that a rule names, if it is one. */
function holderNamed({ principal = '' }: Rule): string[] {
  const id = holderPattern.exec(principal)?.[1];
  return id === undefined ? [] : [id];
}

const holderPattern = new RegExp(
  `^(?:${ACCOUNT_TYPE}|${API_KEY_TYPE}):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$`,
  'i',
);
