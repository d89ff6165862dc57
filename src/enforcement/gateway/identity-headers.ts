/** Who asks, as an upstream is told: a signed assertion always, plain headers where the route says so. */
import type { Request } from 'express';
import { ANONYMOUS_TYPE, type Principal } from '../../policy/ability.ts';
import type { CompiledRoute } from '../../policy/routes/compile-route.ts';
import { identityOf } from '../../sessions/request-access.ts';
import type { Signer } from '../../signing/sign.ts';

export interface Told {
  route: CompiledRoute;
  principal: Principal;
  /** The revision by which it was decided. */
  revision: number;
}

const ASSERTION = 'Castellan-Assertion';
const TTL_SECONDS = 60;

/** How a verifier knows the token for what it is, beside all others of this signer (RFC 8725, 3.11). */
export const ASSERTION_TYPE = 'castellan-assertion+jwt';

/** Whom the assertion of a route is for: the origin of its first target, or the route itself where it has none. */
export function audienceOf({ route, upstream }: CompiledRoute): string {
  return upstream?.targets[0]?.origin ?? `route:${route.id}`;
}

/**
 * `Castellan-Assertion` and, of the plain ones, those that the route names; of all others, and of whoever is nobody, the
 * empty text: a proxy that copies headers must find each of them, or it would leave what the client sent.
 */
export async function identityHeaders(
  signer: Signer,
  req: Request,
  told: Told,
): Promise<Record<string, string>> {
  const { route } = told.route;
  const plain = plainIdentity(req, told.principal);
  const chosen = (name: 'principal' | 'roles' | 'email') =>
    route.headers?.includes(name) ? plain[name] : '';
  return {
    [ASSERTION]: await assertionOf(signer, req, told),
    'Castellan-Principal': chosen('principal'),
    'Castellan-Roles': chosen('roles'),
    'Castellan-Email': chosen('email'),
  };
}

/** Every identity header with nothing in it. */
export const noIdentity: Readonly<Record<string, string>> = {
  [ASSERTION]: '',
  'Castellan-Principal': '',
  'Castellan-Roles': '',
  'Castellan-Email': '',
};

function assertionOf(signer: Signer, req: Request, { route, principal, revision }: Told): Promise<string> {
  const sid = identityOf(req)?.sessionId;
  return signer.sign(
    {
      sub: referenceOf(principal),
      roles: principal.roles,
      revision,
      rid: String(req.id),
      ...(sid !== undefined && { sid }),
    },
    { audience: audienceOf(route), ttlSeconds: TTL_SECONDS, typ: ASSERTION_TYPE },
  );
}

function referenceOf({ type, id }: Principal): string {
  return type === ANONYMOUS_TYPE ? ANONYMOUS_TYPE : `${type}:${id}`;
}

/** What a header cannot hold is encoded as in a URL: an id of another system may be any text. */
function plainIdentity(req: Request, principal: Principal) {
  const nobody = principal.type === ANONYMOUS_TYPE;
  return {
    principal: nobody ? '' : inHeader(referenceOf(principal)),
    roles: principal.roles.map(inHeader).join(','),
    email: inHeader(identityOf(req)?.account?.email ?? ''),
  };
}

function inHeader(text: string): string {
  return text.replace(/[^\x21-\x7e]|[%,]/gu, encodeURIComponent);
}
