/** The policy as data: the shapes that files, API and tables share. */

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

/** All roles, resource types and rules together. */
export interface Policy {
  resourceTypes: ResourceType[];
  roles: Role[];
  rules: Rule[];
}

export const ANY_ACTION = 'manage';
export const ANY_TYPE = 'all';

/** Roles that nobody is given: they follow from who asks. */
export const builtInRoles = ['everyone', 'authenticated', 'anonymous'] as const;

/** A list, where a rule may say one or several. */
export function listOf(value: string | string[]): string[] {
  return Array.isArray(value) ? value : [value];
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
