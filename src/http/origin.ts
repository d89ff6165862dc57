/** Cross-site request forgery: a change identified by a cookie must come from our own pages. */
import type { IncomingHttpHeaders } from 'node:http';

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

export interface CookieUse {
  method: string;
  headers: IncomingHttpHeaders;
  /** Of the host that was asked, as a browser would write it. */
  ownOrigin: string;
}

/**
 * Whether a request may use the session cookie. Changes need `Sec-Fetch-Site: same-origin` (or none, as typed by a
 * person), or an `Origin` that is the host asked or one allowed. A browser always sends one of the two with a change;
 * a client that sends neither is no browser and was not lured.
 */
export function mayUseCookie(
  { method, headers, ownOrigin }: CookieUse,
  allowedOrigins: readonly string[],
): boolean {
  if (SAFE_METHODS.has(method)) return true;
  const { origin } = headers;
  if (origin !== undefined && allowedOrigins.includes(origin)) return true;
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin' || site === 'none';
  return origin === undefined || origin === ownOrigin;
}
