import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from 'node:http2';
import { type AddressInfo, connect as connectPlain } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { makeServer, type Serving } from '../../../src/http/server.ts';

const read = (name: string) => readFileSync(new URL(`../evaluators/remote/tls/${name}`, import.meta.url));
const ca = read('ca.pem');
const certificate = { cert: read('server.pem'), key: read('server.key') };

const closeOf = (stream: NodeJS.EventEmitter) =>
  new Promise((resolve) => stream.on('error', () => {}).once('close', resolve));

describe('the server over TLS', () => {
  const requestTimeoutMs = 600;
  let serving: Serving;
  let port: number;
  let answer: RequestListener;
  let sessions: ClientHttp2Session[];

  beforeEach(async () => {
    sessions = [];
    answer = (req, res) => void req.resume().on('end', () => res.end('done'));
    serving = makeServer((req, res) => answer(req, res), {
      requestTimeoutMs,
      certificate,
    });
    await once(serving.server.listen(0, '127.0.0.1'), 'listening');
    port = (serving.server.address() as AddressInfo).port;
  });
  afterEach(async () => {
    for (const session of sessions) session.destroy();
    await serving.stop(0);
  });

  async function open(): Promise<ClientHttp2Session> {
    const session = connect(`https://localhost:${port}`, { ca }).on('error', () => {});
    sessions.push(session);
    await once(session, 'remoteSettings');
    return session;
  }

  it('ends a stream whose body comes drop by drop (slow post over HTTP/2)', async () => {
    const session = await open();
    const stream = session.request({ ':method': 'POST' });
    const drip = setInterval(() => stream.write('a'), 50);
    await closeOf(stream);
    clearInterval(drip);
    assert.equal(stream.rstCode, 8);
    assert.equal(session.destroyed, false);
  });

  it('ends a connection on which a head comes drop by drop (slowloris over HTTP/2)', async () => {
    const socket = connectTls({ port, ca, host: 'localhost', ALPNProtocols: ['h2'] });
    await once(socket, 'secureConnect');
    socket.on('error', () => {}).resume();
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])); // SETTINGS
    socket.write(Buffer.from([0, 0, 100, 1, 4, 0, 0, 0, 1])); // HEADERS of 100 bytes, which never all come
    const drip = setInterval(() => socket.write(Buffer.from([0x82])), 100);
    await once(socket, 'close');
    clearInterval(drip);
  });

  it('ends a connection without requests, but none with one that is being answered', async () => {
    const idle = await open();
    await closeOf(idle);
    const busy = await open();
    let finish = () => {};
    answer = (_req, res) => {
      res.write('first');
      finish = () => void res.end('last');
    };
    const stream = busy.request({});
    await once(stream, 'response');
    await closeOf(await open());
    finish();
    stream.resume();
    await once(stream, 'end');
  });

  it('tells whoever reads a body that it was cut off, and never that it came whole', async () => {
    const session = await open();
    let told: (what: unknown) => void = () => {};
    const heard = new Promise((resolve) => {
      told = resolve;
    });
    answer = (req) =>
      void req
        .on('end', () => told('whole'))
        .on('error', told)
        .resume();
    const stream = session.request({ ':method': 'POST' });
    stream.on('error', () => {}).write('half');
    await once(serving.server, 'request');
    stream.destroy(new Error('reset by the test'));
    assert.match(String(await heard), /cut off/);
  });

  it('takes a hundred requests at once on a connection, and heads of 16 KiB', async () => {
    const { remoteSettings } = await open();
    assert.equal(remoteSettings.maxConcurrentStreams, 100);
    const [session] = sessions;
    const large = session?.request({ 'x-large': 'a'.repeat(17_000) });
    if (large) await closeOf(large);
    assert.notEqual(large?.rstCode, 0);
  });

  it('finishes the requests in flight when it stops, and takes no more', async () => {
    const session = await open();
    let finish = () => {};
    const arrived = new Promise<void>((resolve) => {
      answer = (_req, res) => {
        finish = () => void res.end('finished');
        resolve();
      };
    });
    const stream = session.request({});
    await arrived;
    const stopped = serving.stop(5000);
    await once(session, 'goaway');
    finish();
    const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    assert.equal(headers[':status'], 200);
    stream.resume();
    await once(stream, 'end');
    await stopped;
  });

  describe('at its stop', () => {
    let patient: Serving;
    beforeEach(async () => {
      patient = makeServer((_req, res) => res.end('done'), { requestTimeoutMs: 60_000, certificate });
      await once(patient.server.listen(0, '127.0.0.1'), 'listening');
    });
    afterEach(() => patient.stop(0));
    const knock = (alpn?: string) => {
      const { port } = patient.server.address() as AddressInfo;
      const socket = alpn
        ? connectTls({ port, ca, host: 'localhost', ALPNProtocols: [alpn] })
        : connectPlain(port, '127.0.0.1');
      return closeOf(socket.resume());
    };

    for (const [kind, alpn] of [
      ['without a handshake', undefined],
      ['of HTTP/1.1', 'http/1.1'],
      ['of HTTP/2', 'h2'],
    ] as const)
      it(`waits for no connection ${kind} on which nothing was asked`, async () => {
        const closed = knock(alpn);
        await once(patient.server, alpn ? 'secureConnection' : 'connection');
        await patient.stop(60_000);
        await closed;
      }).timeout(10_000);

    for (const alpn of ['http/1.1', 'h2'])
      it(`waits for none whose handshake was under way: ${alpn}`, async () => {
        const closed = knock(alpn);
        await once(patient.server, 'connection');
        await patient.stop(60_000);
        await closed;
      });
  });

  it('cuts what is still in flight after its grace', async () => {
    const session = await open();
    const arrived = new Promise<void>((resolve) => {
      answer = () => resolve();
    });
    const stream = session.request({});
    const cut = closeOf(stream);
    await arrived;
    await serving.stop(100);
    await cut;
  });
});
