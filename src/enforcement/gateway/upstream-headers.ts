/** The headers that an upstream gets: those of the client without what only the gateway may say, and what the gateway says. */

import type { Request } from 'express';
import { cookieName } from '../../sessions/authenticate.ts';
import { accessOf } from '../../sessions/request-access.ts';
import { plainHeader } from './request-facts.ts';

/** About one connection (RFC 9110, 7.6.1), and never passed on; framing is the library's. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** What a proxy says of the client: set anew, whatever was sent. */
const ofProxies =
  /^(forwarded|x-forwarded(-.*)?|x-real-ip|x-original(-.*)?|x-rewrite(-.*)?|x-client-ip|x-cluster-client-ip|true-client-ip|cf-connecting-ip|via)$/;

export interface UpstreamHeadersOptions {
  identity: Readonly<Record<string, string>>;
  isSecure: boolean;
  host: string;
  /** A connection that becomes a WebSocket keeps `Connection` and `Upgrade`. */
  upgrades?: boolean;
}

/** Made from what was sent; header names in lower case. */
export function upstreamHeaders(
  req: Request,
  { identity, isSecure, host, upgrades = false }: UpstreamHeadersOptions,
): Record<string, string | string[]> {
  const named = new Set((req.headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase()));
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(req.headers)) {
    if (value === undefined || hopByHop.has(name) || name === 'expect' || isOurs(name)) continue;
    // Framing and what says who asks cannot be taken away by naming it in Connection.
    if (named.has(name) && !kept.has(name)) continue;
    headers[name] = value;
  }
  withoutCredentials(req, headers);
  if (req.headers['transfer-encoding'] !== undefined) headers['transfer-encoding'] = 'chunked';
  // Only what comes in chunks has trailers; Node throws at others that announce some.
  else delete headers['trailer'];
  Object.assign(headers, forwardedBy(req, isSecure, host));
  for (const [name, value] of Object.entries(identity)) if (value !== '') headers[name.toLowerCase()] = value;
  if (upgrades) Object.assign(headers, { connection: 'Upgrade', upgrade: 'websocket' });
  return headers;
}

const ownCookies = new Set([cookieName(true), cookieName(false)]);

const kept = new Set(['host', 'content-length', 'content-type', 'cookie', 'authorization']);

/** Whether a header, in whatever spelling, is one that only the gateway may say. */
export function isOurs(name: string): boolean {
  const plain = plainHeader(name);
  return plain.startsWith('castellan-') || ofProxies.test(plain);
}

/** Whether a trailer would say what only a header may (RFC 9110, 6.5.1): framing, who asks, and what is the gateway's to say. */
export function isNoTrailer(name: string): boolean {
  const plain = plainHeader(name);
  return isOurs(plain) || hopByHop.has(plain) || kept.has(plain) || plain === 'trailer' || plain === 'expect';
}

/** What identified the client to the gateway would identify whoever gets it: neither session nor key goes further. */
function withoutCredentials(req: Request, headers: Record<string, string | string[]>): void {
  const by = accessOf(req).identity?.by;
  const { authorization, cookie } = headers;
  if (typeof authorization === 'string' && ((by && by !== 'cookie') || /^bearer +cst_/i.test(authorization)))
    delete headers['authorization'];
  if (typeof cookie !== 'string' || !/castellan/.test(cookie)) return;
  const isOwn = (pair: string) => ownCookies.has(pair.split('=', 1)[0]?.trim() ?? '');
  const others = cookie.split(';').filter((pair) => !isOwn(pair));
  delete headers['cookie'];
  if (others.length > 0) headers['cookie'] = others.join(';').trim();
}

function forwardedBy(req: Request, isSecure: boolean, host: string): Record<string, string> {
  const { address = 'unknown' } = accessOf(req);
  const proto = isSecure ? 'https' : 'http';
  const node = address.includes(':') ? `"[${address}]"` : address;
  return {
    'x-forwarded-for': address,
    'x-forwarded-proto': proto,
    'x-forwarded-host': host,
    forwarded: `for=${node};host="${host}";proto=${proto}`,
    'x-request-id': String(req.id),
  };
}

/** What of an upstream's answer is about its connection, or says what only the gateway may, is not passed on. */
export function cleanAnswer(headers: Record<string, string | string[] | undefined>): void {
  const named = String(headers['connection'] ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase());
  for (const name of Object.keys(headers))
    if ((hopByHop.has(name) && name !== 'transfer-encoding') || named.includes(name) || isOurs(name))
      delete headers[name];
  delete headers['x-request-id'];
}
