/** The headers that an upstream gets: those of the client without what only the gateway may say, and what the gateway says. */

import type { Request } from 'express';
import { cookieName } from '../../sessions/authenticate.ts';
import { accessOf } from '../../sessions/request-access.ts';
import { isMethodOverride, namedInConnection, plainHeader } from './request-facts.ts';

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
  // None of HTTP, but CGI would make HTTP_PROXY of it, which tells clients of the upstream where to go.
  'proxy',
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
  const named = namedInConnection(req);
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(req.headers)) {
    if (value === undefined || isForOneHop(name) || name === 'expect' || isOurs(name)) continue;
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

const kept = new Set(['host', 'content-length', 'content-type', 'cookie', 'authorization']);

/** Of those, and of what says how a body is read, another spelling is none: a server behind CGI would not know which is meant. */
function isForOneHop(name: string): boolean {
  const plain = plainHeader(name);
  return hopByHop.has(plain) || (plain !== name && (kept.has(plain) || plain === 'content-encoding'));
}

/** Whether a header, in whatever spelling, is one that only the gateway may say. */
export function isOurs(name: string): boolean {
  const plain = plainHeader(name);
  return plain.startsWith('castellan-') || ofProxies.test(plain);
}

/** What identified the client to the gateway would identify whoever gets it: neither session nor key goes further. */
function withoutCredentials(req: Request, headers: Record<string, string | string[]>): void {
  const by = accessOf(req).identity?.by;
  const { authorization, cookie } = headers;
  if (typeof authorization === 'string' && ((by && by !== 'cookie') || /^bearer +cst_/i.test(authorization)))
    delete headers['authorization'];
  if (typeof cookie !== 'string' || !/castellan/.test(cookie)) return;
  const others = cookie.split(';').filter((pair) => pair.trim() !== '' && !isOurCookie(pair));
  delete headers['cookie'];
  if (others.length > 0) headers['cookie'] = others.map((pair) => pair.trim()).join('; ');
}

/** Whether `name=value`, whatever follows, is a session of the gateway; browsers send `=name=value` as `name=value`. */
function isOurCookie(pair: string): boolean {
  const name = pair
    .replace(/^[\s=]+/, '')
    .split(/[=;]/, 1)[0]
    ?.trim();
  return name === cookieName(true) || name === cookieName(false);
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
  // An upstream that could set it would choose whose session the client is in from now on.
  const cookies = [headers['set-cookie'] ?? []].flat().filter((cookie) => !isOurCookie(cookie));
  if (cookies.length > 0) headers['set-cookie'] = cookies;
  else delete headers['set-cookie'];
}

/** Of trailers, those that may be passed on: none that a reader who takes them for headers would believe (RFC 9110, 6.5.1). */
export function mayTrail(name: string): boolean {
  const plain = plainHeader(name);
  return !(
    hopByHop.has(plain) ||
    kept.has(plain) ||
    notTrailing.has(plain) ||
    isOurs(name) ||
    isMethodOverride(name)
  );
}

const notTrailing = new Set([
  'content-encoding',
  'content-range',
  'trailer',
  'expect',
  'set-cookie',
  'x-request-id',
]);
