/** Forward-auth: a proxy asks before it lets a request through, and is told who asks in headers. */
import { type Request, type RequestHandler, type Response, Router } from 'express';
import type { ProxyName } from '../../config/forward-auth.ts';
import { AppError } from '../../errors.ts';
import { mayUseCookie } from '../../http/origin.ts';
import { runStep } from '../../http/run-step.ts';
import { type AuthenticateOptions, authenticate } from '../../sessions/authenticate.ts';
import { identityOf } from '../../sessions/request-access.ts';
import type { Signer } from '../../signing/sign.ts';
import { type Admitter, admit } from '../gateway/admit.ts';
import { canonicalTarget } from '../gateway/canonical-target.ts';
import { findRoute, noRoute } from '../gateway/find-route.ts';
import { identityHeaders, noIdentity } from '../gateway/identity-headers.ts';
import { type RouteLimits, refuseCounted } from '../gateway/limits.ts';
import { headerReader, hostIn, refuseMethodOverride } from '../gateway/request-facts.ts';
import { type Contract, contracts, FORWARD_AUTH, type Original } from './contracts.ts';

export interface ForwardAuthParts extends Admitter, Omit<AuthenticateOptions, 'isSecure'> {
  signer: Signer;
  limits: RouteLimits;
}

/**
 * `/forward-auth/{nginx,traefik,caddy,haproxy,envoy}`, as far as they are named: believed from `TRUSTED_PROXIES` alone. The
 * others are no paths of ours.
 */
export function forwardAuthRouter(parts: ForwardAuthParts, names: readonly ProxyName[]): Router {
  // In one spelling, so that a proxy which is to keep clients away from it can.
  const router = Router({ caseSensitive: true });
  for (const name of names)
    router.use(`${FORWARD_AUTH}/${name}`, within(contracts[name], answerWith(contracts[name], parts)));
  return router;
}

type Answer = (req: Request, res: Response) => Promise<void>;

function answerWith(contract: Contract, parts: ForwardAuthParts): Answer {
  return async (req, res) => {
    // Each of them on every answer: what the client sent under that name is overwritten by it.
    for (const [name, value] of Object.entries(noIdentity)) res.setHeader(name, value);
    if (!isFromTrustedProxy(req))
      throw new AppError('untrusted_proxy', {
        message: 'only a proxy named in TRUSTED_PROXIES is answered here',
      });
    const original = contract.read(req);
    await identified(parts, req, res, original);
    const identity = await decide(parts, req, res, original);
    for (const [name, value] of Object.entries(identity)) res.setHeader(name, value);
    res.setHeader('Cache-Control', 'no-store');
    res.status(200).end();
  };
}

/** The connection itself, whatever is said of it; Express has compiled the setting. */
function isFromTrustedProxy(req: Request): boolean {
  const isTrusted: (address: string, hop: number) => boolean = req.app.get('trust proxy fn');
  return isTrusted(req.socket.remoteAddress ?? '', 0);
}

/** As for our own paths, but for the request that the proxy has before it. */
async function identified(
  parts: ForwardAuthParts,
  req: Request,
  res: Response,
  original: Original,
): Promise<void> {
  const identify = authenticate({ ...parts, isSecure: () => original.isSecure });
  await runStep(identify, req, res);
  const { method, host, isSecure } = original;
  const asked = {
    // A WebSocket is opened by a GET, and may be told to do anything then.
    method: opensWebSocket(req) ? 'POST' : method,
    headers: req.headers,
    ownOrigin: `${isSecure ? 'https' : 'http'}://${host}`,
  };
  if (identityOf(req)?.by === 'cookie' && !mayUseCookie(asked, parts.allowedOrigins))
    throw new AppError('cross_site_request', {
      message: 'send it from the same origin, or identify with a bearer token',
    });
}

/** Most proxies keep `Upgrade` to themselves, as they must; what every handshake has besides is end to end (RFC 6455, 4.1). */
function opensWebSocket({ headers }: Request): boolean {
  return headers.upgrade !== undefined || headers['sec-websocket-version'] !== undefined;
}

async function decide(
  parts: ForwardAuthParts,
  req: Request,
  res: Response,
  { method, host, target: given }: Original,
): Promise<Record<string, string>> {
  const snapshot = await parts.gatekeeper.pin(req, res);
  const { segments, query } = canonicalTarget(given);
  refuseMethodOverride(req);
  const matched = findRoute(snapshot.routes, { host: hostIn(host), method, segments });
  if (!matched) throw noRoute();
  if (matched.route.needsBody)
    throw new AppError('access_denied', {
      message:
        'access is decided on the body here, which a proxy does not send along; route it through the gateway',
    });
  await parts.limits.count(req, res, matched.route.route);
  const header = headerReader(req);
  const principal = await admit(parts, req, snapshot, {
    matched,
    method,
    query,
    header,
    body: undefined,
  }).catch((cause) => refuseCounted(res, cause));
  return identityHeaders(parts.signer, req, { route: matched.route, principal, revision: snapshot.revision });
}

/** Refuses in what the proxy takes for a refusal. */
function within({ isOf3 }: Contract, answer: Answer): RequestHandler {
  return async (req, res) => {
    try {
      await answer(req, res);
    } catch (cause) {
      if (!isOf3) throw cause;
      const error = cause instanceof AppError ? cause : undefined;
      if (error?.status === 401 || error?.status === 403) throw cause;
      if (!error || error.status >= 500) req.log?.error({ err: cause }, 'refused in doubt');
      throw new AppError('access_denied', { cause, message: error?.publicMessage ?? 'it cannot be decided' });
    }
  };
}
