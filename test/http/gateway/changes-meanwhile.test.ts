/** What happens while a request is on its way: it is decided once, at one revision, and measured however it ends. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { claimsOf } from '../../claims.ts';
import { anonymousClient, type Client, eventually, startGateway, type TestGateway } from '../../harness.ts';
import { addRule, fresh, ok, person, rulesPath, typesPath } from '../admin/staff.ts';
import { addRoutes, routesPath, startUpstream, statusOf, type Upstream } from './upstream.ts';

describe('a request that is on its way', () => {
  let gateway: TestGateway;
  let upstream: Upstream;
  let root: Client;
  const type = fresh('upload');
  const ruleId = fresh('send');
  /** Those that have begun at the upstream; what is sent to `/upload` is answered when its body has come. */
  const begun: IncomingMessage[] = [];

  before(async () => {
    gateway = await startGateway();
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    upstream = await startUpstream((req, res) => {
      begun.push(req);
      let length = 0;
      req.on('data', (chunk) => {
        length += chunk.length;
      });
      if (req.url === '/upload') req.on('end', () => res.end(`${length} bytes`));
    });
    ok(await root.post(typesPath, { type, actions: ['send'], attributes: {} }), 201);
    await addRule(root, { id: ruleId, role: 'authenticated', action: 'send', subject: type });
    const about = { resource: type, action: 'send', upstream: upstream.url };
    await addRoutes(root, [
      { id: 'upload', path: '/upload', methods: ['PUT'], ...about },
      { id: 'silent', path: '/silent', public: true, upstream: upstream.url },
    ]);
  });
  after(async () => {
    await upstream.close();
    await gateway.close();
  });

  it('goes on when its rule and its route are gone meanwhile; it was decided once, and the next one is not let in', async () => {
    const { client } = await person(gateway);
    const { revision } = gateway.services.live.snapshot;
    const { hostname, port } = new URL(gateway.url);
    const socket = connect(Number(port), hostname).setEncoding('latin1');
    const head = [
      'PUT /upload HTTP/1.1',
      'Host: a.test',
      'Content-Length: 10',
      `Authorization: Bearer ${client.token}`,
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\nhello`);
    const [asked] = await eventually('it arrives', () => (begun.length > 0 ? begun : undefined));
    ok(await root.delete(`${rulesPath}/${ruleId}`), 204);
    assert.equal((await client.put('/upload', {})).status, 403);
    ok(await root.delete(`${routesPath}/upload`), 204);
    assert.equal((await client.put('/upload', {})).status, 404);
    socket.write('world');
    const [answer] = await once(socket, 'data');
    socket.destroy();
    assert.equal(statusOf(answer), 200, answer);
    assert.match(answer, /10 bytes/);
    assert.match(answer, new RegExp(`\r\nCastellan-Revision: ${revision}\r\n`, 'i'));
    assert.equal(claimsOf(String(asked?.headers['castellan-assertion']))['revision'], revision);
    assert.equal(begun.length, 1);
  });

  it('is measured when its client goes away', async () => {
    const { hostname, port } = new URL(gateway.url);
    const socket = connect(Number(port), hostname);
    const count = begun.length;
    socket.write('GET /silent HTTP/1.1\r\nHost: a.test\r\n\r\n');
    await eventually('it arrives', () => begun.length > count);
    socket.destroy();
    await eventually('it is counted', async () =>
      /castellan_http_request_seconds_count\{method="GET",status="aborted"\} 1/.test(
        (await anonymousClient(gateway).get('/metrics')).body,
      ),
    );
  });
});
