/** API keys made, changed, rotated and revoked: one transaction each, never beyond what whoever does it holds. */
import { isDeepStrictEqual } from 'node:util';
import { apiKeyAttributes } from '../decision/principals.ts';
import type { GuardedCall } from '../enforcement/access.ts';
import type { Services } from '../services.ts';
import { callerIdOf } from '../sessions/request-access.ts';
import {
  type ApiKey,
  auditApiKey,
  insertApiKey,
  lockApiKey,
  type MintedApiKey,
  requireUnrevoked,
  revokeApiKey,
  rotateApiKey,
  updateApiKey,
} from './api-key.ts';
import { requireKnownRoles } from './change-user.ts';
import { giverOf } from './giver.ts';
import { guardApiKey } from './guard-escalation.ts';
import { actorOf } from './publish-change.ts';
import { admitted, changeUnderLock } from './under-lock.ts';

export interface ApiKeyCreation {
  name: string;
  roles: string[];
  expiresAt: Date | null;
}

export type ApiKeyChange = Partial<ApiKeyCreation>;

type ById<Body = unknown> = Pick<GuardedCall<Body>, 'req' | 'params' | 'body'>;

/** Makes a key. Throws `privilege_escalation`, `access_denied` for a role that may not be assigned, `conflict`. */
export async function createApiKey(
  services: Services,
  { req, body }: GuardedCall<ApiKeyCreation>,
): Promise<MintedApiKey> {
  return changeUnderLock(services, req, async (trx, snapshot) => {
    requireKnownRoles(body.roles, snapshot);
    const minted = await insertApiKey(trx, { ...body, createdBy: callerIdOf(req) ?? null });
    const giver = giverOf(services, req, snapshot, endMs(minted.key));
    await guardApiKey(giver, snapshot, minted.key, { given: body.roles });
    await auditApiKey(trx, actorOf(req), 'create', { after: minted.key });
    return minted;
  });
}

/** Changes name, roles and end, on every node at once. Throws as above. */
export async function changeApiKey(
  services: Services,
  { req, params: { id = '' }, body }: ById<ApiKeyChange>,
): Promise<void> {
  await changeUnderLock(services, req, async (trx, snapshot) => {
    requireKnownRoles(body.roles ?? [], snapshot);
    const before = await lockApiKey(trx, id);
    await services.gatekeeper.requireAllowedOn(admitted(req), apiKeyAttributes(before));
    const after = await updateApiKey(trx, before, body);
    const giver = giverOf(services, req, snapshot, Math.max(endMs(before), endMs(after)));
    await guardApiKey(giver, snapshot, before, { taken: without(before.roles, after.roles) });
    await guardApiKey(giver, snapshot, after, { given: without(after.roles, before.roles) });
    // After the guard: who may not touch the key is not told what became of it.
    requireUnrevoked(before);
    await services.gatekeeper.requireAllowedAfter(admitted(req), apiKeyAttributes(after));
    if (isDeepStrictEqual(apiKeyAttributes(before), apiKeyAttributes(after))) return;
    await auditApiKey(trx, actorOf(req), 'update', { before, after });
  });
  services.feed.announce([{ kind: 'principal', subject: id }]);
}

/** Makes a new secret: whoever has it is the key, so it takes what making the key would. Throws as above. */
export async function rotateKey(
  services: Services,
  { req, params: { id = '' }, body }: ById<{ overlapSeconds: number }>,
): Promise<MintedApiKey> {
  const rotated = await changeUnderLock(services, req, async (trx, snapshot) => {
    const before = await lockApiKey(trx, id);
    await services.gatekeeper.requireAllowedOn(admitted(req), apiKeyAttributes(before));
    await guardApiKey(giverOf(services, req, snapshot, endMs(before)), snapshot, before, { takeover: true });
    requireUnrevoked(before);
    const minted = await rotateApiKey(trx, before, body.overlapSeconds);
    await auditApiKey(trx, actorOf(req), 'rotate', { before, after: minted.key });
    return minted;
  });
  services.feed.announce([{ kind: 'principal', subject: id }]);
  return rotated;
}

/** Ends a key for good. Throws `privilege_escalation`: nobody shuts out somebody stronger. */
export async function revokeKey(services: Services, { req, params: { id = '' } }: ById): Promise<void> {
  await changeUnderLock(services, req, async (trx, snapshot) => {
    const before = await lockApiKey(trx, id);
    await services.gatekeeper.requireAllowedOn(admitted(req), apiKeyAttributes(before));
    // Nothing is given, so that what is held for a time is enough.
    await guardApiKey(giverOf(services, req, snapshot, Date.now()), snapshot, before);
    if (before.revokedAt) return;
    await auditApiKey(trx, actorOf(req), 'revoke', { before, after: await revokeApiKey(trx, before) });
  });
  services.feed.announce([{ kind: 'principal', subject: id }]);
}

function endMs({ expiresAt }: ApiKey): number {
  return expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
}

function without(roles: readonly string[], others: readonly string[]): string[] {
  return roles.filter((role) => !others.includes(role));
}
