/** Whoever changes something, as the escalation guard holds them to what they hold. */
import type { Request } from 'express';
import type { DecisionPoint } from '../decision/decide.ts';
import { accountPrincipal, apiKeyPrincipal } from '../decision/principals.ts';
import { contextOf } from '../enforcement/gatekeeper.ts';
import type { Principal } from '../policy/ability.ts';
import type { Facts } from '../policy/matcher.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { principalFor } from '../sessions/authenticate.ts';
import { identityOf } from '../sessions/request-access.ts';

export interface Giver {
  principal: Principal;
  /** With those roles alone that outlast the gift: nobody makes lasting what they have for a time. A key that ends before has none. */
  lasting: Principal;
  decisions: DecisionPoint;
  /** Of the request by which they change it: what may be done in a context alone is asked for each part of a change, too. */
  context: Facts;
}

/** The caller under a snapshot; `untilMs`: when the gift ends, where it does. */
export function giverOf(
  { decisions }: { decisions: DecisionPoint },
  req: Request,
  snapshot: Snapshot,
  untilMs = Number.POSITIVE_INFINITY,
): Giver {
  const principal = principalFor(req, snapshot);
  const common = { principal, decisions, context: contextOf(req) };
  const { account, apiKey } = identityOf(req) ?? {};
  if (apiKey && apiKey.endsAtMs < untilMs)
    return { ...common, lasting: apiKeyPrincipal({ ...apiKey, roles: [] }) };
  const ends = account?.roleEnds;
  if (!account || !ends || Object.keys(ends).length === 0) return { ...common, lasting: principal };
  const roles = account.roles.filter((role) => (ends[role] ?? Number.POSITIVE_INFINITY) >= untilMs);
  return { ...common, lasting: accountPrincipal({ ...account, roles }, snapshot) };
}
