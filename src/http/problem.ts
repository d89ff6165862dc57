/** Errors as application/problem+json (RFC 9457). */
import type { ErrorRequestHandler, RequestHandler } from 'express';
import { AppError, type ErrorCode, errorTable } from '../errors.ts';

/** Answers every request that nothing else answered. */
export const notFound: RequestHandler = (req) => {
  decodeURIComponent(req.path); // a URIError is a bad request, wherever it was meant to go
  throw new AppError('not_found', { message: `there is nothing at ${req.path}` });
};

/** Makes a problem of whatever was thrown. What was not meant for the caller is logged and not told. */
export const problemHandler: ErrorRequestHandler = (thrown, req, res, _next) => {
  const error = toAppError(thrown);
  // That a revision has not come is what was asked to be told.
  if ((error.status >= 500 && error.code !== 'revision_not_reached') || res.headersSent)
    req.log?.error({ err: thrown, code: error.code }, error.message);
  else if (error.detail) req.log?.info({ code: error.code, detail: error.detail }, 'refused');
  // Half an answer must not look like a whole one; Express would do the same, and write the stack to stderr.
  if (res.headersSent) return void res.destroy();
  if (error.status === 401) res.setHeader('WWW-Authenticate', 'Bearer realm="castellan"');
  if (error.retryAfterSeconds !== undefined)
    res.setHeader('Retry-After', String(Math.max(1, Math.ceil(error.retryAfterSeconds))));
  if (error.decisionId !== undefined) res.setHeader('Castellan-Decision-Id', error.decisionId);
  res.setHeader('Cache-Control', 'no-store');
  res
    .status(error.status)
    .type('application/problem+json')
    .send(JSON.stringify(toProblem(error, String(req.id ?? ''))));
};

function toProblem(error: AppError, requestId: string): Record<string, unknown> {
  return {
    type: `/docs#${error.code}`,
    title: errorTable[error.code].title,
    status: error.status,
    detail: error.publicMessage ?? errorTable[error.code].title,
    code: error.code,
    requestId,
    ...(error.errors && { errors: error.errors.map(({ pointer, message }) => ({ pointer, message })) }),
    ...(error.problems && { problems: error.problems }),
    ...error.members,
  };
}

/** Errors of Express and its body parser that are the caller's doing, by their own status. */
const codesByStatus: Record<number, ErrorCode> = {
  400: 'invalid_request',
  404: 'not_found',
  413: 'body_too_large',
  415: 'unsupported_media_type',
};

function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  if (thrown instanceof URIError)
    return new AppError('invalid_request', { message: 'the path is not valid percent-encoding' });
  if (isOutage(thrown)) return new AppError('unavailable', { cause: thrown, retryAfterSeconds: 1 });
  const code = isForCaller(thrown) ? codesByStatus[thrown.status] : undefined;
  return new AppError(code ?? 'internal_error', { cause: thrown });
}

const connectionLost =
  /^(ECONNREFUSED|ECONNRESET|ETIMEDOUT|EPIPE|ENOTFOUND|EHOSTUNREACH|08...|57P0.|53[34]00)$/;

/** Whether PostgreSQL could not be reached or broke off: by SQLSTATE, by the socket's code, or as knex and pg say it. */
function isOutage(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  if (thrown.name === 'KnexTimeoutError' || /^Connection terminated|timeout expired$/.test(thrown.message))
    return true;
  if (thrown instanceof AggregateError && thrown.errors.some(isOutage)) return true;
  if ('code' in thrown && connectionLost.test(String(thrown.code))) return true;
  return 'nativeError' in thrown && isOutage(thrown.nativeError);
}

/** Whether the error says that its status may be told (`expose` of http-errors); a `status` alone may mean anything. */
function isForCaller(thrown: unknown): thrown is { status: number } {
  return (
    thrown instanceof Error &&
    'expose' in thrown &&
    thrown.expose === true &&
    'status' in thrown &&
    typeof thrown.status === 'number'
  );
}
