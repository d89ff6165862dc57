/** Request smuggling: where a body ends is never a question. */
import { METHODS } from 'node:http';
import type { Socket } from 'node:net';
import type { RequestHandler } from 'express';
import { AppError, invalidField } from '../errors.ts';
import { isOverHttp2 } from './over-http2.ts';

/**
 * Refuses, with `invalid_request`, what servers could end at different places: a coding other than `chunked`, which is all
 * that is passed on, any coding in HTTP/1.0, and a version that is neither HTTP/1.1 nor 1.0 where the
 * connection is not of HTTP/2. Nothing else on such a connection is answered (RFC
 * 9112, 6.3): what follows may have been a body. Comes before any step that waits, since what follows may be there already.
 * And a method that no server of HTTP/1.1 knows.
 */
export function refuseOddFraming(): RequestHandler {
  const odd = new WeakSet<Socket>();
  return (req, res, next) => {
    // The parser of HTTP/1.1 refuses it itself; in HTTP/2 it may be any text.
    if (!methods.has(req.method))
      throw new AppError('invalid_request', { message: 'the method is not known' });
    const problem = odd.has(req.socket)
      ? new AppError('invalid_request', { message: 'the request before this one did not end in one way' })
      : problemOf(req);
    if (!problem) return next();
    odd.add(req.socket);
    res.setHeader('Connection', 'close');
    throw problem;
  };
}

const methods = new Set(METHODS);

function problemOf(req: Parameters<RequestHandler>[0]): AppError | undefined {
  const { headers, httpVersion, httpVersionMajor } = req;
  // Several are joined by commas.
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    return invalidField('/headers/Transfer-Encoding', 'must be chunked, once, or not be there');
  // A server or proxy of that version knows no chunks (RFC 9112, 6.1).
  if (coding !== undefined && httpVersion === '1.0')
    return invalidField('/headers/Transfer-Encoding', 'must not be there in HTTP/1.0');
  if (httpVersionMajor !== 1 && !isOverHttp2(req))
    return new AppError('invalid_request', { message: 'the request must be of HTTP/1.1 or HTTP/1.0' });
  return undefined;
}
