/** Login: a verified password for a new session. */
import { AppError } from '../errors.ts';
import { plainAddress } from '../sessions/address.ts';
import { hashToken, newToken } from '../sessions/token.ts';
import type { Account } from './account.ts';
import { emailKey } from './account.ts';
import { type AccountParts, checkPassword } from './check-password.ts';
import type { Credentials } from './profile-schemas.ts';

export interface LoginOrigin {
  ip: string | undefined;
  userAgent: string | undefined;
  /** The session that was sent along: it ends, so that nobody can prepare one for somebody else (session fixation). */
  previousSessionId: string | undefined;
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

/** What a login does, in one statement: one way to the database, and all of it or nothing. */
const beginSessionSql = `
  WITH checked AS (
    SELECT id FROM accounts WHERE id = :accountId AND is_active AND password_hash = :checkedHash FOR NO KEY UPDATE
  ), hashed_anew AS (
    UPDATE accounts SET password_hash = :newHash
    WHERE CAST(:newHash AS text) IS NOT NULL AND id IN (SELECT id FROM checked)
  ), ended AS (
    UPDATE sessions SET ended_at = now()
    WHERE id = :previous AND ended_at IS NULL AND EXISTS (SELECT FROM checked) RETURNING id
  ), begun AS (
    INSERT INTO sessions (account_id, token_hash, address, user_agent, expires_at)
    SELECT id, :tokenHash, :address, :userAgent, now() + make_interval(secs => :lifetimeSeconds) FROM checked
    RETURNING account_id, expires_at
  )
  SELECT expires_at AS "expiresAt", (SELECT id FROM ended) AS "endedId",
    ARRAY(SELECT role_key FROM role_assignments r
      WHERE r.account_id = begun.account_id AND (expires_at IS NULL OR expires_at > now()) ORDER BY role_key) AS roles
  FROM begun`;

/** A session of the account as it was checked; undefined when it is not that any more. */
async function beginSession(
  { db, feed, config }: AccountParts,
  checked: Account,
  newHash: string | undefined,
  { ip, userAgent, previousSessionId }: LoginOrigin,
): Promise<LoggedIn | undefined> {
  const token = newToken();
  const { rows } = await db.raw(beginSessionSql, {
    accountId: checked.id,
    checkedHash: checked.passwordHash,
    newHash: newHash ?? null,
    previous: previousSessionId ?? null,
    tokenHash: hashToken(token),
    address: plainAddress(ip),
    userAgent: userAgent?.slice(0, LONGEST_USER_AGENT) ?? null,
    lifetimeSeconds: config.sessionAbsoluteSeconds,
  });
  const [begun] = rows;
  if (!begun) return undefined;
  if (begun.endedId) feed.announce([{ kind: 'session', subject: begun.endedId }]);
  return { token, expiresAt: begun.expiresAt, account: checked, roles: begun.roles };
}
