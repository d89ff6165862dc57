/** An account changes its own profile. */
import { recordAudit } from '../audit/record.ts';
import { AppError, invalidField } from '../errors.ts';
import type { Transaction } from '../storage/postgres.ts';
import { Account, emailKey } from './account.ts';
import { accountActor, type Origin } from './account-actor.ts';
import { type AccountParts, checkPassword, requireChecked } from './check-password.ts';
import { explainTaken } from './email-taken.ts';
import type { ProfileChange } from './profile-schemas.ts';

type Profile = Pick<Account, 'firstName' | 'lastName' | 'patronymic' | 'email'>;

/**
 * Writes what is different; the e-mail only with the current password, because who has the one can soon have the other.
 * Throws `invalid_request`, `invalid_credentials`, `too_many_attempts`, `email_taken`.
 */
export async function changeProfile(
  parts: AccountParts,
  id: string,
  { currentPassword, ...wanted }: ProfileChange,
  origin: Origin,
): Promise<Account> {
  const checked = (await changesEmail(parts, id, wanted.email))
    ? await checkPassword(parts, { of: { id }, password: required(currentPassword), ip: origin.ip })
    : undefined;
  const account = await parts.db
    .transaction(async (trx) => {
      const current = checked ? await requireChecked(trx, checked) : await lockActive(trx, id);
      // Whether the e-mail changes was judged by what it was then.
      return write(trx, current, checked ? wanted : { ...wanted, email: current.email }, origin);
    })
    .catch(explainTaken);
  parts.feed.announce([{ kind: 'principal', subject: id }]);
  return account;
}

async function changesEmail({ db }: AccountParts, id: string, email: string | undefined): Promise<boolean> {
  return email !== undefined && (await Account.query(db).findById(id))?.email !== email;
}

function required(currentPassword: string | undefined): string {
  if (currentPassword === undefined)
    throw invalidField('/currentPassword', 'is required to change the e-mail');
  return currentPassword;
}

async function lockActive(trx: Transaction, id: string): Promise<Account> {
  const account = await Account.query(trx).findById(id).where({ isActive: true }).forNoKeyUpdate();
  if (!account) throw new AppError('unauthenticated');
  return account;
}

/** Writes the differences, each kind with its entry in the audit trail; nothing when there are none. */
async function write(
  trx: Transaction,
  before: Account,
  wanted: Partial<Profile>,
  origin: Origin,
): Promise<Account> {
  const { email, ...names } = differences(before, wanted);
  const kinds = [
    { action: 'user.update', after: names },
    { action: 'user.change-email', after: email === undefined ? {} : { email } },
  ].filter(({ after }) => Object.keys(after).length > 0);
  if (kinds.length === 0) return before;
  const after = await Account.query(trx).patchAndFetchById(before.id, {
    ...names,
    ...(email !== undefined && { email, emailKey: emailKey(email) }),
    updatedAt: new Date(),
  });
  for (const kind of kinds)
    await recordAudit(trx, {
      ...kind,
      actor: accountActor(before, origin),
      target: { type: 'user', id: before.id },
      before: Object.fromEntries(Object.keys(kind.after).map((key) => [key, before[key as keyof Profile]])),
    });
  return after;
}

function differences(before: Account, wanted: Partial<Profile>): Partial<Profile> {
  const entries = Object.entries(wanted) as [keyof Profile, string | null | undefined][];
  return Object.fromEntries(entries.filter(([key, value]) => value !== undefined && value !== before[key]));
}
