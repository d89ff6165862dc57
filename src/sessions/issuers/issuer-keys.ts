/** The public keys of an issuer: found by its metadata, kept for a while, asked for anew rarely, whatever tokens come. */

import Joi from 'joi';
import { createLocalJWKSet, createRemoteJWKSet, customFetch, type RemoteJWKSet } from 'jose';
import { isSafeUrl, type TrustedIssuer } from '../../config/trusted-issuers.ts';
import { fetchJson } from './fetch-json.ts';

/** All that is fetched for one set, metadata and keys. */
const TIMEOUT_MS = 2000;
/** Tokens with unknown keys, or while the issuer is away, cause one fetch in this time and no more. */
const ASK_AGAIN_MS = 30_000;
const ASK_AGAIN_AFTER_FAILURE_MS = 10_000;
/** A key that the issuer took back is believed for so long at most. */
const KEPT_MS = 600_000;

export interface IssuerKeys {
  /** What finds the key of a token by its header; rejects where there is none, or the issuer cannot be asked. */
  find: RemoteJWKSet;
  /** Whether the keys could not be had when they were last asked for. */
  isFailing(): boolean;
}

/** Nothing is fetched before the first token comes. Each time that it fails is told to `onTrouble`, which is not often. */
export function issuerKeys(issuer: TrustedIssuer, onTrouble: (cause: unknown) => void): IssuerKeys {
  let failed: { untilMs: number; cause: unknown } | undefined;
  const fetchOnce = async (signal: AbortSignal): Promise<Response> => {
    if (failed && Date.now() < failed.untilMs) throw failed.cause;
    try {
      const keys = Joi.attempt(await fetchKeys(issuer, signal), keySetSchema);
      createLocalJWKSet(keys);
      failed = undefined;
      return Response.json(keys);
    } catch (cause) {
      failed = { untilMs: Date.now() + ASK_AGAIN_AFTER_FAILURE_MS, cause };
      onTrouble(cause);
      throw cause;
    }
  };
  return {
    find: createRemoteJWKSet(new URL(issuer.jwksUri ?? issuer.issuer), {
      timeoutDuration: TIMEOUT_MS,
      cooldownDuration: ASK_AGAIN_MS,
      cacheMaxAge: KEPT_MS,
      [customFetch]: (_url, { signal }) => fetchOnce(signal),
    }),
    isFailing: () => failed !== undefined,
  };
}

const keySetSchema = Joi.object({ keys: Joi.array().items(Joi.object().unknown()).max(100).required() })
  .unknown()
  .required();

async function fetchKeys(issuer: TrustedIssuer, signal: AbortSignal): Promise<unknown> {
  return fetchJson(issuer.jwksUri ?? (await discover(issuer, signal)), signal);
}

/** Where the keys are, by OpenID Connect Discovery 1.0 section 4 or else RFC 8414 section 3. */
async function discover({ issuer }: TrustedIssuer, signal: AbortSignal): Promise<string> {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  const places = [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ];
  for (const place of places) {
    const found = await fetchJson(place, signal);
    if (found === undefined) continue;
    const metadata = Joi.attempt(found, metadataSchema);
    // Somebody else's metadata would bring somebody else's keys (RFC 8414 section 3.3).
    if (metadata.issuer !== issuer) throw new Error(`${place} is of another issuer`);
    if (!isSafeUrl(metadata.jwks_uri)) throw new Error(`${place} has a jwks_uri that is not https`);
    return metadata.jwks_uri;
  }
  throw new Error(`${issuer} has no metadata; set its jwksUri`);
}

const metadataSchema = Joi.object<{ issuer: string; jwks_uri: string }>({
  issuer: Joi.string().required(),
  jwks_uri: Joi.string().required(),
})
  .unknown()
  .required();
