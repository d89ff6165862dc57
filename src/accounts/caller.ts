/** The account and the session of whoever calls an endpoint for the logged-in. */
import type { Request } from 'express';
import { AppError } from '../errors.ts';

/** Throws `unauthenticated` when nobody is identified, which the guard has seen to before. */
export function callerOf(req: Request): { accountId: string; sessionId: string } {
  if (!req.identity) throw new AppError('unauthenticated');
  return { accountId: req.identity.account.id, sessionId: req.identity.sessionId };
}
