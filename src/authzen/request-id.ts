/** The request identifier of AuthZEN's HTTPS binding (section 10.1.3). */
import type { RequestHandler, Response } from 'express';

/**
 * Answers `X-Request-ID` as it was sent, byte by byte: there it may be any text, and must come back the same. The log and
 * problems still have one of ours where it is not of the form that is written down.
 */
export const echoRequestId: RequestHandler = (req, res, next) => {
  const given = req.headers['x-request-id'];
  if (typeof given === 'string' && given !== '') {
    res.setHeader('X-Request-Id', given);
    if (beyondAscii.test(given)) keepHeadApart(res);
  }
  next();
};

const beyondAscii = /[\x80-\xff]/;

/**
 * Node reads a head as latin1, a character for each byte, and writes it so unless a text follows: then both are one text,
 * in UTF-8. Behind bytes it is as it was.
 */
function keepHeadApart(res: Response): void {
  const { end } = res;
  res.end = (body?: unknown, ...rest: unknown[]) =>
    Reflect.apply(end, res, [typeof body === 'string' ? Buffer.from(body) : body, ...rest]);
}
