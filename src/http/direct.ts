/** Endpoints that are answered before Express looks for a route: the same steps, guards and errors in a fraction of the time. */
import { type IncomingMessage, type RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ErrorRequestHandler, Express, Request, RequestHandler, Response } from 'express';
import { type Endpoint, type MountOptions, serve } from './endpoint.ts';
import { eitherVersion } from './over-http2.ts';

export interface DirectOptions<Access, Context> {
  /** Those that are posted to, at a path without parameters. */
  endpoints: readonly Endpoint<Access, Context>[];
  mounting: MountOptions<Access, Context>;
  /** What Express does before each endpoint, in its order. */
  steps: readonly RequestHandler[];
  onError: ErrorRequestHandler;
}

/**
 * A listener that answers a POST to exactly such a path itself and leaves all else to Express: another method, a query, a
 * slash too many. The endpoints stand in Express as well, which would answer the same.
 */
export function beforeExpress<Access, Context>(
  app: Express,
  { endpoints, mounting, steps, onError }: DirectOptions<Access, Context>,
): RequestListener {
  const chains = new Map(
    endpoints
      .filter(({ method }) => method === 'post')
      .map((endpoint) => [endpoint.path, [...steps, serve(endpoint, mounting)]]),
  );
  const appOf = eitherVersion(app);
  return (incoming, outgoing) => {
    const chain = incoming.method === 'POST' ? chains.get(incoming.url ?? '') : undefined;
    if (!chain) return appOf(incoming).handle(incoming, outgoing);
    const { req, res } = asOfExpress(appOf(incoming), incoming, outgoing);
    run(chain, req, res, onError);
  };
}

/** A listener that runs these steps and no router; `app` says which proxies are believed. */
export function stepsOnly(
  app: Express,
  steps: readonly RequestHandler[],
  onError: ErrorRequestHandler,
): RequestListener {
  const appOf = eitherVersion(app);
  return (incoming, outgoing) => {
    const { req, res } = asOfExpress(appOf(incoming), incoming, outgoing);
    run(steps, req, res, onError);
  };
}

export type UpgradeListener = (req: IncomingMessage, socket: Socket, head: Buffer) => void;

/** The same for a connection that asks to become another one: what is thrown is answered on it, and it is closed then. */
export function upgradeListener(
  app: Express,
  steps: readonly RequestHandler[],
  open: (parts: { req: Request; res: Response; socket: Socket; head: Buffer }) => Promise<void>,
  onError: ErrorRequestHandler,
): UpgradeListener {
  return (incoming, socket, head) => {
    const outgoing = new ServerResponse(incoming);
    outgoing.shouldKeepAlive = false;
    socket.on('error', () => socket.destroy());
    try {
      outgoing.assignSocket(socket);
    } catch {
      // An earlier request of this connection is not answered yet, and Node has let go of it: nothing in order can follow.
      return void socket.destroy();
    }
    outgoing.once('finish', () => {
      socket.end();
      // As a server does it: whoever waits for the end of an answer hears of it.
      outgoing.detachSocket(socket);
      outgoing.emit('close');
    });
    const { req, res } = asOfExpress(app, incoming, outgoing);
    const last: RequestHandler = () => open({ req, res, socket, head });
    run([...steps, last], req, res, onError);
  };
}

/** As Express makes of what Node gives: its methods, and the app by which they know what to trust. */
function asOfExpress(app: Express, incoming: IncomingMessage, outgoing: ServerResponse) {
  const req = Object.setPrototypeOf(incoming, app.request) as Request;
  const res = Object.setPrototypeOf(outgoing, app.response) as Response;
  req.res = res;
  res.req = req;
  req.params = {};
  return { req, res };
}

/** One after another, as each says that it is done; what goes wrong in any of them is answered by `onError`. */
function run(
  chain: readonly RequestHandler[],
  req: Request,
  res: Response,
  onError: ErrorRequestHandler,
): void {
  const fail = (thrown: unknown) => {
    try {
      onError(thrown, req, res, () => {});
    } catch (cause) {
      // Nobody else would hear of it, and the process would end.
      req.log?.error({ err: cause }, 'an error could not be answered');
      res.destroy();
    }
  };
  const from = (place: number): void => {
    const next = (thrown?: unknown) => (thrown === undefined ? from(place + 1) : fail(thrown));
    try {
      const done: unknown = chain[place]?.(req, res, next);
      if (done instanceof Promise) done.catch(fail);
    } catch (thrown) {
      fail(thrown);
    }
  };
  from(0);
}
