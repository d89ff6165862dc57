/** Registration: an account with the roles that the settings give, or nothing. */
import { recordAudit } from '../audit/record.ts';
import { AppError } from '../errors.ts';
import { clientRange } from '../sessions/address.ts';
import type { Transaction } from '../storage/postgres.ts';
import { Account, emailKey } from './account.ts';
import { accountActor, type Origin } from './account-actor.ts';
import type { AccountParts } from './check-password.ts';
import { emailTaken, explainTaken } from './email-taken.ts';
import { refuseGuessable } from './password-rules.ts';
import type { Registration } from './profile-schemas.ts';

/**
 * Makes the account; it is not logged in. Throws `invalid_request` for a guessable password, `email_taken`, and
 * `too_many_attempts` to an address that finds too many e-mails taken, since that tells who has an account.
 */
export async function register(
  parts: AccountParts,
  { password, passwordRepeat: _same, ...profile }: Registration,
  origin: Origin,
): Promise<{ account: Account; roles: string[] }> {
  const roles = registrationRoles(parts);
  await refuseGuessable(password, '/password', profile);
  const row = { ...profile, emailKey: emailKey(profile.email) };
  await refuseTaken(parts, row.emailKey, origin.ip);
  const passwordHash = await parts.passwords.hash(password);
  const account = await parts.db
    .transaction(async (trx) => {
      const added = await Account.query(trx)
        .insert({ ...row, passwordHash })
        .returning('*');
      await giveRoles(trx, added.id, roles);
      await recordAudit(trx, {
        actor: accountActor(added, origin),
        action: 'user.register',
        target: { type: 'user', id: added.id },
        after: { ...profile, roles },
      });
      return added;
    })
    .catch(explainTaken);
  return { account, roles };
}

/** The roles of a new account. A setting that names one which is not there must not make accounts without it. */
function registrationRoles({ config, live }: AccountParts): string[] {
  const roles = [...new Set(config.registrationRoles)].sort();
  const missing = roles.filter((role) => !live.snapshot.roles.has(role));
  if (missing.length === 0) return roles;
  const detail = `REGISTRATION_ROLES names ${missing.join(', ')}, which the policy does not have`;
  throw new AppError('internal_error', { detail });
}

async function refuseTaken({ db, throttle }: AccountParts, key: string, ip: string | undefined) {
  const isFree = async () => !(await Account.query(db).findOne({ emailKey: key }).select('id'));
  if (!(await throttle.attempt({ range: clientRange(ip) }, isFree))) throw emailTaken();
}

async function giveRoles(trx: Transaction, accountId: string, roles: readonly string[]): Promise<void> {
  if (roles.length === 0) return;
  await trx('role_assignments').insert(roles.map((role) => ({ account_id: accountId, role_key: role })));
}
