/** An upstream with TLS: trusted by the authorities that the settings name, for the host of its target and no other. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { anonymousClient, startGateway, type TestGateway } from '../../harness.ts';
import { assertProblem, ok, person } from '../admin/staff.ts';
import { addRoutes } from './upstream.ts';

const file = (name: string) => new URL(`../../unit/evaluators/remote/tls/${name}`, import.meta.url).pathname;

describe('an upstream with TLS', () => {
  let server: Server;
  let trusting: TestGateway;
  let other: TestGateway;

  before(async () => {
    const pair = { key: readFileSync(file('server.key')), cert: readFileSync(file('server.pem')) };
    server = createServer(
      pair,
      (req, res) =>
        void res
          .setHeader('Content-Type', 'application/json')
          .end(JSON.stringify({ host: req.headers.host })),
    );
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    trusting = await startGateway({ env: { UPSTREAM_CA: file('ca.pem') } });
    const root = (await person(trusting, { roles: ['superadmin'] })).client;
    await addRoutes(root, [
      { id: 'secure', path: '/secure', public: true, upstream: `https://localhost:${port}` },
    ]);
    other = await startGateway({ databaseUrl: trusting.databaseUrl });
  });
  after(async () => {
    await trusting.close();
    await other.close();
    server.closeAllConnections();
    server.close();
  });

  it('is asked where its authority is trusted, whatever Host the client sent, and is 502 elsewhere', async () => {
    const answer = await anonymousClient(trusting).get('/secure', { host: 'chosen.test' });
    assert.equal(ok(answer).body.host, 'chosen.test');
    assertProblem(await anonymousClient(other).get('/secure'), 502, 'bad_gateway');
  });

  it('stops the start where the file of its authorities has none', async () => {
    await assert.rejects(
      startGateway({ databaseUrl: trusting.databaseUrl, env: { UPSTREAM_CA: file('server.key') } }),
      /^ConfigError: UPSTREAM_CA: .*server\.key has no certificate/,
    );
  });
});
