/** Key pairs of Ed25519: made, sealed for the table, and opened again. */
import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import type { SealingKey, Secrets } from './secret.ts';

/** What verifies a signature; this and no more is published. */
export interface PublicJwk {
  kty: 'OKP';
  crv: 'Ed25519';
  x: string;
  kid: string;
  alg: 'EdDSA';
  use: 'sig';
}

/** A pair in memory. */
export interface KeyPair {
  kid: string;
  publicJwk: PublicJwk;
  privateKey: KeyObject;
}

/** A pair as the table has it. */
export interface SealedPair {
  kid: string;
  privateJwk: Buffer;
  secretId: string;
}

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** A new pair, and the same sealed. */
export async function makeKeyPair(secret: SealingKey): Promise<{ pair: KeyPair; sealed: SealedPair }> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const pair = await pairOf(privateKey);
  const text = JSON.stringify(privateKey.export({ format: 'jwk' }));
  return { pair, sealed: { kid: pair.kid, privateJwk: seal(text, pair.kid, secret), secretId: secret.id } };
}

/**
 * The pair of a row. Nothing is believed of it but what the secret vouches for: the public half is made of the private one.
 * Throws where the row was sealed with none of these secrets, or is not as it was sealed.
 */
export async function openKeyPair(
  { kid, privateJwk, secretId }: SealedPair,
  secrets: Secrets,
): Promise<KeyPair> {
  const secret = secrets.find(({ id }) => id === secretId);
  if (!secret) throw new Error(`the key ${kid} is encrypted with another secret`);
  const jwk: JsonWebKey = JSON.parse(unseal(privateJwk, kid, secret));
  const pair = await pairOf(createPrivateKey({ key: jwk, format: 'jwk' }));
  if (pair.kid !== kid) throw new Error(`the key ${kid} is not the one that its name says`);
  return pair;
}

async function pairOf(privateKey: KeyObject): Promise<KeyPair> {
  const { kty, crv, x } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (kty !== 'OKP' || crv !== 'Ed25519' || x === undefined) throw new Error('not a key of Ed25519');
  const kid = await calculateJwkThumbprint({ kty, crv, x });
  return { kid, publicJwk: { kty, crv, x, kid, alg: 'EdDSA', use: 'sig' }, privateKey };
}

function seal(text: string, kid: string, { key }: SealingKey): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(kid));
  return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
}

function unseal(sealed: Buffer, kid: string, { key }: SealingKey): string {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) throw new Error(`the key ${kid} is cut off`);
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(Buffer.from(kid)).setAuthTag(sealed.subarray(-TAG_BYTES));
  return Buffer.concat([
    decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)),
    decipher.final(),
  ]).toString('utf8');
}
