/** The server process of the embedded PostgreSQL: started as a daemon, found by its pid file, shut down. */
import { readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from './embedded-postgres-binaries.ts';
import type { Cluster } from './embedded-postgres-cluster.ts';

const STOP_TIMEOUT_MS = 60_000;

/** Ends every session and waits until the server has gone. */
export async function shutDown({ data, binaries, account }: Cluster): Promise<void> {
  const server = await readPidFile(data);
  await run(binaries.pgCtl, ['stop', '--mode=fast', '--no-wait', `--pgdata=${data}`], account);
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  // pg_ctl's own wait would go on if another process started the server anew in between.
  while (server && (await readPidFile(data))?.pid === server.pid && (await isPostmaster(server.pid, data))) {
    if (Date.now() > deadline) throw new Error(`The embedded PostgreSQL in ${data} does not stop`);
    await sleep(20);
  }
}

/** Starts the server on its last port if that is free, as a daemon outside our session, and waits until it is ready. Throws its complaint. */
export async function launch(cluster: Cluster): Promise<void> {
  const lastCommand = await readFile(join(cluster.data, 'postmaster.opts'), 'utf8').catch(() => '');
  const port = await freePort(Number(/"-p" "(\d+)"/.exec(lastCommand)?.[1] ?? 0));
  const { data, logFile, binaries, account } = cluster;
  const args = ['start', '--wait', `--pgdata=${data}`, `--log=${logFile}`, `--options=-p ${port}`];
  const logged = await readLog(logFile);
  await run(binaries.pgCtl, args, account).catch(async (cause: Error) => {
    const lines = (await readLog(logFile)).slice(logged.length).split('\n');
    const complaint = lines.findLast((line) => /FATAL|PANIC|error/i.test(line)) ?? cause.message;
    throw new Error(`${complaint} (log: ${logFile})`, { cause });
  });
}

/** `postmaster.pid` stands from the server's first moment to its last, and longer after a crash: line 1 pid, line 4 port. */
export async function readPidFile(data: string): Promise<{ pid: number; port: number } | undefined> {
  const lines = (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  const [pid, port] = [Number(lines[0]), Number(lines[3])];
  return pid > 0 && port > 0 ? { pid, port } : undefined;
}

/**
 * Whether the server that wrote `postmaster.pid` still lives. After a crash its pid may belong to another program,
 * often so in a container, or to its own unburied remains; PostgreSQL would then refuse to start, so the file goes.
 */
export async function isPostmaster(pid: number, data: string): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  if (process.platform !== 'linux') return true;
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  if (commandLine.split('\0').includes(data)) return true;
  // Asked again, lest a server that started this moment lose its file.
  if ((await readPidFile(data))?.pid === pid) await rm(join(data, 'postmaster.pid'), { force: true });
  return false;
}

/** A port of loopback that is free now: the preferred one, or any; 0 prefers none. */
export function freePort(preferred: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => (preferred ? resolve(freePort(0)) : reject(error)));
    server.listen(preferred, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

function readLog(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '');
}
