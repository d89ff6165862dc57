/** What is known of who sends a request, and what was decided for them: one property, since each costs microseconds. */
import type { Request } from 'express';
import type { AccessRequest } from '../decision/access-request.ts';
import type { Decision } from '../decision/decision.ts';
import type { Ability } from '../policy/ability.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { FoundToken } from './issuers/live-issuers.ts';
import type { FoundApiKey } from './live-api-keys.ts';
import type { FoundSession } from './live-sessions.ts';

/** Who was identified: an account by its session, or an API key or somebody from elsewhere by a token, who have neither. */
export type Identity = SessionIdentity | ApiKeyIdentity | TokenIdentity;

export interface SessionIdentity extends FoundSession {
  by: 'cookie' | 'bearer';
  apiKey?: undefined;
  found?: undefined;
}

export interface ApiKeyIdentity {
  by: 'api-key';
  apiKey: FoundApiKey;
  account?: undefined;
  sessionId?: undefined;
  found?: undefined;
}

/** By a token of a trusted issuer. */
export interface TokenIdentity {
  by: 'token';
  found: FoundToken;
  apiKey?: undefined;
  account?: undefined;
  sessionId?: undefined;
}

export interface RequestAccess {
  /**
   * Where the request comes from, as it was when it came: a client that hangs up takes its address with it, and rules that
   * ask for it would find nothing. IPv4 written as IPv6 is IPv4.
   */
  address: string | undefined;
  /** Undefined when nobody is identified. */
  identity: Identity | undefined;
  /** The snapshot under which everything in this request is decided; undefined before the first decision. */
  snapshot: Snapshot | undefined;
  /** Set by `requireAccess`: what it loaded, what the caller may do, what was asked and decided. */
  resource: object | undefined;
  ability: Ability | undefined;
  request: AccessRequest | undefined;
  decision: Decision | undefined;
}

declare module 'express-serve-static-core' {
  interface Request {
    /** Set by `authenticate`. */
    access?: RequestAccess;
  }
}

/** What is known of the request; nobody is identified where `authenticate` did not run. */
export function accessOf(req: Request): RequestAccess {
  req.access ??= newAccess(undefined, addressOf(req));
  return req.access;
}

/** All there is to know at the beginning. */
export function newAccess(identity: Identity | undefined, address: string | undefined): RequestAccess {
  return {
    address,
    identity,
    snapshot: undefined,
    resource: undefined,
    ability: undefined,
    request: undefined,
    decision: undefined,
  };
}

/** To be read first of all, before anything is waited for. */
export function addressOf(req: Request): string | undefined {
  return req.ip?.replace(/^::ffff:(?=\d+\.)/, '');
}

/** Who was identified, if anybody was. */
export function identityOf(req: Request): Identity | undefined {
  return req.access?.identity;
}

/** The id of the account or the API key that was identified; somebody from elsewhere has none that we gave. */
export function callerIdOf(req: Request): string | undefined {
  const identity = identityOf(req);
  return identity?.account?.id ?? identity?.apiKey?.id;
}

/** What an identity without an account is called, for messages. */
export function kindOf(identity: ApiKeyIdentity | TokenIdentity): string {
  return identity.by === 'api-key' ? 'an API key' : 'somebody from elsewhere';
}
