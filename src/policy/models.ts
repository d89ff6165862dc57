/** The policy's rows: Objection models and their way to and from the policy's shapes. */
import { Model } from 'objection';
import type { PolicyDiff } from './diff.ts';
import {
  type Case,
  type CedarPart,
  canonicalPrincipal,
  type Policy,
  type ResourceType,
  type Role,
  type Rule,
} from './policy.ts';
import type { Route } from './routes/route.ts';

export abstract class PolicyRow extends Model {
  declare version: number;
  declare createdAt: Date;
  declare updatedAt: Date;
}

export class RuleRow extends PolicyRow {
  static override tableName = 'rules';
  declare id: string;
  declare roleKey: string | null;
  declare principal: string | null;
  declare action: string | string[];
  declare subject: string | string[];
  declare fields: string[] | null;
  declare conditions: Rule['conditions'] | null;
  declare when: Rule['when'] | null;
  declare inverted: boolean;
  declare reason: string | null;
  declare priority: number;
  declare enabled: boolean;
  declare validFrom: Date | null;
  declare validUntil: Date | null;
}

export class RoleRow extends PolicyRow {
  static override tableName = 'roles';
  static override idColumn = 'key';
  declare key: string;
  declare name: string;
  declare description: string;
  /** everyone, authenticated, anonymous: rows only so that rules can refer to them. */
  declare builtIn: boolean;
}

export class RoleParentRow extends Model {
  static override tableName = 'role_parents';
  static override idColumn = ['role_key', 'parent_key'];
  declare roleKey: string;
  declare parentKey: string;
  declare position: number;
}

export class ResourceTypeRow extends PolicyRow {
  static override tableName = 'resource_types';
  static override idColumn = 'type';
  declare type: string;
  declare description: string;
  declare actions: string[];
  declare attributes: ResourceType['attributes'];
  declare source: string | null;
  declare evaluator: string;
  declare shadow: string | null;
  declare identity: ResourceType['identity'] | null;
}

export class CaseRow extends PolicyRow {
  static override tableName = 'cases';
  declare id: string;
  declare body: Case;
}

export class RouteRow extends PolicyRow {
  static override tableName = 'routes';
  declare id: string;
  declare host: string | null;
  declare methods: string[];
  declare path: string;
  declare resource: string | null;
  declare action: string | null;
  declare resourceId: string | null;
  declare attributes: Route['attributes'] | null;
  declare upstream: Route['upstream'] | null;
  declare headers: string[] | null;
  declare rateLimit: Route['rateLimit'] | null;
  declare public: boolean;
}

export class CedarPartRow extends PolicyRow {
  static override tableName = 'cedar_parts';
  declare id: string;
  declare body: CedarPart;
}

export class RevisionRow extends Model {
  static override tableName = 'revisions';
  static override idColumn = 'number';
  declare number: number;
  declare createdAt: Date;
  declare authorId: string | null;
  declare author: string;
  declare message: string;
  declare changes: { added: number; changed: number; removed: number };
  /** Either may be missing where it is large: it follows from the other and the revisions before. */
  declare diff: PolicyDiff | null;
  declare policy: Policy | null;
  declare digest: string;
}

export function toRule(row: RuleRow): Rule {
  return {
    id: row.id,
    ...(row.roleKey !== null && { role: row.roleKey }),
    ...(row.principal !== null && { principal: canonicalPrincipal(row.principal) }),
    action: row.action,
    subject: row.subject,
    ...(row.fields !== null && { fields: row.fields }),
    ...(row.conditions && { conditions: row.conditions }),
    ...(row.when && { when: row.when }),
    inverted: row.inverted,
    ...(row.reason !== null && { reason: row.reason }),
    priority: row.priority,
    enabled: row.enabled,
    validFrom: row.validFrom?.toISOString() ?? null,
    validUntil: row.validUntil?.toISOString() ?? null,
  };
}

/** The columns of a rule. */
export function ruleColumns(rule: Rule): Record<string, unknown> {
  return {
    id: rule.id,
    role_key: rule.role ?? null,
    principal: rule.principal ?? null,
    action: rule.action,
    subject: rule.subject,
    fields: rule.fields ?? null,
    conditions: rule.conditions ?? null,
    when: rule.when ?? null,
    inverted: rule.inverted,
    reason: rule.reason ?? null,
    priority: rule.priority,
    enabled: rule.enabled,
    valid_from: rule.validFrom,
    valid_until: rule.validUntil,
  };
}

export function toRoute(row: RouteRow): Route {
  return {
    id: row.id,
    ...(row.host !== null && { host: row.host }),
    methods: row.methods,
    path: row.path,
    ...(row.resource !== null && { resource: row.resource }),
    ...(row.action !== null && { action: row.action }),
    ...(row.resourceId !== null && { resourceId: row.resourceId }),
    ...(row.attributes && { attributes: row.attributes }),
    ...(row.upstream !== null && { upstream: row.upstream }),
    ...(row.headers !== null && { headers: row.headers }),
    ...(row.rateLimit && { rateLimit: row.rateLimit }),
    ...(row.public && { public: true }),
  };
}

/** The columns of a route. */
export function routeColumns(route: Route): Record<string, unknown> {
  return {
    id: route.id,
    host: route.host ?? null,
    methods: route.methods,
    path: route.path,
    resource: route.resource ?? null,
    action: route.action ?? null,
    resource_id: route.resourceId ?? null,
    attributes: route.attributes ?? null,
    upstream: route.upstream ?? null,
    headers: route.headers ?? null,
    rate_limit: route.rateLimit ?? null,
    public: route.public === true,
  };
}

/** The columns of a resource type. */
export function resourceTypeColumns({
  type,
  description,
  actions,
  attributes,
  source,
  evaluator,
  shadow,
  identity,
}: ResourceType): Record<string, unknown> {
  const optional = { shadow: shadow ?? null, identity: identity ?? null };
  return { type, description, actions, attributes, source, evaluator, ...optional };
}

/** The columns of a part that is kept as it is: a case, a piece of Cedar. */
export function bodyColumns(part: Case | CedarPart): Record<string, unknown> {
  return { id: part.id, body: part };
}

export function toRole(row: RoleRow, inherits: string[]): Role {
  return { key: row.key, name: row.name, description: row.description, inherits };
}

export function toResourceType(row: ResourceTypeRow): ResourceType {
  return {
    type: row.type,
    description: row.description,
    actions: row.actions,
    attributes: row.attributes,
    source: row.source,
    evaluator: row.evaluator,
    ...(row.shadow !== null && { shadow: row.shadow }),
    ...(row.identity && { identity: row.identity }),
  };
}
