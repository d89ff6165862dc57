/** JSON bodies, read strictly: one media type, a size limit, and I-JSON. */
import express, { type Request, type RequestHandler, type Response } from 'express';
import { AppError } from '../errors.ts';
import { hasBody } from './has-body.ts';
import { malformed, parseStrictJson } from './strict-json.ts';
import { isSentWhole, wholeBody } from './whole-body.ts';

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
 * A reader of JSON bodies up to `limitBytes`, unpacked; it leaves the bytes in `req.body`. An absent body reads as undefined.
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
    // What nearly everybody sends, in a fraction of the time.
    if (req.headers['content-type'] === 'application/json' && isSentWhole(req, limit)) {
      const bytes = await wholeBody(req);
      req.body = bytes;
      return parseStrictJson(decode(bytes));
    }
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

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** JSON has one encoding (RFC 8259, 8.1): a `charset` means nothing, and replaced bytes would be another text. */
function decode(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw malformed('it is not UTF-8', cause);
  }
}
