/** Connections to upstreams: what is looked at is what is connected to. */
import assert from 'node:assert/strict';
import { lookup } from 'node:dns';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, request as httpRequest, type Server } from 'node:http';
import { createServer as createSecureServer, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { guardedAgents } from '../../../../src/enforcement/gateway/guarded-agents.ts';
import { makeReach } from '../../../../src/enforcement/gateway/reach.ts';

describe('a connection to an upstream', () => {
  let server: Server;
  let port: number;

  before(async () => {
    server = createServer((_req, res) => res.end()).listen(0, '::');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  after(() => server.close());

  /** A resolver that answers one list after another. */
  function resolving(...lists: string[][]): typeof lookup {
    const answer = (_name: string, _options: object, done: (error: null, found: object[]) => void) => {
      const found = (lists.shift() ?? []).map((address) => ({
        address,
        family: address.includes(':') ? 6 : 4,
      }));
      setImmediate(done, null, found);
    };
    return Object.assign(answer, lookup);
  }

  async function ask(
    url: string,
    agents: ReturnType<typeof guardedAgents>,
    headers: Record<string, string> = {},
  ): Promise<string> {
    const target = new URL(url);
    const request = target.protocol === 'https:' ? httpsRequest : httpRequest;
    const asked = request(target, { agent: agents.of(target), headers }).end();
    return new Promise((resolve) => {
      asked.on('response', (response) => resolve(String(response.resume().statusCode)));
      asked.on('error', (cause) => resolve('code' in cause ? String(cause.code) : String(cause)));
    });
  }

  it('DNS rebinding: a name that is another address the next time is refused then', async () => {
    const resolve = resolving(['127.0.0.1'], ['169.254.169.254'], ['0.0.0.0'], ['::ffff:a9fe:a9fe']);
    const agents = guardedAgents(makeReach([]), {}, resolve);
    assert.equal(await ask(`http://rebound.test:${port}`, agents), '200');
    for (let time = 0; time < 3; time++)
      assert.equal(await ask(`http://rebound.test:${port}`, agents), 'ERR_UPSTREAM_HOST');
  });

  it('DNS rebinding: of several addresses only those that may be reached are tried', async () => {
    const agents = guardedAgents(makeReach([]), {}, resolving(['169.254.169.254', '127.0.0.1']));
    assert.equal(await ask(`http://rebound.test:${port}`, agents), '200');
  });

  it('is refused at an address in every spelling, with TLS and without', async () => {
    const agents = guardedAgents(makeReach([]), {});
    for (const host of ['169.254.169.254', '2852039166', '[::ffff:a9fe:a9fe]', '[fe80::1]', '0.0.0.0'])
      for (const scheme of ['http', 'https'])
        assert.equal(await ask(`${scheme}://${host}:${port}`, agents), 'ERR_UPSTREAM_HOST', host);
  });

  it('a Host that the client chose: neither is the certificate held against it, nor is the upstream told of it by SNI', async () => {
    const read = (name: string) =>
      readFileSync(new URL(`../../evaluators/remote/tls/${name}`, import.meta.url));
    const seen: (string | false | null)[] = [];
    const secure = createSecureServer({ key: read('server.key'), cert: read('server.pem') }, (req, res) => {
      seen.push((req.socket as TLSSocket).servername);
      res.end();
    }).listen(0, '127.0.0.1');
    await once(secure, 'listening');
    const { port: securePort } = secure.address() as AddressInfo;
    const agents = guardedAgents(
      makeReach([]),
      { ca: [read('ca.pem')] },
      resolving(...Array(4).fill(['127.0.0.1'])),
    );
    for (const host of ['localhost', '127.0.0.1'])
      assert.equal(await ask(`https://${host}:${securePort}`, agents, { host: 'chosen.test' }), '200', host);
    assert.equal(
      await ask(`https://other.test:${securePort}`, agents, { host: 'localhost' }),
      'ERR_TLS_CERT_ALTNAME_INVALID',
    );
    assert.deepEqual(seen, ['localhost', false]);
    agents.close();
    secure.close();
  });

  it('reaches an IPv6 address', async () => {
    assert.equal(await ask(`http://[::1]:${port}`, guardedAgents(makeReach([]), {})), '200');
  });
});
