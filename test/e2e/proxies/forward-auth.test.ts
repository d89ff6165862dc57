/** docs/proxies as it is written there, run by the real nginx, Caddy and HAProxy: who passes, as whom, and what was tried to get round them. */
import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { withClaims } from '../../claims.ts';
import { rawRequest, sendRaw, statusOf } from '../../http/gateway/upstream.ts';
import { freePort } from '../../redis-server.ts';
import { tryAttacks } from './attacks.ts';
import { ASKED_HOST, type Ask, ask, openSite, type Site } from './site.ts';
import { type ProxyKind, type StartedProxy, startProxy } from './start-proxy.ts';

const files: Record<ProxyKind, string> = { nginx: 'nginx.conf', caddy: 'Caddyfile', haproxy: 'haproxy.cfg' };

describe('forward-auth behind a real proxy', () => {
  let site: Site;
  let bearer: string;
  let cookie: string;
  const upgrades: (string | undefined)[] = [];
  // HAProxy tries for three seconds: asked first, and looked at last.
  const unasked = new Map<ProxyKind, Promise<string[]>>();
  before(async () => {
    site = await openSite();
    bearer = `Authorization: Bearer ${site.user.client.token}`;
    cookie = `castellan=${site.user.client.token}`;
    for (const [kind, file] of Object.entries(files) as [ProxyKind, string][]) {
      const answers = askWithoutCastellan(kind, file);
      answers.catch(() => {}); // the test that waits for it tells
      unasked.set(kind, answers);
    }
    site.upstream.server.on('upgrade', (req, socket: Duplex) => {
      upgrades.push(req.headers.upgrade);
      // The answer to the key below, which HAProxy looks at (RFC 6455, 1.3).
      const lines = [
        'Upgrade: websocket',
        'Connection: Upgrade',
        'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
      ];
      socket.end(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`);
    });
  });
  after(() => site.close());

  for (const [kind, file] of Object.entries(files) as [ProxyKind, string][])
    describe(`${kind}, by docs/proxies/${file}`, () => {
      let proxy: StartedProxy;
      before(async function () {
        const started = await startProxy(kind, { file, castellan: site.gateway.url, app: site.upstream.url });
        if (!started) return this.skip(); // not installed
        proxy = started;
      });
      after(() => proxy?.stop());
      const send = (asked: Ask) => ask(site, proxy.url, ASKED_HOST, asked);

      it('lets through who may, as sent, and tells the application by an assertion and plain headers who asks', async () => {
        const body = 'a=1&b=%20';
        const { status, seen } = await send({
          target: '/reports/may?x=%2f&x=2',
          method: 'PUT',
          headers: [bearer, `Content-Length: ${body.length}`, 'If-Match: "1"'],
          body,
        });
        assert.equal(status, 200);
        assert.ok(seen);
        assert.deepEqual([seen.method, seen.url, seen.body], ['PUT', '/reports/may?x=%2f&x=2', body]);
        assert.equal(seen.headers['if-match'], '"1"');
        const keys = createRemoteJWKSet(new URL(`${site.gateway.url}/.well-known/jwks.json`));
        const { payload } = await jwtVerify(seen.headers['castellan-assertion'] ?? '', keys, {
          audience: 'route:change-asked',
          typ: 'castellan-assertion+jwt',
        });
        assert.equal(payload.sub, `user:${site.user.id}`);
        const read = (await send({ target: '/reports/may', headers: [bearer] })).seen;
        assert.equal(read?.headers['castellan-principal'], `user:${site.user.id}`);
        assert.equal(read?.headers['castellan-roles'], 'user');
        assert.equal(read?.headers['castellan-email'], site.user.email);
      });

      it('answers 401 to nobody and 403 where no rule allows it, and the application sees neither', async () => {
        const nobody = await send({ target: '/reports/may' });
        assert.equal(nobody.status, 401);
        assert.match(nobody.answer, /^www-authenticate: bearer/im);
        const denied = await send({ target: '/reports/secret', headers: [bearer] });
        assert.equal(denied.status, 403);
        for (const { seen, answer } of [nobody, denied]) {
          assert.equal(seen, undefined);
          assert.match(answer, /^content-type: application\/problem\+json/im);
          assert.match(answer, /^cache-control: no-store/im);
        }
        const missing = await send({ target: '/nothing', headers: [bearer] });
        assert.equal(missing.status, kind === 'nginx' ? 403 : 404);
        assert.equal(missing.seen, undefined);
      });

      it('missing identity header, underscore headers (CVE-2026-30851, CVE-2025-64484): what a client says of itself is gone', async () => {
        const names = ['assertion', 'principal', 'roles', 'email', 'other'];
        const forged = names.flatMap((name) => [
          `Castellan-${name}: evil`,
          `CASTELLAN-${name.toUpperCase()}: evil`,
          `castellan_${name}: evil`,
          `Castellan_${name}: evil`,
        ]);
        const own = names
          .slice(0, 4)
          .flatMap((name) => forged.filter((line) => line.toLowerCase().includes(name)));
        const { seen } = await send({ target: '/anybody', headers: own });
        assert.ok(seen);
        assert.equal(seen.headers['castellan-principal'] ?? '', '');
        assert.doesNotMatch(withClaims(JSON.stringify(seen.rawHeaders)), /evil/);
        const known = await send({ target: '/reports/may', headers: [bearer, ...own] });
        assert.doesNotMatch(withClaims(JSON.stringify(known.seen?.rawHeaders)), /evil/);
        assert.equal(known.seen?.headers['castellan-principal'], `user:${site.user.id}`);
      });

      it('hop-by-hop stripping (CVE-2024-45410): what is named in Connection is still told', async () => {
        const named = 'Connection: close, Castellan-Principal, Castellan-Assertion, X-Forwarded-For, Host';
        const { seen } = await send({ target: '/reports/may', headers: [bearer, named] });
        assert.equal(seen?.headers['castellan-principal'], `user:${site.user.id}`);
        assert.match(seen?.headers['castellan-assertion'] ?? '', /^ey/);
        assert.equal(seen?.headers['x-forwarded-for'], '127.0.0.1');
        assert.doesNotMatch(seen?.headers['connection'] ?? '', /castellan/i);
      });

      it('does not hand on what identified the client, but other cookies and tokens', async () => {
        const cookies = `Cookie: a=1; ${cookie}; __Host-castellan=x; not-castellan=2`;
        const { seen } = await send({ target: '/reports/may', headers: [cookies] });
        assert.equal(seen?.headers['cookie'], 'a=1; not-castellan=2');
        assert.equal(
          (await send({ target: '/reports/may', headers: [bearer] })).seen?.headers['authorization'],
          undefined,
        );
        const other = (await send({ target: '/anybody', headers: ['Authorization: Basic dTpw'] })).seen;
        assert.equal(other?.headers['authorization'], 'Basic dTpw');
      });

      it('forwarded-proto trust (GHSA-vhr5-ggp3-qq85): scheme and address are those of the connection', async () => {
        const forged = [
          'X-Forwarded-Proto: https',
          'X-Forwarded-For: 203.0.113.66',
          'X-Real-IP: evil',
          'Forwarded: for=203.0.113.66;proto=https;host=evil.test',
        ];
        const secure = `Cookie: __Host-${cookie}`;
        assert.equal((await send({ target: '/reports/may', headers: [secure, ...forged] })).status, 401);
        const { seen } = await send({ target: '/anybody', headers: forged });
        assert.equal(seen?.headers['x-forwarded-proto'], 'http');
        assert.equal(seen?.headers['x-forwarded-for'], '127.0.0.1');
        assert.equal(seen?.headers['forwarded'], undefined);
      });

      it('cross-site request: neither a change nor a WebSocket by cookie from another origin; nor h2c for anybody', async () => {
        const evil = [`Cookie: ${cookie}`, 'Origin: http://evil.test'];
        const change = await send({ target: '/reports/may', method: 'PUT', headers: evil });
        assert.equal(change.status, 403);
        assert.equal(change.seen, undefined);
        const own = [`Cookie: ${cookie}`, `Origin: http://${ASKED_HOST}`];
        assert.equal((await send({ target: '/reports/may', method: 'PUT', headers: own })).status, 200);
        const socket = [
          'Upgrade: websocket',
          'Sec-WebSocket-Version: 13',
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        ];
        const open = (headers: string[]) => upgrade(proxy.url, [...socket, ...headers]);
        assert.match(await open(evil), /^HTTP\/1\.1 403/);
        assert.match(await open(own), /^HTTP\/1\.1 101/);
        const h2c = ['Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA', bearer];
        assert.match(await upgrade(proxy.url, h2c), /^HTTP\/1\.1 200/);
        assert.equal(site.upstream.seen.at(-1)?.headers['upgrade'], undefined);
        await open([...own, 'Upgrade: h2c']);
        assert.ok(
          upgrades.every((to) => to === 'websocket'),
          String(upgrades),
        );
      });

      it('has the log-in and the own account of Castellan at the same host, and nothing else of it', async () => {
        const me = await send({ target: '/api/v1/me', headers: [bearer] });
        assert.equal(me.status, 200);
        assert.match(me.answer, /"email"/);
        assert.equal(me.seen, undefined);
        for (const target of ['/api/v1/admin/rules', '/metrics', '/api/v1/meow', '/forward-auth/nginx'])
          assert.ok((await send({ target, headers: [bearer] })).status >= 400, target);
      });

      it('host case, stale authority (CVE-2026-48794, CVE-2021-41230): an application is asked for by one name', async () => {
        // A server of another name would be chosen by the target, and the route by Host.
        const other = await send({ target: 'http://other.test/anybody' });
        assert.ok(other.status >= 400 && !other.seen, `${other.status}`);
        const same = await send({ target: '/anybody', headers: [`Host: ${ASKED_HOST.toUpperCase()}:80`] });
        assert.equal(same.status, 200);
      });

      it('raw requests: each is refused, or the application sees what was decided on', async () => {
        await tryAttacks(site, proxy.url, ASKED_HOST);
      });

      it('lets nobody through while Castellan cannot be asked', async () => {
        const answers = (await unasked.get(kind)) ?? [];
        assert.equal(answers.length, 2);
        for (const answer of answers) assert.ok(statusOf(answer) >= 500, answer);
        assert.ok(!site.upstream.seen.some(({ url }) => url.includes('unasked')));
      });
    });

  async function askWithoutCastellan(kind: ProxyKind, file: string): Promise<string[]> {
    const castellan = `http://127.0.0.1:${await freePort()}`;
    const lost = await startProxy(kind, { file, castellan, app: site.upstream.url });
    if (!lost) return [];
    const headers = [`Host: ${ASKED_HOST}`, bearer];
    const targets = ['/reports/unasked', '/anybody?unasked'];
    const answers = targets.map((target) => sendRaw(lost.url, rawRequest(target, { headers })));
    return Promise.all(answers).finally(() => lost.stop());
  }

  /** On a connection that is to become another one: rawRequest would close it. */
  function upgrade(proxy: string, headers: string[]): Promise<string> {
    return ask(site, proxy, ASKED_HOST, {
      target: '/reports/may',
      headers: [...headers, 'Connection: Upgrade, HTTP2-Settings'],
    }).then(({ answer }) => answer);
  }
});
