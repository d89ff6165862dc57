/** Login: a verified password for a new session. */
import { AppError } from '../errors.ts';
import { endSessions, issueSession } from '../sessions/issue-session.ts';
import type { FoundSession } from '../sessions/live-sessions.ts';
import type { Account } from './account.ts';
import { emailKey, rolesOf } from './account.ts';
import { plainAddress } from './address.ts';
import { type AccountParts, checkPassword, lockChecked } from './check-password.ts';
import type { Credentials } from './profile-schemas.ts';

export interface LoginOrigin {
  ip: string | undefined;
  userAgent: string | undefined;
  /** The session that was sent along: it ends, so that nobody can prepare one for somebody else (session fixation). */
  previous: FoundSession | undefined;
}

export interface LoggedIn {
  token: string;
  expiresAt: Date;
  account: Account;
  roles: string[];
}

const LONGEST_USER_AGENT = 512;
/** Verified anew when the hash changed in between, as by another login that hashed it with higher parameters. */
const MOST_ROUNDS = 3;

/** Throws `invalid_credentials` for whatever is wrong with them, `too_many_attempts`, `overloaded`. */
export async function logIn(
  parts: AccountParts,
  credentials: Credentials,
  origin: LoginOrigin,
): Promise<LoggedIn> {
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const account = await checkPassword(parts, {
      of: { emailKey: emailKey(credentials.email) },
      password: credentials.password,
      ip: origin.ip,
    });
    const grown = parts.passwords.needsRehash(account.passwordHash);
    const newHash = grown ? await parts.passwords.hash(credentials.password) : undefined;
    const loggedIn = await beginSession(parts, account, newHash, origin);
    if (loggedIn) return loggedIn;
  }
  throw new AppError('invalid_credentials');
}

/** One transaction: the account as it was checked, its new hash, the old session's end, the new session. */
async function beginSession(
  { db, feed, config }: AccountParts,
  checked: Account,
  newHash: string | undefined,
  { ip, userAgent, previous }: LoginOrigin,
): Promise<LoggedIn | undefined> {
  const begun = await db.transaction(async (trx) => {
    const account = await lockChecked(trx, checked);
    if (!account) return undefined;
    if (newHash) await account.$query(trx).patch({ passwordHash: newHash });
    const changes = previous
      ? await endSessions(trx, { accountId: previous.account.id, only: previous.sessionId })
      : [];
    const { token, session } = await issueSession(trx, {
      accountId: account.id,
      address: plainAddress(ip),
      userAgent: userAgent?.slice(0, LONGEST_USER_AGENT) ?? null,
      lifetimeSeconds: config.sessionAbsoluteSeconds,
    });
    const roles = await rolesOf(trx, account.id);
    return { loggedIn: { token, expiresAt: session.expiresAt, account, roles }, changes };
  });
  if (begun) feed.announce(begun.changes);
  return begun?.loggedIn;
}
