/** Where the gateway is, for those who are told its addresses. */
import type { Config } from '../config.ts';

/**
 * How people reach it, without a slash at the end: PUBLIC_URL, and without that the address and port it listens on.
 * Never what a request says of it: a `Host` that somebody made up would send everybody else there.
 */
export function publicUrlOf(
  { publicUrl, host, tls }: Pick<Config, 'publicUrl' | 'host' | 'tls'>,
  port: number,
): string {
  if (publicUrl) {
    const { origin, pathname } = new URL(publicUrl);
    return origin + pathname.replace(/\/+$/, '');
  }
  const name = ['0.0.0.0', '::', '127.0.0.1'].includes(host) ? 'localhost' : host;
  return `${tls ? 'https' : 'http'}://${name.includes(':') ? `[${name}]` : name}:${port}`;
}
