/** Who is calling: a session token, by bearer header or cookie, made a principal. */
import { parseCookie } from 'cookie';
import type { Request, RequestHandler } from 'express';
import { anonymous } from '../decision/access-request.ts';
import { type AccountFacts, accountPrincipal } from '../decision/principals.ts';
import { AppError } from '../errors.ts';
import { after } from '../http/after.ts';
import { mayUseCookie } from '../http/origin.ts';
import type { Principal } from '../policy/ability.ts';
import type { ResourceType } from '../policy/policy.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { FoundSession, LiveSessions } from './live-sessions.ts';
import { addressOf, identityOf, newAccess } from './request-access.ts';

export interface AuthenticateOptions {
  sessions: LiveSessions;
  allowedOrigins: readonly string[];
  /** Whether the request came over TLS, as far as the person is concerned. */
  isSecure(req: Request): boolean;
}

const PLAIN_COOKIE = 'castellan';
const SECURE_COOKIE = '__Host-castellan';

/** The name of the session cookie: over TLS one that no other host and no plain connection can set (RFC 6265bis, 4.1.3). */
export function cookieName(secure: boolean): string {
  return secure ? SECURE_COOKIE : PLAIN_COOKIE;
}

/**
 * Identifies the caller, or leaves the request anonymous. A bearer token wins over a cookie; one that is not valid
 * is nobody. Throws `cross_site_request` for a change that only a cookie identifies and that may come from elsewhere.
 */
export function authenticate({ sessions, allowedOrigins, isSecure }: AuthenticateOptions): RequestHandler {
  const identify = (
    req: Request,
    address: string,
    bearer: string | undefined,
    found: FoundSession | undefined,
  ) => {
    if (found && bearer === undefined && !mayUseCookie(req, allowedOrigins)) {
      throw new AppError('cross_site_request', {
        message: 'send it from the same origin, or identify with a bearer token',
      });
    }
    req.access = newAccess(found && { ...found, by: bearer === undefined ? 'cookie' : 'bearer' }, address);
  };
  return (req, _res, next) => {
    const address = addressOf(req);
    if (address === undefined) throw new AppError('invalid_request', { message: 'the connection is gone' });
    const bearer = bearerToken(req);
    const token = bearer ?? cookieToken(req, isSecure(req));
    const found = token === undefined ? undefined : sessions.find(token);
    const identified = after(found, (session) => identify(req, address, bearer, session));
    return after(identified, () => next());
  };
}

function bearerToken(req: Request): string | undefined {
  const header = req.headers.authorization;
  if (header === undefined) return undefined;
  const [, token] = /^Bearer +(\S+)$/i.exec(header) ?? [];
  return token ?? (/^Bearer\b/i.test(header) ? '' : undefined);
}

function cookieToken(req: Request, secure: boolean): string | undefined {
  return parseCookie(req.headers.cookie ?? '')[cookieName(secure)];
}

const principals = new WeakMap<AccountFacts, { type: ResourceType | undefined; principal: Principal }>();

/** The caller as principal under a snapshot; the same object as long as neither the account nor its type changed. */
export function principalFor(req: Request, snapshot: Snapshot): Principal {
  const account = identityOf(req)?.account;
  if (!account) return anonymous;
  const type = snapshot.types.get('user');
  const known = principals.get(account);
  if (known && known.type === type) return known.principal;
  const principal = accountPrincipal(account, snapshot);
  principals.set(account, { type, principal });
  return principal;
}
