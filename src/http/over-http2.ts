/** Requests of HTTP/2 in the shape of HTTP/1.1: whatever reads, guards and passes on a request needs to know that one only. */
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, RequestListener } from 'node:http';
import { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import express, { type Express } from 'express';
import { withMethods } from './made-for-app.ts';

/** Of a connection of HTTP/1.1; a frame says what they say, and they must not be there (RFC 9113, 8.2.2). */
const ofConnections = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/**
 * What a server of HTTP/2 makes of a request: `Host` for `:authority`, one `Cookie` for its crumbs, and, where a body
 * follows whose length nobody said, `Transfer-Encoding: chunked`. What a client says of its connection is refused by
 * Node, and a body of another length than was said, too.
 */
export class RequestOverHttp2 extends Http2ServerRequest {
  override readonly headers: IncomingHttpHeaders;
  override readonly rawHeaders: string[];
  /** Of its body, so far. */
  bytesCame = 0;
  #whole = false;

  constructor(...given: ConstructorParameters<typeof Http2ServerRequest>) {
    super(...given);
    const [stream, headers, , raw] = given;
    const framing = stream.endAfterHeaders || headers['content-length'] !== undefined ? {} : CHUNKED;
    const named = Object.entries(headers).filter(([name]) => !name.startsWith(':'));
    this.headers = { host: headers[':authority'] as string, ...Object.fromEntries(named), ...framing };
    this.rawHeaders = [...rawInShape(raw), ...Object.entries<string>(framing).flat()];
    // Whoever reads it hears of it; to everybody else it is gone.
    this.on('error', () => {});
  }

  /** Node ends what was cut off as if it had come whole, and half a body may mean something else. */
  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    if (chunk === null && this.aborted && !this.#whole) {
      this.destroy(new Error('the request was cut off'));
      return false;
    }
    this.#whole ||= chunk === null;
    if (chunk instanceof Uint8Array) this.bytesCame += chunk.length;
    return super.push(chunk, encoding);
  }
}

const CHUNKED = { 'transfer-encoding': 'chunked' };

function rawInShape(raw: readonly string[]): string[] {
  const pairs: [string, string][] = [];
  for (let at = 0; at < raw.length; at += 2) pairs.push([raw[at] ?? '', raw[at + 1] ?? '']);
  const authority = pairs.find(([name]) => name === ':authority')?.[1];
  const crumbs = pairs.filter(([name]) => name === 'cookie').map(([, value]) => value);
  const others = pairs.filter(([name]) => !name.startsWith(':') && name !== 'cookie');
  // Beside a Host that says otherwise it is there twice, as it would be in HTTP/1.1.
  const isSaid = others.some(([name, value]) => name === 'host' && value === authority);
  return [
    ...(authority === undefined || isSaid ? [] : ['host', authority]),
    ...others.flat(),
    ...(crumbs.length > 0 ? ['cookie', crumbs.join('; ')] : []),
  ];
}

/** An answer that may be given as one of HTTP/1.1: what only that has is left out. */
export class ResponseOverHttp2 extends Http2ServerResponse {
  /** HTTP/2 has none. */
  override statusMessage = '' as const;
  readonly shouldKeepAlive = true;

  override setHeader(name: string, value: number | string | readonly string[]): void {
    if (!ofConnections.has(name.toLowerCase())) super.setHeader(name, value);
  }

  override addTrailers(trailers: OutgoingHttpHeaders | [string, string][]): void {
    super.addTrailers(Array.isArray(trailers) ? Object.fromEntries(trailers) : trailers);
  }
}

// The first two are missing, and the last is true of an answer that was cut off.
Object.defineProperties(ResponseOverHttp2.prototype, {
  destroyed: {
    get(this: ResponseOverHttp2) {
      return this.stream.destroyed;
    },
  },
  closed: {
    get(this: ResponseOverHttp2) {
      return this.stream.closed;
    },
  },
  writableFinished: {
    get(this: ResponseOverHttp2) {
      return this.writableEnded && this.stream.writableFinished && !this.stream.aborted;
    },
  },
});

/** An app with the method that its types leave out. */
export interface ServedApp extends Express {
  handle: RequestListener;
}

/**
 * The app for a request of either version: Express gives both of them the prototypes of HTTP/1.1, which know nothing of
 * a stream of HTTP/2.
 */
export function eitherVersion(app: Express): (incoming: IncomingMessage) => ServedApp {
  const one = app as ServedApp;
  const two: ServedApp = Object.create(app, {
    request: { value: withMethods(Object.create(RequestOverHttp2.prototype), express.request, app) },
    response: { value: withMethods(Object.create(ResponseOverHttp2.prototype), express.response, app) },
  });
  return (incoming) => (isOverHttp2(incoming) ? two : one);
}

/** Whether a request came by a connection of HTTP/2, whatever it says itself. */
export function isOverHttp2(incoming: object): boolean {
  return incoming instanceof RequestOverHttp2;
}
