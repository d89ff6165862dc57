import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import Joi from 'joi';
import { makeServer } from '../../../src/http/server.ts';
import { sendRaw } from './raw-socket.ts';
import { type SmallApp, startSmallApp } from './small-app.ts';

describe('the server', () => {
  const requestTimeoutMs = 600;
  let app: SmallApp;

  before(async () => {
    app = await startSmallApp({
      requestTimeoutMs,
      endpoints: [
        {
          method: 'post',
          path: '/things',
          summary: 'Make a thing',
          access: 'public',
          body: Joi.object(),
          reply: { status: 200, description: 'Made' },
          handle: () => ({ status: 200, body: {} }),
        },
      ],
    });
  });
  after(() => app.close());

  const assertCut = ({ text, afterMs }: { text: string; afterMs: number }) => {
    assert.match(text, /^HTTP\/1\.1 408 /);
    assert.ok(afterMs >= requestTimeoutMs && afterMs < 5000, `after ${afterMs} ms`);
  };

  it('cuts a head that comes drop by drop (slowloris)', async () => {
    const head = 'POST /things HTTP/1.1\r\nHost: x\r\nX-Slow: ';
    assertCut(await sendRaw(app.port, head, { drip: 'a' }));
  });

  it('cuts a body that comes drop by drop (slow post)', async () => {
    const head =
      'POST /things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n';
    assertCut(await sendRaw(app.port, head, { drip: ' ' }));
  });

  it('cuts a connection on which nothing is ever said', async () => {
    const { text, afterMs } = await sendRaw(app.port, '', { patienceMs: 8000 });
    assert.ok(afterMs < 5000, `after ${afterMs} ms: ${text}`);
  });

  it('waits for a head no longer than 15 s, however long a body may take', () => {
    const { headersTimeout, requestTimeout } = makeServer(() => {}, { requestTimeoutMs: 120_000 })
      .server as Server;
    assert.deepEqual({ headersTimeout, requestTimeout }, { headersTimeout: 15_000, requestTimeout: 0 });
  });

  it('waits at the stop for no connection on which nothing was asked', async () => {
    const { server, stop } = makeServer(() => {}, { requestTimeoutMs: 60_000 });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
    await once(server, 'connection');
    const closed = once(socket.resume(), 'close');
    await stop(60_000);
    await closed;
  });

  it('refuses a head larger than 16 KiB', async () => {
    const { text } = await sendRaw(
      app.port,
      `GET / HTTP/1.1\r\nHost: x\r\nX-Large: ${'a'.repeat(17_000)}\r\n\r\n`,
    );
    assert.match(text, /^HTTP\/1\.1 431 /);
  });

  for (const [attack, lines] of [
    ['two lengths', 'Content-Length: 2\r\nContent-Length: 3'],
    ['a length and chunks', 'Content-Length: 2\r\nTransfer-Encoding: chunked'],
    ['chunks that are not the last encoding', 'Transfer-Encoding: chunked, identity'],
  ])
    it(`refuses ${attack}: a proxy before it would see another end (request smuggling)`, async () => {
      const { text } = await sendRaw(
        app.port,
        `POST /things HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${lines}\r\n\r\n{}`,
      );
      assert.match(text, /^HTTP\/1\.1 400 /);
    });

  it('takes a request that comes in time', async () => {
    const { text } = await sendRaw(
      app.port,
      'POST /things HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}',
    );
    assert.match(text, /^HTTP\/1\.1 200 /);
  });
});
