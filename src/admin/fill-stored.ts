/** Questions about accounts, API keys and resources that are stored: what is stored of them is filled in. */
import { accountAttributes, findAccountFacts } from '../decision/principals.ts';
import type { GuardedCall } from '../enforcement/access.ts';
import { loadFromSource } from '../enforcement/source.ts';
import { AppError } from '../errors.ts';
import { ACCOUNT_TYPE, API_KEY_TYPE } from '../policy/built-in.ts';
import { type AskedPrincipal, type AskedResource, listOf, type Question } from '../policy/policy.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Services } from '../services.ts';
import { apiKeyAttributes, findApiKey } from './api-key.ts';
import { roleAttributes, typeAttributes } from './guard-parts.ts';

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
  if (asked === 'anonymous' || asked.id === undefined || !isUuid(asked.id)) return undefined;
  if (asked.type === API_KEY_TYPE) return storedKey(services, call, asked.id);
  if ((asked.type ?? ACCOUNT_TYPE) !== ACCOUNT_TYPE) return undefined;
  const [facts] = await findAccountFacts(services.db, [asked.id]);
  if (!facts) return undefined;
  await requireReadable(services, call, ACCOUNT_TYPE, accountAttributes(facts));
  return { roles: facts.roles, attributes: accountAttributes(facts) };
}

async function storedKey(
  services: Services,
  call: GuardedCall<unknown, unknown>,
  id: string,
): Promise<StoredPrincipal | undefined> {
  const key = await findApiKey(services.db, id);
  if (!key) return undefined;
  await requireReadable(services, call, 'castellan.api-key', apiKeyAttributes(key));
  return { roles: key.roles, attributes: {} };
}

async function storedResource(
  services: Services,
  call: GuardedCall<unknown, unknown>,
  { type: name, id }: AskedResource,
): Promise<Record<string, unknown> | undefined> {
  if (id === undefined) return undefined;
  const { snapshot } = call.context;
  const found = await loadStored(services, snapshot, name, id);
  if (found) await requireReadable(services, call, name, found);
  return found && Object.fromEntries(Object.entries(found).filter(([, value]) => value !== null));
}

/** What is stored of a resource: an account, a part of the policy, or a row of a registered table. */
export async function loadStored(
  { db, sources }: Services,
  snapshot: Snapshot,
  name: string,
  id: string,
): Promise<Record<string, unknown> | undefined> {
  const type = snapshot.types.get(name);
  const source = sources.get(name);
  if (type && source) return loadFromSource(db, source, type, id);
  if (name === ACCOUNT_TYPE) {
    const [facts] = isUuid(id) ? await findAccountFacts(db, [id]) : [];
    return facts && accountAttributes(facts);
  }
  if (name === 'castellan.api-key') {
    const key = isUuid(id) ? await findApiKey(db, id) : undefined;
    return key && { ...apiKeyAttributes(key) };
  }
  return policyPart(snapshot, name, id);
}

function policyPart(snapshot: Snapshot, name: string, id: string): Record<string, unknown> | undefined {
  const rule = snapshot.rules.get(id)?.source;
  if (name === 'castellan.rule')
    return rule && { ...rule, action: listOf(rule.action), subject: listOf(rule.subject) };
  const role = snapshot.roles.get(id);
  if (name === 'castellan.role') return role && { ...roleAttributes(role) };
  const type = snapshot.types.get(id);
  return name === 'castellan.resource-type' && type ? { ...typeAttributes(type) } : undefined;
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

function isUuid(id: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id);
}
