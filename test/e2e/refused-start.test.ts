/** A start that cannot succeed: one clear line, exit code 1. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { makeDatabase } from '../harness.ts';
import { finish, launch, programOf, type Result } from './process.ts';

type Environment = Record<string, string>;

const start = (env: Environment): Promise<Result> =>
  finish(launch(programOf('src/main.ts'), { NODE_ENV: 'test', PORT: '0', ...env }));

describe('a start that cannot succeed', function () {
  this.timeout(60_000);

  /** Asserts that each of them ends with exit code 1 and exactly one line that fits. */
  async function assertRefused(starts: [Environment, RegExp][]): Promise<void> {
    const results = await Promise.all(starts.map(([env]) => start(env)));
    for (const [index, { code, stdout, stderr }] of results.entries()) {
      const [env, line] = starts[index] ?? [{}, /^$/];
      assert.equal(code, 1, JSON.stringify(env));
      assert.equal(stdout, '', JSON.stringify(env));
      assert.match(stderr, line);
      assert.equal(stderr.indexOf('\n'), stderr.length - 1, `more than one line: ${stderr}`);
    }
  }

  it('names the setting that is not usable, without the secret in it', async () => {
    await assertRefused([
      [{ PORT: 'abc' }, /^castellan: PORT: must be a number, not "abc"/],
      [{ PUBLIC_URL: 'foo' }, /^castellan: PUBLIC_URL: must be a valid uri .*not "foo"/],
      [
        { DATABASE_URL: 'mysql://me:secret@db/x' },
        /^castellan: DATABASE_URL: must be (?!.*secret).*postgres/,
      ],
      [{ REDIS_URL: 'http://:secret@cache' }, /^castellan: REDIS_URL: must be (?!.*secret).*redis/],
    ]);
  });

  it('says what is wrong with an evaluator that is named on the command line, before anything is opened', async () => {
    const args = ['serve', '--evaluator', './nowhere.js'];
    const { code, stderr } = await finish(
      launch([...programOf('src/cli/main.ts'), ...args], { NODE_ENV: 'test' }),
    );
    assert.equal(code, 1);
    assert.match(stderr, /^castellan: evaluator \.\/nowhere\.js: there is no such file \(.*\)\n$/);
  });

  it('refuses the demo, whose passwords everybody knows, in production', async () => {
    await assertRefused([[{ NODE_ENV: 'production', DEMO: 'true' }, /^castellan: DEMO: .*production/]]);
  });

  it('says where PostgreSQL was looked for and why it cannot be used', async () => {
    const good = new URL(await makeDatabase());
    const withPassword = (password: string) => Object.assign(new URL(good), { password }).href;
    const silent = await listen((socket) => socket.on('error', () => {}));
    const old = await listen(speakAsVersion('130022'));
    const url = ({ port }: { port: number }) => `postgres://me:secret@127.0.0.1:${port}/castellan`;
    const closed = await listen(() => {});
    await closed.close();
    await assertRefused([
      [
        { DATABASE_URL: url(closed) },
        new RegExp(
          `^castellan: PostgreSQL at 127.0.0.1:${closed.port}/castellan cannot be reached: .*ECONNREFUSED`,
        ),
      ],
      [
        { DATABASE_URL: url(silent) },
        new RegExp(
          `^castellan: PostgreSQL at 127.0.0.1:${silent.port}/castellan cannot be reached: .*timeout`,
        ),
      ],
      [{ DATABASE_URL: url(old) }, /^castellan: PostgreSQL at \S+ is version 13; at least 14 is needed/],
      [
        { DATABASE_URL: withPassword('wrong') },
        /^castellan: PostgreSQL at \S+ cannot be reached: password authentication failed/,
      ],
    ]);
    await Promise.all([silent.close(), old.close()]);
  });
});

async function listen(serve: (socket: Socket) => void): Promise<{ port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  };
  return { port: typeof address === 'object' && address ? address.port : 0, close };
}

/** As much of a PostgreSQL server as it takes to be asked for its version (protocol 3.0, simple queries). */
function speakAsVersion(versionNumber: string): (socket: Socket) => void {
  const message = (type: string, ...parts: (string | Buffer)[]) => {
    const body = Buffer.concat(
      parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part)),
    );
    const length = Buffer.alloc(4);
    length.writeInt32BE(body.length + 4);
    return Buffer.concat([Buffer.from(type), length, body]);
  };
  const readyForQuery = message('Z', Buffer.from('I'));
  const number = (value: number, bytes: 2 | 4) => {
    const buffer = Buffer.alloc(bytes);
    buffer.writeIntBE(value, 0, bytes);
    return buffer;
  };
  const answer = (name: string, value: string) => {
    const TEXT = 25;
    const column = [number(0, 4), number(0, 2), number(TEXT, 4), number(-1, 2), number(-1, 4), number(0, 2)];
    return Buffer.concat([
      message('T', number(1, 2), name, ...column),
      message('D', number(1, 2), number(value.length, 4), Buffer.from(value)),
      message('C', 'SELECT 1'),
      readyForQuery,
    ]);
  };
  return (socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(Buffer.concat([message('R', number(0, 4)), readyForQuery]));
      socket.on('data', (data) => {
        if (data.includes('server_version_num')) socket.write(answer('server_version_num', versionNumber));
        else if (data.includes('version()')) socket.write(answer('version', 'PostgreSQL 13.22'));
      });
    });
  };
}
