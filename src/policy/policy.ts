/** The policy as data: the shapes that files, API and tables share. */
import type { Route } from './routes/route.ts';

export type AttributeType =
  | 'string'
  | 'number'
  | 'integer'
  | 'boolean'
  | 'date'
  | 'uuid'
  | 'array'
  | 'object';

/** How one attribute of a resource type is declared. */
export interface AttributeSpec {
  type: AttributeType;
  /** Type of the elements of an array. */
  items?: AttributeType;
  enum?: (string | number)[];
  nullable?: boolean;
}

/** A kind of resource (or principal) with its actions and typed attributes. `id` is an attribute of every one. */
export interface ResourceType {
  type: string;
  description: string;
  actions: string[];
  attributes: Record<string, AttributeSpec>;
  /** The table its rows live in, where it has one. */
  source: string | null;
  /** The evaluator that decides about it. */
  evaluator: string;
  /** The evaluator that is asked beside it, to see where the two disagree. */
  shadow?: string;
  /** Who may say that somebody is a principal of this type. */
  identity?: TypeIdentity;
}

/** An issuer of tokens, whose word counts: claims that are declared as attributes, and roles by claims. */
export interface TypeIdentity {
  issuer: string;
  roles: RoleByClaim[];
}

/** A role for whoever has this value as, or in the list of, this claim. */
export interface RoleByClaim {
  claim: string;
  value: string;
  role: string;
}

/** A named bundle of rules that may inherit other roles. */
export interface Role {
  key: string;
  name: string;
  description: string;
  inherits: string[];
}

/** A query in MongoDB style, as written. */
export type Query = Record<string, unknown>;

/** One rule as written: allow, or deny when `inverted`. Exactly one of `role` and `principal` is given. */
export interface Rule {
  id: string;
  role?: string;
  /** `user:<id>` */
  principal?: string;
  action: string | string[];
  subject: string | string[];
  fields?: string[];
  conditions?: Query;
  when?: Query;
  inverted: boolean;
  reason?: string;
  priority: number;
  enabled: boolean;
  /** ISO 8601, UTC */
  validFrom: string | null;
  validUntil: string | null;
}

/** Who asks, as a case or an explanation says it: attributes beside the rest, or under `attributes`. */
export type AskedPrincipal =
  | 'anonymous'
  | {
      type?: string;
      id?: string;
      roles?: string[];
      ancestors?: AskedAncestor[];
      attributes?: Attributes;
      [attribute: string]: unknown;
    };

/** What a principal belongs to or a resource lies in, each with its attributes beside. */
export interface AskedAncestor {
  type: string;
  id: string;
  [attribute: string]: unknown;
}

/** What it is done to: attributes beside the rest, or under `attributes`. */
export interface AskedResource {
  type: string;
  id?: string;
  ancestors?: AskedAncestor[];
  attributes?: Attributes;
  [attribute: string]: unknown;
}

export type AskedAction = string | { name: string; properties?: Attributes };

type Attributes = Record<string, unknown>;

/** One question, as people write it. */
export interface Question {
  principal: AskedPrincipal;
  action: AskedAction;
  resource: AskedResource;
  context?: Attributes;
}

/** A question and what the policy must decide: a test of the policy that travels with it. */
export interface SingleCase extends Question {
  id: string;
  name?: string;
  /** The instant it is asked at, ISO 8601 UTC; left out: now. */
  at?: string;
  expect: 'allow' | 'deny';
  /** The rule that must settle it; null: none does. */
  rule?: string | null;
  /** Each field, and whether the request may touch it. */
  fields?: Record<string, boolean>;
}

/** A table of principal × resource × action: what `allow` does not list must be denied. */
export interface CaseMatrix {
  id: string;
  name?: string;
  at?: string;
  context?: Attributes;
  principals: Record<string, AskedPrincipal>;
  resources: Record<string, AskedResource>;
  actions: string[];
  /** principal -> resource -> the actions that are allowed */
  allow: Record<string, Record<string, string[]>>;
}

export type Case = SingleCase | CaseMatrix;

/** An entity as Cedar writes it in JSON. */
export interface CedarEntity {
  uid: { type: string; id: string };
  attrs?: Record<string, unknown>;
  parents?: { type: string; id: string }[];
  tags?: Record<string, unknown>;
}

/** A piece of what the evaluator `cedar` decides by; all pieces together are one policy set, one schema, one store. */
export interface CedarPart {
  id: string;
  /** Policies in Cedar's language. */
  policies?: string;
  /** A schema in Cedar's schema language. */
  schema?: string;
  entities?: CedarEntity[];
}

/** All roles, resource types, rules and routes together, the cases that they must decide, and what Cedar decides by. */
export interface Policy {
  resourceTypes: ResourceType[];
  roles: Role[];
  rules: Rule[];
  routes: Route[];
  cases: Case[];
  cedar: CedarPart[];
}

/** A kind of part of the policy, and the property that names each of its parts. */
export const partNames = {
  resourceTypes: 'type',
  roles: 'key',
  rules: 'id',
  routes: 'id',
  cases: 'id',
  cedar: 'id',
} as const;

export type Collection = keyof typeof partNames;

/** A part of the policy, of whatever kind. */
export type Part = Policy[Collection][number];

export const collections = Object.keys(partNames) as Collection[];

/** The name of a part of the policy. */
export function nameOf(collection: Collection, part: Part): string {
  return (part as unknown as Record<string, string>)[partNames[collection]] ?? '';
}

/** A policy without anything in it. */
export function emptyPolicy(): Policy {
  return { resourceTypes: [], roles: [], rules: [], routes: [], cases: [], cedar: [] };
}

export const ANY_ACTION = 'manage';
export const ANY_TYPE = 'all';

/** Roles that nobody is given: they follow from who asks. */
export const builtInRoles = ['everyone', 'authenticated', 'anonymous'] as const;

/** A list, where a rule may say one or several. */
export function listOf(value: string | string[]): string[] {
  return Array.isArray(value) ? value : [value];
}

/** `user:<id>` in one form: a UUID is the same account in capitals. */
export function canonicalPrincipal(principal: string): string {
  return /^[a-z][a-z0-9.-]*:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(principal)
    ? principal.toLowerCase()
    : principal;
}

/** A rule as a resource of type `castellan.rule`: what rules about rules can ask. */
export function ruleAttributes(rule: Rule): object {
  const { id, role, principal, action, subject, inverted, enabled, priority } = rule;
  return {
    id,
    role,
    principal,
    action: listOf(action),
    subject: listOf(subject),
    inverted,
    enabled,
    priority,
  };
}

/** A role as a resource of type `castellan.role`. */
export function roleAttributes({ key, name, inherits }: Role): object {
  return { id: key, name, inherits };
}

/** A resource type as a resource of type `castellan.resource-type`. */
export function typeAttributes({ type, evaluator }: ResourceType): object {
  return { id: type, evaluator };
}
