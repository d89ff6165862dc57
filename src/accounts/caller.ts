/** The account and the session of whoever calls an endpoint for the logged-in. */
import type { Request } from 'express';
import { AppError } from '../errors.ts';
import { identityOf } from '../sessions/request-access.ts';

/** Throws `unauthenticated` when nobody is logged in, which the guard has seen to before. */
export function callerOf(req: Request): { accountId: string; sessionId: string } {
  const identity = identityOf(req);
  if (!identity?.account) throw new AppError('unauthenticated');
  return { accountId: identity.account.id, sessionId: identity.sessionId };
}
