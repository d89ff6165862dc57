/** What is asked of a decision point and what it answers, as callers of the client see it. */

type Properties = Readonly<Record<string, unknown>>;

/** A subject or a resource; what Castellan stores of it need not be sent. */
export interface Entity {
  type: string;
  id: string;
  properties?: Properties;
}

export interface Question {
  subject: Entity;
  /** Its name, or the name with properties. */
  action: string | { name: string; properties?: Properties };
  resource: Entity;
  context?: Properties;
}

/**
 * Why nothing was decided: the decision point did not answer in time, could not be reached, does not take us for somebody
 * who may ask, or answered something that is no decision.
 */
export type FailureCode = 'timeout' | 'unreachable' | 'not_accepted' | 'not_understood';

export interface Failure {
  code: FailureCode;
  message: string;
}

export interface Decision {
  /** False in any doubt. */
  allow: boolean;
  /** Words fit for whoever was denied, where there are some. */
  reason?: string;
  /** The rule that settled it, the revision of the policy, and the id in the decision log, where they are told. */
  ruleId?: string;
  revision?: number;
  decisionId?: string;
  /** Set when nothing was decided; `allow` is false then. */
  failure?: Failure;
}

/** As AuthZEN 1.0 asks it (section 6.1), in JSON. Throws where it is no question, or cannot be said in JSON. */
export function toText(question: Question): string {
  if (!isRecord(question)) throw new TypeError('it is no object');
  const { subject, action, resource, context } = question;
  return JSON.stringify({
    subject,
    action: typeof action === 'string' ? { name: action } : action,
    resource,
    ...(context && { context }),
  });
}

/** The decision of an answer (section 5.5). It allows only where `decision` is `true` itself, and no error stands beside it. */
export function toDecision(answer: unknown): Decision {
  if (!isRecord(answer) || typeof answer['decision'] !== 'boolean')
    return failed('not_understood', 'the answer has no "decision" that is true or false');
  const context = isRecord(answer['context']) ? answer['context'] : {};
  const { ruleId, revision, decisionId } = context;
  const error = context['error'] ?? undefined;
  if (error !== undefined) return failed('not_accepted', saidIn(error));
  const reason = reasonIn(context['reason_user']);
  return {
    allow: answer['decision'],
    ...(reason !== undefined && { reason }),
    ...(typeof ruleId === 'string' && { ruleId }),
    ...(typeof revision === 'number' && { revision }),
    ...(typeof decisionId === 'string' && { decisionId }),
  };
}

/** A denial because nothing was decided. */
export function failed(code: FailureCode, message: string): Decision {
  return { allow: false, failure: { code, message } };
}

/** What is said to be wrong. */
export function messageOf(cause: unknown): string {
  const below = cause instanceof Error ? (cause.cause ?? cause) : cause;
  return below instanceof Error ? below.message : String(below);
}

/** Whether it is an object that is no list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function reasonIn(reason: unknown): string | undefined {
  const text = isRecord(reason) ? Object.values(reason)[0] : reason;
  return typeof text === 'string' ? text : undefined;
}

function saidIn(error: unknown): string {
  const message = isRecord(error) ? error['message'] : error;
  return typeof message === 'string' ? message : 'not decided';
}
