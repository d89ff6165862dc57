/** Roles given to accounts and taken from them. */
import { recordAudit } from '../audit/record.ts';
import { accountPrincipal, findAccountFacts } from '../decision/principals.ts';
import type { GuardedCall } from '../enforcement/access.ts';
import { AppError } from '../errors.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Services } from '../services.ts';
import { principalFor } from '../sessions/authenticate.ts';
import type { Transaction } from '../storage/postgres.ts';
import { type Giver, guardAssignment, guardUnassignment } from './guard-escalation.ts';
import { actorOf } from './publish-change.ts';
import { changeUnderLock } from './under-lock.ts';

/**
 * Gives a role. Throws `not_found` for a role that is not there, `access_denied` for one that the giver may not assign,
 * `privilege_escalation` for one that is more than the giver's own.
 */
export async function assignRole(services: Services, call: GuardedCall): Promise<void> {
  await changeAssignment(services, call, {
    action: 'user.assign-role',
    guard: async (giver, snapshot, { account_id, role_key }, trx) => {
      const [facts] = await findAccountFacts(trx, [account_id]);
      if (!facts) throw new AppError('not_found');
      await guardAssignment(giver, snapshot, role_key, accountPrincipal(facts, snapshot));
    },
    change: (trx, { account_id, role_key }) =>
      trx('role_assignments').insert({ account_id, role_key }).onConflict().ignore(),
  });
}

/** Takes a role away. Throws as above, and `policy_locks_out`. */
export async function unassignRole(services: Services, call: GuardedCall): Promise<void> {
  await changeAssignment(services, call, {
    action: 'user.unassign-role',
    guard: (giver, snapshot, { role_key }) => guardUnassignment(giver, snapshot, role_key),
    change: (trx, row) => trx('role_assignments').where(row).delete(),
  });
}

type Row = { account_id: string; role_key: string };

interface AssignmentChange {
  action: string;
  guard(giver: Giver, snapshot: Snapshot, row: Row, trx: Transaction): Promise<void>;
  change(trx: Transaction, row: Row): PromiseLike<unknown>;
}

async function changeAssignment(
  services: Services,
  { req, params: { id = '', key = '' } }: GuardedCall,
  { action, guard, change }: AssignmentChange,
): Promise<void> {
  const { decisions, feed } = services;
  await changeUnderLock(services, req, async (trx, snapshot) => {
    if (!snapshot.roles.has(key)) throw new AppError('not_found', { message: `there is no role ${key}` });
    const row = { account_id: id, role_key: key };
    await guard({ principal: principalFor(req, snapshot), decisions }, snapshot, row, trx);
    const roles = () =>
      trx('role_assignments').where({ account_id: id }).orderBy('role_key').pluck('role_key');
    const before: string[] = await roles();
    await change(trx, row);
    const after: string[] = await roles();
    if (before.length === after.length) return;
    await recordAudit(trx, {
      actor: actorOf(req),
      action,
      target: { type: 'user', id },
      before: { roles: before },
      after: { roles: after },
    });
  });
  feed.announce([{ kind: 'principal', subject: id }]);
}
