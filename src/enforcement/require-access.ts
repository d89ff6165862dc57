/** Access control for any Express route: the same gate as our own endpoints, as middleware. */
import type { Request, RequestHandler } from 'express';
import { after } from '../http/after.ts';
import type { Ability, Principal } from '../policy/ability.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { principalFor } from '../sessions/authenticate.ts';
import { accessOf } from '../sessions/request-access.ts';
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

type AbilityOf = (snapshot: Snapshot, principal: Principal) => Ability | Promise<Ability>;

/**
 * Makes `requireAccess({ action, resource, load })`. It answers 401 when nobody is identified, 403 when the principal
 * may not, 404 when there is no such resource (as problem+json, through `problemHandler`), and otherwise puts what was
 * loaded and decided, and the caller's ability, on `req.access`.
 */
export function requireAccessWith(gatekeeper: Gatekeeper, abilityOf: AbilityOf) {
  return function requireAccess({ action, resource, load }: RequireAccessOptions): RequestHandler {
    const question = { action, resource };
    return (req, res, next) => {
      const access = accessOf(req);
      const learn = (snapshot: Snapshot) =>
        after(abilityOf(snapshot, principalFor(req, snapshot)), (ability) => {
          access.ability = ability;
        });
      const judge = () =>
        load &&
        after(load(req), (found) =>
          after(gatekeeper.requireAllowed(req, res, question, found), ({ request, decision }) => {
            access.resource = found;
            access.request = request;
            access.decision = decision;
          }),
        );
      // First: who could never enter causes no load, and learns nothing from how it fails.
      const possible = gatekeeper.requirePossible(req, res, question);
      const learnt = after(possible, learn);
      return after(after(learnt, judge), () => next());
    };
  };
}
