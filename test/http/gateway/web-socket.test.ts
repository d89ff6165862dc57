/** Connections that become WebSockets: decided when they are opened, and closed when what allowed them ends. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { claimsOf } from '../../claims.ts';
import { type Client, eventually, startGateway, type TestGateway } from '../../harness.ts';
import { addRole, addRule, fresh, ok, person, rulesPath, sessionOf, typesPath } from '../admin/staff.ts';
import { addRoutes, statusOf } from './upstream.ts';

describe('a WebSocket', () => {
  let gateway: TestGateway;
  let root: Client;
  let echo: ReturnType<typeof createServer>;
  let seen: string[][];
  const channel = fresh('channel');
  const ruleId = fresh('join');

  before(async () => {
    gateway = await startGateway();
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    seen = [];
    // What goes through afterwards is bytes to the gateway.
    echo = createServer((_req, res) => res.end()).on('upgrade', (req, socket) => {
      seen.push(req.rawHeaders);
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      socket.pipe(socket);
      socket.on('error', () => {});
    });
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
    const { port } = echo.address() as AddressInfo;
    ok(await root.post(typesPath, { type: channel, actions: ['join'], attributes: {} }), 201);
    await addRule(root, { id: ruleId, role: 'authenticated', action: 'join', subject: channel });
    const targets = [`http://127.0.0.1:${port}`];
    const upstream = { targets, webSocket: true, origins: ['https://app.example.com'] };
    const about = { resource: channel, action: 'join', resourceId: `$\{path.id}` };
    await addRoutes(root, [
      { id: 'channel', path: '/channels/:id', ...about, upstream },
      { id: 'plain', path: '/plain/:id', ...about, upstream: targets[0] },
      {
        id: 'gone',
        path: '/gone',
        public: true,
        upstream: { targets: ['http://127.0.0.1:9'], webSocket: true },
      },
    ]);
  });
  after(async () => {
    await gateway.close();
    echo.closeAllConnections();
    echo.close();
  });

  async function open(
    path: string,
    headers: string[],
    upgrade = 'websocket',
  ): Promise<{ socket: Socket; answer: string }> {
    const { hostname, port } = new URL(gateway.url);
    const socket = connect(Number(port), hostname).setEncoding('latin1');
    const lines = [
      `GET ${path} HTTP/1.1`,
      'Host: app.test',
      'Connection: Upgrade',
      `Upgrade: ${upgrade}`,
      ...headers,
    ];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    const [answer] = await once(socket, 'data');
    socket.on('error', () => {});
    return { socket, answer };
  }
  const bearer = ({ token }: Client) => `Authorization: Bearer ${token}`;

  async function opened(client: Client): Promise<Socket> {
    const { socket, answer } = await open('/channels/1', [bearer(client)]);
    assert.equal(statusOf(answer), 101, answer);
    socket.write('hello');
    const [echoed] = await once(socket, 'data');
    assert.equal(echoed, 'hello');
    return socket;
  }

  it('is opened where a rule allows it, and carries bytes both ways; the upstream knows who it is', async () => {
    const { client, id } = await person(gateway);
    const socket = await opened(client);
    const headers = seen.at(-1) ?? [];
    const { sub } = claimsOf(headers[headers.indexOf('castellan-assertion') + 1]);
    assert.equal(sub, `user:${id}`);
    assert.ok(!headers.some((value) => value.includes(String(client.token))));
    socket.destroy();
  });

  it('is refused to nobody, and on routes that take none', async () => {
    const { client } = await person(gateway);
    const refused = async (path: string, headers: string[], status: number) => {
      const { answer, socket } = await open(path, headers);
      assert.equal(statusOf(answer), status, answer);
      if (!socket.closed) await once(socket, 'close');
    };
    await refused('/channels/1', [], 401);
    await refused('/plain/1', [bearer(client)], 400);
    await refused('/nothing', [bearer(client)], 404);
    await refused('/channels/..%2f1', [bearer(client)], 400);
    await refused('/gone', [], 502);
  });

  it('has one line of the log, refused or not: with its connection nothing of what was tried goes', async () => {
    const { client } = await person(gateway);
    for (const [path, status, level] of [
      ['/channels/one', 101, 30],
      ['/plain/one', 400, 30],
      ['/gone', 502, 50],
      ['/not-there', 404, 30],
    ] as const) {
      const reqId = `upgrade-${status}`;
      const { socket } = await open(path, [bearer(client), `X-Request-Id: ${reqId}`]);
      const lines = () =>
        gateway
          .logged()
          .split('\n')
          .filter((line) => line.includes(`"reqId":"${reqId}"`) && line.includes(`"status":${status}`))
          .map((line) => JSON.parse(line));
      await eventually(path, () => lines().length > 0);
      if (!socket.destroy().closed) await once(socket, 'close');
      assert.deepEqual(
        lines().map((line) => [line.level, line.path ?? line.req.path]),
        [[level, path]],
      );
    }
  });

  it('h2c upgrade: what else a client would become is ignored, for a route as for the gateway itself', async () => {
    const { client } = await person(gateway);
    for (const path of ['/channels/1', '/plain/1', '/readyz', '/api/v1/me']) {
      const close = 'Connection: Upgrade, HTTP2-Settings, close';
      const { answer, socket } = await open(path, [bearer(client), close], 'h2c');
      assert.equal(statusOf(answer), 200, `${path}: ${answer}`);
      assert.doesNotMatch(answer, /upgrade/i);
      socket.destroy();
    }
  });

  it('cross-site WebSocket hijacking: it is opened from the same origin or one that the route names alone', async () => {
    const { client } = await person(gateway);
    const cookie = `Cookie: castellan=${client.token}`;
    for (const [origin, status] of [
      ['http://app.test', 101],
      ['https://app.example.com', 101],
      ['https://evil.test', 403],
      ['null', 403],
    ] as const) {
      const { answer, socket } = await open('/channels/1', [cookie, `Origin: ${origin}`]);
      assert.equal(statusOf(answer), status, origin);
      socket.destroy();
    }
  });

  it('stale authority (CVE-2021-41230): it is closed when its session ends, its role goes or its rule does', async () => {
    const closed = async (socket: Socket, change: () => Promise<unknown>) => {
      const gone = once(socket, 'close');
      await change();
      await gone;
    };
    const somebody = await person(gateway);
    const staying = await opened(await sessionOf(gateway, somebody.id));
    await closed(await opened(somebody.client), () => somebody.client.post('/api/v1/auth/logout'));
    await closed(staying, () => root.delete(`/api/v1/admin/users/${somebody.id}`));
    const role = await addRole(root);
    await addRule(root, { role, action: 'join', subject: channel });
    ok(await root.delete(`${rulesPath}/${ruleId}`), 204);
    const member = await person(gateway, { roles: [role] });
    await closed(await opened(member.client), () =>
      root.delete(`/api/v1/admin/users/${member.id}/roles/${role}`),
    );
    await addRule(root, { id: ruleId, role: 'authenticated', action: 'join', subject: channel });
    await closed(await opened(member.client), () => root.delete(`${rulesPath}/${ruleId}`));
    await eventually('none is kept', () => gateway.services.upgrades.size === 0);
    await addRule(root, { id: ruleId, role: 'authenticated', action: 'join', subject: channel });
  });
});
