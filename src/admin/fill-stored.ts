/** Questions about accounts, API keys and resources that are stored: what is stored of them is filled in. */
import { accountAttributes, apiKeyAttributes } from '../decision/principals.ts';
import type { GuardedCall } from '../enforcement/access.ts';
import { loadStored } from '../enforcement/load-stored.ts';
import { AppError } from '../errors.ts';
import { ACCOUNT_TYPE, API_KEY_TYPE } from '../policy/built-in.ts';
import type { AskedPrincipal, AskedResource, Question } from '../policy/policy.ts';
import type { Services } from '../services.ts';

export interface Filled<Q extends Question> {
  question: Q;
  /** Whether there was something stored. */
  stored: { principal: boolean; resource: boolean };
}

/**
 * The question with what is stored of principal and resource; what it says itself wins. Throws `access_denied` where the
 * caller may not read all of what would be filled in: an explanation shows it.
 */
export async function fillStored<Q extends Question>(
  services: Services,
  call: GuardedCall<unknown, unknown>,
  question: Q,
): Promise<Filled<Q>> {
  const { principal, resource } = question;
  const account = await storedPrincipal(services, call, principal);
  const found = await storedResource(services, call, resource);
  return {
    question: {
      ...question,
      ...(account && { principal: withStoredPrincipal(principal, account) }),
      ...(found && { resource: { ...resource, attributes: { ...found, ...given(resource) } } }),
    },
    stored: { principal: account !== undefined, resource: found !== undefined },
  };
}

export interface StoredPrincipal {
  roles: string[];
  attributes: Record<string, unknown>;
}

/** Who asks with what is stored of them; what the question says itself wins. */
export function withStoredPrincipal(
  asked: AskedPrincipal,
  { roles, attributes }: StoredPrincipal,
): AskedPrincipal {
  if (asked === 'anonymous') return asked;
  return { roles, ...asked, attributes: { ...attributes, ...given(asked) } };
}

/** Attributes that the question says itself. */
function given(asked: Exclude<AskedPrincipal, string> | AskedResource): Record<string, unknown> {
  const { type: _type, roles: _roles, attributes = {}, ...beside } = asked;
  return { ...beside, ...attributes };
}

async function storedPrincipal(
  services: Services,
  call: GuardedCall<unknown, unknown>,
  asked: AskedPrincipal,
): Promise<StoredPrincipal | undefined> {
  if (asked === 'anonymous' || asked.id === undefined) return undefined;
  if (asked.type === API_KEY_TYPE) return storedKey(services, call, asked.id);
  if ((asked.type ?? ACCOUNT_TYPE) !== ACCOUNT_TYPE) return undefined;
  const stored = await loadStored(services, call.context.snapshot, { accounts: [asked.id] });
  const facts = stored.account(asked.id);
  if (!facts) return undefined;
  await requireReadable(services, call, ACCOUNT_TYPE, accountAttributes(facts));
  return { roles: facts.roles, attributes: accountAttributes(facts) };
}

async function storedKey(
  services: Services,
  call: GuardedCall<unknown, unknown>,
  id: string,
): Promise<StoredPrincipal | undefined> {
  const stored = await loadStored(services, call.context.snapshot, { apiKeys: [id] });
  const key = stored.apiKey(id);
  if (!key) return undefined;
  await requireReadable(services, call, 'castellan.api-key', apiKeyAttributes(key));
  return { roles: key.roles, attributes: {} };
}

async function storedResource(
  services: Services,
  call: GuardedCall<unknown, unknown>,
  { type, id }: AskedResource,
): Promise<Record<string, unknown> | undefined> {
  if (id === undefined) return undefined;
  const stored = await loadStored(services, call.context.snapshot, { resources: [{ type, id }] });
  const found = stored.resource({ type, id });
  if (found) await requireReadable(services, call, type, found);
  return found;
}

async function requireReadable(
  services: Services,
  call: GuardedCall<unknown, unknown>,
  resource: string,
  found: object,
): Promise<void> {
  if (await isReadable(services, call, resource, found)) return;
  throw new AppError('access_denied', {
    message: `you may not read all of this ${resource}, which the answer would show; leave the id out and give attributes`,
  });
}

/** Whether the caller may read every attribute of it, and of an account its roles. */
export async function isReadable(
  { decisions, gatekeeper }: Services,
  { req, context: { snapshot } }: Pick<GuardedCall<unknown, unknown>, 'req' | 'context'>,
  resource: string,
  found: object,
): Promise<boolean> {
  const type = snapshot.types.get(resource);
  if (!type) return false;
  const request = gatekeeper.accessRequest(req, snapshot, { action: 'read', resource }, found);
  const fields = [...Object.keys(type.attributes), ...(resource === ACCOUNT_TYPE ? ['roles'] : [])];
  const permitted = await decisions.permittedFields(snapshot, request, fields);
  return fields.every((field) => permitted.has(field));
}
