/** Who may enter an endpoint: the three things that can be said, and what the handler learns. */
import type { AccessRequest } from '../decision/access-request.ts';
import type { Decision } from '../decision/decision.ts';
import type { Call, Endpoint } from '../http/endpoint.ts';
import type { Principal } from '../policy/ability.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Identity } from '../sessions/request-access.ts';

/** What is known of a request when its resource is loaded. */
export type LoadCall<Body = unknown, Query = unknown> = Omit<Call<unknown, Body, Query>, 'context'>;

/** A guarded endpoint: the action, and the resource it is done to. */
export interface Requirement<Body = unknown, Query = unknown> {
  action: string;
  resource: string;
  /**
   * The attributes of the one resource it is about; undefined: there is none (404). Left out for a collection: then
   * those enter who could do it to some resource of the type, and the handler narrows what it shows.
   */
  load?(call: LoadCall<Body, Query>): Promise<object | undefined> | object | undefined;
  /** The fields that the request writes: each must be granted for the action. */
  writes?(call: LoadCall<Body, Query>): string[];
}

/** `authenticated`: whoever is identified; `account`: those of them who are logged in to an account, which neither an API key nor somebody from elsewhere is. */
export type Access<Body = unknown, Query = unknown> =
  | 'public'
  | 'authenticated'
  | 'account'
  | Requirement<Body, Query>;

/** What is known when a handler runs. Where the access is a word no decision was made. */
export interface AccessContext {
  identity: Identity | undefined;
  principal: Principal;
  snapshot: Snapshot;
  /** What `load` gave. */
  loaded: object | undefined;
  request: AccessRequest | undefined;
  decision: Decision | undefined;
}

export type GuardedCall<Body = unknown, Query = unknown> = Call<AccessContext, Body, Query>;
export type GuardedEndpoint = Endpoint<Access, AccessContext>;

/** Gives access and handler the types that the schemas let through. */
export function endpoint<Body = undefined, Query = undefined>(
  entry: Omit<GuardedEndpoint, 'access' | 'handle'> & {
    access: Access<Body, Query>;
    handle(call: GuardedCall<Body, Query>): ReturnType<GuardedEndpoint['handle']>;
  },
): GuardedEndpoint {
  return entry;
}
