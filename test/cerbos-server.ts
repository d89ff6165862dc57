/** A real Cerbos server for the tests: installed into cerbos/ when it is first needed. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { freePort } from './redis-server.ts';

export interface CerbosServer {
  /** Where its AuthZEN paths begin. */
  url: string;
  pid: number | undefined;
  stop(): Promise<void>;
}

const BINARY = 'node_modules/@cerbos/cerbos-linux-x64/cerbos-linux-x64';
const MAX_ATTEMPTS = 5;

/**
 * Installs Cerbos where it is not yet, and starts it on a free port with the policies of the folder. Undefined where there is
 * none for this machine, so that a laptop can skip; under `CI` that throws instead.
 */
export async function startCerbos(
  folder = join(import.meta.dirname, 'cerbos'),
): Promise<CerbosServer | undefined> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    if (process.env['CI'])
      throw new Error('Cerbos is there for linux-x64 only: under CI a missing one is a failure, not a skip');
    return undefined;
  }
  if (!existsSync(join(folder, BINARY)))
    await promisify(execFile)('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder });
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const [httpPort, grpcPort] = [await freePort(), await freePort()];
    const server = await launch(folder, httpPort, grpcPort);
    if (server) return { url: `http://127.0.0.1:${httpPort}`, pid: server.pid, stop: () => stop(server) };
  }
  throw new Error('Cerbos does not start');
}

/** Waits until it listens; undefined when it ended before, as when another program took a port. */
async function launch(folder: string, httpPort: number, grpcPort: number): Promise<ChildProcess | undefined> {
  const settings = [
    `server.httpListenAddr=127.0.0.1:${httpPort}`,
    `server.grpcListenAddr=127.0.0.1:${grpcPort}`,
    'storage.driver=disk',
    `storage.disk.directory=${join(folder, 'policies')}`,
    'telemetry.disabled=true',
  ];
  const args = ['server', ...settings.flatMap((setting) => ['--set', setting])];
  const server = spawn(join(folder, BINARY), args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const kill = () => server.kill('SIGKILL');
  process.once('exit', kill);
  server.once('exit', () => process.off('exit', kill));
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('exit', () => resolve(undefined));
    createInterface(server.stdout).on('line', (line) => {
      if (line.includes('Starting HTTP server')) resolve(server);
    });
  });
}

async function stop(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const exited = once(server, 'exit');
  server.kill('SIGKILL');
  await exited;
}
