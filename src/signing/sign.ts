/** Signs what others verify with the published keys: JSON Web Tokens with EdDSA, in compact form. */
import { sign as signBytes } from 'node:crypto';
import type { SigningKey } from './key-rows.ts';
import type { LiveKeys } from './live-keys.ts';

export type Claims = Record<string, unknown>;

export interface TokenOptions {
  /** Whom it is for: they have to refuse what is for others. */
  audience: string;
  ttlSeconds: number;
  /** What kind of token it is, so that none passes for one of another kind. */
  typ: string;
}

export interface Signer {
  /** `iss` of whatever is signed. */
  issuer: string;
  /**
   * A token with these claims; `iss`, `aud`, `iat` and `exp` are the signer's. Made in memory, in less than a tenth of a
   * millisecond. Throws `unavailable` where there is no key.
   */
  sign(claims: Claims, options: TokenOptions): Promise<string>;
  /** The key that signs now, for what is signed once and kept. Throws `unavailable` where there is none. */
  currentKey(): Promise<SigningKey>;
}

/** A signer by the keys of this process. */
export function makeSigner({ keys, issuer }: { keys: Pick<LiveKeys, 'current'>; issuer: string }): Signer {
  return {
    issuer,
    sign: async (claims, { audience, ttlSeconds, typ }) => {
      const key = await keys.current();
      const iat = Math.floor(Date.now() / 1000);
      return signToken(key, { ...claims, iss: issuer, aud: audience, iat, exp: iat + ttlSeconds }, typ);
    },
    currentKey: () => keys.current(),
  };
}

/** The claims as they are, signed with this key. */
export function signToken({ kid, privateKey }: SigningKey, claims: Claims, typ: string): string {
  const signed = `${encode({ alg: 'EdDSA', kid, typ })}.${encode(claims)}`;
  return `${signed}.${signBytes(null, Buffer.from(signed), privateKey).toString('base64url')}`;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
