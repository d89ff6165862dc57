/** A body that a decision reads: bounded, JSON of one meaning, and kept as it came for the upstream. */
import type { Request, Response } from 'express';
import { AppError } from '../../errors.ts';
import { hasBody } from '../../http/has-body.ts';

/** Parses the JSON of a request; the bytes are left in `req.body`. */
export type ReadBody = (req: Request, res: Response) => Promise<unknown>;

export interface BodyRead {
  value: unknown;
  bytes: Buffer;
}

/**
 * Undefined: there is none. Throws `unsupported_media_type` for what is no JSON or is packed, `body_too_large`,
 * `malformed_json` for what parsers read in two ways, such as a key that is there twice.
 */
export async function readForDecision(
  readBody: ReadBody,
  req: Request,
  res: Response,
): Promise<BodyRead | undefined> {
  if (!hasBody(req)) return undefined;
  if ((req.headers['content-encoding'] ?? 'identity').toLowerCase() !== 'identity')
    throw new AppError('unsupported_media_type', {
      message: 'send the body unpacked: access is decided on it',
    });
  if (/^100-continue$/i.test(req.headers.expect ?? '')) res.writeContinue();
  const value = await readBody(req, res);
  if (!Buffer.isBuffer(req.body)) throw new AppError('internal_error', { detail: 'the body was not kept' });
  return { value, bytes: req.body };
}
