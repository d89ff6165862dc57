import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { ConfigError, loadConfig } from '../../../src/config.ts';
import { keepCertificate, readCertificate } from '../../../src/http/certificate.ts';
import { makeServer, type Serving } from '../../../src/http/server.ts';

const kept = (name: string) => new URL(`../evaluators/remote/tls/${name}`, import.meta.url).pathname;

describe('the certificate', () => {
  let folder: string;
  let files: { certFile: string; keyFile: string };
  let serving: Serving;
  let turns: ((cause: unknown) => void)[];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'castellan-certificate-'));
    files = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
    await copyFile(kept('server.pem'), files.certFile);
    await copyFile(kept('server.key'), files.keyFile);
    serving = makeServer((_req, res) => void res.end(), {
      requestTimeoutMs: 5000,
      certificate: readCertificate(files),
    });
    turns = [];
    keepCertificate(serving.server, files, { onTurn: (cause) => turns.shift()?.(cause), lookEveryMs: 20 });
    await once(serving.server.listen(0, '127.0.0.1'), 'listening');
  });
  after(async () => {
    await serving.stop(0);
    await rm(folder, { recursive: true });
  });

  const nextTurn = () => new Promise((resolve) => turns.push(resolve));

  async function shown(): Promise<string> {
    const { port } = serving.server.address() as AddressInfo;
    const socket = connect({ port, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    return String(CN);
  }

  it('is another one as soon as its files are: a half of a pair, and what is none, change nothing', async () => {
    assert.equal(await shown(), 'server');
    let turned = nextTurn();
    await copyFile(kept('client.pem'), files.certFile);
    assert.ok((await turned) instanceof ConfigError);
    assert.equal(await shown(), 'server');
    turned = nextTurn();
    await copyFile(kept('client.key'), files.keyFile);
    assert.equal(await turned, undefined);
    assert.equal(await shown(), 'client');
    turned = nextTurn();
    await writeFile(files.certFile, 'nothing');
    assert.ok((await turned) instanceof ConfigError);
    assert.equal(await shown(), 'client');
  });

  it('is refused at the start with the setting and the file: missing, no pair, half set', async () => {
    const missing = { certFile: join(folder, 'none.pem'), keyFile: kept('server.key') };
    assert.throws(() => readCertificate(missing), /^ConfigError: TLS_CERT: .*none\.pem is not a file/);
    const others = { certFile: kept('server.pem'), keyFile: kept('client.key') };
    assert.throws(
      () => readCertificate(others),
      /^ConfigError: TLS_CERT, TLS_KEY: .*server\.pem and .*client\.key are not a certificate and its key/,
    );
    assert.throws(() => loadConfig({ TLS_CERT: 'a.pem' }), /TLS_CERT: goes with TLS_KEY; set both or none/);
    assert.throws(() => loadConfig({ TLS_KEY: 'a.pem' }), /TLS_CERT: goes with TLS_KEY; set both or none/);
  });
});
