/** A value against a schema: every deviation a problem with its pointer. */
import type Joi from 'joi';
import type { Problem } from '../errors.ts';
import { escapePointer } from './parse-condition.ts';
import { closest } from './suggest.ts';

export type Shaped<T> = { value: T; problems: Problem[] };

/** Checks a shape; every deviation is a problem with its pointer, and an unknown key gets a suggestion. */
export function shape<T>(schema: Joi.Schema, input: unknown, base: string): Shaped<T> {
  const { error, value } = requiredOf(schema).validate(input, {
    abortEarly: false,
    convert: false,
    errors: { label: false },
  });
  return { value, problems: (error?.details ?? []).map((detail) => toProblem(detail, schema, base)) };
}

/** Made once for each schema: joi copies the whole of it, which takes as long as a check. */
const requiredSchemas = new WeakMap<Joi.Schema, Joi.Schema>();

function requiredOf(schema: Joi.Schema): Joi.Schema {
  const known = requiredSchemas.get(schema) ?? schema.required();
  requiredSchemas.set(schema, known);
  return known;
}

function toProblem(detail: Joi.ValidationErrorItem, schema: Joi.Schema, base: string): Problem {
  const pointer = base + detail.path.map((part) => `/${escapePointer(String(part))}`).join('');
  if (detail.type !== 'object.unknown') return { pointer, code: 'shape', message: detail.message };
  const known = keysAt(schema.describe(), detail.path.slice(0, -1));
  const suggestion = closest(String(detail.path.at(-1)), known);
  return {
    pointer,
    code: 'unknown_key',
    message: suggestion
      ? `is not a key here; did you mean "${suggestion}"?`
      : known.length > 0
        ? `is not a key here; there are ${known.join(', ')}`
        : 'is not a name that is accepted here',
    ...(suggestion && { suggestion }),
  };
}

/** The keys that a schema knows at a place of the document, in whichever of its alternatives. */
function keysAt(description: Joi.Description, path: (string | number)[]): string[] {
  const below = (at: Joi.Description, part: string | number): Joi.Description | undefined =>
    typeof part === 'number' ? at['items']?.[0] : (at.keys?.[part] ?? at['patterns']?.[0]?.rule);
  const places = path.reduce<Joi.Description[]>(
    (found, part) => found.flatMap((at) => alternativesOf(below(at, part))),
    alternativesOf(description),
  );
  return [...new Set(places.flatMap(({ keys = {} }) => Object.keys(keys)))];
}

function alternativesOf(description: Joi.Description | undefined): Joi.Description[] {
  if (description?.type !== 'alternatives') return description ? [description] : [];
  const matches: Record<string, Joi.Description | undefined>[] = description['matches'] ?? [];
  return matches
    .flatMap(({ schema, then, otherwise }) => (then || otherwise ? [then, otherwise] : [schema]))
    .flatMap(alternativesOf);
}
