/** Mutual identity: over TLS both sides show who they are. The keys beside this file are for this test alone. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { loadConfig } from '../../../../src/config.ts';
import { openRemote } from '../../../../src/evaluators/remote/open.ts';

const file = (name: string) => join(import.meta.dirname, 'tls', name);
const ask = {
  subject: { type: 'user', id: 'alice', properties: {} },
  action: { name: 'read' },
  resource: { type: 'document', id: '1', properties: {} },
  context: {},
};

describe('another decision point over TLS', () => {
  let server: Server;
  let seen: string[];
  before(async () => {
    const read = (name: string) => readFileSync(file(name));
    const options = { key: read('server.key'), cert: read('server.pem'), ca: read('ca.pem') };
    server = createServer({ ...options, requestCert: true, rejectUnauthorized: true }, (req, res) => {
      seen.push(String((req.socket as TLSSocket).getPeerCertificate().subject.CN));
      res.end('{"decision":true}');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  beforeEach(() => {
    seen = [];
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  async function askWith(env: Record<string, string>): Promise<boolean> {
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const point = openRemote(loadConfig({ NODE_ENV: 'test', AUTHZEN_REMOTE_URL: url, ...env }));
    assert.ok(point);
    return (await point.ask(ask).finally(() => point.close())).allow;
  }
  const ca = { AUTHZEN_REMOTE_CA: file('ca.pem') };
  const identity = { AUTHZEN_REMOTE_CERT: file('client.pem'), AUTHZEN_REMOTE_KEY: file('client.key') };

  it('sees our certificate, and we trust it by the authority that is set', async () => {
    assert.equal(await askWith({ ...ca, ...identity }), true);
    assert.deepEqual(seen, ['client']);
  });

  it('is not believed with a certificate of an authority that we do not know: somebody between us cannot allow', async () => {
    await assert.rejects(askWith(identity), /cannot be reached/);
    assert.deepEqual(seen, []);
  });

  it('does not answer who shows no certificate', async () => {
    await assert.rejects(askWith(ca), /cannot be reached/);
    assert.deepEqual(seen, []);
  });
});

describe('the settings of another decision point', () => {
  const load = (env: Record<string, string>) =>
    openRemote(loadConfig({ NODE_ENV: 'test', AUTHZEN_REMOTE_URL: 'https://pdp.example', ...env }));

  it('are refused by name: a file that is not there, half an identity, credentials in the URL', () => {
    assert.throws(
      () => load({ AUTHZEN_REMOTE_CA: '/nowhere.pem' }),
      /^ConfigError: AUTHZEN_REMOTE_CA: \/nowhere/,
    );
    assert.throws(() => load({ AUTHZEN_REMOTE_CERT: file('client.pem') }), /goes with AUTHZEN_REMOTE_KEY/);
    for (const url of ['https://u:p@pdp.example', 'https://pdp.example?x=1', 'file:///etc/passwd', 'pdp'])
      assert.throws(() => load({ AUTHZEN_REMOTE_URL: url }), /^ConfigError: AUTHZEN_REMOTE_URL/);
  });

  it('are refused at the start where a file is none of its kind, or the key is of another certificate', () => {
    const [ca, cert, key] = [file('ca.pem'), file('client.pem'), file('client.key')];
    const no = import.meta.filename;
    assert.throws(() => load({ AUTHZEN_REMOTE_CA: no }), /^ConfigError: AUTHZEN_REMOTE_CA: .*no certificate/);
    assert.throws(
      () => load({ AUTHZEN_REMOTE_CA: key }),
      /^ConfigError: AUTHZEN_REMOTE_CA: .*no certificate/,
    );
    for (const identity of [
      { AUTHZEN_REMOTE_CERT: no, AUTHZEN_REMOTE_KEY: key },
      { AUTHZEN_REMOTE_CERT: cert, AUTHZEN_REMOTE_KEY: no },
      { AUTHZEN_REMOTE_CERT: cert, AUTHZEN_REMOTE_KEY: file('server.key') },
    ])
      assert.throws(
        () => load({ AUTHZEN_REMOTE_CA: ca, ...identity }),
        /^ConfigError: AUTHZEN_REMOTE_CERT, AUTHZEN_REMOTE_KEY: .* are not a certificate and its key/,
      );
  });

  it('are refused where they are for TLS and the URL is without: nobody would be shown them, nor asked for theirs', () => {
    const plain = { AUTHZEN_REMOTE_URL: 'http://pdp.example' };
    assert.throws(
      () => load({ ...plain, AUTHZEN_REMOTE_CA: file('ca.pem') }),
      /^ConfigError: AUTHZEN_REMOTE_CA: is for https/,
    );
    assert.throws(
      () =>
        load({
          ...plain,
          AUTHZEN_REMOTE_CERT: file('client.pem'),
          AUTHZEN_REMOTE_KEY: file('client.key'),
        }),
      /^ConfigError: AUTHZEN_REMOTE_CERT: is for https/,
    );
  });

  it('leave no header to be split: an authorization with a line break is refused, and not repeated', () => {
    assert.throws(
      () => load({ AUTHZEN_REMOTE_AUTHORIZATION: 'Bearer secret\r\nx: y' }),
      (refused: Error) =>
        /^AUTHZEN_REMOTE_AUTHORIZATION/.test(refused.message) && !refused.message.includes('secret'),
    );
  });

  it('may be none: then there is none', () => {
    assert.equal(openRemote(loadConfig({ NODE_ENV: 'test' })), undefined);
  });
});
