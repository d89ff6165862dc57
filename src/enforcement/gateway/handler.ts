/** The gateway on the road of a request: its one reading, its route, its limit, the decision, and the upstream. */
import type { Request, RequestHandler, Response } from 'express';
import { hasBody } from '../../http/has-body.ts';
import type { Principal } from '../../policy/ability.ts';
import type { MatchedRoute } from '../../policy/routes/route-table.ts';
import type { Snapshot } from '../../policy/snapshot.ts';
import type { Signer } from '../../signing/sign.ts';
import { type Admitter, admit } from './admit.ts';
import { type CanonicalTarget, canonicalTarget } from './canonical-target.ts';
import { findRoute, noRoute } from './find-route.ts';
import { type ForwardParts, forward } from './forward.ts';
import { identityHeaders } from './identity-headers.ts';
import { type RouteLimits, refuseCounted } from './limits.ts';
import { type BodyRead, type ReadBody, readForDecision } from './read-body.ts';
import { headerReader, hostOf, refuseMethodOverride } from './request-facts.ts';
import { upstreamHeaders } from './upstream-headers.ts';

export interface GatewayParts extends Admitter, ForwardParts {
  signer: Signer;
  limits: RouteLimits;
  readBody: ReadBody;
  isSecure(req: Request): boolean;
}

/** A request on its way through the gateway. */
export interface Passing {
  matched: MatchedRoute;
  target: CanonicalTarget;
  host: string;
}

/**
 * Answers what matches a route with an upstream. Throws `not_found` for all else, and `invalid_request` for what servers
 * could read in two ways, before anything is told of what there is.
 */
export function gatewayHandler(parts: GatewayParts): RequestHandler {
  return async (req, res) => {
    const admitted = await admitPassing(parts, req, res, 'first');
    const { matched, target, host, principal, revision, body } = admitted;
    const { upstream } = matched.route;
    if (!upstream) throw noRoute();
    const identity = await identityHeaders(parts.signer, req, { route: matched.route, principal, revision });
    const headers = upstreamHeaders(req, { identity, isSecure: parts.isSecure(req), host });
    if (body) {
      delete headers['transfer-encoding'];
      delete headers['trailer'];
      headers['content-length'] = String(body.bytes.length);
    } else askForBody(req, res);
    await forward(parts, req, res, { upstream, url: target.url, headers, body: body?.bytes });
  };
}

/** A request that may pass. */
export interface Admitted extends Passing {
  principal: Principal;
  revision: number;
  body: BodyRead | undefined;
}

/** The request with whoever may send it. Throws what refuses it; one that is asked about again is not counted again. */
export async function admitPassing(
  parts: GatewayParts,
  req: Request,
  res: Response,
  time: 'first' | 'again',
): Promise<Admitted> {
  const snapshot = await parts.gatekeeper.pin(req, res);
  const passing = readPassing(req, snapshot.routes);
  const { route } = passing.matched;
  // Without an upstream it is for forward-auth alone.
  if (!route.upstream) throw noRoute();
  if (time === 'first') await parts.limits.count(req, res, route.route);
  const admitted = await admitRead(parts, req, res, snapshot, passing).catch((cause) =>
    refuseCounted(res, cause),
  );
  return { ...passing, ...admitted, revision: snapshot.revision };
}

async function admitRead(
  parts: GatewayParts,
  req: Request,
  res: Response,
  snapshot: Snapshot,
  { matched, target }: Passing,
): Promise<Pick<Admitted, 'principal' | 'body'>> {
  const body = matched.route.needsBody ? await bodyFor(parts, req, res, matched) : undefined;
  const principal = await admit(parts, req, snapshot, {
    matched,
    method: req.method,
    query: target.query,
    header: headerReader(req),
    body: body?.value,
  });
  return { principal, body };
}

/** The request in its one reading, with its route. Throws `not_found`, `invalid_request`. */
function readPassing(req: Request, routes: Parameters<typeof findRoute>[0]): Passing {
  const target = canonicalTarget(req.url);
  const host = hostOf(req);
  refuseMethodOverride(req);
  const matched = findRoute(routes, { host, method: req.method, segments: target.segments });
  if (!matched) throw noRoute();
  return { matched, target, host: req.headers.host ?? host };
}

/** Those who could never enter are turned away before their body is read. */
async function bodyFor(
  { gatekeeper, readBody }: GatewayParts,
  req: Request,
  res: Response,
  { route: { route } }: MatchedRoute,
): Promise<BodyRead | undefined> {
  const { action = '', resource = '' } = route;
  await gatekeeper.requirePossible(req, res, { action, resource }, true);
  return readForDecision(readBody, req, res);
}

/** Whoever waits to be asked for the body is asked once it may come. */
function askForBody(req: Request, res: Response): void {
  if (hasBody(req) && /^100-continue$/i.test(req.headers.expect ?? '')) res.writeContinue();
}
