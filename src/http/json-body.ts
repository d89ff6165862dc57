/** JSON bodies, read strictly: one media type, a size limit, and I-JSON (RFC 7493), so that every reader sees the same. */
import express, { type Request, type RequestHandler, type Response } from 'express';
import { type JSONPath, type JSONVisitor, printParseErrorCode, visit } from 'jsonc-parser';
import { AppError } from '../errors.ts';
import { hasBody } from './has-body.ts';

const pollutingKeys = new Set(['__proto__', 'constructor', 'prototype']);
/** Far more than any body means; far less than what a recursive reader can bear. */
const DEEPEST = 64;
/** A megabyte of keys that nobody knows would be complained about one by one, for seconds. */
const MOST_KEYS = 1000;

/** What an endpoint reads beside JSON of the usual size. */
export interface BodyOptions {
  /** Instead of the limit of all other endpoints, unpacked. */
  limitBytes?: number;
  /** Takes `application/json` itself and nothing like it; all else is 400 instead of 415, as some protocols have it. */
  plainJsonOnly?: true;
  /** Reads other media types; throws what it refuses. */
  parsers?: Readonly<Record<string, (text: string) => unknown>>;
}

export type BodyReader = (req: Request, res: Response, options?: BodyOptions) => Promise<unknown>;

/**
 * A reader of JSON bodies up to `limitBytes`, unpacked. An absent body reads as undefined.
 * Throws `unsupported_media_type` (of another media type `invalid_request`, with `plainJsonOnly`), `body_too_large` and `malformed_json`.
 */
export function jsonBodyReader(limitBytes: number): BodyReader {
  const readers = new Map<number, RequestHandler>();
  const readerOf = (limit: number) => {
    const reader = readers.get(limit) ?? express.raw({ type: () => true, limit });
    readers.set(limit, reader);
    return reader;
  };
  return async (req, res, { limitBytes: limit = limitBytes, plainJsonOnly, parsers = {} } = {}) => {
    if (!hasBody(req)) return undefined;
    const other = Object.keys(parsers).find((type) => req.is(type));
    const parse = other === undefined ? parseStrictJson : parsers[other];
    const json = plainJsonOnly ? ['application/json'] : ['application/json', 'application/*+json'];
    if (!parse || (other === undefined && !req.is(json))) {
      const types = ['application/json', ...Object.keys(parsers)].join(' or ');
      throw new AppError(plainJsonOnly ? 'invalid_request' : 'unsupported_media_type', {
        message: `send the body as ${types}`,
      });
    }
    await new Promise<void>((resolve, reject) =>
      readerOf(limit)(req, res, (error?: unknown) => (error ? reject(packedOtherwise(error)) : resolve())),
    );
    return Buffer.isBuffer(req.body) && req.body.length > 0 ? parse(decode(req.body)) : undefined;
  };
}

/** Of the errors of the reader, the one that says nothing to the caller by its status alone: the body may well be JSON. */
function packedOtherwise(error: unknown): unknown {
  const isPacked = error instanceof Error && 'type' in error && error.type === 'encoding.unsupported';
  const message = 'send the body unpacked, or packed as gzip, deflate or br';
  return isPacked ? new AppError('unsupported_media_type', { message, cause: error }) : error;
}

/** JSON has one encoding (RFC 8259, 8.1): a `charset` means nothing, and replaced bytes would be another text. */
function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw malformed('it is not UTF-8', cause);
  }
}

/**
 * Parses JSON. Throws `malformed_json` for what JSON.parse refuses, for a key that is there twice or pollutes
 * prototypes, for texts that Postgres cannot hold, numbers beyond a double, nesting deeper than 64, and more than
 * 1000 keys in one object.
 */
export function parseStrictJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    // Not the message of JSON.parse: it quotes the body, which may hold a password.
    throw malformed(syntaxError(text), cause);
  }
  visit(text, strictReader(text));
  return value;
}

/** JSON.parse keeps the last of two equal keys, other parsers the first: what is checked must be what is meant. */
function strictReader(text: string): JSONVisitor {
  const mayBeBroken = mayHoldBroken.test(text);
  const keysOfArray = new Set<string>();
  const open: Set<string>[] = [];
  const begin = (keys: Set<string>, pathOf: () => JSONPath) => {
    if (open.length >= DEEPEST) throw malformedAt(pathOf(), `it is nested deeper than ${DEEPEST}`);
    open.push(keys);
  };
  const end = () => void open.pop();
  return {
    onObjectBegin: (_offset, _length, _line, _column, pathOf) => begin(new Set(), pathOf),
    onObjectEnd: end,
    onArrayBegin: (_offset, _length, _line, _column, pathOf) => begin(keysOfArray, pathOf),
    onArrayEnd: end,
    onObjectProperty: (key, _offset, _length, _line, _column, pathOf) => {
      const keys = open.at(-1);
      const broken = mayBeBroken && brokenText(key);
      if (broken) throw malformedAt([...pathOf(), key], broken);
      if (pollutingKeys.has(key)) throw malformedAt([...pathOf(), key], `the key "${key}" is not accepted`);
      if (keys?.has(key)) throw malformedAt([...pathOf(), key], `the key "${key}" is there twice`);
      if (keys?.add(key).size === MOST_KEYS + 1)
        throw malformedAt([...pathOf(), key], `an object has more than ${MOST_KEYS} keys`);
    },
    onLiteralValue: (value: unknown, _offset, _length, _line, _column, pathOf) => {
      const broken = mayBeBroken && typeof value === 'string' ? brokenText(value) : undefined;
      if (broken) throw malformedAt(pathOf(), broken);
      if (typeof value === 'number' && !Number.isFinite(value))
        throw malformedAt(pathOf(), 'a number is too large');
    },
  };
}

/** A large text is looked at once: JSON has U+0000 only as an escape, and half of a pair as one or as it is. */
const mayHoldBroken = /\\u|\p{Surrogate}/u;

/** Postgres has no place for U+0000 in a text, nor for half of a surrogate pair in jsonb. */
function brokenText(text: string): string | undefined {
  if (text.includes('\0')) return 'a text contains U+0000';
  return /\p{Surrogate}/u.test(text) ? 'a text contains half of a surrogate pair' : undefined;
}

/** Where the text stops being JSON, without quoting it. */
function syntaxError(text: string): string {
  let found = 'it is not JSON';
  const onError: JSONVisitor['onError'] = (error, _offset, _length, line, column) => {
    throw malformed(
      `it is not JSON: ${printParseErrorCode(error)} at line ${line + 1}, column ${column + 1}`,
    );
  };
  try {
    visit(text, { ...strictReader(text), onError }, { disallowComments: true });
  } catch (cause) {
    if (cause instanceof AppError && cause.publicMessage) found = cause.publicMessage;
  }
  return found;
}

function malformed(message: string, cause?: unknown): AppError {
  return new AppError('malformed_json', { message, cause });
}

/** The same with where it is; a key that cannot be told is not in the pointer either. */
function malformedAt(path: JSONPath, message: string): AppError {
  const pointer = path
    .filter((part) => brokenText(String(part)) === undefined)
    .map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('');
  return new AppError('malformed_json', { message, errors: [{ pointer, message }] });
}
