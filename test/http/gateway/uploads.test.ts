/** Uploads to a service: they may take as long as they come, and no longer. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import type { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import { startGateway, type TestGateway } from '../../harness.ts';
import { person } from '../admin/staff.ts';
import { addRoutes, startUpstream, type Upstream } from './upstream.ts';

const file = (name: string) => new URL(`../../unit/evaluators/remote/tls/${name}`, import.meta.url).pathname;
const ca = readFileSync(file('ca.pem'));
const TIMEOUT_MS = 400;
const PART_MS = 100;
const PARTS = 10;
/** More than all buffers on the way to a service hold. */
const ENDLESS_BYTES = 1024 ** 3;

describe('an upload to a service', () => {
  let plain: TestGateway;
  let secure: TestGateway;
  let upstream: Upstream;
  /** Takes no body. */
  let deaf: Upstream;
  /** Closes the connection. */
  let broken: Upstream;
  /** Begins to answer besides. */
  let hasty: Upstream;

  before(async () => {
    const env = { REQUEST_TIMEOUT_MS: String(TIMEOUT_MS) };
    plain = await startGateway({ env });
    upstream = await startUpstream();
    deaf = await startUpstream(() => {});
    broken = await startUpstream((req) => void req.socket.destroy());
    hasty = await startUpstream((_req, res) => void res.write('begun'));
    const root = (await person(plain, { roles: ['superadmin'] })).client;
    const route = { methods: ['POST'], public: true };
    await addRoutes(root, [
      { id: 'upload', path: '/uploads', ...route, upstream: upstream.url },
      { id: 'deaf', path: '/deaf', ...route, upstream: deaf.url },
      { id: 'broken', path: '/broken', ...route, upstream: broken.url },
      { id: 'hasty', path: '/hasty', ...route, upstream: hasty.url },
    ]);
    secure = await startGateway({
      env: { ...env, TLS_CERT: file('server.pem'), TLS_KEY: file('server.key') },
      databaseUrl: plain.databaseUrl,
    });
  });
  after(async () => {
    await plain.close();
    await secure.close();
    await Promise.all([upstream, deaf, broken, hasty].map((one) => one.close()));
  });

  const portOf = ({ url }: TestGateway) => Number(new URL(url).port);

  interface Way {
    send(part: string): void;
    /** Sends as much as is taken. */
    flood(): void;
    /** What came back when all was over. */
    answered: Promise<string>;
  }

  /** Each way to send an upload of so many bytes. */
  const ways: [string, (path?: string, bytes?: number) => Way][] = [
    ['HTTP/1.1', (...what) => bySocket(connect(portOf(plain), '127.0.0.1'), ...what)],
    [
      'HTTP/1.1 over TLS',
      (...what) => bySocket(connectTls({ port: portOf(secure), host: 'localhost', ca }), ...what),
    ],
    ['HTTP/2', byHttp2],
  ];

  /** Stops when no more is taken: what is not read shows as that alone. */
  function floodInto(to: Writable): void {
    const part = Buffer.alloc(64 * 1024);
    const more = () => {
      while (to.write(part));
      to.once('drain', more);
    };
    more();
  }

  function bySocket(socket: ReturnType<typeof connect>, path = '/uploads', bytes = PARTS): Way {
    let answer = '';
    const answered = new Promise<string>((resolve) => {
      socket.setEncoding('latin1').on('error', () => {});
      socket.on('data', (chunk) => {
        answer += chunk;
        if (isWhole(answer)) socket.destroy();
      });
      socket.on('close', () => resolve(answer));
    });
    const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${bytes}\r\n\r\n`;
    socket.write(head);
    return { send: (part) => void socket.write(part), flood: () => floodInto(socket), answered };
  }

  function byHttp2(path = '/uploads', bytes = PARTS): Way {
    const session = connectHttp2(`https://localhost:${portOf(secure)}`, { ca }).on('error', () => {});
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-length': String(bytes),
    });
    const answered = new Promise<string>((resolve) => {
      stream.on('response', async (headers) => {
        const body = await text(stream).catch(() => '');
        resolve(`HTTP/2 ${headers[':status']} ${headers['content-type']}\r\n\r\n${body}`);
      });
      stream.on('error', () => {}).on('close', () => resolve(`reset ${stream.rstCode}`));
    }).finally(() => session.destroy());
    let sent = 0;
    const send = (part: string) => {
      stream.write(part);
      sent += part.length;
      if (sent === bytes) stream.end();
    };
    return { send, flood: () => floodInto(stream), answered };
  }

  for (const [way, open] of ways) {
    it(`goes on for longer than a request may take, as long as it comes: ${way}`, async () => {
      const beganMs = performance.now();
      const { send, answered } = open();
      let left = PARTS;
      const drip = setInterval(() => {
        if (left-- > 0) send('x');
      }, PART_MS);
      assert.match(await answered, /^HTTP\/(1\.1|2) 200/);
      clearInterval(drip);
      assert.ok(performance.now() - beganMs > TIMEOUT_MS * 2);
      assert.equal(upstream.seen.at(-1)?.body, 'x'.repeat(PARTS));
    });

    it(`is cut off when nothing of it comes any more, at the service, too (slow post): ${way}`, async () => {
      const count = upstream.seen.length;
      const came = once(upstream.server, 'request');
      const { send, answered } = open();
      send('xx');
      const [req] = (await came) as [IncomingMessage];
      const gone = new Promise((resolve) => req.on('error', resolve).once('close', resolve));
      assert.match(await answered, /^HTTP\/1\.1 408 |^reset 8$/);
      await gone;
      assert.equal(upstream.seen.length, count);
    });

    it(`is the fault of the service where that takes no more of it: ${way}`, async () => {
      const came = once(deaf.server, 'request');
      const { flood, answered } = open('/deaf', ENDLESS_BYTES);
      flood();
      const [req] = (await came) as [IncomingMessage];
      const gone = new Promise((resolve) => req.on('error', resolve).once('close', resolve));
      const answer = await answered;
      assert.match(answer, /^HTTP\/(1\.1|2) 504 .*application\/problem\+json/s);
      assert.equal(JSON.parse(answer.split('\r\n\r\n')[1] ?? '').code, 'upstream_timeout');
      req.resume();
      await gone;
      assert.equal(req.complete, false);
    });

    it(`is that of the client where nothing comes, whether the service would take it or not: ${way}`, async () => {
      const { send, answered } = open('/deaf');
      send('xx');
      assert.match(await answered, /^HTTP\/1\.1 408 |^reset 8$/);
    });
  }

  it('that failed leaves its connection to the next request, once it has come', async () => {
    const socket = connect(portOf(plain), '127.0.0.1').setEncoding('latin1');
    const half = 'x'.repeat(500_000);
    socket.write(`POST /broken HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n${half}`);
    const [failed] = await once(socket, 'data');
    assert.match(failed, /^HTTP\/1\.1 502 /);
    socket.write(`${half}GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    assert.match(await text(socket), /HTTP\/1\.1 200 /);
  });

  it('that failed is over in its time, however slowly the rest comes (a connection held by a byte at a time)', async () => {
    const socket = connect(portOf(plain), '127.0.0.1').on('error', () => {});
    const half = 'x'.repeat(500_000);
    socket.write(`POST /broken HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n${half}`);
    const [failed] = await once(socket, 'data');
    assert.match(String(failed), /^HTTP\/1\.1 502 /);
    const trickle = setInterval(() => socket.write('x'), TIMEOUT_MS / 10);
    await new Promise((resolve) => socket.once('close', resolve));
    clearInterval(trickle);
  });

  it('is cut off with the answer that has begun where the service takes no more of it', async () => {
    const socket = connect(portOf(plain), '127.0.0.1').on('error', () => {});
    let answer = '';
    socket.setEncoding('latin1').on('data', (chunk) => {
      answer += chunk;
    });
    socket.write(`POST /hasty HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${ENDLESS_BYTES}\r\n\r\n`);
    floodInto(socket);
    await new Promise((resolve) => socket.once('close', resolve));
    assert.match(answer, /^HTTP\/1\.1 200 .*begun\r\n$/s);
  });
});

/** Of the length that it says itself. */
function isWhole(answer: string): boolean {
  const end = answer.indexOf('\r\n\r\n') + 4;
  const [, length = '0'] = /\r\ncontent-length: (\d+)/i.exec(answer) ?? [];
  return end > 3 && answer.length >= end + Number(length);
}
