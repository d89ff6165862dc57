/** The HTTP server: how long a request may take to arrive, how large its head may be, and HTTP/2 where TLS ends here. */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  ServerResponse,
} from 'node:http';
import { constants, type Http2SecureServer } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { CertificatePair } from '../config/pem-files.ts';
import { limitArrival } from './arrival.ts';
import { serveHttp2 } from './http2-server.ts';
import type { MadeForApp } from './made-for-app.ts';
import { RequestOverHttp2 } from './over-http2.ts';
import { UpgradableRequest } from './upgradable.ts';

/** Longer than any header of a browser or a proxy takes. */
const HEADERS_TIMEOUT_MS = 15_000;
const MAX_HEADER_BYTES = 16 * 1024;

const PLAIN: MadeForApp = { IncomingMessage: UpgradableRequest, ServerResponse };

export type GatewayServer = Server | Http2SecureServer;

export interface ServerOptions {
  requestTimeoutMs: number;
  /** With one it is a server of HTTP/1.1 and HTTP/2 over TLS, and of nothing else. */
  certificate?: CertificatePair | undefined;
  /** What requests and answers of HTTP/1.1 are made as. */
  made?: MadeForApp | undefined;
}

export interface Serving {
  /** Listens nowhere yet. */
  server: GatewayServer;
  /** Takes no more connections and waits for the requests in flight, for so long at most. */
  stop(graceMs: number): Promise<void>;
}

/**
 * A request that has not arrived whole after `requestTimeoutMs`, or its head after 15 s, is answered 408 and its connection
 * closed; heads at the latest a quarter of that time later, since Node looks only then and when. A stream of HTTP/2 is reset.
 * Where `allowByParts` says so, it is the time in which nothing comes.
 */
export function makeServer(
  listener: RequestListener,
  { requestTimeoutMs, certificate, made = PLAIN }: ServerOptions,
): Serving {
  const headersTimeout = Math.min(requestTimeoutMs, HEADERS_TIMEOUT_MS);
  const limits = {
    // Node knows one for all requests, however long the body of some of them is.
    requestTimeout: 0,
    headersTimeout,
    connectionsCheckingInterval: Math.ceil(headersTimeout / 4),
    maxHeaderSize: MAX_HEADER_BYTES,
  };
  const timed: RequestListener = (req, res) => {
    limitArrival(req, requestTimeoutMs, () => cutOff(req, res));
    listener(req, res);
  };
  // Whoever waits before it sends a body is answered by `listener`, which may refuse it first.
  if (certificate)
    return stoppable(...serveHttp2(timed, { certificate, made }, { ...limits, idleMs: requestTimeoutMs }));
  const server = createServer({ ...limits, ...made }, timed);
  return stoppable(server.on('checkContinue', timed), () => {});
}

/** As Node does it with a head that does not come. */
function cutOff(req: IncomingMessage, res: ServerResponse): void {
  if (req instanceof RequestOverHttp2) {
    req.stream.close(constants.NGHTTP2_CANCEL);
    return;
  }
  // One behind another of its connection has no way to answer yet.
  if (!res.socket || res.headersSent) {
    req.socket.destroy();
    return;
  }
  // For the log: what is written here is not said by the answer itself.
  res.statusCode = 408;
  res.socket.write('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n');
  res.socket.destroySoon();
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
