/** Writes the JSON Schema of policies beside the shipped ones; run it with `node --import tsx` when the schema changes. */
import { writeFileSync } from 'node:fs';
import { policyJsonSchema } from '../src/policy/policy-json-schema.ts';

const file = new URL('../policies/policy.schema.json', import.meta.url);
writeFileSync(file, `${JSON.stringify(policyJsonSchema(), null, 2)}\n`);
