/** The shapes of questions and cases as they are written. */
import Joi from 'joi';
import { canonical, misfit } from './attributes.ts';

const attributes = Joi.object().unknown(true);
const typeName = Joi.string().pattern(/^[a-z][a-z0-9.-]{0,62}$/, 'type name');
const slug = Joi.string().pattern(/^[a-z0-9][a-z0-9-]{0,99}$/, 'slug');
const instant = Joi.string().custom((value: string, helpers) =>
  misfit(value, { type: 'date' }) ? helpers.error('string.isoDate') : canonical(value, 'date'),
);

/** Stored entities have parents; whoever only asks a question says what follows from them. */
const ancestors = Joi.array()
  .items(Joi.object({ type: typeName.required(), id: Joi.string().max(200).required() }).unknown(true))
  .max(1000)
  .description('what it lies in or belongs to, however far up: [{type, id, …attributes}]');

/** Who asks: a known account by its id, or anybody with these roles and attributes. */
export const askedPrincipal = Joi.alternatives(
  Joi.string().valid('anonymous'),
  Joi.object({
    type: typeName,
    id: Joi.string().max(200),
    roles: Joi.array().items(Joi.string()).unique().max(100),
    ancestors,
    attributes,
  }).unknown(true),
).description('anonymous, or {type, id, roles, …attributes}');

export const askedResource = Joi.object({
  type: typeName.required(),
  id: Joi.string().max(200),
  ancestors,
  attributes,
})
  .unknown(true)
  .description('{type, id, …attributes}');

export const askedAction = Joi.alternatives(
  Joi.string(),
  Joi.object({ name: Joi.string().required(), properties: attributes }),
);

/** A question: principal, action, resource, context. */
export const questionSchema = Joi.object({
  principal: askedPrincipal.required(),
  action: askedAction.required(),
  resource: askedResource.required(),
  context: attributes,
});

const common = {
  id: slug.description('made up when left out'),
  name: Joi.string().min(1).max(200).description('what it shows, in words'),
  at: instant.description('the instant it is asked at; left out: now'),
  context: attributes,
};

export const singleCaseSchema = questionSchema.keys({
  ...common,
  expect: Joi.string().valid('allow', 'deny').required(),
  rule: Joi.string().allow(null).description('the rule that must settle it; null: none does'),
  fields: Joi.object().pattern(Joi.string(), Joi.boolean()).description('field: whether it may be touched'),
});

const named = Joi.string().pattern(/^[A-Za-z0-9][A-Za-z0-9_ -]{0,62}$/, 'name');

export const caseMatrixSchema = Joi.object({
  ...common,
  principals: Joi.object().pattern(named, askedPrincipal).min(1).max(200).required(),
  resources: Joi.object().pattern(named, askedResource).min(1).max(200).required(),
  actions: Joi.array().items(Joi.string()).unique().min(1).max(200).required(),
  allow: Joi.object()
    .pattern(Joi.string(), Joi.object().pattern(Joi.string(), Joi.array().items(Joi.string()).unique()))
    .required()
    .description('principal: {resource: [actions]}; everything else must be denied'),
});

/** Whether it is written as a matrix, and is to be judged as one. */
export function isMatrix(input: unknown): boolean {
  return typeof input === 'object' && input !== null && 'principals' in input;
}

/** One case, or a matrix of them. */
export const caseSchema = Joi.alternatives().conditional(
  Joi.object({ principals: Joi.required() }).unknown(true),
  // biome-ignore lint/suspicious/noThenProperty: the word is joi's, and nobody awaits it
  { then: caseMatrixSchema, otherwise: singleCaseSchema },
);
