/** Every error code the gateway can answer: its HTTP status and public title, in one table. */

export const errorTable = {
  invalid_request: { status: 400, title: 'The request is not valid' },
  malformed_json: { status: 400, title: 'The body is not the JSON that is accepted here' },
  unauthenticated: { status: 401, title: 'Nobody is identified' },
  invalid_credentials: { status: 401, title: 'E-mail or password is wrong' },
  access_denied: { status: 403, title: 'This principal may not do that' },
  fields_denied: { status: 403, title: 'This principal may not touch these fields' },
  privilege_escalation: { status: 403, title: 'Nobody gives what they do not hold' },
  untrusted_proxy: { status: 403, title: 'This proxy is not trusted' },
  cross_site_request: { status: 403, title: 'A change identified by cookie must come from this site' },
  not_found: { status: 404, title: 'There is no such resource' },
  method_not_allowed: { status: 405, title: 'This path does not answer that method' },
  conflict: { status: 409, title: 'It is in conflict with what is there' },
  email_taken: { status: 409, title: 'This e-mail is taken' },
  role_in_use: { status: 409, title: 'The role is still in use' },
  resource_type_in_use: { status: 409, title: 'The resource type is still in use' },
  entity_in_use: { status: 409, title: 'The entity is still a parent of others' },
  built_in: { status: 409, title: 'This part is built in and cannot be changed so' },
  policy_locks_out: { status: 409, title: 'Nobody could change the policy afterwards' },
  stale_version: { status: 412, title: 'It was changed by someone else in the meantime' },
  body_too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'Only application/json is accepted' },
  policy_invalid: { status: 422, title: 'The policy does not compile' },
  cases_broken: { status: 422, title: 'The change breaks cases of the policy' },
  too_many_attempts: { status: 429, title: 'Too many attempts' },
  rate_limited: { status: 429, title: 'Too many requests' },
  internal_error: { status: 500, title: 'Something went wrong here' },
  bad_gateway: { status: 502, title: 'The service behind this path gave no answer' },
  policy_stale: { status: 503, title: 'This node cannot confirm which policy is in force' },
  revision_not_reached: { status: 503, title: 'This node has not reached the revision asked for' },
  overloaded: { status: 503, title: 'Too much work is waiting' },
  unavailable: { status: 503, title: 'A part that is needed does not answer' },
  upstream_unavailable: { status: 503, title: 'No server of the service behind this path is up' },
  upstream_timeout: { status: 504, title: 'The service behind this path did not answer in time' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof errorTable;

/** One thing wrong with what was sent: where (RFC 6901 JSON pointer) and what would be right. */
export interface FieldError {
  pointer: string;
  message: string;
}

/** One thing wrong with a policy: a field error with a stable code and, where one is close, a better word. */
export interface Problem extends FieldError {
  code: string;
  suggestion?: string;
}

export interface AppErrorOptions {
  /** Sent to the caller as `detail`: safe to read for anybody who may call. */
  message?: string;
  /** Logged, never sent. */
  detail?: string;
  cause?: unknown;
  errors?: readonly FieldError[];
  problems?: readonly Problem[];
  retryAfterSeconds?: number;
  /** The decision that refused it, in the decision log; sent as `Castellan-Decision-Id`. */
  decisionId?: string;
  /** Further members of the answer (RFC 9457 section 3.2), safe to read for anybody who may call. */
  members?: Readonly<Record<string, unknown>>;
}

/** The only error that handlers throw on purpose; everything else becomes `internal_error`. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly publicMessage: string | undefined;
  readonly detail: string | undefined;
  readonly errors: readonly FieldError[] | undefined;
  readonly problems: readonly Problem[] | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly decisionId: string | undefined;
  readonly members: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    super(options.detail ?? options.message ?? errorTable[code].title, { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.status = errorTable[code].status;
    this.publicMessage = options.message;
    this.detail = options.detail;
    this.errors = options.errors ?? options.problems;
    this.problems = options.problems;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.decisionId = options.decisionId;
    this.members = options.members;
  }
}

/** 422 `policy_invalid` with every problem at once. */
export function policyInvalid(problems: readonly Problem[]): AppError {
  return new AppError('policy_invalid', {
    message:
      problems.length === 1 ? inWords(problems[0]) : `${problems.length} problems, listed in "problems"`,
    problems,
  });
}

/** With the place, where the message speaks of it without naming it. */
function inWords(problem: Problem | undefined): string | undefined {
  if (!problem) return undefined;
  const { pointer, message } = problem;
  return /^(is|are|must|has) /.test(message) ? `${pointer || 'the document'} ${message}` : message;
}

/** 400 `invalid_request` for one field. */
export function invalidField(pointer: string, message: string): AppError {
  return new AppError('invalid_request', { message, errors: [{ pointer, message }] });
}
