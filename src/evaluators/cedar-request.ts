/** An access request as Cedar is asked it: one mapping, described in docs/evaluators.md. */
import type { AccessRequest } from '../decision/access-request.ts';
import { ANONYMOUS_TYPE, effectiveRoles, type Principal } from '../policy/ability.ts';
import { API_KEY_TYPE, contextFacts } from '../policy/built-in.ts';
import { ACTION_TYPE, cedarTypeOf, ROLE_TYPE } from '../policy/cedar/names.ts';
import type { CedarEntity } from '../policy/policy.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { type CedarPolicies, entityKey } from './cedar-policies.ts';
import { type CedarValue, cedarValue, ipValue, safeKey } from './cedar-values.ts';

interface Uid {
  type: string;
  id: string;
}

export interface CedarEntityGiven {
  uid: Uid;
  attrs: Record<string, CedarValue>;
  parents: Uid[];
}

export interface CedarRequest {
  principal: Uid;
  action: Uid;
  resource: Uid;
  context: Record<string, CedarValue>;
  entities: CedarEntityGiven[];
}

/** Throws where the request cannot be said in Cedar: then it is denied. */
export function cedarRequest(
  snapshot: Snapshot,
  request: AccessRequest,
  { shape, entities: stored }: Pick<CedarPolicies, 'shape' | 'entities'>,
): CedarRequest {
  const principal = principalEntity(snapshot, request.principal, shape);
  const resource = resourceEntity(snapshot, request.resource, shape);
  const given = new Map<string, CedarEntityGiven>();
  for (const entity of [resource, principal]) {
    const key = entityKey(entity.uid);
    given.set(key, joined(entity, given.get(key)));
  }
  const entities = [...given].map(([key, entity]) => onStored(entity, stored.get(key)));
  for (const [key, entity] of stored) if (!given.has(key)) entities.push(asGiven(entity));
  return {
    principal: principal.uid,
    action: { type: ACTION_TYPE, id: request.action.name },
    resource: resource.uid,
    context: contextOf(request, shape),
    entities,
  };
}

/** All roles that count for the principal, those inherited and built in included: each is a parent of it. */
export function rolesOf(snapshot: Snapshot, { type, roles }: Principal): string[] {
  return [
    'everyone',
    type === ANONYMOUS_TYPE ? 'anonymous' : 'authenticated',
    ...effectiveRoles(snapshot, roles),
  ];
}

type Shape = CedarPolicies['shape'];

function principalEntity(snapshot: Snapshot, principal: Principal, shape: Shape): CedarEntityGiven {
  const type = principalTypeOf(snapshot, principal.type);
  const declared = snapshot.types.get(principal.type)?.attributes;
  const entity = shape?.entities.get(type);
  const roles = [...effectiveRoles(snapshot, principal.roles)].sort();
  const facts = {
    ...attributesOf(principal.attributes, declared),
    id: principal.id,
    type: principal.type,
    roles,
  };
  const isMember = shape === undefined || entity?.memberOf.includes(ROLE_TYPE);
  return {
    uid: { type, id: principal.id },
    attrs: declaredOnly(facts, entity?.attributes),
    parents: isMember ? rolesOf(snapshot, principal).map((id) => ({ type: ROLE_TYPE, id })) : [],
  };
}

/** Principals of other systems may be of any type; one that would be another type in Cedar must not pass for it. */
function principalTypeOf({ types }: Snapshot, name: string): string {
  const type = cedarTypeOf(name);
  if (type === undefined)
    throw new Error(`the type of the principal, ${name}, is none that Cedar could have`);
  if (types.has(name) || name === API_KEY_TYPE || name === ANONYMOUS_TYPE) return type;
  for (const known of [...types.keys(), API_KEY_TYPE, ANONYMOUS_TYPE])
    if (cedarTypeOf(known) === type)
      throw new Error(`the principal is no ${known}, and would be one in Cedar`);
  return type;
}

function resourceEntity(
  snapshot: Snapshot,
  { type: name, attributes }: AccessRequest['resource'],
  shape: Shape,
): CedarEntityGiven {
  const type = cedarTypeOf(name);
  if (type === undefined) throw new Error(`${name} is no type that Cedar could have`);
  const values = attributesOf(attributes, snapshot.types.get(name)?.attributes);
  return {
    uid: { type, id: idOf(attributes['id']) },
    attrs: declaredOnly(values, shape?.entities.get(type)?.attributes),
    parents: [],
  };
}

/** What is not there yet, as before it is created, has the id ''. */
function idOf(id: unknown): string {
  return id === undefined ? '' : String(id);
}

function attributesOf(
  attributes: AccessRequest['context'],
  declared: Record<string, Parameters<typeof cedarValue>[1]> | undefined,
): Record<string, CedarValue> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [safeKey(name), cedarValue(value, declared?.[name])]),
  );
}

/** Under a schema, only what it declares: Cedar refuses all else, and no policy that is valid reads it. */
function declaredOnly(
  values: Record<string, CedarValue>,
  declared: ReadonlyMap<string, string> | undefined,
): Record<string, CedarValue> {
  if (!declared) return values;
  return Object.fromEntries(Object.entries(values).filter(([name]) => declared.has(name)));
}

/** The facts of the request; those of the action are the record `action` among them. */
function contextOf({ context, action }: AccessRequest, shape: Shape): Record<string, CedarValue> {
  const declared = shape?.actions.get(action.name)?.context;
  const isAsked = (name: string) => !shape || declared?.has(name) === true;
  const facts = Object.entries(context)
    .filter(([name, value]) => isAsked(name) && value !== undefined && value !== null)
    .map(([name, value]): [string, CedarValue] => [safeKey(name), factOf(name, value, declared?.get(name))]);
  const ofAction = { ...action.properties, name: action.name };
  return {
    ...Object.fromEntries(facts),
    ...(isAsked('action') && { action: cedarValue(ofAction, undefined) }),
  };
}

/** Addresses and instants are values of their own, unless the schema says that they are text. */
function factOf(name: string, value: unknown, kind: string | undefined): CedarValue {
  if (kind === 'String') return cedarValue(value, undefined);
  const spec = Object.hasOwn(contextFacts, name) ? contextFacts[name] : undefined;
  return name === 'ip' ? ipValue(value) : cedarValue(value, spec);
}

/** Principal and resource may be one thing: then what is said of the one holds of the other. */
function joined(entity: CedarEntityGiven, other: CedarEntityGiven | undefined): CedarEntityGiven {
  if (!other) return entity;
  for (const [name, value] of Object.entries(entity.attrs))
    if (name in other.attrs && JSON.stringify(other.attrs[name]) !== JSON.stringify(value))
      throw new Error(`principal and resource are one entity, and disagree about ${name}`);
  return {
    ...entity,
    attrs: { ...other.attrs, ...entity.attrs },
    parents: [...other.parents, ...entity.parents],
  };
}

/** What is stored stands where the request says nothing; parents are those of both. */
function onStored(entity: CedarEntityGiven, stored: CedarEntity | undefined): CedarEntityGiven {
  if (!stored) return entity;
  const { attrs, parents, ...rest } = asGiven(stored);
  return { ...rest, attrs: { ...attrs, ...entity.attrs }, parents: [...parents, ...entity.parents] };
}

/** Stored entities were put to Cedar's own reader when they were published. */
function asGiven(entity: CedarEntity): CedarEntityGiven {
  return { parents: [], ...entity, attrs: (entity.attrs ?? {}) as Record<string, CedarValue> };
}
