/** A policy written as text: JSON or YAML, the same bytes for the same policy. */
import { Document, visit } from 'yaml';
import type { Entity } from './entity.ts';
import type { Policy } from './policy.ts';
import { toTerseDocument } from './policy-document.ts';

export type PolicyFormat = 'yaml' | 'json';

/** Where the JSON Schema of policies is published. */
export const SCHEMA_PATH = '/schemas/policy.json';

/** Where editors find the schema: absolute where it is known how people reach the gateway. */
export function schemaUrl(publicUrl: string | undefined): string {
  return `${publicUrl?.replace(/\/+$/, '') ?? ''}${SCHEMA_PATH}`;
}

/** What stands beside the policy in a document. */
export interface DocumentExtras {
  /** Its second line, for people. */
  comment?: string;
  entities?: readonly Entity[];
}

/** The document as text; `schema` is named in it, so that editors complete and check it. */
export function policyText(
  policy: Policy,
  format: PolicyFormat,
  schema: string,
  { comment, entities = [] }: DocumentExtras = {},
): string {
  const document = toTerseDocument(policy, entities);
  const isCommented = comment !== undefined;
  if (format === 'json')
    return `${JSON.stringify({ $schema: schema, ...(isCommented && { $comment: comment }), ...document }, null, 2)}\n`;
  return `# yaml-language-server: $schema=${schema}\n${isCommented ? `# ${comment}\n` : ''}${yamlText(document)}`;
}

/**
 * YAML with lines of their natural length and no anchors. A text that begins with blank lines is quoted: as a block, the
 * library writes it so that it reads otherwise, or not at all.
 */
export function yamlText(document: object): string {
  const made = new Document(document, { aliasDuplicateObjects: false });
  visit(made, {
    Scalar: (_key, node) => {
      if (typeof node.value === 'string' && /^[ \t]*\n/.test(node.value)) node.type = 'QUOTE_DOUBLE';
    },
  });
  return made.toString({ lineWidth: 0 });
}
