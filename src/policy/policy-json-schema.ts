/** The JSON Schema of policy files, made from the schema that checks them: editors complete and check what is accepted. */
import { type JsonSchema, jsonSchemaOf } from '../http/json-schema.ts';
import type { PublishedText } from '../http/published-text.ts';
import { policySchema } from './rule-schema.ts';
import { SCHEMA_PATH } from './write-files.ts';

/** A schema that stands by itself. */
export interface NamedJsonSchema extends JsonSchema {
  $schema: string;
  $id: string;
  title: string;
}

/** JSON Schema 2020-12; `$id` is relative, so that it is right at every node that publishes it. */
export function policyJsonSchema(): NamedJsonSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: SCHEMA_PATH,
    title: 'Castellan policy',
    description: 'Resource types, roles, rules, routes and cases of a policy, all of it or a part of it',
    ...jsonSchemaOf(policySchema, 'input'),
  };
}

/** The schema as it is served: an hour old does no harm, and editors ask at every file. */
export function publishedPolicySchema(): PublishedText {
  return {
    path: SCHEMA_PATH,
    type: 'application/schema+json',
    text: () => `${JSON.stringify(policyJsonSchema(), null, 2)}\n`,
    headers: { 'Cache-Control': 'public, max-age=3600' },
  };
}
