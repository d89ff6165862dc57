/** An account changes its own password, and every other session of it ends. */
import { recordAudit } from '../audit/record.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { accountActor, type Origin } from './account-actor.ts';
import { type AccountParts, checkPassword, requireChecked } from './check-password.ts';
import { refuseGuessable } from './password-rules.ts';
import type { PasswordChange } from './profile-schemas.ts';

/**
 * One transaction: the new hash, the end of all sessions but `sessionId`, the audit entry.
 * Throws `invalid_credentials`, `too_many_attempts`, and `invalid_request` for a guessable new password.
 */
export async function changePassword(
  parts: AccountParts,
  { accountId, sessionId }: { accountId: string; sessionId: string },
  { currentPassword, newPassword }: PasswordChange,
  origin: Origin,
): Promise<void> {
  const checked = await checkPassword(parts, {
    of: { id: accountId },
    password: currentPassword,
    ip: origin.ip,
  });
  await refuseGuessable(newPassword, '/newPassword', checked);
  const passwordHash = await parts.passwords.hash(newPassword);
  const ended = await parts.db.transaction(async (trx) => {
    const account = await requireChecked(trx, checked);
    await account.$query(trx).patch({ passwordHash, updatedAt: new Date() });
    const ended = await endSessions(trx, { accountId, except: sessionId });
    await recordAudit(trx, {
      actor: accountActor(account, origin),
      action: 'user.change-password',
      target: { type: 'user', id: account.id },
    });
    return ended;
  });
  parts.feed.announce([{ kind: 'principal', subject: accountId }, ...ended]);
}
