/** Connections that became WebSockets: decided when they are opened, and again whenever what allowed them may have changed. */
import type { Socket } from 'node:net';
import type { Request, RequestHandler, Response } from 'express';
import { AppError, invalidField } from '../../errors.ts';
import type { UpgradeListener } from '../../http/direct.ts';
import { hasBody } from '../../http/has-body.ts';
import { runStep } from '../../http/run-step.ts';
import type { GatewayServer } from '../../http/server.ts';
import type { CompiledUpstream } from '../../policy/routes/compile-route.ts';
import type { MatchedRoute } from '../../policy/routes/route-table.ts';
import type { Snapshot } from '../../policy/snapshot.ts';
import { admitPassing, type GatewayParts, type Passing } from './handler.ts';
import { identityHeaders } from './identity-headers.ts';
import { upstreamHeaders } from './upstream-headers.ts';
import { gatewayError, WireError } from './wire.ts';
import type { Upgrading } from './wire-upgrade.ts';

export interface UpgradeParts extends GatewayParts {
  /** Finds out who asks, as the first step of a request does. */
  identify: RequestHandler;
  allowedOrigins: readonly string[];
}

/** Sessions end by the clock, too, and nobody says so. */
const LOOK_EVERY_MS = 30_000;

interface Open {
  socket: Socket;
  /** Throws what would refuse it now. */
  ask(): Promise<unknown>;
}

export class Upgrades {
  readonly #open = new Set<Open>();
  readonly #timer: NodeJS.Timeout;
  #looking: Promise<void> | undefined;
  #again = false;
  #takes = false;
  #closed = false;
  #turn: (takes: boolean) => void = () => {};

  constructor() {
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS).unref();
  }

  get size(): number {
    return this.#open.size;
  }

  /** Hears of requests to upgrade as long as any route takes them; `listener` answers them. */
  attach(server: GatewayServer, listener: UpgradeListener): void {
    this.#turn = (takes) => {
      server.off('upgrade', listener);
      if (takes) server.on('upgrade', listener);
    };
    this.#turn(this.#takes);
  }

  /** Another policy is in force. */
  adopt(snapshot: Snapshot): void {
    this.#takes = takesUpgrades(snapshot);
    this.#turn(this.#takes);
    void this.look();
  }

  /** Keeps an open connection in sight until it is closed. */
  keep(open: Open): void {
    if (this.#closed) return void open.socket.destroy();
    this.#open.add(open);
    open.socket.once('close', () => this.#open.delete(open));
  }

  /** It did not become one. */
  leave(open: Open): void {
    this.#open.delete(open);
  }

  /** Something changed: each connection is asked about again, and closed where it is not allowed any more, or in doubt. */
  look(): Promise<void> {
    this.#again = true;
    this.#looking ??= this.#lookAtAll().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** Closes those that are open, and each that would be opened from now on. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const { socket } of this.#open) socket.destroy();
  }

  async #lookAtAll(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      for (const open of this.#open) await open.ask().catch(() => open.socket.destroy());
    }
  }
}

/** Whether any route may become a WebSocket: only then are requests to upgrade looked at; to ignore them is no error (RFC 9110, 7.8). */
function takesUpgrades({ policy }: Snapshot): boolean {
  return policy.routes.some(({ upstream }) => typeof upstream === 'object' && upstream.webSocket === true);
}

/** Answers a request to become a WebSocket. Throws as the gateway does for other requests, and `cross_site_request`. */
export async function openWebSocket(
  parts: UpgradeParts,
  upgrades: Upgrades,
  { req, res, socket, head }: { req: Request; res: Response; socket: Socket; head: Buffer },
): Promise<void> {
  if (hasBody(req)) throw invalidField('/headers/Upgrade', 'must not be there with a body');
  const ask = async () => {
    await runStep(parts.identify, req, res);
    return admitPassing(parts, req, res, 'again');
  };
  await runStep(parts.identify, req, res);
  const passing = await admitPassing(parts, req, res, 'first');
  requireWebSocket(req, passing.matched);
  requireOrigin(parts, req, passing);
  const { upstream } = passing.matched.route;
  const [target] = upstream ? parts.targets.inTurn(upstream) : [];
  if (!upstream || !target) throw new AppError('upstream_unavailable', { retryAfterSeconds: 1 });
  const identity = await identityHeaders(parts.signer, req, {
    route: passing.matched.route,
    principal: passing.principal,
    revision: passing.revision,
  });
  const sent = upstreamHeaders(req, {
    identity,
    isSecure: parts.isSecure(req),
    host: passing.host,
    upgrades: true,
  });
  // Of one that is gone already nothing would tell again.
  const open = { socket, ask };
  if (!socket.destroyed) upgrades.keep(open);
  if (socket.destroyed) return;
  let opened = false;
  try {
    opened = await upgradeAt(parts, { req, res, socket, head }, sent, { passing, upstream, target });
  } finally {
    // An answer like others was decided on once.
    if (!opened) upgrades.leave(open);
  }
  // Its answer is none of Node's, which would be logged by itself.
  if (opened)
    req.log?.info(
      { path: passing.target.url.split('?')[0], route: passing.matched.route.route.id, status: 101 },
      'a WebSocket was opened',
    );
}

async function upgradeAt(
  { wire, targets }: UpgradeParts,
  asked: Upgrading,
  headers: Record<string, string | string[]>,
  { passing, upstream, target }: { passing: Passing; upstream: CompiledUpstream; target: URL },
): Promise<boolean> {
  try {
    const { timeoutMs } = upstream;
    return await wire.upgrade(asked, { target, url: passing.target.url, headers, timeoutMs });
  } catch (cause) {
    if (cause instanceof WireError && !cause.reached) targets.failed(target);
    throw gatewayError(cause);
  }
}

function requireWebSocket(req: Request, { route: { upstream } }: MatchedRoute): void {
  if (!upstream?.webSocket || req.method !== 'GET' || req.headers.upgrade?.toLowerCase() !== 'websocket')
    throw invalidField('/headers/Upgrade', 'must not be there: this path takes no WebSocket');
}

/**
 * A browser opens a WebSocket from any page, with the cookies of its user, and says from which (RFC 6455, 10.2). One that
 * says nothing is no browser.
 */
function requireOrigin(
  { isSecure, allowedOrigins }: UpgradeParts,
  req: Request,
  { matched, host }: Passing,
): void {
  const { origin } = req.headers;
  if (origin === undefined) return;
  const own = `${isSecure(req) ? 'https' : 'http'}://${host}`;
  const { origins = [] } = matched.route.upstream ?? {};
  if ([own, ...origins, ...allowedOrigins].includes(origin)) return;
  throw new AppError('cross_site_request', {
    message: 'a WebSocket is opened from the same origin, or from one that the route names',
  });
}
