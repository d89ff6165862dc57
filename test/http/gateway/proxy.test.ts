/** Requests that match a route: decided, told who asks, and sent to the upstream as they were decided on. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { anonymousClient, type Client, startGateway, type TestGateway } from '../../harness.ts';
import { addRule, assertProblem, fresh, ok, person, typesPath } from '../admin/staff.ts';
import { addRoutes, rawRequest, sendRaw, startUpstream, statusOf, type Upstream } from './upstream.ts';

describe('a proxied request', () => {
  let gateway: TestGateway;
  let upstream: Upstream;
  let root: Client;
  let user: { id: string; email: string; client: Client };

  before(async () => {
    gateway = await startGateway();
    upstream = await startUpstream();
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    user = await person(gateway);
    const string = { type: 'string' };
    ok(
      await root.post(typesPath, {
        type: 'project',
        actions: ['read', 'update'],
        attributes: { id: string, stage: string, size: { type: 'integer' } },
      }),
      201,
    );
    await addRule(root, {
      role: 'authenticated',
      action: ['read', 'update'],
      subject: 'project',
      conditions: { id: { $ne: 'secret' }, stage: { $ne: 'closed' } },
      reason: 'Only open ones',
    });
    await addRule(root, {
      role: 'authenticated',
      action: 'update',
      subject: 'project',
      conditions: { size: { $gt: 100 } },
      inverted: true,
      reason: 'Too large',
    });
    const project = {
      resource: 'project',
      action: 'read',
      resourceId: `$\{path.id}`,
      upstream: upstream.url,
    };
    await addRoutes(root, [
      { id: 'project', path: '/projects/:id', ...project },
      {
        id: 'files',
        path: '/projects/:id/files/*rest',
        methods: ['GET', 'PUT'],
        headers: ['principal', 'roles', 'email'],
        ...project,
      },
      {
        id: 'grow',
        path: '/projects/:id',
        methods: ['POST'],
        ...project,
        action: 'update',
        attributes: { size: `$\{body/size}`, stage: 'open' },
      },
      {
        id: 'open',
        path: '/open/*rest',
        methods: ['GET', 'POST', 'OPTIONS'],
        public: true,
        upstream: upstream.url,
      },
      {
        id: 'limited',
        path: '/limited',
        public: true,
        upstream: upstream.url,
        rateLimit: { requests: 2, windowSeconds: 60, per: 'address' },
      },
      { id: 'dead', path: '/dead', public: true, upstream: 'http://127.0.0.1:9' },
      { id: 'asked', path: '/asked/:id', resource: 'project', action: 'read', resourceId: `$\{path.id}` },
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  it('is sent on where a rule allows it, 401 for nobody, 403 with the reason where none does, 404 without a route', async () => {
    assert.equal(ok(await user.client.get('/projects/apollo?x=1')).body.url, '/projects/apollo?x=1');
    assertProblem(await anonymousClient(gateway).get('/projects/apollo'), 401, 'unauthenticated');
    const denied = await user.client.get('/projects/secret');
    assertProblem(denied, 403, 'access_denied');
    const count = upstream.seen.length;
    for (const path of ['/nothing', '/projects', '/asked/apollo']) {
      const missing = await user.client.get(path);
      assertProblem(missing, 404, 'not_found');
      assert.equal(missing.body.detail, 'There is no such resource');
    }
    assert.equal((await user.client.delete('/projects/apollo')).status, 404);
    assert.equal(upstream.seen.length, count);
  });

  it('tells the upstream who asks by an assertion that the published keys verify, for a minute and for this upstream alone', async () => {
    const { headers } = ok(await user.client.get('/projects/apollo')).body;
    const keys = createRemoteJWKSet(new URL(`${gateway.url}/.well-known/jwks.json`));
    const { payload, protectedHeader } = await jwtVerify(headers['castellan-assertion'], keys, {
      audience: upstream.url,
      typ: 'castellan-assertion+jwt',
    });
    assert.equal(protectedHeader.alg, 'EdDSA');
    assert.equal(payload.sub, `user:${user.id}`);
    assert.deepEqual(payload['roles'], ['user']);
    assert.equal(Number(payload.exp) - Number(payload.iat), 60);
    assert.equal(payload['rid'], headers['x-request-id']);
    assert.equal(typeof payload['sid'], 'string');
    for (const name of ['castellan-principal', 'castellan-roles', 'castellan-email'])
      assert.equal(headers[name], undefined);
    const chosen = ok(await user.client.get('/projects/apollo/files/a/b')).body.headers;
    assert.equal(chosen['castellan-principal'], `user:${user.id}`);
    assert.equal(chosen['castellan-roles'], 'user');
    assert.equal(chosen['castellan-email'], user.email);
  });

  it('does not hand on what identified the client to the gateway, but other cookies and tokens', async () => {
    const { headers } = ok(await user.client.get('/projects/apollo')).body;
    assert.equal(headers.authorization, undefined);
    const answer = await anonymousClient(gateway).get('/open/x', {
      cookie: `theirs=1; castellan=${user.client.token}; other=2`,
      authorization: 'Basic dTpw',
    });
    assert.equal(answer.body.headers.cookie, 'theirs=1; other=2');
    assert.equal(answer.body.headers.authorization, 'Basic dTpw');
  });

  it('is decided on its body where the route reads it, and that very body goes on', async () => {
    const body = '{ "size": 7,  "more": [1] }';
    ok(await user.client.post('/projects/apollo', body));
    assert.equal(upstream.seen.at(-1)?.body, body);
    const count = upstream.seen.length;
    assertProblem(await user.client.post('/projects/apollo', { size: 700 }), 403, 'access_denied');
    assertProblem(
      await user.client.post('/projects/apollo', { size: '7' }),
      400,
      'invalid_request',
      '/body/size',
    );
    assertProblem(
      await user.client.post('/projects/apollo', '{"size":7,"size":700}'),
      400,
      'malformed_json',
      '/size',
    );
    assertProblem(
      await user.client.post('/projects/apollo', 'size=7', {
        'content-type': 'application/x-www-form-urlencoded',
      }),
      415,
      'unsupported_media_type',
    );
    assert.equal(upstream.seen.length, count);
  });

  it('is counted against the limit of its route, and told what is left', async () => {
    const client = anonymousClient(gateway);
    const first = ok(await client.get('/limited'));
    assert.equal(first.headers.get('ratelimit-policy'), '"limited";q=2;w=60');
    assert.match(first.headers.get('ratelimit') ?? '', /^"limited";r=1;t=\d+$/);
    ok(await client.get('/limited'));
    const refused = await client.get('/limited');
    assertProblem(refused, 429, 'rate_limited');
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
  });

  it('is answered 502 where no server takes it', async () => {
    assertProblem(await anonymousClient(gateway).get('/dead'), 502, 'bad_gateway');
  });

  it('is answered 504 where the answer does not begin in time, whatever was retried', async () => {
    const silent = await startUpstream(() => {});
    const id = fresh('silent');
    await addRoutes(root, [
      { id, path: `/${id}`, public: true, upstream: { targets: [silent.url], timeoutMs: 60 } },
    ]);
    assertProblem(await anonymousClient(gateway).get(`/${id}`), 504, 'upstream_timeout');
    await silent.close();
  });

  it('goes to another server where one is not there', async () => {
    const id = fresh('several');
    const targets = ['http://127.0.0.1:9', upstream.url];
    await addRoutes(root, [{ id, path: `/${id}`, public: true, upstream: { targets, retries: 1 } }]);
    for (let round = 0; round < 4; round++) ok(await anonymousClient(gateway).get(`/${id}`));
  });

  it('streams both ways: an event arrives before the answer has ended, a part of a body before it has', async () => {
    const parts: string[] = [];
    const live = await startUpstream((req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Set-Cookie': ['a=1', 'b=2'] });
      res.write('data: first\n\n');
      req.on('data', (chunk) => {
        parts.push(String(chunk));
        res.write(`data: ${chunk}\n\n`);
      });
      req.on('end', () => res.end());
    });
    const id = fresh('live');
    await addRoutes(root, [{ id, path: `/${id}`, methods: ['POST'], public: true, upstream: live.url }]);
    const { hostname, port } = new URL(gateway.url);
    const socket = connect(Number(port), hostname).setEncoding('utf8');
    socket.write(`POST /${id} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n`);
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    const arrives = async (what: string) => {
      while (!text.includes(what)) await once(socket, 'data');
    };
    await arrives('data: first');
    await arrives('data: one');
    assert.deepEqual(parts, ['one']);
    socket.write('3\r\ntwo\r\n0\r\n\r\n');
    await arrives('data: two');
    assert.match(text, /set-cookie: a=1\r\nset-cookie: b=2/i);
    socket.destroy();
    await live.close();
  });

  it('asks for the body of a client that waits for it only where it is let in', async () => {
    const waiting = (path: string) =>
      rawRequest(path, {
        method: 'POST',
        headers: ['Expect: 100-continue', 'Content-Length: 2'],
        body: '{}',
      });
    assert.match(
      await sendRaw(gateway.url, waiting('/open/x')),
      /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 /,
    );
    assert.equal(upstream.seen.at(-1)?.headers['expect'], undefined);
    assert.equal(statusOf(await sendRaw(gateway.url, waiting('/projects/apollo'))), 401);
    assert.match(await sendRaw(gateway.url, waiting('/api/v1/auth/login')), /^HTTP\/1.1 100 Continue\r\n/);
  });

  it('passes trailers on, both ways, announced or not', async () => {
    let theirs: NodeJS.Dict<string> = {};
    let announced: object = {};
    const trailing = createServer((req, res) => {
      res.writeHead(200, { ...announced });
      req.resume().on('end', () => {
        theirs = req.trailers;
        res.addTrailers({ 'X-Sum': 'answer' });
        res.end('body');
      });
    }).listen(0, '127.0.0.1');
    await once(trailing, 'listening');
    const { port } = trailing.address() as { port: number };
    const id = fresh('trailing');
    await addRoutes(root, [
      { id, path: `/${id}`, methods: ['POST'], public: true, upstream: `http://127.0.0.1:${port}` },
    ]);
    const body = '2\r\n{}\r\n0\r\nX-Sum: request\r\n\r\n';
    for (const trailer of [['Trailer: X-Sum'], []]) {
      announced = trailer.length > 0 ? { Trailer: 'X-Sum' } : {};
      theirs = {};
      const headers = ['Transfer-Encoding: chunked', ...trailer];
      const answer = await sendRaw(gateway.url, rawRequest(`/${id}`, { method: 'POST', headers, body }));
      assert.match(answer, /x-sum: answer/i);
      assert.deepEqual({ ...theirs }, { 'x-sum': 'request' });
    }
    trailing.closeAllConnections();
    trailing.close();
  });
});
