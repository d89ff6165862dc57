/** The real nginx, Caddy and HAProxy, each with a configuration of docs/proxies as it is written there, but for its addresses. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { eventually } from '../../harness.ts';
import { freePort } from '../../redis-server.ts';

const documented = resolve(import.meta.dirname, '../../../docs/proxies');

export type ProxyKind = 'nginx' | 'caddy' | 'haproxy';

export interface StartedProxy {
  url: string;
  stop(): Promise<void>;
}

export interface ProxyOptions {
  /** Below docs/proxies. */
  file: string;
  /** In place of 127.0.0.1:8080. */
  castellan: string;
  /** In place of 127.0.0.1:3000, where the file has it. */
  app?: string;
}

interface Kind {
  /** What listens in the documented file, and on this port here. */
  listen(port: number): [string, string];
  /** Writes what it needs besides; the arguments of the program that runs this file in the foreground. */
  prepare(dir: string, file: string): Promise<string[]>;
}

const kinds: Record<ProxyKind, Kind> = {
  nginx: {
    listen: (port) => ['listen 80;', `listen 127.0.0.1:${port};`],
    prepare: async (dir, file) => {
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
      const paths = temporary.map((name) => `${name}_temp_path ${dir}/${name};`).join(' ');
      const rest = `access_log off; ${paths} include ${file};`;
      const main = `daemon off; master_process off; pid ${dir}/pid; error_log stderr crit; events {} http { ${rest} }`;
      await writeFile(join(dir, 'main.conf'), main);
      return ['-e', 'stderr', '-p', dir, '-c', join(dir, 'main.conf')];
    },
  },
  caddy: {
    listen: (port) => ['\n:80 {', `\n:${port} {`],
    prepare: async (_dir, file) => ['run', '--adapter', 'caddyfile', '--config', file],
  },
  haproxy: {
    listen: (port) => ['bind :80 ', `bind 127.0.0.1:${port} `],
    prepare: async (_dir, file) => ['-db', '-f', file],
  },
};

const MAX_ATTEMPTS = 5;

/**
 * Starts one on a free port of 127.0.0.1. Undefined where the program is not installed, so that a laptop can skip; under
 * `CI` that throws instead.
 */
export async function startProxy(kind: ProxyKind, options: ProxyOptions): Promise<StartedProxy | undefined> {
  const dir = await mkdtemp(join(tmpdir(), `castellan-${kind}-`));
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const port = await freePort();
    const file = await writeConfiguration(kind, dir, port, options);
    const program = await launch(kind, port, dir, await kinds[kind].prepare(dir, file));
    if (program === 'not installed') break;
    if (program) return { url: `http://127.0.0.1:${port}`, stop: () => stop(program, dir) };
  }
  await rm(dir, { recursive: true });
  if (process.env['CI']) throw new Error(`${kind} does not start: a missing one is a failure, not a skip`);
  return undefined;
}

async function writeConfiguration(
  kind: ProxyKind,
  dir: string,
  port: number,
  { file, castellan, app }: ProxyOptions,
): Promise<string> {
  const replaced: [string, string][] = [
    kinds[kind].listen(port),
    ['127.0.0.1:8080', new URL(castellan).host],
  ];
  if (app !== undefined) replaced.push(['127.0.0.1:3000', new URL(app).host]);
  if (kind === 'haproxy') replaced.push(['/etc/haproxy/castellan.lua', join(documented, 'haproxy.lua')]);
  let text = await readFile(join(documented, file), 'utf8');
  for (const [from, to] of replaced) {
    if (!text.includes(from)) throw new Error(`docs/proxies/${file} does not have ${from}`);
    text = text.replaceAll(from, to);
  }
  const written = join(dir, 'configuration');
  await writeFile(written, text);
  return written;
}

/** Waits until it accepts connections; undefined when it ended before because another program took the port. */
async function launch(
  kind: ProxyKind,
  port: number,
  dir: string,
  args: string[],
): Promise<ChildProcess | 'not installed' | undefined> {
  const program = spawn(kind, args, { stdio: ['ignore', 'ignore', 'pipe'], env: environment(dir), cwd: dir });
  const kill = () => program.kill('SIGKILL');
  process.once('exit', kill);
  program.once('exit', () => process.off('exit', kill));
  let said = '';
  program.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const failed = await Promise.race([spawnError(program), once(program, 'spawn').then(() => undefined)]);
  if (failed?.code === 'ENOENT') {
    process.off('exit', kill);
    return 'not installed';
  }
  if (failed) throw failed;
  const isOver = () => program.exitCode !== null || program.signalCode !== null;
  await eventually(`${kind} listens`, async () => isOver() || (await accepts(port)));
  if (!isOver()) return program;
  if (/address already in use|cannot bind/i.test(said)) return undefined;
  throw new Error(`${kind} ended at once: ${said}`);
}

/** Folders of its own, and a path with what is not among the programs of an ordinary user. */
function environment(dir: string): NodeJS.ProcessEnv {
  return {
    PATH: `${process.env['PATH'] ?? ''}:/usr/sbin`,
    HOME: dir,
    XDG_CONFIG_HOME: dir,
    XDG_DATA_HOME: dir,
    CADDY_ADMIN: `unix/${dir}/admin`,
  };
}

function spawnError(program: ChildProcess): Promise<NodeJS.ErrnoException> {
  return new Promise((resolve) => program.once('error', resolve));
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const tell = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => tell(true));
    socket.once('error', () => tell(false));
  });
}

async function stop(program: ChildProcess, dir: string): Promise<void> {
  if (program.exitCode === null && program.signalCode === null) {
    const exited = once(program, 'exit');
    // At once: none of them has anything to keep.
    program.kill('SIGKILL');
    await exited;
  }
  await rm(dir, { recursive: true, force: true });
}
