/** `signed_metadata` (section 9.1.3): the metadata as a token, for whoever does not trust the way it came by. */
import type { Claims, Signer } from '../signing/sign.ts';
import { signToken } from '../signing/sign.ts';

/**
 * Signs metadata, once for each key. Times are those of the key, so that nodes that share it answer the same: it is valid for as
 * long as the key is published. The answer is empty while there is no key, as the metadata are good without it.
 */
export function metadataSigner(signer: Signer): (metadata: Claims) => Promise<{ signed_metadata?: string }> {
  let made: { of: string; signed_metadata: string } | undefined;
  return async (metadata) => {
    const key = await signer.currentKey().catch(() => undefined);
    if (!key) return {};
    const [iat, exp] = [key.signsFrom, key.publishedUntil].map((at) => Math.floor(at.getTime() / 1000));
    const claims = { ...metadata, iss: signer.issuer, iat, exp };
    const of = `${key.kid} ${JSON.stringify(claims)}`;
    if (made?.of !== of) made = { of, signed_metadata: signToken(key, claims, 'JWT') };
    return { signed_metadata: made.signed_metadata };
  };
}
