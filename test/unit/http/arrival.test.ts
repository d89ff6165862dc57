/** How long a request may take where it is passed on as it comes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { allowByParts, limitArrival } from '../../../src/http/arrival.ts';

const TIMEOUT_MS = 50;

/** What is said, in turn, of a body that nobody takes; `whole` of it comes or not. */
async function saidOf({ whole, answers }: { whole: boolean; answers: boolean[] }): Promise<string[]> {
  const said: string[] = [];
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
  const over = new Promise<void>((resolve) => {
    server.on('request', (req: IncomingMessage) => {
      limitArrival(req, TIMEOUT_MS, () => {
        said.push('cut off');
        resolve();
      });
      allowByParts(req, () => {
        const answer = answers[said.length] ?? false;
        said.push(`given up: ${answer}`);
        // Longer than another look would take.
        if (!answer) setTimeout(resolve, whole ? TIMEOUT_MS * 3 : TIMEOUT_MS).unref();
        return answer;
      });
      req.pause();
      socket.write(whole ? 'xx' : 'x');
    });
  });
  socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n');
  await over;
  socket.destroy();
  server.close();
  return said;
}

describe('the time limit of what is passed on', () => {
  it('counts against whoever does not take it, and then against whoever goes on holding it', async () => {
    assert.deepEqual(await saidOf({ whole: false, answers: [true, false] }), [
      'given up: true',
      'given up: false',
      'cut off',
    ]);
  });

  it('counts as well where all has come, and nobody takes it', async () => {
    assert.deepEqual(await saidOf({ whole: true, answers: [true] }), ['given up: true', 'given up: false']);
  });

  it('does not end an answer that has begun where the client has sent all', async () => {
    assert.deepEqual(await saidOf({ whole: true, answers: [] }), ['given up: false']);
  });
});
