/** Requests and answers that Node's own classes throw at, and connections that end at the wrong moment: nobody else is harmed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { type Client, eventually, startGateway, type TestGateway } from '../../harness.ts';
import { addRule, fresh, ok, person, rulesPath, typesPath } from '../admin/staff.ts';
import { addRoutes, rawRequest, sendRaw, startUpstream, statusOf, type Upstream } from './upstream.ts';

/** What the server behind answers, byte by byte, to a path. */
const answers: Record<string, string> = {
  '/raw/trailer': 'HTTP/1.1 200 OK\r\nTrailer: x-a\r\nContent-Length: 2\r\n\r\nhi',
  '/raw/unchanged': 'HTTP/1.1 304 Not Modified\r\nTrailer: x-a\r\n\r\n',
  '/raw/chunked':
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-a\r\n\r\n2\r\nhi\r\n0\r\nX-A: 1\r\n\r\n',
  '/raw/reason': 'HTTP/1.1 200 O\x01K\r\nContent-Length: 2\r\n\r\nhi',
  '/raw/status': 'HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nhi',
  '/raw/upgraded': 'HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  '/raw/switching': 'HTTP/1.1 101 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi',
  '/raw/coding': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nHTTP/1.1 200 OK\r\n\r\n',
  '/raw/later': 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\n',
  '/raw/silent': '',
  '/raw/kept-1': 'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nhi',
  '/raw/kept-2': 'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2\r\nContent-Length: 2\r\n\r\nhi',
  '/ws/refused': 'HTTP/1.1 200 OK\r\nCastellan-Principal: user:1\r\nContent-Length: 2\r\n\r\nhi',
  '/ws/silent': '',
  '/ws/h2c': 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
  '/ws/nothing': 'HTTP/1.1 101 Switching Protocols\r\n\r\n',
  '/ws/two': 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n',
  '/ws/nonsense': 'WHAT?\r\n\r\n',
  '/ws/chunks': 'HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
  '/ws/taken':
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nCastellan-Roles: admin\r\n\r\n',
};

const upgrade = (path: string, ...headers: string[]) =>
  `${[`GET ${path} HTTP/1.1`, 'Host: app.test', 'Connection: Upgrade', 'Upgrade: websocket', ...headers].join('\r\n')}\r\n\r\n`;

describe('what is no proper request or answer', () => {
  let gateway: TestGateway;
  let upstream: Upstream;
  let raw: Server;
  let root: Client;
  let user: Client;
  let theirs: Socket[];
  const stage = fresh('stage');
  const ruleId = fresh('see');

  before(async () => {
    gateway = await startGateway();
    upstream = await startUpstream();
    theirs = [];
    raw = createServer((socket) => {
      theirs.push(socket.on('error', () => {}));
      socket.on('data', (head) => socket.write(answers[String(head).split(' ')[1] ?? ''] ?? '', 'latin1'));
    }).listen(0, '127.0.0.1');
    await once(raw, 'listening');
    const target = `http://127.0.0.1:${(raw.address() as AddressInfo).port}`;
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    user = (await person(gateway)).client;
    ok(
      await root.post(typesPath, { type: stage, actions: ['see'], attributes: { name: { type: 'string' } } }),
      201,
    );
    await addRule(root, { id: ruleId, role: 'authenticated', action: 'see', subject: stage });
    const about = { resource: stage, action: 'see' };
    await addRoutes(root, [
      { id: 'open', path: '/open/*rest', methods: ['GET', 'POST'], public: true, upstream: upstream.url },
      {
        id: 'raw',
        path: '/raw/*rest',
        public: true,
        upstream: { targets: [target], timeoutMs: 1000, retries: 0 },
      },
      {
        id: 'ws',
        path: '/ws/*rest',
        ...about,
        upstream: { targets: [target], webSocket: true, timeoutMs: 300 },
      },
      {
        id: 'ws-gone',
        path: '/ws-gone',
        ...about,
        upstream: { targets: ['http://127.0.0.1:9'], webSocket: true },
      },
      {
        id: 'named',
        path: '/named',
        ...about,
        attributes: { name: `$\{header.x-stage}` },
        upstream: upstream.url,
      },
    ]);
  });
  after(async () => {
    for (const socket of theirs) socket.destroy();
    raw.close();
    await upstream.close();
    await gateway.close();
  });

  const bearer = () => `Authorization: Bearer ${user.token}`;

  it('Trailer without chunks is dropped, and ends no process', async () => {
    for (const request of [
      rawRequest('/open/x', { headers: ['Trailer: x'] }),
      rawRequest('/open/x', { method: 'POST', headers: ['Trailer: x', 'Content-Length: 2'], body: 'hi' }),
    ])
      assert.equal(statusOf(await sendRaw(gateway.url, request)), 200);
    for (const [path, status] of [
      ['/raw/trailer', 200],
      ['/raw/unchanged', 304],
    ] as const)
      assert.equal(statusOf(await sendRaw(gateway.url, rawRequest(path))), status, path);
    const old = await sendRaw(gateway.url, 'GET /raw/chunked HTTP/1.0\r\nHost: app.test\r\n\r\n');
    assert.match(old, /\r\n\r\nhi$/);
  });

  it('an answer that cannot be passed on is 502: status, reason, coding, a protocol that nobody asked for', async () => {
    for (const path of ['/raw/reason', '/raw/status', '/raw/coding', '/raw/upgraded', '/raw/switching'])
      assert.match(await sendRaw(gateway.url, rawRequest(path)), /^HTTP\/1.1 502 .*"bad_gateway"/s, path);
  });

  it('a request to upgrade behind one that is not answered yet ends its connection and no other', async () => {
    await sendRaw(gateway.url, `GET /raw/silent HTTP/1.1\r\nHost: app.test\r\n\r\n${upgrade('/ws/taken')}`);
    ok(await user.get('/open/x'));
  });

  it('the head of an answer goes on before its body has begun', async () => {
    const { hostname, port } = new URL(gateway.url);
    const socket = connect(Number(port), hostname);
    socket.write(rawRequest('/raw/later'));
    const [head] = await once(socket, 'data');
    assert.match(String(head), /^HTTP\/1.1 200 .*\r\n\r\n$/s);
    socket.destroy();
  });

  it('a connection that its server says it will close is given up before, and no request is lost on it', async () => {
    for (const path of ['/raw/kept-1', '/raw/kept-2']) {
      const count = theirs.length;
      assert.equal(statusOf(await sendRaw(gateway.url, rawRequest(path))), 200);
      const used = theirs[count] ?? theirs.at(-1);
      assert.ok(used);
      if (!used.closed) await once(used, 'close');
    }
  });

  it('a client that goes away with requests in line leaves none of them open behind', async () => {
    const { hostname, port } = new URL(gateway.url);
    const socket = connect(Number(port), hostname);
    const count = theirs.length;
    socket.write('GET /raw/later HTTP/1.1\r\nHost: app.test\r\n\r\n'.repeat(2));
    await eventually('both are asked', () => theirs.length >= count + 2);
    socket.destroy();
    await eventually('both are closed', () => theirs.slice(count).every(({ closed }) => closed));
  });

  it('a health check goes to its target, whatever its path looks like', async () => {
    const healthCheck = { path: '//127.0.0.1:9/up' };
    const route = { id: 'checked', path: '/checked', public: true };
    await addRoutes(root, [{ ...route, upstream: { targets: [upstream.url], healthCheck } }]);
    await eventually('it is asked', () => upstream.seen.some(({ url }) => url === healthCheck.path));
  });

  it('identity in trailers: what only the gateway may say is no trailer', async () => {
    let got: NodeJS.Dict<string> | undefined;
    upstream.server.once('request', (req) =>
      req.once('end', () => {
        got = { ...req.trailers };
      }),
    );
    const body = '2\r\nhi\r\n0\r\nX-Sum: 1\r\nCastellan_Principal: user:1\r\nAuthorization: x\r\n\r\n';
    const headers = ['Transfer-Encoding: chunked', 'Trailer: x-sum'];
    await sendRaw(gateway.url, rawRequest('/open/x', { method: 'POST', headers, body }));
    assert.deepEqual(got, { 'x-sum': '1' });
  });

  it('hop-by-hop stripping (CVE-2024-45410): a header that is decided on cannot be taken away by Connection', async () => {
    const send = (connection: string) =>
      sendRaw(
        gateway.url,
        `GET /named HTTP/1.1\r\nHost: app.test\r\n${bearer()}\r\nX-Stage: a\r\nConnection: ${connection}\r\n\r\n`,
      );
    const count = upstream.seen.length;
    assert.equal(statusOf(await send('close')), 200);
    for (const connection of ['close, x-stage', 'close, X-STAGE'])
      assert.equal(statusOf(await send(connection)), 400, connection);
    assert.equal(upstream.seen.length, count + 1);
  });

  it('cookies beside that of the session pass as they were sent', async () => {
    const cookie = 'a=1; castellan=x; bad name=1; a=2; b="c d"; castellan=y';
    const { headers } = ok(await user.get('/open/x', { cookie })).body;
    assert.equal(headers.cookie, 'a=1; bad name=1; a=2; b="c d"');
  });

  it('a WebSocket is opened without a body, and its answer says nothing that only the gateway may', async () => {
    assert.equal(
      statusOf(await sendRaw(gateway.url, upgrade('/ws/taken', bearer(), 'Content-Length: 9'))),
      400,
    );
    const refused = await sendRaw(gateway.url, upgrade('/ws/refused', bearer()));
    assert.match(refused, /^HTTP\/1.1 200 /);
    assert.doesNotMatch(refused, /castellan-principal/i);
  });

  it('a WebSocket without an answer is told why: 504 where it took too long, 502 where there was none', async () => {
    for (const [path, status, code] of [
      ['/ws/silent', 504, 'upstream_timeout'],
      ['/ws-gone', 502, 'bad_gateway'],
      ['/ws/nonsense', 502, 'bad_gateway'],
    ] as const) {
      const answer = await sendRaw(gateway.url, upgrade(path, bearer()));
      assert.equal(statusOf(answer), status, answer);
      assert.match(answer, /\r\nContent-Type: application\/problem\+json/i);
      const { requestId, ...problem } = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')));
      assert.deepEqual([problem.code, problem.status], [code, status]);
      assert.match(answer, new RegExp(`\r\nX-Request-Id: ${requestId}\r\n`, 'i'));
      assert.match(gateway.logged(), new RegExp(`"id":"${requestId}".*"status":${status}`));
    }
    assert.equal(gateway.services.upgrades.size, 0);
  });

  it('h2c upgrade: an upstream that answers 101 to become something else is 502, and nothing is joined to it', async () => {
    for (const path of ['/ws/h2c', '/ws/nothing', '/ws/two']) {
      const answer = await sendRaw(gateway.url, upgrade(path, bearer()));
      assert.equal(statusOf(answer), 502, path);
      assert.match(answer, /"code":"bad_gateway"/);
      const { closed } = theirs.at(-1) ?? {};
      if (!closed) await once(theirs.at(-1) as Socket, 'close');
    }
  });

  it('an answer to a WebSocket that is none is passed on whole, however it is framed', async () => {
    const answer = await sendRaw(gateway.url, upgrade('/ws/chunks', bearer()));
    assert.match(answer, /^HTTP\/1.1 403 Forbidden\r\n/);
    assert.match(answer, /\r\n\r\n2\r\nhi\r\n0\r\n\r\n$/);
    await eventually('it is kept in sight no more', () => gateway.services.upgrades.size === 0);
  });

  it('a WebSocket that is closed for its client is closed for the server behind, too', async () => {
    const { hostname, port } = new URL(gateway.url);
    const socket = connect(Number(port), hostname).on('error', () => {});
    socket.write(upgrade('/ws/taken', bearer()));
    const [answer] = await once(socket, 'data');
    assert.match(String(answer), /^HTTP\/1.1 101 /);
    assert.doesNotMatch(String(answer), /castellan-roles/i);
    assert.match(gateway.logged(), /"path":"\/ws\/taken","route":"ws","status":101/);
    const last = theirs.at(-1);
    assert.ok(last);
    const gone = once(last, 'close');
    ok(await root.delete(`${rulesPath}/${ruleId}`), 204);
    await gone;
    assert.equal(gateway.services.upgrades.size, 0);
  });
});
