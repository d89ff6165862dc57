/** Requests that proxies, gateways and applications have read in different ways: each through a proxy, by somebody who may read some reports. */
import assert from 'node:assert/strict';
import { laxly } from './read-laxly.ts';
import { type Ask, ask, PROXIED_HOST, type Site } from './site.ts';

const NUL = '%00';
const secret = ['secret', 'Secret'];

/** Each would lead to the secret report, or to what has no route, for somebody. */
const targets = [
  '/reports/may/../secret',
  '/reports/may/%2e%2e/secret',
  '/reports/may/.%2E/secret',
  '/reports/may/..%2fsecret',
  '/reports/may%2f..%2fsecret',
  '/reports/may/..;/secret',
  '/reports/may/..%5csecret',
  '/reports/may\\..\\secret',
  '/reports/%2e/secret',
  '/reports/./secret',
  '/reports//secret',
  '//reports/secret',
  '/reports/%2fsecret',
  '/reports%2fsecret',
  '/reports/secre%74',
  '/reports/%73ecret',
  '/reports/%2573ecret',
  '/reports/SECRET/../secret',
  '/reports/secret/',
  '/reports/secret.',
  '/reports/secret%20',
  '/reports/secret;x=may',
  '/reports/secret%3bx',
  '/reports/secret#/../may',
  '/reports/may#/../secret',
  '/anybody#/../reports/secret',
  '/anybody?/../reports/secret#x',
  '/anybody/../reports/secret',
  '/anybody%2f..%2freports%2fsecret',
  '/anybody/%2e%2e%2freports/secret',
  `/reports/secret${NUL}`,
  `/reports/secret${NUL}/../may`,
  `/anybody${NUL}/../reports/secret`,
  '/reports/%c0%ae%c0%ae/reports/secret',
  '/reports/%ff/secret',
  '/reports/secret%',
  '/api/v1/auth/../../../reports/secret',
  '/api/v1/me/..%2f..%2f..%2freports/secret',
  '/reports/../api/v1/me',
  '/castellan-forward-auth',
  '/forward-auth/nginx',
  '/forward-auth/caddy',
  'http://app.test/reports/secret',
  'http://app.test/anybody/../reports/secret',
  'http://other.test/anybody',
  'app.test:80',
  '*',
];

const headers: [string, string[]][] = [
  ['/reports/secret', ['X-Original-URL: http://app.test/anybody', 'X-Original-Method: GET']],
  ['/reports/secret', ['X-Forwarded-Uri: /anybody', 'X-Forwarded-Method: GET', 'X-Forwarded-Host: app.test']],
  ['/reports/secret', ['X-Original-Uri: /anybody', 'X-Original-Host: app.test', 'X-Rewrite-URL: /anybody']],
  ['/reports/secret', ['Connection: X-Original-URL, X-Forwarded-Uri, X-Original-Uri, X-Forwarded-Host']],
  ['/anybody', ['X-Original-URL: /reports/secret', 'X-Rewrite-URL: /reports/secret']],
  ['/reports/may', ['X-HTTP-Method-Override: PUT']],
  ['/reports/may', ['X-Method-Override: PUT']],
  ['/reports/secret', ['Host: app.test', 'Host: evil.test']],
  ['/reports/may', ['Host: evil.test', 'Host: app.test']],
  ['/reports/may', ['Host: evil.test']],
  ['/reports/may', ['Host: app.test, evil.test']],
  ['/reports/may', ['Host: app.test@evil.test']],
  ['/reports/may', ['Host: app.test/anybody#']],
  ['/reports/secret', ['Host: app.test/anybody?']],
  ['http://evil.test/reports/may', ['Host: app.test']],
  ['http://app.test/reports/may', ['Host: evil.test']],
];

/**
 * Sends each: it is refused, or the application saw what may be read, at this host, by this method. Both are to be found
 * among them, or nothing was tried.
 */
export async function tryAttacks(site: Site, proxy: string, host: string): Promise<void> {
  const bearer = `Authorization: Bearer ${site.user.client.token}`;
  const attacks: Ask[] = [
    ...targets.map((target) => ({ target, headers: [bearer] })),
    ...headers.map(([target, more]) => ({ target, headers: [bearer, ...more] })),
  ];
  for (const attack of attacks) {
    const named = JSON.parse(JSON.stringify(attack).replaceAll('app.test', host)) as Ask;
    const { status, seen, answer } = await ask(site, proxy, host, named);
    const said = `${named.target} ${named.headers?.slice(1)} -> ${status} ${seen?.url ?? answer.slice(-300)}`;
    if (!seen) {
      assert.ok(status === 0 || status >= 400, said);
      continue;
    }
    const read = laxly(seen.url);
    assert.ok(/^\/(reports\/(may|secret[^/]+)|anybody)$/.test(read) && !secret.includes(read), said);
    assert.equal(seen.method, 'GET', said);
    assert.equal(seen.headers['host'], host, said);
    for (const [name, value] of Object.entries(seen.headers))
      assert.ok(!/^x-(original|rewrite)|method/.test(name) && !/evil/.test(value), `${said}: ${name}`);
    if (host !== PROXIED_HOST) assert.equal(seen.headers['x-forwarded-uri'], undefined, said);
  }
}
