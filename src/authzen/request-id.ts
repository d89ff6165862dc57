/** The request identifier of AuthZEN's HTTPS binding (section 10.1.3). */
import type { RequestHandler } from 'express';

/**
 * Answers `X-Request-ID` as it was sent: there it may be any text, and must come back the same. The log and problems still
 * have one of ours where it is not of the form that is written down.
 */
export const echoRequestId: RequestHandler = (req, res, next) => {
  const given = req.headers['x-request-id'];
  if (typeof given === 'string' && given !== '') res.setHeader('X-Request-Id', given);
  next();
};
