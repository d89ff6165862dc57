/** Whether a request may take its route: the resource is read from it and from what is stored, and decided on. */
import type { Request } from 'express';
import { type AccessRequest, resourceOf, typeOf } from '../../decision/access-request.ts';
import type { Principal } from '../../policy/ability.ts';
import type { MatchedRoute } from '../../policy/routes/route-table.ts';
import type { Snapshot } from '../../policy/snapshot.ts';
import { principalFor } from '../../sessions/authenticate.ts';
import type { Gatekeeper } from '../gatekeeper.ts';
import { isStoredType, loadStored, type StoredIn } from '../load-stored.ts';
import { queryReader } from './canonical-target.ts';

export interface RouteRequest {
  matched: MatchedRoute;
  /** The method that is asked for: behind another proxy it is not that of this request. */
  method: string;
  query: string | undefined;
  header(name: string): string | undefined;
  /** Parsed JSON, where the route reads it. */
  body: unknown;
}

export interface Admitter extends StoredIn {
  gatekeeper: Gatekeeper;
}

/**
 * The principal that may. What is stored of the resource wins over what the request says of it, for the client wrote that.
 * Throws `invalid_request` where a part of the resource cannot be read, `unauthenticated`, `access_denied`.
 */
export async function admit(
  services: Admitter,
  req: Request,
  snapshot: Snapshot,
  asked: RouteRequest,
): Promise<Principal> {
  const { route } = asked.matched.route;
  if (route.public) return principalFor(req, snapshot);
  const request = await accessRequestOf(services, req, snapshot, asked);
  const admitted = await services.gatekeeper.requireDecided(req, snapshot, request);
  return admitted.request.principal;
}

async function accessRequestOf(
  services: Admitter,
  req: Request,
  snapshot: Snapshot,
  { matched: { route: compiled, params }, method, query, header, body }: RouteRequest,
): Promise<AccessRequest> {
  const { action = '' } = compiled.route;
  const { type, attributes: said } = compiled.resourceOf({
    path: params,
    query: queryReader(query, compiled.needsQuery),
    header,
    body,
  });
  const question = { action, resource: type };
  const id = said['id'];
  const stored =
    id === undefined
      ? undefined
      : await loadStored(services, snapshot, { resources: [{ type, id: String(id) }] });
  const named = { type, id: String(id) };
  const known = stored?.entity(named);
  const found = stored?.resource(named);
  const asked = services.gatekeeper.accessRequest(req, snapshot, question, {});
  return {
    ...asked,
    context: Object.defineProperty(asked.context, 'method', { value: method, enumerable: true }),
    resource: resourceOf(typeOf(snapshot, type), { ...said, ...found }, known?.ancestors),
    ...doubtOf(known?.misfits, id !== undefined && !found && isStoredType(services, type), named),
  };
}

/** One that should be stored and is not does not exist: nothing said of it can make it another one. */
function doubtOf(
  misfits: readonly string[] = [],
  isMissing: boolean,
  { type, id }: { type: string; id: string },
): { doubt?: string } {
  if (isMissing) return { doubt: `there is no ${type} ${id}` };
  if (misfits.length > 0)
    return { doubt: `of its ancestors, ${misfits.join(', ')} do not fit what is declared` };
  return {};
}
