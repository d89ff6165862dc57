/** Changes under the policy lock, by whoever is still the administrator they were when they asked. */
import type { Request } from 'express';
import { accessDenied } from '../decision/decision.ts';
import { keepPolicyChangeable } from '../decision/lock-out.ts';
import { findAccountFacts } from '../decision/principals.ts';
import type { Admitted } from '../enforcement/gatekeeper.ts';
import { AppError } from '../errors.ts';
import { snapshotUnderLock } from '../policy/publish.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Services } from '../services.ts';
import { principalFor } from '../sessions/authenticate.ts';
import { findApiKeyByHash } from '../sessions/live-api-keys.ts';
import { accessOf, type Identity } from '../sessions/request-access.ts';
import type { Transaction } from '../storage/postgres.ts';

/** As `keepPolicyChangeable`, for a caller who is read anew under the lock. Throws as `refreshCaller`, too. */
export function changeUnderLock<T>(
  services: Services,
  req: Request,
  change: (trx: Transaction, snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  return keepPolicyChangeable(services.db, services.live, async (trx, snapshot) => {
    await refreshCaller(services, req, trx, snapshot);
    return change(trx, snapshot);
  });
}

/** For changes that take the policy from nobody: the same without that check. Throws as `refreshCaller`. */
export function changeDataUnderLock<T>(
  services: Services,
  req: Request,
  change: (trx: Transaction, snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  return services.db.transaction(async (trx) => {
    const snapshot = await snapshotUnderLock(trx, services.live);
    await refreshCaller(services, req, trx, snapshot);
    return change(trx, snapshot);
  });
}

/**
 * Whoever waited for the lock may have been demoted, or the policy changed, meanwhile: from here on the request is
 * decided by what holds under the lock, and what let it in is decided again. Throws `unauthenticated`, `access_denied`.
 */
export async function refreshCaller(
  { decisions, issuers }: Services,
  req: Request,
  trx: Transaction,
  snapshot: Snapshot,
): Promise<void> {
  const access = accessOf(req);
  const { identity, request } = access;
  if (!identity) throw new AppError('unauthenticated');
  // Also when nothing was changed: a role may have ended meanwhile.
  access.identity = await readAnew(issuers, trx, identity, snapshot);
  access.snapshot = snapshot;
  if (!request) return;
  const context = { ...request.context, time: new Date().toISOString() };
  access.request = { ...request, principal: principalFor(req, snapshot), context };
  const decision = await decisions.decide(snapshot, access.request, 'denied');
  if (!decision.allow) throw accessDenied(decision);
}

/** Throws `unauthenticated` where the account is not active any more, the secret of the key is none, or the token has ended. */
async function readAnew(
  issuers: Services['issuers'],
  trx: Transaction,
  identity: Identity,
  snapshot: Snapshot,
): Promise<Identity> {
  if (identity.by === 'token') {
    const found = await issuers.readAnew(trx, identity.found.token, snapshot);
    if (!found) throw new AppError('unauthenticated');
    return { ...identity, found };
  }
  if (identity.by === 'api-key') {
    const apiKey = await findApiKeyByHash(trx, identity.apiKey.tokenHash);
    if (!apiKey || Date.now() >= apiKey.endsAtMs) throw new AppError('unauthenticated');
    return { ...identity, apiKey };
  }
  const [account] = await findAccountFacts(trx, [identity.account.id]);
  if (!account?.isActive) throw new AppError('unauthenticated');
  return { ...identity, account };
}

/** What let the request in, as it holds now. */
export function admitted(req: Request): Admitted {
  const { snapshot, request } = accessOf(req);
  if (!snapshot) throw new AppError('internal_error', { detail: 'nothing was decided about this request' });
  return { snapshot, request };
}
