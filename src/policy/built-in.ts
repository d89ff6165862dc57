/** What every policy holds because the gateway itself asks about it: accounts and the policy's own parts. */
import type { AttributeSpec, Policy, ResourceType } from './policy.ts';

/** The resource type of accounts. More attributes may be declared beside these; those live in the account's `attributes`. */
export const ACCOUNT_TYPE = 'user';

/** The type of principals that are API keys. */
export const API_KEY_TYPE = 'api-key';

const string: AttributeSpec = { type: 'string' };
const date: AttributeSpec = { type: 'date' };
const strings: AttributeSpec = { type: 'array', items: 'string' };

function builtIn(
  type: string,
  description: string,
  actions: string[],
  attributes: Record<string, AttributeSpec>,
): ResourceType {
  return {
    type,
    description,
    actions,
    attributes: { id: string, ...attributes },
    source: null,
    evaluator: 'casl',
  };
}

const crud = ['read', 'create', 'update', 'delete'];

/** A policy may add to these, never take from them. */
export const builtInTypes: readonly ResourceType[] = [
  builtIn(
    ACCOUNT_TYPE,
    'An account, as principal and as resource',
    ['read', 'create', 'update', 'deactivate', 'reactivate', 'reset-password', 'assign-role', 'escalate'],
    {
      id: { type: 'uuid' },
      email: string,
      firstName: string,
      lastName: string,
      patronymic: { type: 'string', nullable: true },
      isActive: { type: 'boolean' },
      createdAt: date,
    },
  ),
  builtIn('castellan.rule', 'A rule of the policy', [...crud, 'escalate'], {
    role: string,
    principal: string,
    action: strings,
    subject: strings,
    inverted: { type: 'boolean' },
    enabled: { type: 'boolean' },
    priority: { type: 'integer' },
  }),
  builtIn('castellan.role', 'A role of the policy', [...crud, 'assign', 'escalate'], {
    name: string,
    inherits: strings,
  }),
  builtIn('castellan.resource-type', 'A resource type of the policy', crud, { evaluator: string }),
  builtIn('castellan.route', 'A route of the policy', [...crud, 'escalate'], {
    host: string,
    path: string,
    resource: string,
    action: string,
    public: { type: 'boolean' },
  }),
  builtIn('castellan.session', 'A login session of an account', ['read', 'delete'], {
    accountId: { type: 'uuid' },
  }),
  builtIn(
    'castellan.api-key',
    'A key by which a service identifies itself',
    [...crud, 'rotate', 'escalate'],
    {
      id: { type: 'uuid' },
      name: string,
      roles: strings,
      createdBy: { type: 'uuid', nullable: true },
      createdAt: date,
      expiresAt: { type: 'date', nullable: true },
      lastUsedAt: { type: 'date', nullable: true },
      revokedAt: { type: 'date', nullable: true },
    },
  ),
  builtIn('castellan.entity', 'A principal or resource of another system, kept here', [...crud, 'escalate'], {
    type: string,
    attributes: { type: 'object' },
    roles: strings,
    parents: strings,
  }),
  builtIn('castellan.policy', 'The policy as a whole', ['read', 'update', 'escalate', 'override'], {}),
  builtIn('castellan.decision', 'A decision: asked for by others, or made', ['read', 'evaluate'], {
    principal: string,
    action: string,
    resource: string,
    allow: { type: 'boolean' },
    at: date,
  }),
  builtIn('castellan.audit', 'An entry of the audit trail', ['read'], {
    at: date,
    actorId: string,
    actor: string,
    action: string,
    targetType: string,
    targetId: string,
    requestId: string,
    revision: { type: 'integer' },
    address: string,
  }),
];

/** The policy with what it lacks of the built-in types, as one of an earlier version does; itself where it lacks nothing. */
export function withBuiltIns(policy: Policy): Policy {
  const known = new Map(policy.resourceTypes.map((type) => [type.type, type]));
  const mended = builtInTypes.filter((wanted) => !hasAll(known.get(wanted.type), wanted));
  if (mended.length === 0) return policy;
  for (const wanted of mended) {
    const found = known.get(wanted.type) ?? wanted;
    known.set(wanted.type, {
      ...found,
      actions: [...new Set([...found.actions, ...wanted.actions])],
      attributes: { ...wanted.attributes, ...found.attributes },
    });
  }
  return { ...policy, resourceTypes: [...known.values()] };
}

function hasAll(found: ResourceType | undefined, { actions, attributes }: ResourceType): boolean {
  if (!found) return false;
  return (
    actions.every((action) => found.actions.includes(action)) &&
    Object.keys(attributes).every((name) => Object.hasOwn(found.attributes, name))
  );
}

/** What something lies in or belongs to, however far up. It comes from stored entities alone, so no type may declare it. */
export const ANCESTORS = 'ancestors';
export const ancestorsSpec: AttributeSpec = { type: 'array', items: 'object' };

/** Facts of a principal beside its declared attributes. */
export const principalFacts: Record<string, AttributeSpec> = {
  id: string,
  type: string,
  roles: strings,
  ancestors: ancestorsSpec,
  ancestorIds: strings,
};

/** Names that no resource type may declare: a value of that name could be taken for what only we say. */
export const reservedAttributes: ReadonlySet<string> = new Set([ANCESTORS, 'ancestorIds']);

/** Facts of the action. Others may be given by whoever asks. */
export const actionFacts: Record<string, AttributeSpec> = { name: string };

/** Facts of the request. Others may be given by whoever asks; these have a known type. */
export const contextFacts: Record<string, AttributeSpec> = {
  ip: string,
  time: date,
  mfa: { type: 'boolean' },
  method: string,
  userAgent: string,
};
