/** Session tokens: opaque, random, known to the database only by their hash. */
import { hash, randomBytes } from 'node:crypto';

const PREFIX = 'cst_';
const TOKEN_BYTES = 32;
const shape = /^cst_[A-Za-z0-9_-]{43}$/;

/** A new token: `cst_` and 256 random bits in base64url. */
export function newToken(): string {
  return PREFIX + randomBytes(TOKEN_BYTES).toString('base64url');
}

/** Whether it can be a token at all; anything else is not looked up. */
export function isToken(text: string): boolean {
  return shape.test(text);
}

/** SHA-256 of the token: what the table holds. A fast hash is enough for 256 random bits. */
export function hashToken(token: string): Buffer {
  return hash('sha256', token, 'buffer');
}
