/** What is asked of another decision point, and what is believed of its answers (AuthZEN 1.0, sections 5 to 7). */
import type { AccessRequest } from '../../decision/access-request.ts';
import type { Verdict } from '../../decision/evaluator.ts';
import { RemoteError } from './call.ts';

export interface Question {
  subject: { type: string; id: string; properties: Record<string, unknown> };
  action: { name: string; properties?: Record<string, unknown> };
  resource: { type: string; id: string; properties: Record<string, unknown> };
  context: Record<string, unknown>;
}

/** The id of a resource that has none yet, such as one to be created: the specification requires one. */
const NO_ID = '-';
const LONGEST_REASON = 500;

/** The request as AuthZEN asks it; the roles are the property of that name. */
export function questionOf(request: AccessRequest, rolesProperty: string): Question {
  const { principal, action, resource, context } = request;
  const { id = NO_ID, ...properties } = resource.attributes;
  return {
    subject: {
      type: principal.type,
      id: principal.id,
      properties: { ...principal.attributes, [rolesProperty]: principal.roles },
    },
    action: { name: action.name, ...(action.properties && { properties: action.properties }) },
    resource: { type: resource.type, id: String(id), properties },
    context: { ...context },
  };
}

/**
 * The verdict of an answer. It allows only where `decision` is `true` itself. Throws RemoteError where it is no answer, or
 * speaks of an error, whatever the decision beside it is.
 */
export function verdictOf(answer: unknown): Verdict {
  if (!isRecord(answer) || typeof answer['decision'] !== 'boolean')
    throw new RemoteError('its answer has no "decision" that is true or false');
  const { decision } = answer;
  const context = isRecord(answer['context']) ? answer['context'] : {};
  const error = context['error'] ?? undefined;
  if (error !== undefined) throw new RemoteError(`it could not decide${saidIn(error)}`, { isFailure: false });
  const reason = reasonIn(context['reason_user']);
  const { ruleId } = context;
  return {
    allow: decision,
    // In a form that no rule of our own can have.
    ruleId: typeof ruleId === 'string' && ruleId !== '' ? `remote:${short(ruleId)}` : null,
    ...(reason !== undefined && { reason }),
  };
}

/** The answers to so many questions, in their order. Throws RemoteError where they are not as many. */
export function answersOf(batch: unknown, count: number): unknown[] {
  const evaluations = isRecord(batch) ? batch['evaluations'] : undefined;
  if (!Array.isArray(evaluations) || evaluations.length !== count)
    throw new RemoteError(`its answer does not have the ${count} "evaluations" that were asked for`);
  return evaluations;
}

/** A text, or texts by status as the specification shows them (section 5.5.2). What is for administrators is not for callers. */
function reasonIn(reason: unknown): string | undefined {
  const text = isRecord(reason) ? Object.values(reason)[0] : reason;
  return typeof text === 'string' && text !== '' ? short(text) : undefined;
}

function saidIn(error: unknown): string {
  const message = isRecord(error) ? error['message'] : undefined;
  return typeof message === 'string' ? `: ${short(message)}` : '';
}

function short(text: string): string {
  return text.slice(0, LONGEST_REASON);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
