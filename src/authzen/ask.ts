/** Evaluations made access requests: what the gateway knows of subject and resource is filled in, what it does not know is in doubt. */
import {
  type AccessRequest,
  anonymous,
  principalOf,
  type Resource,
  resourceOf,
  typeOf,
} from '../decision/access-request.ts';
import { entityPrincipal, type KnownEntity } from '../decision/entities.ts';
import {
  type AccountFacts,
  accountAttributes,
  accountPrincipal,
  apiKeyPrincipal,
  type StoredApiKey,
} from '../decision/principals.ts';
import { contextIn, contextMisfits } from '../decision/question.ts';
import { isStoredType, loadStored, type Stored, type StoredIn } from '../enforcement/load-stored.ts';
import { after } from '../http/after.ts';
import { ANONYMOUS_TYPE, type Principal } from '../policy/ability.ts';
import { canonicalId, cleanCopy } from '../policy/attributes.ts';
import { ACCOUNT_TYPE, API_KEY_TYPE, reservedAttributes } from '../policy/built-in.ts';
import type { Facts } from '../policy/matcher.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Services } from '../services.ts';
import type { ActionMessage, Entity, Evaluation } from './messages.ts';

/** Something of a request, or why it cannot be decided. */
type Known<T> = T & { doubt?: string };

/**
 * The requests of these evaluations, in their order, all asked at one instant under one snapshot. What is stored is read
 * in one query for accounts, one for API keys, one for entities with all that they lie in, and one for each table. Properties win over what is stored, for this question only.
 */
export function requestsOf(
  services: StoredIn,
  snapshot: Snapshot,
  evaluations: readonly Evaluation[],
  requestId: string | undefined,
): AccessRequest[] | Promise<AccessRequest[]> {
  const atMs = Date.now();
  const subjectIds = (of: string) =>
    evaluations.flatMap(({ subject: { type, id } }) => (type === of ? [id] : []));
  const stored = loadStored(services, snapshot, {
    accounts: subjectIds(ACCOUNT_TYPE),
    apiKeys: subjectIds(API_KEY_TYPE),
    principals: evaluations.map(({ subject }) => subject),
    resources: evaluations.map(({ resource }) => resource),
  });
  return after(stored, (found) => requestsWith(found, services, snapshot, { evaluations, atMs, requestId }));
}

interface Asking {
  evaluations: readonly Evaluation[];
  atMs: number;
  requestId: string | undefined;
}

function requestsWith(
  stored: Stored,
  services: StoredIn,
  snapshot: Snapshot,
  { evaluations, atMs, requestId }: Asking,
): AccessRequest[] {
  const { length } = evaluations;
  const accountOnce = onceIn(length, (account: AccountFacts) => accountPrincipal(account, snapshot));
  const principalOnce = onceIn(length, (subject: Entity) => whoIs(subject, stored, snapshot, accountOnce));
  const resourceOnce = onceIn(length, (resource: Entity) => whatIs(resource, stored, snapshot, services));
  const actionOnce = onceIn(length, actionOf);
  const contextOnce = onceIn(length, (context: Record<string, unknown>) => whichContext(context, atMs));
  return evaluations.map((evaluation) => {
    const { doubt: doubtful, principal } = principalOnce(evaluation.subject);
    const { doubt: unknown, resource } = resourceOnce(evaluation.resource);
    const { doubt: unfit, context } = contextOnce(evaluation.context ?? NO_CONTEXT);
    const request: AccessRequest = { principal, action: actionOnce(evaluation.action), resource, context };
    const doubt = doubtful ?? unknown ?? unfit;
    if (doubt !== undefined) request.doubt = doubt;
    if (requestId !== undefined) request.requestId = requestId;
    return request;
  });
}

const NO_CONTEXT = {};

/** Makes something of each object only once: what stands at the top of a batch is the same object in all its evaluations. */
function onceIn<From extends object, To>(count: number, make: (from: From) => To): (from: From) => To {
  if (count === 1) return make;
  const made = new Map<From, To>();
  return (from) => {
    const known = made.get(from) ?? make(from);
    made.set(from, known);
    return known;
  };
}

/**
 * The subject as principal. Roles are those that are stored, never any that were sent. Somebody of whom nothing is known
 * (no account, no API key in force, no such type of principal, no rule that names them) is in doubt, and so is whoever
 * was deactivated.
 */
function whoIs(
  subject: Entity,
  stored: Stored,
  snapshot: Snapshot,
  principalOfAccount: (account: AccountFacts) => Principal,
): Known<{ principal: Principal }> {
  const { type: typeName, id } = subject;
  if (typeName === ANONYMOUS_TYPE) return { principal: anonymous };
  const type = snapshot.types.get(typeName);
  const account = typeName === ACCOUNT_TYPE ? stored.account(id) : undefined;
  const apiKey = typeName === API_KEY_TYPE ? inForce(stored.apiKey(id)) : undefined;
  // It has no attributes, whatever is sent.
  if (apiKey) return { principal: apiKeyPrincipal(apiKey) };
  const given = attributesOf(subject);
  if (account && Object.keys(given).length === 0 && account.isActive)
    return { principal: principalOfAccount(account) };
  const entity = stored.entity(subject);
  if (entity) return entityAs(subject, entity, given, snapshot);
  const principal = principalOf(
    {
      type: typeName,
      id: account?.id ?? id,
      roles: account?.roles ?? [],
      attributes: { ...(account && accountAttributes(account)), ...given, id },
      accessVersion: account?.accessVersion ?? 0,
    },
    type,
  );
  // As it is stored: who was deactivated is not called back by a property.
  const doubt =
    account?.isActive === false
      ? `the account ${typeName}:${id} is deactivated`
      : account || isKnownOtherwise(subject, snapshot)
        ? doubtOf('the subject', type ? resourceOf(type, given).misfits : [])
        : `nothing is known of the subject ${typeName}:${id}`;
  return doubt === undefined ? { principal } : { principal, doubt };
}

/** A stored entity: its roles and what it belongs to are as they are stored, whatever is sent. */
function entityAs(
  { type, id }: Entity,
  entity: KnownEntity,
  given: Record<string, unknown>,
  snapshot: Snapshot,
): Known<{ principal: Principal }> {
  const principal = entityPrincipal({ type, id }, entity, snapshot, given);
  const declared = typeOf(snapshot, type);
  const doubt =
    doubtOf('the subject', resourceOf(declared, given).misfits) ?? doubtOf('its ancestors', entity.misfits);
  return doubt === undefined ? { principal } : { principal, doubt };
}

/** A key that was revoked or has expired is nobody any more, whatever rules still name it. */
function inForce(key: StoredApiKey | undefined): StoredApiKey | undefined {
  const endsAtMs = key?.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY;
  return key?.revokedAt || Date.now() >= endsAtMs ? undefined : key;
}

/** Whether somebody who is not stored is known all the same: by a rule that names them, or because their kind is kept elsewhere. */
function isKnownOtherwise(subject: Entity, snapshot: Snapshot): boolean {
  if (subject.type === API_KEY_TYPE) return false;
  return isNamed(subject, snapshot) || (subject.type !== ACCOUNT_TYPE && snapshot.types.has(subject.type));
}

/** Whether a rule is for this principal by name. */
function isNamed({ type, id }: Entity, snapshot: Snapshot): boolean {
  return snapshot.rulesByPrincipal.has(`${type}:${canonicalId(id, snapshot.types.get(type))}`);
}

/**
 * The resource with what is stored of it. One that should be stored and is not can only be asked about by its properties,
 * such as whether it may be created; what it is called until then is no id.
 */
function whatIs(
  { type: name, id, ...rest }: Entity,
  stored: Stored,
  snapshot: Snapshot,
  services: Pick<Services, 'sources'>,
): Known<{ resource: Resource }> {
  const type = typeOf(snapshot, name);
  const given = attributesOf(rest);
  const found = stored.resource({ type: name, id });
  if (found || !isStoredType(services, name)) {
    const { ancestors, misfits = [] } = stored.entity({ type: name, id }) ?? {};
    const resource = resourceOf(type, { id, ...found, ...given }, ancestors);
    const doubt = doubtOf('its ancestors', misfits);
    return doubt === undefined ? { resource } : { resource, doubt };
  }
  if (Object.keys(given).length > 0) return { resource: resourceOf(type, given) };
  return { resource: resourceOf(type, { id }), doubt: `there is no ${name} ${id}` };
}

/** Properties as attributes: who or what it is, the roles it has and what it lies in is not theirs to say. */
export function attributesOf({ properties = {} }: Pick<Entity, 'properties'>): Record<string, unknown> {
  const attributes: Record<string, unknown> = {};
  // A body with `__proto__` was refused; here it would not even be an attribute.
  for (const name of Object.keys(properties))
    if (!notSaid.has(name) && name !== '__proto__') attributes[name] = properties[name];
  return attributes;
}

const notSaid = new Set(['id', 'type', 'roles', 'parents', ...reservedAttributes]);

function actionOf({ name, properties }: ActionMessage): AccessRequest['action'] {
  return properties ? { name, properties: cleanCopy(properties) as Facts } : { name };
}

function whichContext(given: Record<string, unknown>, atMs: number): Known<{ context: Facts }> {
  const doubt = doubtOf('the context', contextMisfits(given));
  const context = contextIn(given, atMs);
  return doubt === undefined ? { context } : { context, doubt };
}

function doubtOf(what: string, misfits: readonly string[]): string | undefined {
  return misfits.length > 0 ? `of ${what}, ${misfits.join(', ')} do not fit what is declared` : undefined;
}
