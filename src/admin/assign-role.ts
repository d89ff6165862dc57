/** Roles given to accounts, for good or for a time, and taken from them. */
import { isDeepStrictEqual } from 'node:util';
import { recordAudit } from '../audit/record.ts';
import { accountPrincipal, findAccountFacts } from '../decision/principals.ts';
import type { GuardedCall } from '../enforcement/access.ts';
import { AppError } from '../errors.ts';
import type { Principal } from '../policy/ability.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Services } from '../services.ts';
import type { Database, Transaction } from '../storage/postgres.ts';
import { type Giver, giverOf } from './giver.ts';
import { guardAssignment, guardUnassignment } from './guard-escalation.ts';
import { actorOf } from './publish-change.ts';
import { changeUnderLock } from './under-lock.ts';

/**
 * Gives a role. Throws `not_found` for a role that is not there, `access_denied` for one that the giver may not assign,
 * `privilege_escalation` for one that is more than the giver's own.
 */
export async function assignRole(
  services: Services,
  call: GuardedCall<{ expiresAt?: Date | null } | undefined>,
): Promise<void> {
  const expiresAt = call.body?.expiresAt ?? null;
  await changeAssignment(services, call, {
    until: expiresAt,
    action: 'user.assign-role',
    guard: async (giver, snapshot, { account_id, role_key }, trx) => {
      const account = await principalOf(trx, account_id, snapshot);
      await guardAssignment(giver, snapshot, role_key, account);
      // To end sooner what was given for longer is to take it away.
      const [given] = (await assignmentsOf(trx, account_id)).filter(({ key }) => key === role_key);
      if (given && endOf(expiresAt) < endOf(given.expiresAt))
        await guardUnassignment(giverOf(services, call.req, snapshot), snapshot, role_key, account);
    },
    change: (trx, { account_id, role_key }) =>
      trx('role_assignments')
        .insert({ account_id, role_key, expires_at: expiresAt })
        .onConflict(['account_id', 'role_key'])
        .merge(['expires_at']),
  });
}

/** Takes a role away. Throws as above, and `policy_locks_out`. */
export async function unassignRole(services: Services, call: GuardedCall): Promise<void> {
  await changeAssignment(services, call, {
    until: null,
    action: 'user.unassign-role',
    guard: async (giver, snapshot, { account_id, role_key }, trx) =>
      guardUnassignment(giver, snapshot, role_key, await principalOf(trx, account_id, snapshot)),
    change: (trx, row) => trx('role_assignments').where(row).delete(),
  });
}

async function principalOf(trx: Transaction, id: string, snapshot: Snapshot): Promise<Principal> {
  const [facts] = await findAccountFacts(trx, [id]);
  if (!facts) throw new AppError('not_found');
  return accountPrincipal(facts, snapshot);
}

type Row = { account_id: string; role_key: string };

interface AssignmentChange {
  action: string;
  /** When what is given ends; null: it lasts. */
  until: Date | null;
  guard(giver: Giver, snapshot: Snapshot, row: Row, trx: Transaction): Promise<void>;
  change(trx: Transaction, row: Row): PromiseLike<unknown>;
}

async function changeAssignment(
  services: Services,
  { req, params: { id = '', key = '' } }: GuardedCall<unknown>,
  { action, until, guard, change }: AssignmentChange,
): Promise<void> {
  const { feed } = services;
  await changeUnderLock(services, req, async (trx, snapshot) => {
    if (!snapshot.roles.has(key)) throw new AppError('not_found', { message: `there is no role ${key}` });
    const row = { account_id: id, role_key: key };
    await guard(giverOf(services, req, snapshot, until?.getTime()), snapshot, row, trx);
    const before = await assignmentsOf(trx, id);
    await change(trx, row);
    const after = await assignmentsOf(trx, id);
    if (isDeepStrictEqual(before, after)) return;
    await recordAudit(trx, {
      actor: actorOf(req),
      action,
      target: { type: 'user', id },
      before: rolesAndEnds(before),
      after: rolesAndEnds(after),
    });
  });
  feed.announce([{ kind: 'principal', subject: id }]);
}

function endOf(expiresAt: Date | null): number {
  return expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
}

/** One role that an account was given. */
export interface Assignment {
  key: string;
  /** From then on it does not have it; null: it lasts. */
  expiresAt: Date | null;
  createdAt: Date;
}

/** The roles that an account was given and that have not ended, in the order of their keys. */
export async function assignmentsOf(db: Database | Transaction, accountId: string): Promise<Assignment[]> {
  return db('role_assignments')
    .select({ key: 'role_key', expiresAt: 'expires_at', createdAt: 'created_at' })
    .where({ account_id: accountId })
    .whereRaw('(expires_at IS NULL OR expires_at > now())')
    .orderBy('role_key');
}

function rolesAndEnds(assignments: readonly Assignment[]): object {
  const ends = assignments.flatMap(({ key, expiresAt }) => (expiresAt ? [[key, expiresAt]] : []));
  return {
    roles: assignments.map(({ key }) => key),
    ...(ends.length > 0 && { expiresAt: Object.fromEntries(ends) }),
  };
}
