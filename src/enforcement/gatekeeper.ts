/** Lets requests in, or turns them away: 401 when nobody is identified, 403 when the principal may not, 404 when it is not there. */
import type { Request, Response } from 'express';
import { type AccessRequest, resourceOf, typeOf } from '../decision/access-request.ts';
import type { DecisionPoint } from '../decision/decide.ts';
import { accessDenied, type Decision } from '../decision/decision.ts';
import { AppError } from '../errors.ts';
import { after } from '../http/after.ts';
import type { LivePolicy } from '../policy/live-policy.ts';
import type { Facts } from '../policy/matcher.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { principalFor } from '../sessions/authenticate.ts';
import type { LiveIssuers } from '../sessions/issuers/live-issuers.ts';
import { accessOf, type Identity, identityOf } from '../sessions/request-access.ts';
import { partsNamed } from './mask.ts';

export interface GatekeeperOptions {
  live: LivePolicy;
  issuers: Pick<LiveIssuers, 'under'>;
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

/** What was asked, and the decision that allows it. */
export interface Allowed {
  request: AccessRequest;
  decision: Decision;
}

/** A request that was let in, and the snapshot under which it was. */
export interface Admitted {
  snapshot: Snapshot;
  request: AccessRequest | undefined;
}

export interface Gatekeeper {
  /** The snapshot of this request, pinned at the first call; a promise where it is waited for. Throws `revision_not_reached`, `policy_stale`. */
  pin(req: Request, res: Response): Snapshot | Promise<Snapshot>;
  /** Refuses those who could not do it to any resource of the type; the snapshot by which. `ofOne`: it is about one that may have to be hidden. */
  requirePossible(
    req: Request,
    res: Response,
    question: Question,
    ofOne?: boolean,
  ): Snapshot | Promise<Snapshot>;
  /** Refuses unless the principal may do it to this resource; `found` undefined: there is none. */
  requireAllowed(
    req: Request,
    res: Response,
    question: Question,
    found: object | undefined,
  ): Allowed | Promise<Allowed>;
  /** Refuses unless a request that was made elsewhere is allowed. */
  requireDecided(req: Request, snapshot: Snapshot, request: AccessRequest): Allowed | Promise<Allowed>;
  /** Refuses, by name, those of `fields` that the request may not write. */
  requireFields(admitted: Admitted, fields: readonly string[]): Promise<void>;
  /** Refuses unless the request that was let in is allowed on this row, too: as it is when it is locked, as it was stored. */
  requireAllowedOn(admitted: Admitted, row: object): Promise<Admitted>;
  /** Nobody changes a resource into one that they could not change: refuses unless the request were allowed on it as well. */
  requireAllowedAfter(admitted: Admitted, changed: object): Promise<void>;
  /** The request as it would be decided, for further questions of a handler. */
  accessRequest(req: Request, snapshot: Snapshot, question: Question, found: object): AccessRequest;
}

export function gatekeeper({
  live,
  issuers,
  decisions,
  minRevisionWaitMs,
  hideForbidden,
}: GatekeeperOptions): Gatekeeper {
  const refuse = (req: Request, decision: Decision, ofOne: boolean): never => {
    if (!identityOf(req))
      throw new AppError('unauthenticated', { message: 'log in, or send a token as Authorization: Bearer' });
    // The id of a decision would tell that something is there.
    throw hideForbidden && ofOne ? new AppError('not_found') : accessDenied(decision);
  };
  const pin = (req: Request, res: Response): Snapshot | Promise<Snapshot> => {
    const access = accessOf(req);
    if (access.snapshot) return access.snapshot;
    const wanted = minRevision(req);
    const pinNow = () => {
      const snapshot = live.pin();
      return after(identityUnder(issuers, access.identity, snapshot), (identity) => {
        access.identity = identity;
        access.snapshot = snapshot;
        res.setHeader('Castellan-Revision', String(snapshot.revision));
        return snapshot;
      });
    };
    return wanted === undefined ? pinNow() : live.waitFor(wanted, minRevisionWaitMs).then(pinNow);
  };
  const accessRequest = (
    req: Request,
    snapshot: Snapshot,
    question: Question,
    found: object,
  ): AccessRequest => ({
    principal: principalFor(req, snapshot),
    action: actionOf(question),
    resource: resourceOf(typeOf(snapshot, question.resource), found),
    context: contextOf(req),
    ...(req.id !== undefined && { requestId: String(req.id) }),
  });
  /** What is possible for no resource is decided, and recorded, as denied for one of which nothing is known. */
  const requirePossible = (req: Request, res: Response, question: Question, ofOne: boolean) => {
    const { action, resource } = question;
    return after(pin(req, res), (snapshot) => {
      const possible = decisions.possible(
        snapshot,
        { principal: principalFor(req, snapshot) },
        action,
        resource,
      );
      return after(possible, (is) => {
        if (is) return snapshot;
        const decided = decisions.decide(snapshot, accessRequest(req, snapshot, question, {}));
        return after(decided, (decision) => refuse(req, decision, ofOne));
      });
    });
  };
  const requireDecided = (req: Request, snapshot: Snapshot, request: AccessRequest) =>
    after(decisions.decide(snapshot, request), (decision) =>
      decision.allow ? { request, decision } : refuse(req, decision, true),
    );
  /** A second look at what was let in already: the decision log hears of it when it is denied. */
  const decideOn = async ({ snapshot, request: admitted }: Admitted, row: object) => {
    if (!admitted) throw new AppError('access_denied');
    const resource = resourceOf(typeOf(snapshot, admitted.resource.type), row);
    const request = { ...admitted, resource };
    return { request, decision: await decisions.decide(snapshot, request, 'denied') };
  };
  return {
    pin,
    accessRequest,
    requireFields: async ({ snapshot, request }, fields) => {
      // Whoever writes the whole writes each part of it, also one that is only denied by its own name.
      const parts = request ? partsNamed(snapshot, request.resource.type) : [];
      const written = [
        ...fields,
        ...parts.filter((part) => fields.some((field) => part.startsWith(`${field}.`))),
      ];
      const permitted = request && (await decisions.permittedFields(snapshot, request, written));
      refuseFields(written.filter((field) => !permitted?.has(field)));
    },
    requireAllowedOn: async (admitted, row) => {
      const { request, decision } = await decideOn(admitted, row);
      if (!decision.allow) throw accessDenied(decision);
      return { snapshot: admitted.snapshot, request };
    },
    requireAllowedAfter: async (admitted, changed) => {
      const { decision } = await decideOn(admitted, changed);
      if (!decision.allow)
        throw accessDenied(decision, `afterwards you could not change it any more: ${decision.reason}`);
    },
    requireDecided,
    requirePossible: (req, res, question, ofOne = false) => requirePossible(req, res, question, ofOne),
    requireAllowed: (req, res, question, found) => {
      if (!found)
        return after(requirePossible(req, res, question, true), () => {
          throw new AppError('not_found');
        });
      return after(pin(req, res), (snapshot) =>
        requireDecided(req, snapshot, accessRequest(req, snapshot, question, found)),
      );
    },
  };
}

/** Somebody from elsewhere is made of what one snapshot declares: where the request is decided by another, they are found anew. */
function identityUnder(
  issuers: GatekeeperOptions['issuers'],
  identity: Identity | undefined,
  snapshot: Snapshot,
): Identity | undefined | Promise<Identity | undefined> {
  if (identity?.by !== 'token' || identity.found.snapshot === snapshot) return identity;
  return issuers
    .under(identity.found.token, snapshot)
    .then((found) => (found ? { by: 'token', found } : undefined));
}

function actionOf({ action, properties }: Question): AccessRequest['action'] {
  return properties ? { name: action, properties } : { name: action };
}

function refuseFields(fields: string[]): void {
  if (fields.length === 0) return;
  const errors = fields.map((field) => ({
    pointer: `/${field.replaceAll('.', '/')}`,
    message: 'may not be written by you',
  }));
  throw new AppError('fields_denied', { message: `you may not write ${fields.join(', ')}`, errors });
}

/** Facts of the request itself, as of now. What is not known is undefined. Few rules ask for the time, so it is written when asked for. */
export function contextOf(req: Request): Facts {
  const nowMs = Date.now();
  return {
    __proto__: null,
    get time() {
      return new Date(nowMs).toISOString();
    },
    ip: accessOf(req).address,
    method: req.method,
    userAgent: req.headers['user-agent'],
  };
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
