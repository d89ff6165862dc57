/** Soft deletion: the account can do nothing any more and nobody can take its e-mail; its row stays. */
import { type AuditActor, recordAudit } from '../audit/record.ts';
import { keepPolicyChangeable } from '../decision/lock-out.ts';
import type { Change } from '../policy/change-feed.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import type { Transaction } from '../storage/postgres.ts';
import type { Account } from './account.ts';
import { accountActor, type Origin } from './account-actor.ts';
import { type AccountParts, checkPassword, requireChecked } from './check-password.ts';

/**
 * An account deactivates itself. Throws `invalid_credentials`, `too_many_attempts`, and `policy_locks_out` when it is
 * the last that can change the policy.
 */
export async function deactivateOneself(
  parts: AccountParts,
  accountId: string,
  currentPassword: string,
  origin: Origin,
): Promise<void> {
  const checked = await checkPassword(parts, {
    of: { id: accountId },
    password: currentPassword,
    ip: origin.ip,
  });
  const changes = await keepPolicyChangeable(parts.db, parts.live, async (trx) => {
    const account = await requireChecked(trx, checked);
    return deactivate(trx, account, accountActor(account, origin));
  });
  parts.feed.announce(changes);
}

/** The state, the end of every session, the audit entry; what is to be announced once the transaction is committed. */
async function deactivate(trx: Transaction, account: Account, actor: AuditActor): Promise<Change[]> {
  const now = new Date();
  await account.$query(trx).patch({ isActive: false, deactivatedAt: now, deletedAt: now, updatedAt: now });
  const ended = await endSessions(trx, { accountId: account.id });
  await recordAudit(trx, {
    actor,
    action: 'user.deactivate',
    target: { type: 'user', id: account.id },
    before: { isActive: true },
    after: { isActive: false },
  });
  return [{ kind: 'principal', subject: account.id }, ...ended];
}
