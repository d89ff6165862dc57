/** What the demo keeps belongs to accounts. */
import type { Request } from 'express';
import { AppError } from '../errors.ts';
import { identityOf } from '../sessions/request-access.ts';

/** Throws `access_denied` for an API key, which has no account that the new row could belong to. */
export function requireOwner(req: Request): void {
  if (identityOf(req)?.apiKey)
    throw new AppError('access_denied', {
      message: 'it would belong to an account, and an API key has none',
    });
}
