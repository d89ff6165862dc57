/** Castellan as processes of its own: started, spoken to, stopped, with everything they print. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { builtFrom, hashSources } from '../../scripts/sources.mjs';
import { Client, eventually } from '../harness.ts';

/** A process and what it has printed so far. */
export interface Running {
  child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** The exit code; null when a signal ended it. */
  ended: Promise<number | null>;
}

/** A gateway that has said where it is. */
export interface Node extends Running {
  url: string;
  /** Sends a signal and waits for the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

type Environment = Record<string, string>;

/** The build where it is that of these sources, as after `npm test`: it starts in half the time. */
const isBuilt = builtFrom() === hashSources();

/** What node is given to run a program of `src`. */
export function programOf(source: string): string[] {
  return isBuilt ? [`dist/${source.replace('.ts', '.js')}`] : ['--import', 'tsx', source];
}

const COMMAND_LINE = programOf('src/cli/main.ts');

const living = new Set<ChildProcess>();

/** Ends what a failed test has left running. */
export function killLeftovers(): void {
  for (const child of living) child.kill('SIGKILL');
}
process.once('exit', killLeftovers);

/** Runs a program of the checkout with these settings and none of the caller's. */
export function launch(args: string[], env: Environment = {}, program = process.execPath): Running {
  const { PATH = '', HOME = '', TMPDIR = '' } = process.env;
  const child = spawn(program, args, {
    env: { PATH, HOME, ...(TMPDIR && { TMPDIR }), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  living.add(child);
  child.once('exit', () => living.delete(child));
  const ended = once(child, 'close').then(([code]) => code);
  const collect = (stream: NodeJS.ReadableStream) => {
    let text = '';
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    return () => text;
  };
  return { child, stdout: collect(child.stdout), stderr: collect(child.stderr), ended };
}

/** Runs `castellan <args>` to its end. */
export async function castellan(args: string[], env: Environment = {}, input = ''): Promise<Result> {
  return finish(launch([...COMMAND_LINE, ...args], env), input);
}

/** Gives a process its input and waits for its end. */
export async function finish(running: Running, input = ''): Promise<Result> {
  running.child.stdin?.on('error', () => {}); // it may end without reading
  running.child.stdin?.end(input);
  const code = await running.ended;
  return { code, stdout: running.stdout(), stderr: running.stderr() };
}

/** Starts a gateway on a free port; fails with what it printed when it ends instead. */
export async function startNode(env: Environment): Promise<Node> {
  const running = launch(programOf('src/main.ts'), {
    NODE_ENV: 'test',
    PORT: '0',
    LOG_LEVEL: 'warn',
    DATABASE_POOL_MAX: '5',
    SIGNING_SECRET: 'a secret of the tests, which nobody keeps',
    ...env,
  });
  const { child, stdout, stderr, ended } = running;
  let over = false;
  void ended.then(() => {
    over = true;
  });
  const url = await eventually(
    'the start',
    () => {
      if (over) throw new Error(`it ended: ${stderr()}${stdout()}`);
      return /^Castellan is at (\S+)/m.exec(stdout())?.[1];
    },
    30_000,
  );
  const stop = (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal);
    return ended;
  };
  return { ...running, url, stop };
}

/** The value of a metric without labels, as the node tells it now. */
export async function metric({ url }: Node, name: string): Promise<number> {
  const text: string = (await new Client(url).get('/metrics')).body;
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}
