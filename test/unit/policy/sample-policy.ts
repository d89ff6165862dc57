/** A policy to test with: the built-in types, two types with an attribute of every kind, and short ways to ask about rules. */
import assert from 'node:assert/strict';
import { type AccessRequest, principalOf, resourceOf } from '../../../src/decision/access-request.ts';
import { evaluatorNames } from '../../../src/evaluators/index.ts';
import { type Ability, makeAbility, type Principal } from '../../../src/policy/ability.ts';
import { ACCOUNT_TYPE, builtInTypes } from '../../../src/policy/built-in.ts';
import { type CompileOptions, compile } from '../../../src/policy/compile.ts';
import type { Policy, ResourceType, Role, Rule } from '../../../src/policy/policy.ts';
import type { Snapshot } from '../../../src/policy/snapshot.ts';

export const ALICE = '3f2b8c1e-0000-4000-8000-00000000000a';
export const BOB = '3f2b8c1e-0000-4000-8000-00000000000b';
export const NOON_MS = Date.parse('2026-06-01T12:00:00Z');

export function typeOf(type: string, rest: Partial<ResourceType> = {}): ResourceType {
  return {
    type,
    description: '',
    actions: ['read', 'update'],
    attributes: { id: { type: 'string' } },
    source: null,
    evaluator: 'casl',
    ...rest,
  };
}

const documentType = typeOf('document', {
  actions: ['read', 'create', 'update', 'delete', 'publish'],
  attributes: {
    id: { type: 'string' },
    title: { type: 'string' },
    body: { type: 'string', nullable: true },
    status: { type: 'string', enum: ['draft', 'review', 'published'] },
    ownerId: { type: 'uuid' },
    department: { type: 'string' },
    pages: { type: 'integer' },
    rating: { type: 'number' },
    isPinned: { type: 'boolean' },
    publishedAt: { type: 'date' },
    tags: { type: 'array', items: 'string' },
    scores: { type: 'array', items: 'number' },
    reviewers: { type: 'array', items: 'uuid' },
    deadlines: { type: 'array', items: 'date' },
    parts: { type: 'array', items: 'object' },
    meta: { type: 'object' },
    notes: { type: 'string' },
  },
});

const orderType = typeOf('order', {
  actions: ['read', 'create', 'approve'],
  attributes: {
    id: { type: 'string' },
    amount: { type: 'number' },
    status: { type: 'string', enum: ['open', 'approved'] },
    createdBy: { type: 'uuid' },
    publishedAt: { type: 'string' },
  },
});

/** What the principals of the tests carry beside the built-in attributes of accounts. */
const accountExtras: ResourceType['attributes'] = {
  department: { type: 'string' },
  level: { type: 'integer' },
  isTrusted: { type: 'boolean' },
  managerId: { type: 'uuid' },
  hiredAt: { type: 'date' },
  teams: { type: 'array', items: 'string' },
  deputies: { type: 'array', items: 'uuid' },
  grants: { type: 'array', items: 'object' },
  profile: { type: 'object' },
};

export const sampleTypes: readonly ResourceType[] = [
  ...builtInTypes.map((type) =>
    type.type === ACCOUNT_TYPE ? { ...type, attributes: { ...type.attributes, ...accountExtras } } : type,
  ),
  documentType,
  orderType,
];

export function roleOf(key: string, inherits: string[] = []): Role {
  return { key, name: key, description: '', inherits };
}

export const sampleRoles: readonly Role[] = [
  roleOf('reader'),
  roleOf('editor', ['reader']),
  roleOf('chief', ['editor']),
  roleOf('auditor'),
];

/** A rule with what is left out filled in: whoever is identified may read documents. */
export function ruleOf(rest: Partial<Rule> = {}): Rule {
  return {
    id: 'rule-under-test',
    ...(rest.principal === undefined && { role: 'authenticated' }),
    action: 'read',
    subject: 'document',
    inverted: false,
    priority: 0,
    enabled: true,
    validFrom: null,
    validUntil: null,
    ...rest,
  };
}

export function policyOf(rules: Partial<Rule>[], rest: Partial<Policy> = {}): Policy {
  return {
    resourceTypes: [...sampleTypes],
    roles: [...sampleRoles],
    rules: rules.map((rule, index) => ruleOf({ id: `rule-${index}`, ...rule })),
    cases: [],
    routes: [],
    cedar: [],
    ...rest,
  };
}

export function compiled(policy: Policy, options: Partial<CompileOptions> = {}): Snapshot {
  const { snapshot, problems } = compile(policy, { revision: 1, evaluators: evaluatorNames, ...options });
  assert.ok(snapshot, `the policy of the test must compile: ${JSON.stringify(problems)}`);
  return snapshot;
}

export function snapshotOf(...rules: Partial<Rule>[]): Snapshot {
  return compiled(policyOf(rules));
}

export interface PrincipalParts {
  id?: string;
  type?: string;
  roles?: string[];
  attributes?: object;
  accessVersion?: number;
}

/** Alice, unless told otherwise. */
export function principalWith(parts: PrincipalParts = {}): Principal {
  const type = parts.type ?? ACCOUNT_TYPE;
  return principalOf(
    { id: ALICE, roles: [], attributes: {}, accessVersion: 1, ...parts, type },
    sampleTypes.find((candidate) => candidate.type === type),
  );
}

export function abilityOf(snapshot: Snapshot, principal = principalWith(), nowMs = NOON_MS): Ability {
  return makeAbility(snapshot, principal, nowMs);
}

export interface RequestParts {
  action?: string;
  properties?: Record<string, unknown>;
  type?: string;
  resource?: object;
  context?: Record<string, unknown>;
  principal?: Principal;
}

/** A request as the gateway makes it; by default Alice reads a document. */
export function requestOf(parts: RequestParts = {}): AccessRequest {
  const type = sampleTypes.find((candidate) => candidate.type === (parts.type ?? 'document'));
  assert.ok(type, `${parts.type} is a type of the sample policy`);
  return {
    principal: parts.principal ?? principalWith(),
    action: { name: parts.action ?? 'read', ...(parts.properties && { properties: parts.properties }) },
    resource: resourceOf(type, parts.resource ?? {}),
    context: Object.assign(Object.create(null), parts.context),
  };
}
