/** The HTTP server: how long a request may take to arrive, and how large its head may be. */
import { createServer, type RequestListener, type Server } from 'node:http';

/** Longer than any header of a browser or a proxy takes. */
const HEADERS_TIMEOUT_MS = 15_000;
const MAX_HEADER_BYTES = 16 * 1024;

/**
 * A server that listens nowhere yet. A request that has not arrived whole after `requestTimeoutMs`, or its head after
 * 15 s, is answered 408 and its connection closed, at the latest a quarter of that time later: Node looks only then and when.
 */
export function makeServer(app: RequestListener, requestTimeoutMs: number): Server {
  const headersTimeout = Math.min(requestTimeoutMs, HEADERS_TIMEOUT_MS);
  const server = createServer(
    {
      requestTimeout: requestTimeoutMs,
      headersTimeout,
      connectionsCheckingInterval: Math.ceil(headersTimeout / 4),
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    app,
  );
  // Whoever waits before it sends a body is answered by `app`, which may refuse it first.
  return server.on('checkContinue', app);
}
