/** JSON bodies, read strictly: one media type, a size limit, no key twice, no key that pollutes prototypes. */
import express, { type Request, type Response } from 'express';
import { visit } from 'jsonc-parser';
import { AppError } from '../errors.ts';

const pollutingKeys = new Set(['__proto__', 'constructor', 'prototype']);

export type BodyReader = (req: Request, res: Response) => Promise<unknown>;

/**
 * A reader of JSON bodies up to `limitBytes`. An absent body reads as undefined.
 * Throws `unsupported_media_type`, `body_too_large` and `malformed_json`.
 */
export function jsonBodyReader(limitBytes: number): BodyReader {
  const readText = express.text({ type: () => true, limit: limitBytes, defaultCharset: 'utf-8' });
  return async (req, res) => {
    if (!hasBody(req)) return undefined;
    if (!req.is(['application/json', 'application/*+json'])) {
      throw new AppError('unsupported_media_type', { message: 'send the body as application/json' });
    }
    await new Promise<void>((resolve, reject) =>
      readText(req, res, (error?: unknown) => (error ? reject(error) : resolve())),
    );
    return typeof req.body === 'string' ? parseStrictJson(req.body) : undefined;
  };
}

function hasBody(req: Request): boolean {
  return req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
}

/** Parses JSON; throws `malformed_json` for what JSON.parse refuses, and for duplicate and prototype-polluting keys. */
export function parseStrictJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new AppError('malformed_json', {
      message: cause instanceof Error ? cause.message : undefined,
      cause,
    });
  }
  refuseKeys(text);
  return value;
}

/** JSON.parse keeps the last of two equal keys, other parsers the first: what is checked must be what is meant. */
function refuseKeys(text: string): void {
  const open: Set<string>[] = [];
  visit(text, {
    onObjectBegin: () => void open.push(new Set()),
    onObjectEnd: () => void open.pop(),
    onObjectProperty: (key) => {
      if (pollutingKeys.has(key))
        throw new AppError('malformed_json', { message: `the key "${key}" is not accepted` });
      if (open.at(-1)?.has(key))
        throw new AppError('malformed_json', { message: `the key "${key}" is there twice` });
      open.at(-1)?.add(key);
    },
  });
}
