/** Requests on their way to a server behind: streamed both ways by httpxy, with the gateway's own errors and time limits. */
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { createProxyServer } from 'httpxy';
import { AppError } from '../../errors.ts';
import { allowByParts } from '../../http/arrival.ts';
import { isOverHttp2 } from '../../http/over-http2.ts';
import { type Authorities, guardedAgents } from './guarded-agents.ts';
import { addTrailers, passOn } from './pass-on.ts';
import type { Reach } from './reach.ts';
import { sendUpgrade, TooLate, type Upgrading } from './wire-upgrade.ts';

export interface Sent {
  target: URL;
  /** Path and query. */
  url: string;
  headers: Record<string, string | string[]>;
  /** Until the answer begins, counted from when the request has come whole, in ms. */
  timeoutMs: number;
  /** The body, where it was read already. */
  body: Readable | undefined;
}

/** What it could not be sent for: `reached` says whether the server may have begun to work on it. */
export class WireError extends Error {
  readonly reached: boolean;
  readonly timedOut: boolean;

  constructor(cause: unknown, { reached, timedOut }: { reached: boolean; timedOut: boolean }) {
    super('the upstream gave no answer', { cause });
    this.reached = reached;
    this.timedOut = timedOut;
  }
}

export interface Wire {
  /** Resolves when the answer has begun; it goes on by itself. Throws WireError while nothing was answered. */
  send(req: IncomingMessage, res: ServerResponse, sent: Sent): Promise<void>;
  /** The same for a connection that becomes a WebSocket; from then on either side is closed with the other. False: it did not become one. */
  upgrade(asked: Upgrading, sent: Omit<Sent, 'body'>): Promise<boolean>;
  close(): void;
}

/** Unused for so long, a connection is closed. */
const KEPT_MS = 60_000;

const unreached =
  /^(ERR_UPSTREAM_HOST|ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|CERT_|ERR_TLS|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/;

function isReached(cause: unknown): boolean {
  return !unreached.test(String((cause as { code?: unknown } | undefined)?.code));
}

/** Keeps connections to upstreams; as many at once as there are requests. */
export function makeWire(reach: Reach, ca: Authorities): Wire {
  // The time limit is that of connections in no use; where a server announces less, it is less.
  const kept = guardedAgents(reach, { keepAlive: true, maxFreeSockets: 64, timeout: KEPT_MS, ca });
  const once = guardedAgents(reach, { ca });
  const agentFor = kept.of;
  return {
    send: (req, res, { target, url, headers, timeoutMs, body }) =>
      new Promise((resolve, reject) => {
        // One of its own for each request: what it tells of is of this one then.
        const proxy = createProxyServer({
          xfwd: false,
          changeOrigin: false,
          prependPath: false,
          selfHandleResponse: true,
        });
        const limit = timeLimit(timeoutMs, body ? undefined : req);
        if (!body) allowByParts(req, limit.giveUp);
        proxy.on('proxyReq', (asked) => {
          limit.watch(asked);
          if (!isOverHttp2(req)) endWith(req.socket, asked);
          // Nobody asked for another protocol: the library would wait for ever.
          asked.once('upgrade', (_answer, theirs) => {
            theirs.destroy();
            fail(new Error('the upstream answered 101 to a request that is no upgrade'));
          });
          if (headers['transfer-encoding'] !== undefined) req.once('end', () => addTrailers(asked, req));
        });
        proxy.on('proxyRes', (answer: IncomingMessage) => {
          try {
            passOn(answer, req, res);
          } catch (cause) {
            return fail(cause);
          }
          limit.end();
          resolve();
        });
        const fail = (cause: unknown) => {
          limit.end();
          reject(new WireError(cause, { reached: isReached(cause), timedOut: limit.isOver() }));
        };
        proxy.on('error', fail);
        proxy.on('econnreset', fail);
        res.once('close', limit.end);
        if (req.socket.destroyed) return fail(new Error('the client is gone'));
        rewrite(req, url, headers);
        proxy.web(req, res, { target, agent: agentFor(target), ...(body && { buffer: body }) }).catch(fail);
      }),
    upgrade: (asked, sent) =>
      sendUpgrade(once, asked, sent).catch((cause) => {
        throw new WireError(cause, { reached: isReached(cause), timedOut: cause instanceof TooLate });
      }),
    close: () => {
      kept.close();
      once.close();
    },
  };
}

/** The library sends what the request says: from here on it says what the upstream is to get. */
function rewrite(req: IncomingMessage, url: string, headers: Sent['headers']): void {
  req.url = url;
  req.headers = { ...headers } as IncomingMessage['headers'];
}

/** Of a request that waits behind another of its connection of HTTP/1.1, Node does not say that the client went away. */
function endWith(client: Socket, asked: ClientRequest): void {
  const gone = () => asked.destroy();
  // As many as wait for their turn.
  client.setMaxListeners(0).once('close', gone);
  asked.once('close', () => client.off('close', gone));
}

/** Runs from when the request has come whole; ends what was asked when it is over. */
function timeLimit(timeoutMs: number, coming: IncomingMessage | undefined) {
  let asked: ClientRequest | undefined;
  let timer: NodeJS.Timeout | undefined;
  let over = false;
  let ended = false;
  const giveUp = () => {
    if (ended) return false;
    over = true;
    asked?.destroy(new Error('no answer in time'));
    return true;
  };
  const begin = () => {
    if (!ended) timer = setTimeout(giveUp, timeoutMs);
  };
  if (coming && !coming.complete) coming.once('end', begin);
  else begin();
  return {
    watch: (request: ClientRequest) => {
      asked = request;
      if (over) request.destroy(new Error('no answer in time'));
    },
    isOver: () => over,
    /** Ends it before its time; false where it has been answered, or given up, already. */
    giveUp,
    end: () => {
      ended = true;
      clearTimeout(timer);
    },
  };
}

/** As it is answered. */
export function gatewayError(cause: unknown): AppError {
  if (cause instanceof AppError) return cause;
  const timedOut = cause instanceof WireError && cause.timedOut;
  return new AppError(timedOut ? 'upstream_timeout' : 'bad_gateway', { cause, detail: String(cause) });
}
