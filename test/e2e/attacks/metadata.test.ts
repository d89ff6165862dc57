/** SSRF: whoever may write routes makes the gateway connect to where only the gateway can (cloud metadata, CWE-918). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { anonymousClient, type Client, eventually, startGateway, type TestGateway } from '../../harness.ts';
import { addRule, assertProblem, fresh, ok, person } from '../../http/admin/staff.ts';
import {
  addRoutes,
  rawRequest,
  routesPath,
  sendRaw,
  startUpstream,
  statusOf,
  type Upstream,
} from '../../http/gateway/upstream.ts';
import { startFronts } from './in-front.ts';

const spellings = [
  ...['http://169.254.169.254', 'https://169.254.169.254', 'http://2852039166', 'http://0xa9fea9fe'],
  ...['http://0251.0376.0251.0376', 'http://[::ffff:169.254.169.254]', 'http://[64:ff9b::a9fe:a9fe]'],
  ...[
    'http://[fe80::1]:8080',
    'http://[fd00:ec2::254]',
    'http://0.0.0.0:8080',
    'http://[::]',
    'http://224.0.0.1',
  ],
];

describe('SSRF to metadata', () => {
  let gateway: TestGateway;
  let root: Client;
  let upstream: Upstream;
  let connections = 0;
  const route = (more: object) => ({ id: fresh('r'), methods: ['GET'], public: true, ...more });

  before(async () => {
    gateway = await startGateway();
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    upstream = await startUpstream();
    upstream.server.on('connection', () => connections++);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  /** Another node on the same policy, whose setting is another one. */
  async function nodeWith<T>(
    hosts: string,
    work: (node: TestGateway, root: Client) => Promise<T>,
  ): Promise<T> {
    const { databaseUrl } = gateway;
    const node = await startGateway({ databaseUrl, env: { UPSTREAM_HOSTS: hosts } });
    try {
      return await work(node, (await person(node, { roles: ['superadmin'] })).client);
    } finally {
      await node.close();
    }
  }

  /** To a node alone, and through the real proxies before it. */
  async function byEveryWay(node: TestGateway, work: (url: string) => Promise<void>): Promise<void> {
    const { all, stop } = await startFronts(node);
    try {
      for (const { url } of [node, ...all]) await work(url);
    } finally {
      await stop();
    }
  }

  it('a route that leads there is refused when it is written, imported or tried, in every spelling', () =>
    byEveryWay(gateway, async (url) => {
      const asked = async (path: string, content: object, pointer: string) => {
        const body = JSON.stringify(content);
        const framing = ['Content-Type: application/json', `Content-Length: ${body.length}`];
        const headers = [`Authorization: Bearer ${root.token}`, ...framing];
        const answer = await sendRaw(url, rawRequest(path, { method: 'POST', headers, body }));
        assert.equal(statusOf(answer), 422, answer);
        assert.match(answer, /"code":"policy_invalid".*UPSTREAM_HOSTS/, answer);
        assert.ok(answer.includes(`"pointer":"${pointer}"`), answer);
      };
      for (const target of spellings)
        await asked(routesPath, route({ path: '/meta', upstream: target }), '/upstream');
      const [target = ''] = spellings;
      const targets = [upstream.url, target];
      await asked(routesPath, route({ path: '/meta', upstream: { targets } }), '/upstream/targets/1');
      const document = { version: 1, routes: [route({ path: '/meta', upstream: target })] };
      for (const query of ['mode=merge', 'mode=merge&dryRun=true'])
        await asked(`/api/v1/admin/policy/import?${query}`, document, '/routes/0/upstream');
    }));

  it('only what UPSTREAM_HOSTS lists is taken, by name, address and port', async () => {
    const { port } = new URL(upstream.url);
    await nodeWith(`*.inner.test,127.0.0.1:${port},[::1]:${port}`, async (node, admin) => {
      for (const target of [
        'http://127.0.0.1:1',
        'http://10.0.0.1',
        'https://2130706433',
        `http://[::2]:${port}`,
      ])
        assertProblem(
          await admin.post(routesPath, route({ path: '/meta', upstream: target })),
          422,
          'policy_invalid',
          '/upstream',
        );
      const outside = await admin.post(routesPath, route({ path: '/meta', upstream: 'http://inner.test:1' }));
      assertProblem(outside, 422, 'policy_invalid', '/upstream');
      await addRoutes(admin, [
        { id: 'listed', path: '/listed', public: true, upstream: upstream.url },
        { id: 'spelt', path: '/spelt', public: true, upstream: `http://0x7f000001:${port}` },
        // Where an address is listed, what a name resolves to decides.
        { id: 'named', path: '/named', public: true, upstream: `http://localhost:${port}` },
      ]);
      await byEveryWay(node, async (url) => {
        for (const path of ['/listed', '/spelt', '/named']) {
          const count = upstream.seen.length;
          assert.equal(statusOf(await sendRaw(url, rawRequest(path))), 200);
          assert.deepEqual(
            upstream.seen.slice(count).map((seen) => seen.url),
            [path],
          );
        }
      });
    });
  });

  it('a route of another setting keeps no node from starting, and nothing is connected to for it', async () => {
    const { port } = new URL(upstream.url);
    const healthCheck = { path: '/up', intervalMs: 500 };
    await addRoutes(root, [
      { id: 'old', path: '/old', public: true, upstream: { targets: [upstream.url], webSocket: true } },
      { id: 'old-name', path: '/old-name', public: true, upstream: `http://localhost:${port}` },
      { id: 'watched', path: '/watched', public: true, upstream: { targets: [upstream.url], healthCheck } },
    ]);
    await eventually('the health check of the first node', () =>
      upstream.seen.some(({ url }) => url === '/up'),
    );
    ok(await root.delete(`${routesPath}/watched`), 204);
    await addRoutes(root, [
      {
        id: 'watched-by-name',
        path: '/watched',
        public: true,
        upstream: { targets: [`http://localhost:9`], healthCheck },
      },
    ]);
    const before = connections;
    await nodeWith('10.0.0.0/8', async (node, admin) => {
      await byEveryWay(node, async (url) => {
        for (const path of ['/old', '/old-name']) {
          const answer = await sendRaw(url, rawRequest(path));
          assert.equal(statusOf(answer), 502);
          assert.match(answer, /"code":"bad_gateway"/);
        }
        assert.equal(await upgradeAt(url, '/old'), 502);
      });
      assert.match(
        node.logged(),
        /nothing is sent to http:\/\/127\.0\.0\.1:\d+ by the route old: .*UPSTREAM_HOSTS/,
      );
      await eventually('the reason', () =>
        /localhost \((127\.0\.0\.1|::1)\) at port \d+ is not among UPSTREAM_HOSTS/.test(node.logged()),
      );
      // Neither a rule nor another route has to mend it first, and a reload goes well.
      await addRule(admin, { role: 'user', action: 'read', subject: 'document' });
      await addRoutes(admin, [{ id: 'inside', path: '/inside', public: true, upstream: 'http://10.0.0.1' }]);
      const changed = await admin.patch(`${routesPath}/old`, { path: '/older' });
      assertProblem(changed, 422, 'policy_invalid', '/upstream/targets/0');
      await addRule(root, { role: 'user', action: 'read', subject: 'document' });
      await node.services.live.refresh();
      assert.equal(node.services.live.health().failure, undefined);
      assertProblem(await anonymousClient(node).get('/old'), 502, 'bad_gateway');
    });
    assert.equal(connections, before);
  });

  async function upgradeAt(url: string, path: string): Promise<number> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname).setEncoding('latin1');
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
    const [answer] = await once(socket, 'data');
    socket.destroy();
    return statusOf(answer);
  }
});
