/** An account as the actor of what it does to itself. */
import type { Request } from 'express';
import type { AuditActor } from '../audit/record.ts';
import { plainAddress } from '../sessions/address.ts';
import type { Account } from './account.ts';

/** Where a request comes from, as far as it is written down. */
export interface Origin {
  ip: string | undefined;
  requestId: string;
}

export function originOf(req: Request): Origin {
  return { ip: req.ip, requestId: String(req.id) };
}

/** As which the account stands in the audit trail. */
export function accountActor({ id, email }: Account, { ip, requestId }: Origin): AuditActor {
  return { id, name: email, address: plainAddress(ip), requestId };
}
