/** Pages of a search (section 8.2): a token holds a place, and is good only for the query and the caller it was made for. */
import { createHash } from 'node:crypto';
import { invalidField } from '../errors.ts';
import { sortedText } from '../policy/compile.ts';
import type { PageMessage } from './messages.ts';

/** Results in one page at most, and when nobody says how many. */
export const MOST_RESULTS = 1000;

/** The page that is asked for. */
export interface AskedPage {
  limit: number;
  /** The place after which it begins, such as the last result that was shown; undefined: begin. */
  after: string | undefined;
  /** The answer's `page`: `last` is the last result of this page, undefined where nothing more follows it. */
  describe(count: number, next: { after: string | undefined } | undefined): PageReply;
}

export interface PageReply {
  next_token: string;
  count: number;
}

/**
 * Reads a page. `bound` is all that must not change from page to page: what is searched for, and by whom; nor may
 * `properties` of the page, though none mean anything here. The place is that of a result, not a number, so what is inserted
 * meanwhile moves nothing. Throws `invalid_request` for a token of another query, of another caller or with another limit.
 * A page of none says whether there is more, as any other (section 8.2). The holder of a token can read the place in it: the
 * id of the last result, or, where the work of one request ended first, of the last candidate that was looked at.
 */
export function readPage({ token, limit, properties = {} }: PageMessage, bound: unknown): AskedPage {
  const digest = createHash('sha256')
    .update(sortedText([bound, properties]))
    .digest('base64url');
  const place = token ? decode(token) : { digest, limit: undefined, after: undefined };
  if (!place || place.digest !== digest)
    throw invalidField('/page/token', 'is not a next_token of this search by this caller');
  if (token && limit !== undefined && limit !== place.limit)
    throw invalidField('/page/limit', 'must be the same for every page, or left out');
  // Of 0 as well, and there it ends nowhere; without a limit it goes on with as many as there can be.
  const asked = limit ?? (place.limit || undefined);
  return {
    limit: Math.min(asked ?? MOST_RESULTS, MOST_RESULTS),
    after: place.after,
    describe: (count, next) => ({
      next_token: next ? encode({ digest, limit: asked, after: next.after }) : '',
      count,
    }),
  };
}

interface Place {
  digest: string;
  limit: number | undefined;
  after: string | undefined;
}

function encode({ digest, limit, after }: Place): string {
  return Buffer.from(JSON.stringify([digest, limit ?? null, after ?? null])).toString('base64url');
}

function decode(token: string): Place | undefined {
  try {
    const parts: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    if (!Array.isArray(parts) || parts.length !== 3) return undefined;
    const [digest, limit, after] = parts;
    if (typeof digest !== 'string' || !isPlace(after)) return undefined;
    if (limit !== null && !(Number.isSafeInteger(limit) && limit >= 0)) return undefined;
    return { digest, limit: limit ?? undefined, after: after ?? undefined };
  } catch {
    return undefined;
  }
}

function isPlace(after: unknown): after is string | null {
  return after === null || (typeof after === 'string' && !after.includes('\0'));
}
