/** Access control for any Express route: the same gate as our own endpoints, as middleware. */
import type { Request, RequestHandler } from 'express';
import type { AccessRequest } from '../decision/access-request.ts';
import type { Decision } from '../decision/decision.ts';
import type { Ability, Principal } from '../policy/ability.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { principalFor } from '../sessions/authenticate.ts';
import type { Gatekeeper } from './gatekeeper.ts';

export interface RequireAccessOptions {
  action: string;
  /** The resource type. */
  resource: string;
  /**
   * The attributes of the resource that the request is about; undefined: there is none (404). Left out for a
   * collection: then those pass who could do it to some resource of the type, and the handler narrows what it shows.
   */
  load?(req: Request): Promise<object | undefined> | object | undefined;
}

declare module 'express-serve-static-core' {
  interface Request {
    /** Set by `requireAccess`. */
    access?: {
      resource: object | undefined;
      /** What the caller may do, for further questions of the handler. */
      ability: Ability;
      request: AccessRequest | undefined;
      decision: Decision | undefined;
    };
  }
}

type AbilityOf = (snapshot: Snapshot, principal: Principal) => Ability | Promise<Ability>;

/**
 * Makes `requireAccess({ action, resource, load })`. It answers 401 when nobody is identified, 403 when the principal
 * may not, 404 when there is no such resource (as problem+json, through `problemHandler`), and otherwise puts what was
 * loaded and decided, and the caller's ability, on `req.access`.
 */
export function requireAccessWith(gatekeeper: Gatekeeper, abilityOf: AbilityOf) {
  return function requireAccess({ action, resource, load }: RequireAccessOptions): RequestHandler {
    const question = { action, resource };
    return async (req, res, next) => {
      // First: who could never enter causes no load, and learns nothing from how it fails.
      await gatekeeper.requirePossible(req, res, question);
      const snapshot = await gatekeeper.pin(req, res);
      const ability = await abilityOf(snapshot, principalFor(req, snapshot));
      const found = await load?.(req);
      const decided = load
        ? await gatekeeper.requireAllowed(req, res, question, found)
        : { request: undefined, decision: undefined };
      req.access = { resource: found, ability, ...decided };
      next();
    };
  };
}
