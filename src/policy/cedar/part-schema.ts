/** The shape of what the evaluator cedar decides by, as it is written. */
import Joi from 'joi';

const uid = Joi.object({
  type: Joi.string().min(1).max(200).required(),
  id: Joi.string().allow('').max(200).required(),
});

const entity = Joi.object({
  uid: uid.required(),
  attrs: Joi.object().unknown(true),
  parents: Joi.array().items(uid).max(1000),
  tags: Joi.object().unknown(true),
});

const text = Joi.string()
  .allow('')
  .max(256 * 1024)
  // PostgreSQL has no place for it.
  .pattern(/\0/, { invert: true, name: 'U+0000' });

/** Every evaluation hands all entities to Cedar, so they are for a few things that policies name, not for data. */
const MOST_ENTITIES = 1000;

export const cedarPartSchema = Joi.object({
  id: Joi.string()
    .pattern(/^[a-z0-9][a-z0-9-]{0,99}$/, 'slug')
    .description('made up when left out'),
  policies: text.description('policies in the language of Cedar'),
  schema: text.description('a schema in the schema language of Cedar'),
  entities: Joi.array()
    .items(entity)
    .max(MOST_ENTITIES)
    .description('entities in the JSON of Cedar: {uid: {type, id}, attrs, parents}'),
});
