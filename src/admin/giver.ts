/** Whoever changes something, as the escalation guard holds them to what they hold. */
import type { Request } from 'express';
import type { DecisionPoint } from '../decision/decide.ts';
import { accountPrincipal, apiKeyPrincipal } from '../decision/principals.ts';
import type { Principal } from '../policy/ability.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { principalFor } from '../sessions/authenticate.ts';
import { identityOf } from '../sessions/request-access.ts';

export interface Giver {
  principal: Principal;
  /** With those roles alone that outlast the gift: nobody makes lasting what they have for a time. A key that ends before has none. */
  lasting: Principal;
  decisions: DecisionPoint;
}

/** The caller under a snapshot; `untilMs`: when the gift ends, where it does. */
export function giverOf(
  { decisions }: { decisions: DecisionPoint },
  req: Request,
  snapshot: Snapshot,
  untilMs = Number.POSITIVE_INFINITY,
): Giver {
  const principal = principalFor(req, snapshot);
  const { account, apiKey } = identityOf(req) ?? {};
  if (apiKey && apiKey.endsAtMs < untilMs)
    return { principal, lasting: apiKeyPrincipal({ ...apiKey, roles: [] }), decisions };
  const ends = account?.roleEnds;
  if (!account || !ends || Object.keys(ends).length === 0)
    return { principal, lasting: principal, decisions };
  const roles = account.roles.filter((role) => (ends[role] ?? Number.POSITIVE_INFINITY) >= untilMs);
  return { principal, lasting: accountPrincipal({ ...account, roles }, snapshot), decisions };
}
