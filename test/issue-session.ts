/** Sessions begun without a login, for tests that need many. */
import { Session } from '../src/sessions/session.ts';
import { hashToken, newToken } from '../src/sessions/token.ts';
import type { Database, Transaction } from '../src/storage/postgres.ts';

export interface NewSession {
  accountId: string;
  address: string | null;
  userAgent: string | null;
  lifetimeSeconds: number;
}

/** Begins a session; the token is told here and never again. */
export async function issueSession(
  db: Database | Transaction,
  { lifetimeSeconds, ...given }: NewSession,
): Promise<{ token: string; session: Session }> {
  const token = newToken();
  const session = await Session.query(db)
    .insert({
      ...given,
      tokenHash: hashToken(token),
      expiresAt: new Date(Date.now() + lifetimeSeconds * 1000),
    })
    .returning('*');
  return { token, session };
}
