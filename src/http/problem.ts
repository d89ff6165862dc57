/** Errors as application/problem+json (RFC 9457). */
import type { ErrorRequestHandler, RequestHandler } from 'express';
import { AppError, type ErrorCode, errorTable } from '../errors.ts';

/** Answers every request that nothing else answered. */
export const notFound: RequestHandler = (req) => {
  throw new AppError('not_found', { message: `there is nothing at ${req.path}` });
};

/** Makes a problem of whatever was thrown. What was not meant for the caller is logged and not told. */
export const problemHandler: ErrorRequestHandler = (thrown, req, res, next) => {
  const error = toAppError(thrown);
  const log = req.log;
  if (error.status >= 500) log?.error({ err: thrown, code: error.code }, error.message);
  else if (error.detail) log?.info({ code: error.code, detail: error.detail }, 'refused');
  if (res.headersSent) return next(thrown);
  if (error.status === 401) res.setHeader('WWW-Authenticate', 'Bearer realm="castellan"');
  if (error.retryAfterSeconds !== undefined)
    res.setHeader('Retry-After', String(Math.max(1, Math.ceil(error.retryAfterSeconds))));
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
  };
}

/** Errors of Express and its body parser, by their own status. */
const codesByStatus: Record<number, ErrorCode> = {
  400: 'invalid_request',
  413: 'body_too_large',
  415: 'unsupported_media_type',
};

function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  const status =
    typeof thrown === 'object' && thrown !== null && 'status' in thrown ? Number(thrown.status) : 500;
  return new AppError(codesByStatus[status] ?? 'internal_error', { cause: thrown });
}
