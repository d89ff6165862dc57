/** Lists in pages: `?limit=&cursor=` in, `{items, nextCursor}` out. */
import Joi from 'joi';
import { invalidField } from '../errors.ts';

export interface PageQuery {
  limit: number;
  cursor?: string;
}

/** The keys of a list's query; spread them beside the list's own filters. */
export const pageKeys = {
  limit: Joi.number().integer().min(1).max(200).default(50),
  cursor: Joi.string().max(1000),
};

/** What a list answers, for the API's description. */
export function pageShape(item: Joi.Schema): Joi.ObjectSchema {
  return Joi.object({
    items: Joi.array().items(item),
    nextCursor: Joi.string().allow(null),
    total: Joi.number().integer(),
  });
}

/** An opaque cursor made of the sort key of the last item shown. */
export function encodeCursor(key: readonly string[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

/** The sort key in a cursor. Throws `invalid_request` for one that was not made by `encodeCursor` with as many parts. */
export function decodeCursor(cursor: string, parts: number): string[] {
  try {
    const key: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (Array.isArray(key) && key.length === parts && key.every(isPlace)) return key;
  } catch {
    // falls through: it is not a cursor of ours
  }
  throw invalidField('/query/cursor', 'must be a nextCursor of this list');
}

function isPlace(part: unknown): part is string {
  return typeof part === 'string' && !part.includes('\0');
}

/** The page of rows asked for with one more than `limit`, so that it is known whether more follow. */
export function toPage<Row, Item>(
  rows: Row[],
  limit: number,
  keyOf: (row: Row) => string[],
  present: (row: Row) => Item,
): { items: Item[]; nextCursor: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    items: shown.map(present),
    nextCursor: rows.length > limit && last ? encodeCursor(keyOf(last)) : null,
  };
}
