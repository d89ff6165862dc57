/** The shapes of rules, roles and resource types as they are written, and the first check of a document against them. */
import Joi from 'joi';
import { attributeTypes, canonical, misfit } from './attributes.ts';
import { caseMatrixSchema, caseSchema, isMatrix, singleCaseSchema } from './case-schema.ts';
import { cedarPartSchema } from './cedar/part-schema.ts';
import { entitySchema } from './entity.ts';
import { identitySchema } from './identity.ts';
import { readPlainRule } from './plain-rule.ts';
import {
  type Case,
  type CedarPart,
  canonicalPrincipal,
  type ResourceType,
  type Role,
  type Rule,
} from './policy.ts';
import { routeSchema } from './routes/route-schema.ts';
import { type Shaped, shape } from './shape.ts';

const ruleId = Joi.string().pattern(/^[a-z0-9][a-z0-9-]{0,99}$/, 'slug');
const roleKey = Joi.string().pattern(/^[a-z][a-z0-9-]{0,62}$/, 'slug');
const typeName = Joi.string().pattern(/^[a-z][a-z0-9.-]{0,62}$/, 'type name');
const oneOrMore = Joi.alternatives(Joi.string(), Joi.array().items(Joi.string()).min(1).max(100)).required();
const optional = (schema: Joi.Schema) => schema.allow(null);
/** Kept in one form, so that a file and a row, which give the same instant, give the same rule. */
const instant = Joi.string()
  .custom((value: string, helpers) =>
    misfit(value, { type: 'date' }) ? helpers.error('string.isoDate') : canonical(value, 'date'),
  )
  .allow(null)
  .default(null);

export const ruleSchema = Joi.object({
  id: ruleId.description('stable across environments; made up when left out'),
  role: optional(roleKey).description('a role, or everyone, authenticated, anonymous'),
  principal: optional(
    Joi.string()
      .pattern(/^[a-z][a-z0-9.-]*:[^\s:]{1,200}$/, 'user:<id>')
      .custom(canonicalPrincipal),
  ).description('user:<id> or api-key:<id>, instead of a role'),
  action: oneOrMore.description('manage = every action'),
  subject: oneOrMore.description('the resource type; all = every one'),
  fields: optional(Joi.array().items(Joi.string()).min(1).max(200)).description('left out: all'),
  conditions: optional(Joi.object().unknown(true)).description(
    'about the resource: a query in MongoDB style',
  ),
  when: optional(Joi.object().unknown(true)).description('about principal., action. and context.'),
  inverted: Joi.boolean().default(false).description('true = deny'),
  reason: optional(Joi.string().max(500)).description('what whoever is denied is told'),
  priority: Joi.number()
    .integer()
    .min(-1_000_000)
    .max(1_000_000)
    .default(0)
    .description('higher wins; at one priority a deny beats every allow'),
  enabled: Joi.boolean().default(true).description('false = as if it were not there'),
  validFrom: instant.description('ISO 8601; before it the rule is not there'),
  validUntil: instant.description('ISO 8601; from it on the rule is not there'),
});

export const roleSchema = Joi.object({
  key: roleKey.required().description('what rules and accounts call it'),
  name: Joi.string().min(1).max(100).default(Joi.ref('key')),
  description: Joi.string().allow('').max(1000).default(''),
  inherits: Joi.array()
    .items(Joi.string())
    .unique()
    .max(50)
    .default([])
    .description('roles whose rules it has, too'),
});

const attributeType = Joi.string().valid(...Object.keys(attributeTypes));

export const attributeSchema = Joi.object({
  type: attributeType.required(),
  items: attributeType.description('type of the elements of an array'),
  enum: Joi.array().items(Joi.string(), Joi.number()).min(1).max(1000).description('the values it can have'),
  nullable: Joi.boolean().description('whether null may be stored'),
});

export const resourceTypeSchema = Joi.object({
  type: typeName.required().description('what rules call it'),
  description: Joi.string().allow('').max(1000).default(''),
  actions: Joi.array()
    .items(Joi.string().pattern(/^[a-z][a-z0-9-]{0,62}$/, 'slug'))
    .unique()
    .max(200)
    .default([])
    .description('what can be done to it'),
  attributes: Joi.object()
    .pattern(Joi.string(), attributeSchema)
    .default({})
    .description('what conditions can ask about it'),
  source: Joi.string()
    .pattern(/^[a-z_][a-z0-9_]{0,62}$/, 'table name')
    .allow(null)
    .default(null)
    .description('the table its rows live in'),
  evaluator: Joi.string().default('casl').description('what decides about it'),
  shadow: Joi.string().empty(null).description('an evaluator that is asked beside it and decides nothing'),
  identity: identitySchema.empty(null).description('who may say that somebody is a principal of this type'),
});

export const policySchema = Joi.object({
  $schema: Joi.string().description('where editors find the schema'),
  $comment: Joi.string().description('for readers; it means nothing'),
  version: Joi.number().valid(1).required().description('of this form'),
  resourceTypes: Joi.array()
    .items(resourceTypeSchema)
    .default([])
    .description('kinds of resources and principals'),
  roles: Joi.array().items(roleSchema).default([]).description('named bundles of rules'),
  rules: Joi.array().items(ruleSchema).default([]).description('who may do what; no rule, no access'),
  routes: Joi.array()
    .items(routeSchema)
    .default([])
    .description('which requests are about what, and where they go; no route, no entry'),
  entities: Joi.array()
    .items(entitySchema)
    .default([])
    .description('principals and resources of other systems; data that a policy may bring along'),
  cases: Joi.array().items(caseSchema).default([]).description('what the policy must decide'),
  cedar: Joi.array()
    .items(cedarPartSchema)
    .description('what the evaluator cedar decides by: policies, schema and entities of Cedar'),
});

/** A rule with its defaults and without what is null, or what is wrong with its shape. */
export function shapeRule(input: unknown, base = ''): Shaped<Rule> {
  const plain = readPlainRule(input);
  if (plain) return { value: plain, problems: [] };
  const shaped = shape<Rule>(ruleSchema, input, base);
  return { ...shaped, value: withoutNulls(shaped.value) };
}

export function shapeRole(input: unknown, base = ''): Shaped<Role> {
  return shape(roleSchema, input, base);
}

export function shapeResourceType(input: unknown, base = ''): Shaped<ResourceType> {
  return shape(resourceTypeSchema, input, base);
}

export function shapeCase(input: unknown, base = ''): Shaped<Case> {
  return shape(isMatrix(input) ? caseMatrixSchema : singleCaseSchema, input, base);
}

export function shapeCedarPart(input: unknown, base = ''): Shaped<CedarPart> {
  return shape(cedarPartSchema, input, base);
}

const keptNulls = new Set(['validFrom', 'validUntil']);

function withoutNulls(rule: Rule): Rule {
  if (typeof rule !== 'object' || rule === null) return rule;
  return Object.fromEntries(
    Object.entries(rule).filter(([key, value]) => value !== null || keptNulls.has(key)),
  ) as unknown as Rule;
}
