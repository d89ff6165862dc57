/** The one road to a verified password: throttled, and at one cost whatever is wrong. */
import { AppError } from '../errors.ts';
import type { Services } from '../services.ts';
import { clientRange } from '../sessions/address.ts';
import type { Transaction } from '../storage/postgres.ts';
import { Account } from './account.ts';
import type { LoginThrottle } from './login-throttle.ts';

/** What the accounts' endpoints work with. */
export interface AccountParts extends Services {
  throttle: LoginThrottle;
}

export interface PasswordCheck {
  /** Of which account: by e-mail key, or by id where somebody is logged in already. */
  of: { emailKey: string } | { id: string };
  password: string;
  ip: string | undefined;
}

type CheckedAccount = Account & { isKnownRange: boolean };

/**
 * The active account whose password it is. Throws `invalid_credentials`, which is the same for a wrong password, an
 * unknown e-mail and a deactivated account, in words and in work; `too_many_attempts`; `overloaded`.
 */
export async function checkPassword(
  { db, passwords, throttle }: AccountParts,
  { of, password, ip }: PasswordCheck,
): Promise<Account> {
  const range = clientRange(ip);
  const account: CheckedAccount | undefined = await Account.query(db)
    .findOne(of)
    .select('accounts.*', db.raw(`${hasLoggedInFrom} AS is_known_range`, [range, range]))
    .castTo<CheckedAccount | undefined>();
  const emailKey = account?.emailKey ?? ('emailKey' in of ? of.emailKey : of.id);
  const who = { range, emailKey, isKnownRange: account?.isKnownRange ?? false };
  const hash = account?.isActive ? account.passwordHash : undefined;
  const fits = await throttle.attempt(who, () => passwords.verify(hash, password));
  if (!fits || !account) throw new AppError('invalid_credentials');
  return account;
}

/**
 * Locks the account for the transaction if it is still what was checked: verifying takes time, in which it may have
 * been deactivated or been given another password. Undefined: it is not the same any more.
 */
export async function lockChecked(trx: Transaction, checked: Account): Promise<Account | undefined> {
  return Account.query(trx)
    .findById(checked.id)
    .where({ isActive: true, passwordHash: checked.passwordHash })
    .forNoKeyUpdate();
}

/** As `lockChecked`; throws `conflict` when it is not the same any more. */
export async function requireChecked(trx: Transaction, checked: Account): Promise<Account> {
  const account = await lockChecked(trx, checked);
  if (!account)
    throw new AppError('conflict', { message: 'the account was changed in the meantime; try again' });
  return account;
}

/** An address that is unknown, or no address, is in no range. */
const hasLoggedInFrom = `
  (?::text <> 'unknown' AND EXISTS (
    SELECT FROM sessions s
    WHERE s.account_id = accounts.id AND s.created_at > now() - interval '30 days'
      AND CASE WHEN s.address ~ '^[0-9a-f.:]+$' THEN s.address::inet <<= nullif(?, 'unknown')::inet ELSE false END))`;
