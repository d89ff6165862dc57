/** What the demo keeps belongs to accounts. */
import type { Request } from 'express';
import { AppError } from '../errors.ts';
import { identityOf, kindOf } from '../sessions/request-access.ts';

/** Throws `access_denied` for whoever is identified without an account that the new row could belong to. */
export function requireOwner(req: Request): void {
  const identity = identityOf(req);
  if (identity && !identity.account)
    throw new AppError('access_denied', {
      message: `it would belong to an account, and ${kindOf(identity)} has none`,
    });
}
