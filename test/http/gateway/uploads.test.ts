/** Uploads to a service: they may take as long as they come, and no longer. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { startGateway, type TestGateway } from '../../harness.ts';
import { person } from '../admin/staff.ts';
import { addRoutes, startUpstream, type Upstream } from './upstream.ts';

const file = (name: string) => new URL(`../../unit/evaluators/remote/tls/${name}`, import.meta.url).pathname;
const ca = readFileSync(file('ca.pem'));
const TIMEOUT_MS = 400;
const PART_MS = 100;
const PARTS = 10;

describe('an upload to a service', () => {
  let plain: TestGateway;
  let secure: TestGateway;
  let upstream: Upstream;

  before(async () => {
    const env = { REQUEST_TIMEOUT_MS: String(TIMEOUT_MS) };
    plain = await startGateway({ env });
    upstream = await startUpstream();
    const root = (await person(plain, { roles: ['superadmin'] })).client;
    const route = { methods: ['POST'], public: true, upstream: upstream.url };
    await addRoutes(root, [{ id: 'upload', path: '/uploads', ...route }]);
    secure = await startGateway({
      env: { ...env, TLS_CERT: file('server.pem'), TLS_KEY: file('server.key') },
      databaseUrl: plain.databaseUrl,
    });
  });
  after(async () => {
    await plain.close();
    await secure.close();
    await upstream.close();
  });

  const head = `POST /uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${PARTS}\r\n\r\n`;
  const portOf = ({ url }: TestGateway) => Number(new URL(url).port);

  /** Each way to send an upload: `send` gives a part, and `answered` what came back when all was over. */
  const ways: [string, () => { send(part: string): void; answered: Promise<string> }][] = [
    ['HTTP/1.1', () => bySocket(connect(portOf(plain), '127.0.0.1'))],
    ['HTTP/1.1 over TLS', () => bySocket(connectTls({ port: portOf(secure), host: 'localhost', ca }))],
    ['HTTP/2', byHttp2],
  ];

  function bySocket(socket: ReturnType<typeof connect>) {
    let text = '';
    const answered = new Promise<string>((resolve) => {
      socket.setEncoding('latin1').on('error', () => {});
      socket.on('data', (chunk) => {
        text += chunk;
        if (text.includes('\r\n\r\n')) socket.destroy();
      });
      socket.on('close', () => resolve(text));
    });
    socket.write(head);
    return { send: (part: string) => void socket.write(part), answered };
  }

  function byHttp2() {
    const session = connectHttp2(`https://localhost:${portOf(secure)}`, { ca }).on('error', () => {});
    const stream = session.request({
      ':method': 'POST',
      ':path': '/uploads',
      'content-length': String(PARTS),
    });
    const answered = new Promise<string>((resolve) => {
      stream.on('response', (headers) => resolve(`HTTP/2 ${headers[':status']}`));
      stream.on('error', () => {}).on('close', () => resolve(`reset ${stream.rstCode}`));
    }).finally(() => session.destroy());
    let sent = 0;
    const send = (part: string) => {
      stream.write(part);
      sent += part.length;
      if (sent === PARTS) stream.end();
    };
    return { send, answered };
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
  }
});
