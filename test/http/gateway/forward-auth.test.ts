/** Forward-auth: what each proxy asks, what it is told, and who is believed. */
import assert from 'node:assert/strict';
import { anonymousClient, type Client, startGateway, type TestGateway } from '../../harness.ts';
import { addRule, assertProblem, fresh, ok, person, told, typesPath } from '../admin/staff.ts';
import { addRoutes } from './upstream.ts';

/** How each proxy writes a request, as its documentation says. */
const asks: Record<
  string,
  (method: string, target: string) => { path: string; headers: Record<string, string> }
> = {
  nginx: (method, target) => ({
    path: '/forward-auth/nginx',
    headers: { 'x-original-url': `http://app.test${target}`, 'x-original-method': method },
  }),
  traefik: (method, target) => ({
    path: '/forward-auth/traefik',
    headers: {
      'x-forwarded-method': method,
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'app.test',
      'x-forwarded-uri': target,
      'x-forwarded-for': '203.0.113.9',
    },
  }),
  caddy: (method, target) => ({
    path: '/forward-auth/caddy',
    headers: {
      'x-forwarded-method': method,
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'app.test',
      'x-forwarded-uri': target,
    },
  }),
  haproxy: (method, target) => ({
    path: '/forward-auth/haproxy',
    headers: {
      'x-original-method': method,
      'x-original-host': 'app.test',
      'x-original-uri': target,
      'x-original-proto': 'http',
    },
  }),
  envoy: (_method, target) => ({
    path: `/forward-auth/envoy${target}`,
    headers: { host: 'app.test', 'x-forwarded-proto': 'http' },
  }),
};

const identity = ['castellan-assertion', 'castellan-principal', 'castellan-roles', 'castellan-email'];

describe('forward-auth', () => {
  let gateway: TestGateway;
  let root: Client;
  let user: { id: string; email: string; client: Client };
  const report = fresh('report');

  before(async () => {
    gateway = await startGateway({ env: { TRUSTED_PROXIES: '127.0.0.1' } });
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    user = await person(gateway);
    ok(
      await root.post(typesPath, {
        type: report,
        actions: ['read', 'update'],
        attributes: { id: { type: 'string' }, size: { type: 'integer' } },
      }),
      201,
    );
    await addRule(root, {
      role: 'authenticated',
      action: ['read', 'update'],
      subject: report,
      conditions: { id: { $ne: 'secret' } },
    });
    const about = { host: 'app.test', resource: report, action: 'read', resourceId: `$\{path.id}` };
    await addRoutes(root, [
      { id: 'reports', path: '/reports/:id', headers: ['principal', 'roles', 'email'], ...about },
      { id: 'change', path: '/reports/:id', methods: ['PUT'], ...about, action: 'update' },
      {
        id: 'by-body',
        path: '/sized/:id',
        methods: ['POST'],
        ...about,
        action: 'update',
        attributes: { size: `$\{body/size}` },
      },
      { id: 'anybody', host: 'app.test', path: '/anybody', public: true },
    ]);
  });
  after(() => gateway.close());

  for (const [proxy, ask] of Object.entries(asks)) {
    const denied = (status: number) => (proxy === 'nginx' && status !== 401 ? 403 : status);
    describe(proxy, () => {
      const get = (client: Client, target: string, more: Record<string, string> = {}) => {
        const { path, headers } = ask('GET', target);
        return client.get(path, { ...headers, ...more });
      };

      it('is answered 200 and who asks where a rule allows it', async () => {
        const answer = await get(user.client, '/reports/may?x=1');
        assert.equal(answer.status, 200);
        assert.equal(answer.headers.get('castellan-principal'), `user:${user.id}`);
        assert.equal(answer.headers.get('castellan-email'), user.email);
        assert.match(answer.headers.get('castellan-assertion') ?? '', /^ey/);
      });

      it('is answered 401 for nobody, 403 where no rule allows it, and a refusal where there is no route', async () => {
        assert.equal((await get(anonymousClient(gateway), '/reports/may')).status, 401);
        assert.equal((await get(user.client, '/reports/secret')).status, 403);
        assert.equal((await get(user.client, '/nothing')).status, denied(404));
        assert.equal((await get(user.client, '/reports/..%2fsecret')).status, denied(400));
      });

      it('missing identity header (CVE-2026-30851): each is on every answer, empty where there is nothing to say', async () => {
        for (const answer of [
          await get(anonymousClient(gateway), '/anybody'),
          await get(anonymousClient(gateway), '/reports/may'),
          await get(user.client, '/nothing'),
        ])
          for (const name of identity.slice(1)) assert.equal(answer.headers.get(name), '', name);
      });
    });
  }

  it('forwarded-URI spoof (CVE-2026-40575): the headers of other contracts and the query string are nothing', async () => {
    const spoof = {
      'x-forwarded-uri': '/anybody',
      'x-forwarded-host': 'app.test',
      'x-forwarded-method': 'GET',
      'x-original-uri': '/anybody',
      'x-rewrite-url': '/anybody',
    };
    const { path, headers } = asks['nginx']?.('GET', '/reports/may') ?? { path: '', headers: {} };
    assert.equal(
      (await anonymousClient(gateway).get(`${path}?rd=/anybody`, { ...spoof, ...headers })).status,
      401,
    );
    const caddy = asks['caddy']?.('GET', '/reports/may') ?? { path: '', headers: {} };
    const other = { 'x-original-url': 'http://app.test/anybody', 'x-original-method': 'GET' };
    assert.equal(
      (await anonymousClient(gateway).get(caddy.path, { ...caddy.headers, ...other })).status,
      401,
    );
  });

  it('forwarded-URI spoof (CVE-2026-40575): nobody but a trusted proxy is answered', async () => {
    const stranger = await startGateway({ databaseUrl: gateway.databaseUrl });
    const client = new (user.client.constructor as typeof Client)(stranger.url, user.client.token);
    for (const ask of Object.values(asks)) {
      const { path, headers } = ask('GET', '/reports/may');
      const answer = await client.get(path, headers);
      assertProblem(answer, 403, 'untrusted_proxy');
      for (const name of identity) assert.equal(answer.headers.get(name), '');
    }
    await stranger.close();
  });

  it('forwarded-proto trust (GHSA-vhr5-ggp3-qq85): the cookie of a plain connection is none over TLS', async () => {
    const { path, headers } = asks['traefik']?.('GET', '/reports/may') ?? { path: '', headers: {} };
    const cookie = `castellan=${user.client.token}`;
    const client = anonymousClient(gateway);
    assert.equal((await client.get(path, { ...headers, cookie })).status, 200);
    assert.equal((await client.get(path, { ...headers, cookie, 'x-forwarded-proto': 'https' })).status, 401);
    const twice = await client.get(path, { ...headers, cookie, 'x-forwarded-proto': 'http, https' });
    assert.equal(twice.status, 400);
  });

  it('cross-site request: a change by cookie from another origin is refused, by the method that the client used', async () => {
    const { path, headers } = asks['nginx']?.('PUT', '/reports/may') ?? { path: '', headers: {} };
    const cookie = `castellan=${user.client.token}`;
    const client = anonymousClient(gateway);
    assert.equal((await client.get(path, { ...headers, cookie, origin: 'http://app.test' })).status, 200);
    const evil = await client.get(path, { ...headers, cookie, origin: 'http://evil.test' });
    assertProblem(evil, 403, 'cross_site_request');
    const get = asks['nginx']?.('GET', '/reports/may') ?? { path: '', headers: {} };
    for (const name of ['upgrade', 'sec-websocket-version']) {
      const socket = { ...get.headers, cookie, origin: 'http://evil.test', [name]: 'websocket' };
      assertProblem(await client.get(get.path, socket), 403, 'cross_site_request');
    }
  });

  it('identity in the body (CVE-2025-61928): a route that reads the body is refused, since a proxy does not send it', async () => {
    const { path, headers } = asks['nginx']?.('POST', '/sized/may') ?? { path: '', headers: {} };
    assertProblem(await user.client.get(path, headers), 403, 'access_denied');
  });

  it('is at its path in one spelling, so that a proxy can keep clients away from it', async () => {
    const { path, headers } = asks['caddy']?.('GET', '/reports/may') ?? { path: '', headers: {} };
    assert.equal((await user.client.get(path, headers)).status, 200);
    for (const other of [path.toUpperCase(), path.replace('caddy', 'Caddy'), path.replace('-', '%2d')])
      assert.equal((await user.client.get(other, headers)).status, 404, other);
  });

  it('answers only the proxies that FORWARD_AUTH names; at the others nothing is there, and all know nothing of it', async () => {
    const env = { TRUSTED_PROXIES: '127.0.0.1', FORWARD_AUTH: 'nginx' };
    const narrow = await startGateway({ databaseUrl: gateway.databaseUrl, env });
    const none = await startGateway({ databaseUrl: gateway.databaseUrl, env: { ...env, FORWARD_AUTH: '' } });
    const unknown = await anonymousClient(narrow).get('/forward-auth/varnish');
    assertProblem(unknown, 404, 'not_found');
    for (const [name, ask] of Object.entries(asks)) {
      const { path, headers } = ask('GET', '/reports/may');
      for (const at of [narrow, none]) {
        const client = new (user.client.constructor as typeof Client)(at.url, user.client.token);
        const answer = await client.get(path, headers);
        assert.equal(answer.status, name === 'nginx' && at === narrow ? 200 : 404, name);
        if (answer.status !== 404) continue;
        const said = JSON.stringify(told(answer)).replace(path, '/forward-auth/varnish');
        assert.deepEqual(JSON.parse(said), told(unknown));
        assert.deepEqual([...answer.headers.keys()], [...unknown.headers.keys()]);
      }
    }
    await Promise.all([narrow.close(), none.close()]);
  });

  it('says which header is missing or there twice', async () => {
    assertProblem(
      await user.client.get('/forward-auth/traefik'),
      400,
      'invalid_request',
      '/headers/X-Forwarded-Method',
    );
    const { headers = {} } = asks['nginx']?.('GET', '/reports/may') ?? {};
    const twice = { ...headers, 'x-original-url': 'http://app.test' };
    assert.equal((await user.client.get('/forward-auth/nginx', twice)).status, 403);
  });
});
