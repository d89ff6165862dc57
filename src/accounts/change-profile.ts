/** An account changes its own profile. */
import { recordAudit } from '../audit/record.ts';
import { keepPolicyChangeable } from '../decision/lock-out.ts';
import { accountPrincipal, findAccountFacts } from '../decision/principals.ts';
import { AppError, invalidField } from '../errors.ts';
import { type Ability, makeAbility } from '../policy/ability.ts';
import { gainIn } from '../policy/containment.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Transaction } from '../storage/postgres.ts';
import { Account, emailKey } from './account.ts';
import { accountActor, type Origin } from './account-actor.ts';
import { type AccountParts, checkPassword, requireChecked } from './check-password.ts';
import { explainTaken } from './email-taken.ts';
import type { ProfileChange } from './profile-schemas.ts';

type Profile = Pick<Account, 'firstName' | 'lastName' | 'patronymic' | 'email'>;

/**
 * Writes what is different; the e-mail only with the current password, because who has the one can soon have the other.
 * Throws `invalid_request`, `invalid_credentials`, `too_many_attempts`, `email_taken`, `privilege_escalation` when rules
 * would give the account more by its new name, and `policy_locks_out`.
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
  const change = async (trx: Transaction, snapshot: Snapshot) => {
    const current = checked ? await requireChecked(trx, checked) : await lockActive(trx, id);
    const before = await abilityNow(trx, id, snapshot);
    // Whether the e-mail changes was judged by what it was then.
    const different = differences(current, checked ? wanted : { ...wanted, email: current.email });
    const changed = await write(trx, current, different);
    const gain = gainIn(before, await abilityNow(trx, id, snapshot), snapshot);
    if (gain) throw new AppError('privilege_escalation', { message: gain });
    await record(trx, current, different, origin);
    return changed;
  };
  const account = await keepPolicyChangeable(parts.db, parts.live, change).catch(explainTaken);
  parts.feed.announce([{ kind: 'principal', subject: id }]);
  return account;
}

/** Names and e-mail are attributes that rules can ask for: nobody gets more by calling themselves something else. */
async function abilityNow(trx: Transaction, id: string, snapshot: Snapshot): Promise<Ability> {
  const [facts] = await findAccountFacts(trx, [id]);
  if (!facts) throw new AppError('unauthenticated');
  return makeAbility(snapshot, accountPrincipal(facts, snapshot), Date.now());
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

/** Writes what is different; nothing when nothing is. */
async function write(
  trx: Transaction,
  before: Account,
  { email, ...names }: Partial<Profile>,
): Promise<Account> {
  if (email === undefined && Object.keys(names).length === 0) return before;
  return Account.query(trx).patchAndFetchById(before.id, {
    ...names,
    ...(email !== undefined && { email, emailKey: emailKey(email) }),
    updatedAt: new Date(),
  });
}

/** Each kind of change with an entry of its own in the audit trail. */
async function record(
  trx: Transaction,
  before: Account,
  { email, ...names }: Partial<Profile>,
  origin: Origin,
): Promise<void> {
  const kinds = [
    { action: 'user.update', after: names },
    { action: 'user.change-email', after: email === undefined ? {} : { email } },
  ].filter(({ after }) => Object.keys(after).length > 0);
  for (const kind of kinds)
    await recordAudit(trx, {
      ...kind,
      actor: accountActor(before, origin),
      target: { type: 'user', id: before.id },
      before: Object.fromEntries(Object.keys(kind.after).map((key) => [key, before[key as keyof Profile]])),
    });
}

function differences(before: Account, wanted: Partial<Profile>): Partial<Profile> {
  const entries = Object.entries(wanted) as [keyof Profile, string | null | undefined][];
  return Object.fromEntries(entries.filter(([key, value]) => value !== undefined && value !== before[key]));
}
