/** Tokens of sessions and API keys: opaque, random, known to the database only by their hash. */
import { hash, randomBytes } from 'node:crypto';

const PREFIX = 'cst_';
const TOKEN_BYTES = 32;
const shape = /^cst_[A-Za-z0-9_-]{43}$/;

const API_KEY_PREFIX = 'cst_key_';
const apiKeyShape = /^cst_key_[A-Za-z0-9_-]{43}$/;
/** So much of an API key is shown, to tell it from others: of 256 random bits it leaves 208. */
const SHOWN_LENGTH = API_KEY_PREFIX.length + 8;

/** A new token: `cst_` and 256 random bits in base64url. */
export function newToken(): string {
  return PREFIX + randomBytes(TOKEN_BYTES).toString('base64url');
}

/** A new secret of an API key: `cst_key_` and 256 random bits in base64url. */
export function newApiKeyToken(): string {
  return API_KEY_PREFIX + randomBytes(TOKEN_BYTES).toString('base64url');
}

/** What is shown of an API key's secret. */
export function shownPrefix(token: string): string {
  return token.slice(0, SHOWN_LENGTH);
}

/** Whether it can be a session's token at all; anything else is not looked up. */
export function isToken(text: string): boolean {
  return shape.test(text);
}

/** Whether it can be an API key at all: of another length than a session's token, so nothing is both. */
export function isApiKeyToken(text: string): boolean {
  return apiKeyShape.test(text);
}

/** SHA-256 of the token: what the table holds. A fast hash is enough for 256 random bits. */
export function hashToken(token: string): Buffer {
  return Buffer.from(hashedKey(token), 'base64url');
}

/** The same as the key of a map, in base64url. */
export function hashedKey(token: string): string {
  return hash('sha256', token, 'base64url');
}
