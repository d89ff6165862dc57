/** HTTP/2 and HTTP/1.1 over TLS, with the limits that Node leaves open. */
import type { RequestListener } from 'node:http';
import {
  createSecureServer,
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import type { CertificatePair } from '../config/pem-files.ts';
import type { MadeForApp } from './made-for-app.ts';
import { RequestOverHttp2, ResponseOverHttp2 } from './over-http2.ts';

/** Requests at once on one connection. */
const MAX_STREAMS = 100;

/** What may be on its way before it is read: with the 64 KiB of Node a far client would upload slowly. */
const STREAM_WINDOW_BYTES = 256 * 1024;
const SESSION_WINDOW_BYTES = 1024 * 1024;

/** As a server of HTTP/1.1 knows them; times in ms. */
export interface Limits {
  requestTimeout: number;
  headersTimeout: number;
  connectionsCheckingInterval: number;
  maxHeaderSize: number;
  /** How long a connection of HTTP/2 may have no request. */
  idleMs: number;
}

/** A server that listens nowhere yet, and what lets its connections of HTTP/2 end with the requests that they have now. */
export function serveHttp2(
  listener: RequestListener,
  { certificate, made }: { certificate: CertificatePair; made: MadeForApp },
  { idleMs, ...limits }: Limits,
): [server: Http2SecureServer, closeSessions: () => void] {
  const server = createSecureServer({
    ...certificate,
    allowHTTP1: true,
    handshakeTimeout: limits.headersTimeout,
    settings: {
      maxConcurrentStreams: MAX_STREAMS,
      maxHeaderListSize: limits.maxHeaderSize,
      initialWindowSize: STREAM_WINDOW_BYTES,
    },
    Http1IncomingMessage: made.IncomingMessage,
    Http1ServerResponse: made.ServerResponse,
    Http2ServerRequest: RequestOverHttp2 as typeof Http2ServerRequest,
    Http2ServerResponse: ResponseOverHttp2 as typeof Http2ServerResponse,
  });
  Object.assign(server, limits);
  const sessions = new Set<ServerHttp2Session>();
  let closing = false;
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    closeWhenIdle(session, idleMs);
    // Its handshake was under way.
    if (closing) session.close();
  });
  // Their shape is that of HTTP/1.1, and so are their names from here on.
  const shaped = listener as unknown as (req: Http2ServerRequest, res: Http2ServerResponse) => void;
  server.on('request', shaped).on('checkContinue', shaped);
  return [
    server,
    () => {
      closing = true;
      for (const session of sessions) session.close();
    },
  ];
}

/** As long as a request may take without one: a head that never ends makes no stream, and other frames keep nothing open. */
function closeWhenIdle(session: ServerHttp2Session, idleMs: number): void {
  let streams = 0;
  let timer = setTimeout(() => session.close(), idleMs);
  session.on('stream', (stream) => {
    clearTimeout(timer);
    streams++;
    stream.once('close', () => {
      streams--;
      if (streams === 0 && !session.closed) timer = setTimeout(() => session.close(), idleMs);
    });
  });
  session.once('close', () => clearTimeout(timer));
}
