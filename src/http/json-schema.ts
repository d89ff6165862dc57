/** JSON Schema 2020-12 made from joi, as far as joi gets it right, and mended where it does not. */
import Joi from 'joi';

/** As much of JSON Schema as joi writes. */
export interface JsonSchema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  description?: string;
  enum?: unknown[];
  default?: unknown;
  properties?: Record<string, JsonSchema>;
  patternProperties?: Record<string, JsonSchema>;
  additionalProperties?: boolean | JsonSchema;
  required?: string[];
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
}

/** What may be sent (`input`), or what comes out with its defaults filled in (`output`). */
export function jsonSchemaOf(schema: Joi.Schema, direction: 'input' | 'output'): JsonSchema {
  return mend(schema['~standard'].jsonSchema[direction]({ target: 'draft-2020-12' }));
}

function mend({ patternProperties, ...schema }: JsonSchema): JsonSchema {
  const mended: JsonSchema = { ...schema };
  // A default taken from elsewhere in the value is written as joi's own object.
  if (Joi.isRef(schema.default) || typeof schema.default === 'function') delete mended.default;
  // `valid('a', null)` gives the type null but leaves it out of the enum.
  if (schema.enum && schema.type?.includes('null')) mended.enum = [...new Set([...schema.enum, null])];
  if (schema.properties) mended.properties = mapValues(schema.properties);
  if (typeof schema.additionalProperties === 'object')
    mended.additionalProperties = mend(schema.additionalProperties);
  const anyKey = patternProperties?.['.*'];
  if (anyKey) mended.additionalProperties = mend(anyKey);
  else if (patternProperties) mended.patternProperties = mapValues(patternProperties);
  if (schema.items) mended.items = mend(schema.items);
  if (schema.anyOf) mended.anyOf = schema.anyOf.map(mend);
  return mended;
}

function mapValues(schemas: Record<string, JsonSchema>): Record<string, JsonSchema> {
  return Object.fromEntries(Object.entries(schemas).map(([key, schema]) => [key, mend(schema)]));
}
