/** A stop while WebSockets are open: they would go on for ever, and the process must not. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { logIn, makeDatabase } from '../harness.ts';
import { addRoutes, statusOf } from '../http/gateway/upstream.ts';
import { killLeftovers, startNode } from './process.ts';

/** Long enough that whoever waits for it fails the test. */
const GRACE_MS = 20_000;

describe('a stop with open WebSockets', function () {
  this.timeout(60_000);
  afterEach(killLeftovers);

  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    it(`closes them at ${signal} on both sides, finishes what is in flight, and ends within the grace`, async () => {
      const theirs: Socket[] = [];
      let asked: () => void = () => {};
      const arrived = new Promise<void>((resolve) => {
        asked = resolve;
      });
      let answer: () => void = () => {};
      const service = createServer((_req, res) => {
        answer = () => res.end('finished');
        asked();
      }).on('upgrade', (_req, socket: Socket) => {
        theirs.push(socket.on('error', () => {}));
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
        socket.pipe(socket);
      });
      await once(service.listen(0, '127.0.0.1'), 'listening');
      const target = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
      const node = await startNode({
        DATABASE_URL: await makeDatabase(),
        SHUTDOWN_GRACE_MS: String(GRACE_MS),
      });
      const root = await logIn(node, 'superadmin');
      await addRoutes(root, [
        { id: 'ws', path: '/ws', public: true, upstream: { targets: [target], webSocket: true } },
        { id: 'slow', path: '/slow', public: true, upstream: target },
      ]);
      const ours = await Promise.all(Array.from({ length: 5 }, () => openAt(node.url)));
      const slow = fetch(`${node.url}/slow`);
      await arrived;
      const gone = [...ours, ...theirs].map((socket) => once(socket, 'close'));
      const beganMs = performance.now();
      const ended = node.stop(signal);
      await Promise.all(gone);
      answer();
      const answered = await slow;
      assert.deepEqual([answered.status, await answered.text()], [200, 'finished']);
      assert.equal(await ended, 0);
      assert.ok(performance.now() - beganMs < GRACE_MS / 2, 'it waited for them');
      assert.equal(node.stderr(), '');
      service.closeAllConnections();
      service.close();
    });
});

async function openAt(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname).setEncoding('latin1');
  socket.on('error', () => {});
  socket.write('GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  const [answer] = await once(socket, 'data');
  assert.equal(statusOf(answer), 101);
  socket.write('hello');
  const [echoed] = await once(socket, 'data');
  assert.equal(echoed, 'hello');
  return socket;
}
