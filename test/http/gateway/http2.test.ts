/** HTTP/2 where TLS ends at the gateway: the same requests, decided and passed on as those of HTTP/1.1 are. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect as connectTls } from 'node:tls';
import { demoAccounts } from '../../../seeds/demo.ts';
import { type Client, startGateway, type TestGateway } from '../../harness.ts';
import { addRule, fresh, ok, person, typesPath } from '../admin/staff.ts';
import { addRoutes, startUpstream, type Upstream } from './upstream.ts';

const folder = new URL('../../unit/evaluators/remote/tls/', import.meta.url);
const file = (name: string) => new URL(name, folder).pathname;
const ca = readFileSync(file('ca.pem'));

interface Said {
  status: number;
  headers: IncomingHttpHeaders;
  trailers: IncomingHttpHeaders;
  body: string;
}

/** Without the end of its body, which `close` would send first. */
function resetStream(stream: ClientHttp2Stream): void {
  stream.destroy(new Error('reset by the test'));
}

describe('a request of HTTP/2', () => {
  let gateway: TestGateway;
  let upstream: Upstream;
  let special: Upstream;
  let answer: (req: IncomingMessage, res: ServerResponse) => void;
  let session: ClientHttp2Session;
  let user: { id: string; client: Client };

  before(async () => {
    gateway = await startGateway({ env: { TLS_CERT: file('server.pem'), TLS_KEY: file('server.key') } });
    upstream = await startUpstream();
    special = await startUpstream((req, res) => answer(req, res));
    const plain = await startGateway({ databaseUrl: gateway.databaseUrl });
    const root = (await person(plain, { roles: ['superadmin'] })).client;
    user = await person(plain);
    const type = fresh('thing');
    ok(await root.post(typesPath, { type, actions: ['read'], attributes: {} }), 201);
    await addRule(root, {
      role: 'authenticated',
      action: 'read',
      subject: type,
      conditions: { id: { $ne: 'secret' } },
    });
    const about = { resource: type, action: 'read', resourceId: `$\{path.id}` };
    await addRoutes(root, [
      { id: 'thing', path: '/things/:id', methods: ['GET', 'POST'], ...about, upstream: upstream.url },
      { id: 'special', path: '/special', methods: ['GET', 'POST'], public: true, upstream: special.url },
      { id: 'socket', path: '/socket', public: true, upstream: { targets: [special.url], webSocket: true } },
      { id: 'named', path: '/named', host: 'named.test', public: true, upstream: upstream.url },
    ]);
    await plain.close();
    await gateway.services.live.refresh();
    session = connect(gateway.url, { ca });
    await once(session, 'connect');
  });
  after(async () => {
    session.close();
    await gateway.close();
    await upstream.close();
    await special.close();
  });

  async function ask(headers: OutgoingHttpHeaders, body?: string | Buffer): Promise<Said> {
    const stream = session.request(headers, { endStream: body === undefined });
    if (body !== undefined) stream.end(body);
    let trailers: IncomingHttpHeaders = {};
    stream.on('trailers', (given) => {
      trailers = given;
    });
    const [answered] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    return {
      status: Number(answered[':status']),
      headers: answered,
      trailers,
      body: Buffer.concat(chunks).toString(),
    };
  }
  const bearer = () => ({ authorization: `Bearer ${user.client.token}` });

  it('logs in, reads and changes a profile, and gets problems as JSON', async () => {
    const post = (path: string, body: object, headers: OutgoingHttpHeaders = {}) =>
      ask(
        { ':method': 'POST', ':path': path, 'content-type': 'application/json', ...headers },
        JSON.stringify(body),
      );
    const [account] = demoAccounts;
    const { email, password } = account ?? {};
    const login = await post('/api/v1/auth/login', { email, password });
    assert.equal(login.status, 200);
    assert.match(String(login.headers['set-cookie']), /^__Host-castellan=.*Secure/);
    assert.match(String(login.headers['strict-transport-security']), /max-age/);
    const { token } = JSON.parse(login.body);
    const me = await ask({ ':path': '/api/v1/me', authorization: `Bearer ${token}` });
    assert.equal(JSON.parse(me.body).user.email, email);
    const missing = await ask({ ':path': '/api/v1/nothing' });
    assert.equal(missing.headers['content-type'], 'application/problem+json; charset=utf-8');
    assert.equal(JSON.parse(missing.body).status, 404);
    const decision = await post('/access/v1/evaluation', {}, { authorization: `Bearer ${token}` });
    assert.equal(decision.status, 400);
    for (const path of ['/livez', '/docs', '/openapi.json', '/metrics'])
      assert.equal((await ask({ ':path': path })).status, 200, path);
  });

  it('is decided and sent on where a rule allows it; 401, 403 and 404 else', async () => {
    const sent = await ask({
      ':path': '/things/a%20b?x=1',
      ...bearer(),
      cookie: ['a=1', 'b=2'],
      te: 'trailers',
    });
    assert.equal(sent.status, 200, sent.body);
    const seen = upstream.seen.at(-1);
    assert.equal(seen?.url, '/things/a%20b?x=1');
    assert.equal(seen?.headers['host'], new URL(gateway.url).host);
    assert.equal(seen?.headers['x-forwarded-proto'], 'https');
    assert.equal(seen?.headers['cookie'], 'a=1; b=2');
    assert.ok(seen?.headers['castellan-assertion']);
    const names = Object.keys(seen?.headers ?? {});
    assert.deepEqual(
      names.filter((name) => name.startsWith(':') || name === 'te'),
      [],
    );
    assert.equal((await ask({ ':path': '/things/a' })).status, 401);
    assert.equal((await ask({ ':path': '/things/secret', ...bearer() })).status, 403);
    assert.equal((await ask({ ':path': '/elsewhere', ...bearer() })).status, 404);
  });

  it('takes its route by the authority that it names', async () => {
    assert.equal((await ask({ ':path': '/named', ':authority': 'NAMED.test:8443' })).status, 200);
    assert.equal(upstream.seen.at(-1)?.headers['host'], 'NAMED.test:8443');
    assert.equal((await ask({ ':path': '/named', ':authority': 'other.test' })).status, 404);
  });

  it('is refused with a Host beside another authority (a route chosen by one, the upstream told the other)', async () => {
    const count = upstream.seen.length;
    const answered = await ask({ ':path': '/named', ':authority': 'named.test', host: 'other.test' });
    assert.equal(answered.status, 400);
    assert.match(answered.body, /Host/);
    assert.equal(upstream.seen.length, count);
  });

  it('carries a body of a length that nobody said, and one that was said', async () => {
    const large = Buffer.alloc(3_000_000, 'x');
    for (const headers of [{}, { 'content-length': String(large.length) }]) {
      const sent = await ask({ ':method': 'POST', ':path': '/things/a', ...bearer(), ...headers }, large);
      assert.equal(sent.status, 200, sent.body);
      assert.equal(upstream.seen.at(-1)?.body.length, large.length);
    }
    await ask({ ':method': 'POST', ':path': '/things/a', ...bearer() });
    assert.equal(upstream.seen.at(-1)?.body, '');
    assert.equal(upstream.seen.at(-1)?.headers['transfer-encoding'], undefined);
  });

  it('cannot smuggle a second request in what it says of its body (H2.CL, H2.TE)', async () => {
    const count = upstream.seen.length;
    const smuggled = 'GET /things/secret HTTP/1.1\r\nHost: x\r\n\r\n';
    const method = { ':method': 'POST', ':path': '/things/a', ...bearer() };
    await Promise.allSettled(
      ['0', '3', String(smuggled.length + 40)].map((length) =>
        ask({ ...method, 'content-length': length }, smuggled),
      ),
    );
    await assert.rejects(ask({ ...method, 'transfer-encoding': 'chunked' }, smuggled));
    await ask({ ...method, 'x-odd': 'a\r\nTransfer-Encoding: chunked', 'content-length': '4' }, 'same');
    assert.equal(upstream.seen.at(-1)?.headers['x-odd'], undefined);
    assert.equal(upstream.seen.at(-1)?.headers['transfer-encoding'], undefined);
    assert.equal((await ask({ ':path': '/things/a', ...bearer() })).status, 200);
    for (const { url, body } of upstream.seen.slice(count))
      assert.deepEqual([url, body === 'same' || body], ['/things/a', body === 'same' || '']);
  });

  it('carries trailers that nobody announced', async () => {
    let theirs: NodeJS.Dict<string> = {};
    answer = (req, res) => {
      req.resume().on('end', () => {
        theirs = req.trailers;
        res.write('body');
        res.addTrailers({ 'X-Sum': 'answer' });
        res.end();
      });
    };
    const stream = session.request({ ':method': 'POST', ':path': '/special' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'request' }));
    const trailed = once(stream, 'trailers');
    stream.resume().end('body');
    const [trailers] = (await trailed) as [IncomingHttpHeaders];
    assert.equal(trailers['x-sum'], 'answer');
    assert.deepEqual({ ...theirs }, { 'x-sum': 'request' });
  });

  it('is cut off at the upstream, too, where its body is: half of it is never taken for the whole', async () => {
    const count = upstream.seen.length;
    for (const headers of [{}, { 'content-length': '100' }]) {
      const stream = session.request({ ':method': 'POST', ':path': '/things/a', ...bearer(), ...headers });
      stream.on('error', () => {});
      const came = once(upstream.server, 'request');
      stream.write('half');
      const [req] = (await came) as [IncomingMessage];
      const gone = new Promise((resolve) => req.on('error', resolve).once('close', resolve));
      resetStream(stream);
      await gone;
      assert.equal(req.complete, false);
    }
    assert.equal(upstream.seen.length, count);
  });

  it('gets an answer as it comes, its trailers at the end, and nothing that is about a connection', async () => {
    let go = () => {};
    answer = (_req, res) => {
      res.writeHead(200, 'Fine', {
        'Content-Type': 'text/event-stream',
        Trailer: 'X-Sum',
        Connection: 'X-Hop',
        'X-Hop': '1',
        'Keep-Alive': 'timeout=9',
      });
      res.write('data: 1\n\n');
      go = () => {
        res.addTrailers({ 'X-Sum': '42' });
        res.end('data: 2\n\n');
      };
    };
    const stream = session.request({ ':path': '/special' });
    let trailers: IncomingHttpHeaders = {};
    stream.on('trailers', (given) => {
      trailers = given;
    });
    const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    for (const name of ['connection', 'keep-alive', 'x-hop', 'transfer-encoding'])
      assert.equal(headers[name], undefined, name);
    assert.equal(String((await once(stream, 'data'))[0]), 'data: 1\n\n');
    go();
    assert.equal(String((await once(stream, 'data'))[0]), 'data: 2\n\n');
    await once(stream, 'end');
    assert.equal(trailers['x-sum'], '42');
  });

  it('ends what was asked of the upstream when its stream is reset, and leaves the others of its connection alone', async () => {
    let arrived = (_: ServerResponse) => {};
    const first = new Promise<ServerResponse>((resolve) => {
      arrived = resolve;
    });
    answer = (_req, res) => arrived(res);
    const stream = session.request({ ':path': '/special' });
    stream.on('error', () => {});
    const waiting = await first;
    const gone = once(waiting, 'close');
    resetStream(stream);
    await gone;
    answer = (_req, res) => res.end('still here');
    assert.equal((await ask({ ':path': '/special' })).body, 'still here');
  });

  it('waits for 100 before its body, and is refused without it', async () => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/things/a',
      ...bearer(),
      expect: '100-continue',
    });
    await once(stream, 'continue');
    stream.end('now');
    const [answered] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    assert.equal(answered[':status'], 200);
    assert.equal(upstream.seen.at(-1)?.body, 'now');
    const refused = session.request({
      ':method': 'POST',
      ':path': '/things/secret',
      ...bearer(),
      expect: '100-continue',
    });
    const [denied] = (await once(refused, 'response')) as [IncomingHttpHeaders];
    assert.equal(denied[':status'], 403);
    refused.close();
  });

  it('is answered 502 where the upstream is gone or says 101', async () => {
    answer = (_req, res) =>
      res.socket?.end('HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n');
    assert.equal((await ask({ ':path': '/special' })).status, 502);
    answer = (_req, res) => res.destroy();
    assert.equal((await ask({ ':path': '/special' })).status, 502);
  });

  it('is no way to CONNECT or to a method that is not known', async () => {
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'x:1' });
    const [answered] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    assert.ok(Number(answered[':status']) >= 400);
    for (const method of ['GETX', 'get', 'PRI'])
      for (const path of ['/things/a', '/livez'])
        assert.equal((await ask({ ':method': method, ':path': path, ...bearer() })).status, 400, method);
    assert.equal((await ask({ ':path': '/things/a', ...bearer() })).status, 200);
  });

  it('becomes no WebSocket, but one of HTTP/1.1 on the same port does, and its page is asked from over https', async () => {
    special.server.once('upgrade', (_req, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      socket.pipe(socket);
    });
    const { port } = new URL(gateway.url);
    const open = async (origin: string) => {
      const socket = connectTls({ port: Number(port), host: 'localhost', ca, ALPNProtocols: ['http/1.1'] });
      socket.write(
        `GET /socket HTTP/1.1\r\nHost: localhost:${port}\r\nOrigin: ${origin}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
      );
      return { socket, head: String((await once(socket, 'data'))[0]) };
    };
    const plain = await open(`http://localhost:${port}`);
    assert.match(plain.head, /^HTTP\/1.1 403 /);
    plain.socket.destroy();
    const { socket, head } = await open(`https://localhost:${port}`);
    assert.match(head, /^HTTP\/1.1 101 /);
    socket.write('ping');
    assert.equal(String((await once(socket, 'data'))[0]), 'ping');
    socket.destroy();
  });

  it('is no other on HTTP/1.1 over the same port', async () => {
    const req = httpsRequest(`${gateway.url}/things/a`, { ca, headers: bearer() }).end();
    const [res] = (await once(req, 'response')) as [IncomingMessage];
    assert.equal(res.httpVersion, '1.1');
    assert.equal(res.statusCode, 200);
    res.resume();
    await once(res, 'end');
    req.destroy();
  });
});
