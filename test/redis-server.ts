/** A Redis for the tests: the one that `TEST_REDIS_URL` names, or a throw-away `redis-server` of our own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A Redis that answers at `url`. */
export interface RedisServer {
  url: string;
  /** Ends the server if it is ours, and waits until it has gone. */
  stop(): Promise<void>;
}

const MAX_ATTEMPTS = 5;

/**
 * Starts Redis on a free port of 127.0.0.1, empty and without persistence. Undefined where no `redis-server` is
 * installed, so that a laptop can skip; under `CI` that throws instead.
 */
export async function startRedis(): Promise<RedisServer | undefined> {
  const given = process.env['TEST_REDIS_URL'];
  if (given) return { url: given, stop: async () => {} };
  const dir = await mkdtemp(join(tmpdir(), 'castellan-redis-'));
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const port = await freePort();
    const server = await launch(port, dir);
    if (server === 'not installed') break;
    if (server) return { url: `redis://127.0.0.1:${port}`, stop: () => stop(server, dir) };
  }
  await rm(dir, { recursive: true });
  if (process.env['CI'])
    throw new Error('redis-server does not start: a missing Redis is a failure, not a skip');
  return undefined;
}

/** Waits until it accepts connections; undefined when it ended before, as when another program took the port. */
async function launch(port: number, dir: string): Promise<ChildProcess | 'not installed' | undefined> {
  const args = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    dir,
  ];
  const server = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const kill = () => server.kill('SIGKILL');
  process.once('exit', kill);
  server.once('exit', () => process.off('exit', kill));
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      process.off('exit', kill);
      if (error.code === 'ENOENT') resolve('not installed');
      else reject(error);
    });
    server.once('exit', () => resolve(undefined));
    createInterface(server.stdout).on('line', (line) => {
      if (line.includes('Ready to accept connections')) resolve(server);
    });
  });
}

async function stop(server: ChildProcess, dir: string): Promise<void> {
  if (server.exitCode === null && server.signalCode === null) {
    const exited = once(server, 'exit');
    server.kill('SIGTERM');
    await exited;
  }
  await rm(dir, { recursive: true, force: true });
}

/** A port on the loopback that nothing listened on a moment ago; another program may be quicker. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (typeof address !== 'object' || !address) throw new Error('a TCP server has no port');
  return address.port;
}
