/** Roles given to accounts and taken from them. */
import { recordAudit } from '../audit/record.ts';
import { keepPolicyChangeable } from '../decision/lock-out.ts';
import type { GuardedCall } from '../enforcement/access.ts';
import { AppError } from '../errors.ts';
import type { Services } from '../services.ts';
import { principalFor } from '../sessions/authenticate.ts';
import { guardAssignment } from './guard-escalation.ts';
import { actorOf } from './publish-change.ts';

/** Gives a role. Throws `not_found` for a role that is not there, `privilege_escalation` for one that is more than the giver's own. */
export async function assignRole(services: Services, call: GuardedCall): Promise<void> {
  await changeAssignment(services, call, 'user.assign-role', (trx, { account_id, role_key }) =>
    trx('role_assignments').insert({ account_id, role_key }).onConflict().ignore(),
  );
}

/** Takes a role away. Throws `privilege_escalation` as above, and `policy_locks_out`. */
export async function unassignRole(services: Services, call: GuardedCall): Promise<void> {
  await changeAssignment(services, call, 'user.unassign-role', (trx, row) =>
    trx('role_assignments').where(row).delete(),
  );
}

type Row = { account_id: string; role_key: string };
type Trx = Parameters<Parameters<typeof keepPolicyChangeable>[2]>[0];

async function changeAssignment(
  services: Services,
  { req, params: { id = '', key = '' } }: GuardedCall,
  action: string,
  change: (trx: Trx, row: Row) => PromiseLike<unknown>,
): Promise<void> {
  const { db, live, decisions, feed } = services;
  await keepPolicyChangeable(db, live, async (trx, snapshot) => {
    if (!snapshot.roles.has(key)) throw new AppError('not_found', { message: `there is no role ${key}` });
    await guardAssignment({ principal: principalFor(req, snapshot), decisions }, snapshot, key);
    const roles = () =>
      trx('role_assignments').where({ account_id: id }).orderBy('role_key').pluck('role_key');
    const before: string[] = await roles();
    await change(trx, { account_id: id, role_key: key });
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
