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

/** A request that was let in, and the snapshot under which it was. */
export interface Admitted {
  snapshot: Snapshot;
  request: AccessRequest | undefined;
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
  /** Refuses, by name, those of `fields` that the request may not write. */
  requireFields(admitted: Admitted, fields: readonly string[]): Promise<void>;
  /** Nobody changes a resource into one that they could not change: refuses unless the request were allowed on it as well. */
  requireAllowedAfter(admitted: Admitted, changed: object): Promise<void>;
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
  /** What is possible for no resource is decided, and recorded, as denied for one of which nothing is known. */
  const requirePossible = async (req: Request, res: Response, question: Question, ofOne: boolean) => {
    const snapshot = await pin(req, res);
    const principal = principalFor(req, snapshot);
    if (await decisions.possible(snapshot, { principal }, question.action, question.resource)) return;
    const { reason } = await decisions.decide(snapshot, accessRequest(req, snapshot, question, {}));
    refuse(req, reason, ofOne);
  };
  return {
    pin,
    accessRequest,
    requireFields: async ({ snapshot, request }, fields) => {
      const permitted = request && (await decisions.permittedFields(snapshot, request, fields));
      refuseFields(fields.filter((field) => !permitted?.has(field)));
    },
    requireAllowedAfter: async ({ snapshot, request }, changed) => {
      if (!request) throw new AppError('access_denied');
      const resource = resourceOf(typeOf(snapshot, request.resource.type), changed);
      const { allow, reason } = await decisions.decide(snapshot, { ...request, resource });
      if (!allow)
        throw new AppError('access_denied', {
          message: `afterwards you could not change it any more: ${reason}`,
        });
    },
    requirePossible: (req, res, question) => requirePossible(req, res, question, false),
    requireAllowed: async (req, res, question, found) => {
      const snapshot = await pin(req, res);
      if (!found) {
        await requirePossible(req, res, question, true);
        throw new AppError('not_found');
      }
      const request = accessRequest(req, snapshot, question, found);
      const decision = await decisions.decide(snapshot, request);
      if (!decision.allow) refuse(req, decision.reason, true);
      return { request, decision };
    },
  };
}

function refuseFields(fields: string[]): void {
  if (fields.length === 0) return;
  const errors = fields.map((field) => ({
    pointer: `/${field.replaceAll('.', '/')}`,
    message: 'may not be written by you',
  }));
  throw new AppError('fields_denied', { message: `you may not write ${fields.join(', ')}`, errors });
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
