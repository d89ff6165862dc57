/** Who is calling: a session's token, by bearer header or cookie, or an API key or a trusted issuer's token, by header alone, made a principal. */
import { parseCookie } from 'cookie';
import type { Request, RequestHandler } from 'express';
import { anonymous } from '../decision/access-request.ts';
import {
  type AccountFacts,
  type ApiKeyFacts,
  accountPrincipal,
  apiKeyPrincipal,
} from '../decision/principals.ts';
import { AppError } from '../errors.ts';
import { after } from '../http/after.ts';
import { type CookieUse, mayUseCookie } from '../http/origin.ts';
import type { Principal } from '../policy/ability.ts';
import type { ResourceType } from '../policy/policy.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { LiveIssuers } from './issuers/live-issuers.ts';
import { tokenPrincipal } from './issuers/token-principal.ts';
import type { LiveApiKeys } from './live-api-keys.ts';
import type { LiveSessions } from './live-sessions.ts';
import { addressOf, type Identity, identityOf, newAccess, type TokenIdentity } from './request-access.ts';
import { isApiKeyToken, isToken } from './token.ts';

export interface AuthenticateOptions {
  sessions: LiveSessions;
  apiKeys: LiveApiKeys;
  /** Left out: tokens from elsewhere are nobody's. */
  issuers?: LiveIssuers;
  live?: { readonly snapshot: Snapshot };
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
 * is nobody. An API key or a token from elsewhere in a cookie is nobody: a browser sends cookies by itself, and these are
 * no browser's.
 * Throws `cross_site_request` for a change that only a cookie identifies and that may come from elsewhere.
 */
export function authenticate(options: AuthenticateOptions): RequestHandler {
  const { sessions, apiKeys, issuers, live, allowedOrigins, isSecure } = options;
  const sessionOf = (token: string, by: 'cookie' | 'bearer') =>
    after(sessions.find(token), (found): Identity | undefined => found && { ...found, by });
  const find = (req: Request, bearer: string | undefined) => {
    if (bearer === undefined) {
      const token = cookieToken(req, isSecure(req));
      return token === undefined ? undefined : sessionOf(token, 'cookie');
    }
    if (isApiKeyToken(bearer))
      return after(
        apiKeys.find(bearer),
        (apiKey): Identity | undefined => apiKey && { by: 'api-key', apiKey },
      );
    if (isToken(bearer)) return sessionOf(bearer, 'bearer');
    return (
      live &&
      issuers
        ?.find(bearer, live.snapshot)
        .then((found): Identity | undefined => found && { by: 'token', found })
    );
  };
  const identify = (req: Request, address: string, identity: Identity | undefined) => {
    if (identity?.by === 'cookie' && !mayUseCookie(cookieUse(req), allowedOrigins)) {
      throw new AppError('cross_site_request', {
        message: 'send it from the same origin, or identify with a bearer token',
      });
    }
    req.access = newAccess(identity, address);
  };
  return (req, _res, next) => {
    const address = addressOf(req);
    if (address === undefined) throw new AppError('invalid_request', { message: 'the connection is gone' });
    const found = find(req, bearerToken(req));
    const identified = after(found, (identity) => identify(req, address, identity));
    return after(identified, () => next());
  };
}

/** The request as it is about cookies. */
function cookieUse(req: Request): CookieUse {
  return { method: req.method, headers: req.headers, ownOrigin: `${req.protocol}://${req.headers.host}` };
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

const keyPrincipals = new WeakMap<ApiKeyFacts, Principal>();

function keyPrincipal(key: ApiKeyFacts): Principal {
  const principal = keyPrincipals.get(key) ?? apiKeyPrincipal(key);
  keyPrincipals.set(key, principal);
  return principal;
}

const foundPrincipals = new WeakMap<TokenIdentity['found'], { snapshot: Snapshot; principal: Principal }>();

function principalFrom({ found }: TokenIdentity, snapshot: Snapshot): Principal {
  const known = foundPrincipals.get(found);
  if (known?.snapshot === snapshot) return known.principal;
  const principal = tokenPrincipal(found.token, found.entity, snapshot);
  foundPrincipals.set(found, { snapshot, principal });
  return principal;
}

const principals = new WeakMap<AccountFacts, { type: ResourceType | undefined; principal: Principal }>();

/** The caller as principal under a snapshot; the same object as long as neither the account nor its type changed. */
export function principalFor(req: Request, snapshot: Snapshot): Principal {
  const identity = identityOf(req);
  if (!identity) return anonymous;
  if (identity.by === 'api-key') return keyPrincipal(identity.apiKey);
  if (identity.by === 'token') return principalFrom(identity, snapshot);
  const { account } = identity;
  const type = snapshot.types.get('user');
  const known = principals.get(account);
  if (known && known.type === type) return known.principal;
  const principal = accountPrincipal(account, snapshot);
  principals.set(account, { type, principal });
  return principal;
}
