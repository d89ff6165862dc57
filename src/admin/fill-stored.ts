/** Questions about accounts, API keys and resources that are stored: what is stored of them is filled in. */
import { ENTITY_RESOURCE, entityAttributes, type KnownEntity } from '../decision/entities.ts';
import { accountAttributes, apiKeyAttributes } from '../decision/principals.ts';
import type { GuardedCall } from '../enforcement/access.ts';
import { loadStored } from '../enforcement/load-stored.ts';
import { AppError } from '../errors.ts';
import { ACCOUNT_TYPE, API_KEY_TYPE } from '../policy/built-in.ts';
import type { EntityName } from '../policy/entity.ts';
import type { Facts } from '../policy/matcher.ts';
import type { AskedAncestor, AskedPrincipal, AskedResource, Question } from '../policy/policy.ts';
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
  const { found, ancestors } = await storedResource(services, call, resource);
  return {
    question: {
      ...question,
      ...(account && { principal: withStoredPrincipal(principal, account) }),
      ...(found && {
        resource: { ...ancestors, ...resource, attributes: { ...found, ...given(resource) } },
      }),
    },
    stored: { principal: account !== undefined, resource: found !== undefined },
  };
}

export interface StoredPrincipal {
  roles: readonly string[];
  attributes: Record<string, unknown>;
  /** Of an entity: what it belongs to. */
  ancestors?: AskedAncestor[];
}

/** Who asks with what is stored of them; what the question says itself wins. */
export function withStoredPrincipal(
  asked: AskedPrincipal,
  { roles, attributes, ancestors }: StoredPrincipal,
): AskedPrincipal {
  if (asked === 'anonymous') return asked;
  return {
    roles: [...roles],
    ...(ancestors && { ancestors }),
    ...asked,
    attributes: { ...attributes, ...given(asked) },
  };
}

/** Attributes that the question says itself. */
function given(asked: Exclude<AskedPrincipal, string> | AskedResource): Record<string, unknown> {
  const { type: _type, roles: _roles, ancestors: _ancestors, attributes = {}, ...beside } = asked;
  return { ...beside, ...attributes };
}

async function storedPrincipal(
  services: Services,
  call: GuardedCall<unknown, unknown>,
  asked: AskedPrincipal,
): Promise<StoredPrincipal | undefined> {
  if (asked === 'anonymous' || asked.id === undefined) return undefined;
  if (asked.type === API_KEY_TYPE) return storedKey(services, call, asked.id);
  if (asked.type !== undefined && asked.type !== ACCOUNT_TYPE)
    return storedEntity(services, call, { type: asked.type, id: asked.id });
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

async function storedEntity(
  services: Services,
  call: GuardedCall<unknown, unknown>,
  named: EntityName,
): Promise<StoredPrincipal | undefined> {
  const stored = await loadStored(services, call.context.snapshot, { principals: [named] });
  const entity = stored.entity(named);
  if (!entity) return undefined;
  await requireAncestorsReadable(services, call, entity);
  return storedPrincipalOf(entity);
}

/** An entity as who asks. */
export function storedPrincipalOf(entity: KnownEntity): StoredPrincipal {
  return { roles: entity.roles, attributes: entity.own.attributes, ancestors: ancestorsIn(entity) };
}

/** What an entity lies in or belongs to, as a question says it. */
export function ancestorsIn({ ancestors }: KnownEntity): AskedAncestor[] {
  return ancestors.map((ancestor) => ({ ...namedIn(ancestor), ...ancestor }));
}

async function storedResource(
  services: Services,
  call: GuardedCall<unknown, unknown>,
  { type, id }: AskedResource,
): Promise<{ found?: Record<string, unknown>; ancestors?: { ancestors: AskedAncestor[] } }> {
  if (id === undefined) return {};
  const stored = await loadStored(services, call.context.snapshot, { resources: [{ type, id }] });
  const found = stored.resource({ type, id });
  const entity = stored.entity({ type, id });
  if (entity && found) {
    await requireAncestorsReadable(services, call, entity);
    return { found, ancestors: { ancestors: ancestorsIn(entity) } };
  }
  if (found) await requireReadable(services, call, type, found);
  return found ? { found } : {};
}

/** Throws `access_denied` for whoever may not read the entity and each of its ancestors. */
async function requireAncestorsReadable(
  services: Services,
  call: GuardedCall<unknown, unknown>,
  { own, ancestors }: KnownEntity,
): Promise<void> {
  await requireReadable(services, call, ENTITY_RESOURCE, entityAttributes(own));
  for (const ancestor of ancestors)
    await requireReadable(services, call, ENTITY_RESOURCE, ancestorAttributes(ancestor));
}

/** An ancestor, as decisions know it, as a resource that is administered. */
export function ancestorAttributes(ancestor: Facts): Record<string, unknown> {
  const { type: _type, id: _id, ...attributes } = ancestor;
  return entityAttributes({ ...namedIn(ancestor), attributes, roles: [], parents: [] });
}

function namedIn({ type, id }: Facts): EntityName {
  return { type: String(type), id: String(id) };
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
