/** The last account that can change the policy cannot be lost (design 4.8). */
import { AppError } from '../errors.ts';
import { type Ability, isAlways, makeAbility, type Principal } from '../policy/ability.ts';
import type { PolicyDiff } from '../policy/diff.ts';
import type { LivePolicy } from '../policy/live-policy.ts';
import { ANY_ACTION, ANY_TYPE, listOf } from '../policy/policy.ts';
import { type Publication, snapshotUnderLock } from '../policy/publish.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Database, Transaction } from '../storage/postgres.ts';
import { type AccountFacts, accountFactColumnsAt, accountPrincipal } from './principals.ts';

/** What "can change the policy" means: these on any rule, whatever it says and whenever it is asked. */
const needed = { type: 'castellan.rule', actions: ['read', 'create', 'update', 'delete', 'escalate'] };

/**
 * Runs a change of accounts or their roles in a transaction that holds the policy lock, and commits it unless nobody
 * could change the policy afterwards though somebody could before: then it throws `policy_locks_out`. `change` gets the policy in force under that lock.
 */
export async function keepPolicyChangeable<T>(
  db: Database,
  live: LivePolicy,
  change: (trx: Transaction, snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  return db.transaction(async (trx) => {
    const snapshot = await snapshotUnderLock(trx, live);
    const before = await timeline(trx, snapshot);
    const result = await change(trx, snapshot);
    for (const [atMs, can] of await timeline(trx, snapshot)) if (!can && couldAt(before, atMs)) refuse();
    return result;
  });
}

/** Whether somebody can change the policy, now and from each instant on at which that may become otherwise; in order. */
async function timeline(trx: Transaction, snapshot: Snapshot): Promise<[atMs: number, can: boolean][]> {
  const own = instantsOf(snapshot);
  // One account that can at every instant settles it; there nearly always is one.
  if (await someoneAlwaysCan(trx, snapshot, own)) return [[own[0] ?? 0, true]];
  const instants = new Set([...own, ...(await roleEnds(trx, snapshot))]);
  const line: [number, boolean][] = [];
  for (const atMs of [...instants].sort((a, b) => a - b))
    line.push([atMs, await someoneCanChangePolicy(trx, snapshot, atMs)]);
  return line;
}

/** Between two instants of the line nothing changed. */
function couldAt(line: readonly [atMs: number, can: boolean][], atMs: number): boolean {
  return line.findLast(([sinceMs]) => sinceMs <= atMs)?.[1] ?? false;
}

/** When roles that matter here end. */
async function roleEnds(trx: Transaction, snapshot: Snapshot): Promise<number[]> {
  const { roles } = candidatesFor(snapshot);
  const ends: { expiresAt: Date }[] = await trx('role_assignments')
    .distinct('expires_at')
    .whereIn('role_key', roles)
    .whereRaw('expires_at > now()');
  return ends.map(({ expiresAt }) => expiresAt.getTime());
}

/** For a publication: throws `policy_locks_out` when it takes the policy from the last who could change it. */
export async function refuseLockOut(trx: Transaction, { before, after, diff }: Publication): Promise<void> {
  if (!mayLockOut(diff)) return;
  const own = [...instantsOf(after), ...instantsOf(before)];
  if (await someoneAlwaysCan(trx, after, own)) return;
  const ends = [...(await roleEnds(trx, before)), ...(await roleEnds(trx, after))];
  for (const atMs of new Set([...own, ...ends])) {
    if (await someoneCanChangePolicy(trx, after, atMs)) continue;
    if (await someoneCanChangePolicy(trx, before, atMs)) refuse();
  }
}

/** Whether a change is about anything that this goes by: rules about rules, who has them by what role, and what accounts are like. */
function mayLockOut({ rules, roles, resourceTypes }: PolicyDiff): boolean {
  const written = [
    ...rules.added,
    ...rules.removed,
    ...rules.changed.flatMap(({ before, after }) => [before, after]),
  ];
  return (
    [roles, resourceTypes].some(
      ({ added, changed, removed }) => added.length + changed.length + removed.length > 0,
    ) || written.some(({ subject }) => isAbout(listOf(subject)))
  );
}

/** Now, and each instant at which a rule that matters here begins or ends: a right that runs out is lost then. */
function instantsOf(snapshot: Snapshot): number[] {
  const nowMs = Date.now();
  const coming = [...snapshot.rules.values()]
    .filter(({ subjects }) => isAbout(subjects))
    .flatMap(({ validFromMs, validUntilMs }) => [validFromMs, validUntilMs])
    .filter((atMs) => Number.isFinite(atMs) && atMs > nowMs);
  return [nowMs, ...new Set(coming)];
}

function isAbout(subjects: readonly string[]): boolean {
  return subjects.includes(needed.type) || subjects.includes(ANY_TYPE);
}

function refuse(): never {
  throw new AppError('policy_locks_out', {
    message: 'no active account could change every rule any more; give another account that right first',
  });
}

const BATCH = 500;

/** Whether some account can change the policy at each of these instants, by roles that do not end. */
async function someoneAlwaysCan(
  trx: Transaction,
  snapshot: Snapshot,
  instants: readonly number[],
): Promise<boolean> {
  const can = (principal: Principal) =>
    instants.every((atMs) => canChangePolicy(makeAbility(snapshot, principal, atMs)));
  return someCandidate(trx, snapshot, 'infinity', (facts) => can(accountPrincipal(facts, snapshot)));
}

async function someoneCanChangePolicy(trx: Transaction, snapshot: Snapshot, atMs: number): Promise<boolean> {
  return someCandidate(trx, snapshot, new Date(atMs).toISOString(), (facts) =>
    canChangePolicy(makeAbility(snapshot, accountPrincipal(facts, snapshot), atMs)),
  );
}

/** Looks through the active accounts that can have it at all, with the roles they have at that instant, until one has it. */
async function someCandidate(
  trx: Transaction,
  snapshot: Snapshot,
  instant: string,
  has: (facts: AccountFacts) => boolean,
): Promise<boolean> {
  const candidates = candidatesFor(snapshot);
  for (let after: string | null = null; ; ) {
    const { rows }: { rows: AccountFacts[] } = await trx.raw(findCandidates, [
      instant,
      candidates.all,
      candidates.roles,
      candidates.ids,
      after,
      after,
      BATCH,
    ]);
    if (rows.some(has)) return true;
    const last = rows.at(-1);
    if (!last || rows.length < BATCH) return false;
    after = last.id;
  }
}

const findCandidates = `
  SELECT ${accountFactColumnsAt('asked.at')} FROM accounts a, (SELECT ?::timestamptz AS at) AS asked
  WHERE a.is_active
    AND (?::boolean OR EXISTS (SELECT FROM role_assignments x WHERE x.account_id = a.id AND x.role_key = ANY (?::text[])) OR a.id::text = ANY (?::text[]))
    AND (?::uuid IS NULL OR a.id > ?::uuid)
  ORDER BY a.id LIMIT ?`;

/** Who could have it: by a role, by a rule of their own, or everybody, where a built-in role has such a rule. */
function candidatesFor(snapshot: Snapshot): { all: boolean; roles: string[]; ids: string[] } {
  const granting = [...snapshot.rules.values()].filter(
    ({ effect, subjects }) => effect === 'allow' && isAbout(subjects),
  );
  const holders = new Set(granting.map(({ source }) => source.role));
  const roles = [...snapshot.lineage]
    .filter(([, lineage]) => [...lineage].some((role) => holders.has(role)))
    .map(([key]) => key);
  const ids = granting.flatMap(({ source }) =>
    source.principal?.startsWith('user:') ? [source.principal.slice('user:'.length)] : [],
  );
  return { all: holders.has('everyone') || holders.has('authenticated'), roles, ids };
}

/** Unconditional allows count; any deny that could touch it counts against. The last rule that speaks decides. */
export function canChangePolicy(ability: Ability): boolean {
  return needed.actions.every((action) => {
    const about = ability.rules.filter(
      ({ actions, subjects }) =>
        (actions.includes(action) || actions.includes(ANY_ACTION)) && isAbout(subjects),
    );
    const telling = about.findLast(
      (rule) => rule.effect === 'deny' || (isAlways(rule.condition) && isAlways(rule.when) && !rule.fields),
    );
    return telling?.effect === 'allow';
  });
}
