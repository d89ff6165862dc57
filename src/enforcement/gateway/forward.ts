/** A request that was let in is sent to its upstream: to the first server that takes it. */
import { Readable } from 'node:stream';
import type { Request, Response } from 'express';
import { AppError } from '../../errors.ts';
import { endByParts } from '../../http/arrival.ts';
import { hasBody } from '../../http/has-body.ts';
import type { CompiledUpstream } from '../../policy/routes/compile-route.ts';
import type { Targets } from './targets.ts';
import { gatewayError, type Wire, WireError } from './wire.ts';

export interface ForwardParts {
  wire: Wire;
  targets: Targets;
}

export interface Forwarded {
  upstream: CompiledUpstream;
  url: string;
  headers: Record<string, string | string[]>;
  /** The body as it came, where it was read to decide. */
  body: Buffer | undefined;
}

/**
 * Sends it, and again to another server where that is safe: nothing was answered, and either no server was reached or the
 * method changes nothing (RFC 9110, 9.2.1). Throws `bad_gateway`, `upstream_timeout`, `upstream_unavailable`.
 */
export async function forward(
  { wire, targets }: ForwardParts,
  req: Request,
  res: Response,
  { upstream, url, headers, body }: Forwarded,
): Promise<void> {
  const inTurn = targets.inTurn(upstream);
  if (inTurn.length === 0) throw new AppError('upstream_unavailable', { retryAfterSeconds: 1 });
  const isWhole = body !== undefined || !hasBody(req);
  const { timeoutMs, retries } = upstream;
  for (let attempt = 0; ; attempt++) {
    const target = inTurn[attempt % inTurn.length] as URL;
    try {
      const again = body && Readable.from([body], { objectMode: false });
      return await wire.send(req, res, { target, url, headers, timeoutMs, body: again });
    } catch (cause) {
      // The client went away, and what was asked for it was given up.
      if (res.closed || req.socket.destroyed) return;
      const error = cause instanceof WireError ? cause : undefined;
      if (error && !error.reached) targets.failed(target);
      const mayRepeat = error && !error.timedOut && isWhole && (!error.reached || SAFE.has(req.method));
      if (mayRepeat && attempt < retries && !res.headersSent) continue;
      // What still comes of its body is taken by nobody else, and is in the way of the next request of the connection.
      if (!isWhole) readAway(req);
      throw gatewayError(cause);
    }
  }
}

function readAway(req: Request): void {
  endByParts(req);
  req.unpipe().resume();
}

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);
