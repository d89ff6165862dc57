/** A JSON Web Token of a trusted issuer: read, verified, and what is left of it. */
import { decodeJwt, decodeProtectedHeader, type JWTPayload, jwtVerify, type RemoteJWKSet } from 'jose';
import type { TrustedIssuer } from '../../config/trusted-issuers.ts';
import { entityId } from '../../policy/entity.ts';

/** A token that was verified. Frozen. */
export interface VerifiedToken {
  issuer: TrustedIssuer;
  subject: string;
  claims: Readonly<JWTPayload>;
  /** From then on it is nobody's. */
  endsAtMs: number;
}

/** Longer ones are not looked at. */
const LONGEST_TOKEN = 8192;
const shape = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** Who claims to have issued it, before anything is verified; undefined: it is no JSON Web Token with a signature. */
export function claimedIssuer(token: string): string | undefined {
  if (token.length > LONGEST_TOKEN || !shape.test(token)) return undefined;
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

/**
 * The token, verified by the issuer's own keys: what it says itself of keys (`jku`, `jwk`, `x5u`) is not looked at. Throws
 * for everything that is not as the settings want it: signature, algorithm, type, issuer, audience, times, subject.
 */
export async function verifyToken(
  token: string,
  issuer: TrustedIssuer,
  findKey: RemoteJWKSet,
): Promise<VerifiedToken> {
  const { clockSkewSeconds: skew, maxAgeSeconds } = issuer;
  // Before its keys are asked for: what could never be taken costs nobody a fetch.
  requireHeader(token, issuer);
  const { payload } = await jwtVerify(token, findKey, {
    algorithms: [...issuer.algorithms],
    issuer: issuer.issuer,
    audience: [...issuer.audience],
    clockTolerance: skew,
    requiredClaims: ['exp', 'sub'],
    ...(maxAgeSeconds !== undefined && { maxTokenAge: maxAgeSeconds }),
  });
  const { sub, exp = 0, iat } = payload;
  // Without maxTokenAge it is not looked at. A token from the future is of a clock that cannot be trusted.
  if (iat !== undefined && !(iat <= Date.now() / 1000 + skew)) throw new Error('iat is in the future');
  // It is bound to a key that its bearer would have to prove (RFC 8705, RFC 9449); nobody proves anything here.
  if (payload['cnf'] !== undefined) throw new Error('cnf is not accepted');
  if (typeof sub !== 'string' || entityId.validate(sub).error) throw new Error('sub is no id');
  const lasts = maxAgeSeconds === undefined || iat === undefined ? exp : Math.min(exp, iat + maxAgeSeconds);
  return Object.freeze({
    issuer,
    subject: sub,
    claims: Object.freeze(payload),
    endsAtMs: (lasts + skew) * 1000,
  });
}

function requireHeader(token: string, { algorithms, typ }: TrustedIssuer): void {
  const header = decodeProtectedHeader(token);
  if (!algorithms.includes(header.alg ?? 'none')) throw new Error('alg is not accepted');
  // Whatever it asks to be understood, it is not (RFC 7515 section 4.1.11).
  if (header.crit !== undefined) throw new Error('crit is not accepted');
  const given =
    header.typ === undefined
      ? null
      : String(header.typ)
          .toLowerCase()
          .replace(/^application\//, '');
  if (!typ.includes(given)) throw new Error('typ is not accepted');
}
