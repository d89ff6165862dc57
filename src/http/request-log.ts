/** One JSON line per request, with its id; what could be a secret is never in it. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { type Logger, stdSerializers } from 'pino';
import { whenOver } from './when-over.ts';

declare module 'http' {
  interface IncomingMessage {
    /** Its `X-Request-Id`, as it was sent or made here. Set by `requestLog`, as is `log`. */
    id?: string | undefined;
    /** For lines of this request beside its own. */
    log?: LogOfRequest | undefined;
  }
}

const acceptableId = /^[\w.:-]{1,128}$/;
/** Asked by machines every few seconds. */
const unlogged = new Set(['/livez', '/readyz', '/metrics']);

/** Few requests have a line beside their own, so nothing is made for one before it has. */
class LogOfRequest {
  readonly #logger: Logger;
  readonly #reqId: string;

  constructor(logger: Logger, reqId: string) {
    this.#logger = logger;
    this.#reqId = reqId;
  }

  info(facts: object, message: string): void {
    this.#logger.info({ reqId: this.#reqId, ...facts }, message);
  }

  warn(facts: object, message: string): void {
    this.#logger.warn({ reqId: this.#reqId, ...facts }, message);
  }

  error(facts: object, message: string): void {
    this.#logger.error({ reqId: this.#reqId, ...facts }, message);
  }
}

/** Takes or makes `X-Request-Id`, answers it, and logs the request when it is over: path without query, no headers. */
export function requestLog(base: Logger): RequestHandler {
  const logger = base.child({}, { serializers: { err: plainError } });
  return (req, res, next) => {
    const startedMs = Date.now();
    const { method } = req;
    const id = idOf(req);
    req.id = id;
    req.log = new LogOfRequest(logger, id);
    res.setHeader('X-Request-Id', id);
    const url = req.url;
    if (!unlogged.has(url))
      whenOver(req, res, () => {
        const status = res.statusCode;
        // An answer that never got its turn has ended as well.
        const isWhole = res.writableFinished && !req.readableAborted;
        const message = isWhole ? 'request completed' : 'request aborted';
        const path = pathOf(url);
        const responseTime = Date.now() - startedMs;
        const line = { reqId: id, req: { id, method, path }, res: { status }, responseTime };
        if (status >= 500) logger.error(line, message);
        else logger.info(line, message);
      });
    next();
  };
}

function idOf({ headers }: IncomingMessage): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && acceptableId.test(given) ? given : randomUUID();
}

function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

/** An error may hold more than may be written down, such as a statement with its values. */
function plainError(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return thrown;
  const { type, message, stack, code } = stdSerializers.err(thrown);
  return { type, message, code, stack };
}
