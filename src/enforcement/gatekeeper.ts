/** Lets requests in, or turns them away: 401 when nobody is identified, 403 when the principal may not, 404 when it is not there. */
import type { Request, Response } from 'express';
import { type AccessRequest, resourceOf } from '../decision/access-request.ts';
import type { DecisionPoint } from '../decision/decide.ts';
import type { Decision } from '../decision/decision.ts';
import { AppError } from '../errors.ts';
import type { LivePolicy } from '../policy/live-policy.ts';
import type { Facts } from '../policy/matcher.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { principalFor } from '../sessions/authenticate.ts';

export interface GatekeeperOptions {
  live: LivePolicy;
  decisions: DecisionPoint;
  minRevisionWaitMs: number;
  hideForbidden: boolean;
}

/** What is asked for: one resource with its attributes, or, without `found`, the type as a whole. */
export interface Question {
  action: string;
  resource: string;
  properties?: Facts;
}

declare module 'express-serve-static-core' {
  interface Request {
    /** The snapshot under which everything in this request is decided. */
    snapshot?: Snapshot;
  }
}

export interface Gatekeeper {
  /** The snapshot of this request, pinned at the first call. Throws `revision_not_reached`, `policy_stale`. */
  pin(req: Request, res: Response): Promise<Snapshot>;
  /** Refuses those who could not do it to any resource of the type. */
  requirePossible(req: Request, res: Response, question: Question): Promise<void>;
  /** Refuses unless the principal may do it to this resource; `found` undefined: there is none. */
  requireAllowed(
    req: Request,
    res: Response,
    question: Question,
    found: object | undefined,
  ): Promise<{ request: AccessRequest; decision: Decision }>;
  /** The request as it would be decided, for further questions of a handler. */
  accessRequest(req: Request, snapshot: Snapshot, question: Question, found: object): AccessRequest;
}

export function gatekeeper({
  live,
  decisions,
  minRevisionWaitMs,
  hideForbidden,
}: GatekeeperOptions): Gatekeeper {
  const refuse = (req: Request, reason: string, ofOne: boolean): never => {
    if (!req.identity)
      throw new AppError('unauthenticated', { message: 'log in, or send a token as Authorization: Bearer' });
    throw hideForbidden && ofOne
      ? new AppError('not_found')
      : new AppError('access_denied', { message: reason });
  };
  const pin = async (req: Request, res: Response): Promise<Snapshot> => {
    if (req.snapshot) return req.snapshot;
    const wanted = minRevision(req);
    if (wanted !== undefined) await live.waitFor(wanted, minRevisionWaitMs);
    req.snapshot = live.pin();
    res.setHeader('Castellan-Revision', String(req.snapshot.revision));
    return req.snapshot;
  };
  const accessRequest = (
    req: Request,
    snapshot: Snapshot,
    question: Question,
    found: object,
  ): AccessRequest => ({
    principal: principalFor(req, snapshot),
    action: { name: question.action, ...(question.properties && { properties: question.properties }) },
    resource: resourceOf(typeOf(snapshot, question.resource), found),
    context: contextOf(req),
  });
  const isPossible = async (
    req: Request,
    res: Response,
    { action, resource }: Question,
  ): Promise<boolean> => {
    const snapshot = await pin(req, res);
    return decisions.possible(snapshot, { principal: principalFor(req, snapshot) }, action, resource);
  };
  return {
    pin,
    accessRequest,
    requirePossible: async (req, res, question) => {
      if (!(await isPossible(req, res, question))) refuse(req, 'No rule allows it', false);
    },
    requireAllowed: async (req, res, question, found) => {
      const snapshot = await pin(req, res);
      if (!found) {
        if (!(await isPossible(req, res, question))) refuse(req, 'No rule allows it', true);
        throw new AppError('not_found');
      }
      const request = accessRequest(req, snapshot, question, found);
      const decision = await decisions.decide(snapshot, request);
      if (!decision.allow) refuse(req, decision.reason, true);
      return { request, decision };
    },
  };
}

/** A type that the policy does not know has no attributes; `decide` denies it. */
function typeOf(snapshot: Snapshot, name: string) {
  return (
    snapshot.types.get(name) ?? {
      type: name,
      description: '',
      actions: [],
      attributes: {},
      source: null,
      evaluator: '',
    }
  );
}

/** Facts of the request itself. What is not known is absent. */
function contextOf(req: Request): Facts {
  const facts: Record<string, unknown> = Object.create(null);
  facts.time = new Date().toISOString();
  facts.method = req.method;
  if (req.ip) facts.ip = req.ip.replace(/^::ffff:(?=\d+\.)/, '');
  const agent = req.headers['user-agent'];
  if (agent) facts.userAgent = agent;
  return facts;
}

function minRevision(req: Request): number | undefined {
  const header = req.headers['castellan-min-revision'];
  if (header === undefined) return undefined;
  if (typeof header === 'string' && /^\d{1,9}$/.test(header)) return Number(header);
  const message = 'must be the number of a revision';
  throw new AppError('invalid_request', {
    message: `Castellan-Min-Revision ${message}`,
    errors: [{ pointer: '/headers/Castellan-Min-Revision', message }],
  });
}
