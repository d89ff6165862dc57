/** Castellan as reverse proxy behind the real nginx and Caddy, by docs/proxies/in-front. */
import assert from 'node:assert/strict';
import { withClaims } from '../../claims.ts';
import { tryAttacks } from './attacks.ts';
import { ask, openSite, PROXIED_HOST, type Site } from './site.ts';
import { type StartedProxy, startProxy } from './start-proxy.ts';

const files = { nginx: 'in-front/nginx.conf', caddy: 'in-front/Caddyfile' } as const;

describe('Castellan behind a real proxy', () => {
  let site: Site;
  before(async () => {
    site = await openSite();
  });
  after(() => site.close());

  for (const kind of ['nginx', 'caddy'] as const)
    describe(`${kind}, by docs/proxies/${files[kind]}`, () => {
      let proxy: StartedProxy;
      before(async function () {
        const started = await startProxy(kind, { file: files[kind], castellan: site.gateway.url });
        if (!started) return this.skip(); // not installed
        proxy = started;
      });
      after(() => proxy?.stop());

      it('tells the upstream who asks and from where, whatever the client says of it', async () => {
        const bearer = `Authorization: Bearer ${site.user.client.token}`;
        const forged = [
          'Castellan-Principal: evil',
          'castellan_principal: evil',
          'X-Forwarded-For: 203.0.113.66',
          'X-Forwarded-Proto: https',
        ];
        const target = '/reports/may?x=1';
        const { seen } = await ask(site, proxy.url, PROXIED_HOST, { target, headers: [bearer, ...forged] });
        assert.equal(seen?.url, target);
        assert.equal(seen?.headers['castellan-principal'], `user:${site.user.id}`);
        assert.equal(seen?.headers['x-forwarded-for'], '127.0.0.1');
        assert.equal(seen?.headers['x-forwarded-proto'], 'http');
        assert.doesNotMatch(withClaims(JSON.stringify(seen?.rawHeaders)), /evil/);
      });

      it('forwarded-URI spoof (CVE-2026-40575): a client does not get to the endpoints of proxies through a trusted one', async () => {
        const headers = [
          `Authorization: Bearer ${site.user.client.token}`,
          'X-Forwarded-Method: GET',
          'X-Forwarded-Uri: /reports/may',
          'X-Original-Method: GET',
          `X-Original-URL: http://${PROXIED_HOST}/reports/may`,
          'X-Original-Uri: /reports/may',
          `X-Original-Host: ${PROXIED_HOST}`,
          'X-Original-Proto: http',
        ];
        for (const target of [
          '/forward-auth/nginx',
          '/forward-auth/traefik',
          '/forward-auth/caddy',
          '/forward-auth/haproxy?x',
          '/forward-auth/envoy/reports/may',
          '/FORWARD-AUTH/caddy',
          '/forward-auth%2fcaddy',
          '/forward%2dauth/caddy',
          '//forward-auth/caddy',
          '/./forward-auth/caddy',
          '/x/../forward-auth/caddy',
          '/api/v1/auth/../../../forward-auth/caddy',
          `http://${PROXIED_HOST}/forward-auth/caddy`,
        ]) {
          const { status, answer } = await ask(site, proxy.url, PROXIED_HOST, { target, headers });
          assert.ok(status >= 400, `${target} ${status}`);
          assert.doesNotMatch(answer, /^castellan-assertion: e/im, target);
        }
      });

      it('raw requests: each is refused, or the upstream sees what was decided on', async () => {
        await tryAttacks(site, proxy.url, PROXIED_HOST);
      });
    });
});
