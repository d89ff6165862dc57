/** A decision as a row of the log, in JSON: made while the request is there, so that nothing of it is held on to. */
import type { DecisionRecord } from '../decision/decide.ts';
import { redactText } from './redact.ts';
import { askedAbout, storedFacts } from './stored-facts.ts';

/** The columns of `decisions`, with their types. */
export const decisionColumns = {
  id: 'uuid',
  at: 'timestamptz',
  revision: 'integer',
  principal_type: 'text',
  principal_id: 'text',
  principal: 'jsonb',
  action: 'text',
  action_properties: 'jsonb',
  resource_type: 'text',
  resource_id: 'text',
  resource: 'jsonb',
  context: 'jsonb',
  allow: 'boolean',
  rule_id: 'text',
  reason: 'text',
  evaluator: 'text',
  doubt: 'text',
  omitted: 'jsonb',
  request_id: 'text',
} as const;

const LONGEST_DOUBT = 500;

/** The row as the text of a JSON object that PostgreSQL can take. */
export function decisionRow(entry: DecisionRecord, id: string, atMs: number): string {
  const { snapshot, request, decision, evaluator, doubt } = entry;
  const { principal, action, resource, context, requestId } = request;
  const asked = askedAbout(snapshot, resource.type);
  const omitted: string[] = [];
  const row: Record<keyof typeof decisionColumns, unknown> = {
    id,
    at: new Date(atMs).toISOString(),
    revision: decision.revision,
    principal_type: principal.type,
    principal_id: principal.id,
    principal: {
      roles: principal.roles,
      attributes: storedFacts('principal', principal.attributes, asked, omitted),
      ...(principal.ancestors.length > 0 &&
        storedFacts('principal', { ancestors: principal.ancestors }, asked, omitted)),
    },
    action: action.name,
    action_properties: action.properties && storedFacts('action', action.properties, asked, omitted),
    resource_type: resource.type,
    resource_id: idOf(resource.attributes['id']),
    resource: {
      attributes: storedFacts('resource', resource.attributes, asked, omitted),
      misfits: resource.misfits,
    },
    context: storedFacts('context', context, asked, omitted),
    allow: decision.allow,
    rule_id: decision.ruleId,
    reason: decision.reason,
    evaluator,
    doubt: doubt === undefined ? null : messageOf(doubt).slice(0, LONGEST_DOUBT),
    omitted,
    request_id: requestId && redactText(requestId),
  };
  return storable(JSON.stringify(row));
}

function idOf(id: unknown): string | null {
  return typeof id === 'string' || typeof id === 'number' ? String(id) : null;
}

function messageOf(doubt: unknown): string {
  return doubt instanceof Error ? doubt.message : String(doubt);
}

/** U+0000 and halves of surrogate pairs, which `jsonb` refuses, become U+FFFD; an escaped backslash is no escape. */
function storable(json: string): string {
  return json.includes('\\u')
    ? json.replace(/\\\\|\\u(?:0000|d[89a-f]..)/g, (found) => (found === '\\\\' ? found : '\\ufffd'))
    : json;
}
