/** The HTTP server: how long a request may take to arrive, how large its head may be, and HTTP/2 where TLS ends here. */
import { createServer, type RequestListener, type Server } from 'node:http';
import type { Http2SecureServer } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { CertificatePair } from '../config/pem-files.ts';
import { serveHttp2 } from './http2-server.ts';
import { UpgradableRequest } from './upgradable.ts';

/** Longer than any header of a browser or a proxy takes. */
const HEADERS_TIMEOUT_MS = 15_000;
const MAX_HEADER_BYTES = 16 * 1024;

export type GatewayServer = Server | Http2SecureServer;

export interface ServerOptions {
  requestTimeoutMs: number;
  /** With one it is a server of HTTP/1.1 and HTTP/2 over TLS, and of nothing else. */
  certificate?: CertificatePair | undefined;
}

export interface Serving {
  /** Listens nowhere yet. */
  server: GatewayServer;
  /** Takes no more connections and waits for the requests in flight, for so long at most. */
  stop(graceMs: number): Promise<void>;
}

/**
 * A request that has not arrived whole after `requestTimeoutMs`, or its head after 15 s, is answered 408 and its connection
 * closed, at the latest a quarter of that time later: Node looks only then and when. One of HTTP/2 is ended on time.
 */
export function makeServer(
  listener: RequestListener,
  { requestTimeoutMs, certificate }: ServerOptions,
): Serving {
  const headersTimeout = Math.min(requestTimeoutMs, HEADERS_TIMEOUT_MS);
  const limits = {
    requestTimeout: requestTimeoutMs,
    headersTimeout,
    connectionsCheckingInterval: Math.ceil(headersTimeout / 4),
    maxHeaderSize: MAX_HEADER_BYTES,
  };
  if (certificate) return stoppable(...serveHttp2(listener, certificate, limits));
  // Whoever waits before it sends a body is answered by `listener`, which may refuse it first.
  return stoppable(
    createServer({ ...limits, IncomingMessage: UpgradableRequest }, listener).on('checkContinue', listener),
    () => {},
  );
}

function stoppable(server: GatewayServer, closeSessions: () => void): Serving {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };
  server.on('connection', keep);
  // What is read of it is counted anew; one of HTTP/2 is closed with its session.
  server.on('secureConnection', (socket: TLSSocket) => {
    if (socket.alpnProtocol !== 'h2') keep(socket);
  });
  return {
    server,
    stop: async (graceMs) => {
      const closed = new Promise((resolve) => server.close(resolve));
      closeSessions();
      // A connection that is kept alive is not closed with its last answer.
      const sweep = setInterval(() => {
        if ('closeIdleConnections' in server) server.closeIdleConnections();
        // For Node one on which nothing was ever asked, such as browsers make in advance, is not idle.
        for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
      }, 50);
      const hurry = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, graceMs);
      await closed;
      clearInterval(sweep);
      clearTimeout(hurry);
    },
  };
}
