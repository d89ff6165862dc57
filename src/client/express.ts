/** `castellan/express`: a guard for routes of an Express app, decided by a Castellan elsewhere. */
import type { Castellan, Decision, Entity, Question } from './index.ts';

/** As much of Express's response as is used, so that any version of its types fits. */
export interface GuardedResponse {
  locals: Record<string, unknown>;
  status(code: number): unknown;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

type Given<Request, T> = (req: Request) => Promise<T> | T;

export interface RequireAccessOptions<Request> {
  client: Castellan;
  /** Who asks, as your app has identified them; undefined: nobody is identified (401). */
  subject: Given<Request, Entity | undefined>;
  action: Question['action'] | Given<Request, Question['action']>;
  /** What it is done to; undefined: there is none (404). */
  resource: Given<Request, Entity | undefined>;
  context?: Given<Request, Question['context']>;
}

type Next = (error?: unknown) => void;

/**
 * A middleware that lets pass who is allowed, with the decision on `res.locals.access`. Otherwise it answers problem+json: 401
 * when nobody is identified, 404 when there is no such resource, 403 when it is denied, 503 when nothing was decided. What your
 * functions throw goes to Express's error handler; the route is not reached.
 */
export function requireAccess<Request>(options: RequireAccessOptions<Request>) {
  return async (req: Request, res: GuardedResponse, next: Next): Promise<void> => {
    let decision: Decision | undefined;
    try {
      decision = await decide(options, req, res);
    } catch (cause) {
      return next(asError(cause));
    }
    if (!decision) return;
    res.locals['access'] = decision;
    next();
  };
}

/** To Express nothing, 0 and '' are no error, and 'route' and 'router' mean to go on: an error is an object here. */
function asError(cause: unknown): object {
  return typeof cause === 'object' && cause !== null
    ? cause
    : new Error('access could not be decided', { cause });
}

/** Another decision point may name its decisions by anything; a header takes less, and one that is too long breaks the answer. */
const fitForHeader = /^[\x21-\x7e]{1,200}$/;

/** The decision that lets pass; undefined where it was answered. */
async function decide<Request>(
  { client, subject, action, resource, context }: RequireAccessOptions<Request>,
  req: Request,
  res: GuardedResponse,
): Promise<Decision | undefined> {
  const who = await subject(req);
  if (!who) return answer(res, 'unauthenticated');
  const what = await resource(req);
  if (!what) return answer(res, 'not_found');
  const facts = await context?.(req);
  const decision = await client.decide({
    subject: who,
    action: typeof action === 'function' ? await action(req) : action,
    resource: what,
    ...(facts && { context: facts }),
  });
  if (decision.failure) return answer(res, 'unavailable');
  if (decision.allow === true) return decision;
  const { decisionId } = decision;
  if (decisionId !== undefined && fitForHeader.test(decisionId))
    res.setHeader('Castellan-Decision-Id', decisionId);
  return answer(res, 'access_denied', decision.reason);
}

interface Problem {
  status: number;
  title: string;
  header?: readonly [name: string, value: string];
}

const problems = {
  unauthenticated: { status: 401, title: 'Nobody is identified', header: ['WWW-Authenticate', 'Bearer'] },
  access_denied: { status: 403, title: 'This principal may not do that' },
  not_found: { status: 404, title: 'There is no such resource' },
  unavailable: { status: 503, title: 'Access cannot be decided now', header: ['Retry-After', '1'] },
} as const satisfies Record<string, Problem>;

function answer(res: GuardedResponse, code: keyof typeof problems, detail?: string): undefined {
  const { status, title, header }: Problem = problems[code];
  if (header) res.setHeader(...header);
  res.setHeader('Cache-Control', 'no-store');
  res.setHeader('Content-Type', 'application/problem+json');
  res.status(status);
  res.end(JSON.stringify({ type: 'about:blank', title, status, detail: detail ?? title, code }));
}
