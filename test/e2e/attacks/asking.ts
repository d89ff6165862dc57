/** The real nginx and Caddy as docs/proxies has them, which ask a node of the field about each request, before the same upstream. */
import { sendRaw, statusOf } from '../../http/gateway/upstream.ts';
import { type StartedProxy, startProxy } from '../proxies/start-proxy.ts';
import { type Arrived, arrivedSince } from './arrived.ts';
import { field } from './field.ts';

export interface Asking {
  name: 'nginx' | 'caddy';
  attack(bytes: string): Promise<{ status: number; answer: string; arrived: Arrived[] }>;
}

const files = { nginx: 'nginx.conf', caddy: 'Caddyfile' } as const;
const running: StartedProxy[] = [];
let begun: Promise<Asking[]> | undefined;

/** Those that are installed, started when they are first asked for; they are gone after the last test of the run. */
export function asking(): Promise<Asking[]> {
  begun ??= begin();
  return begun;
}

after(() => Promise.all(running.map(({ stop }) => stop())));

async function begin(): Promise<Asking[]> {
  const { fronts, upstream } = await field();
  await fronts.haveCaughtUp();
  const all: Asking[] = [];
  for (const name of ['nginx', 'caddy'] as const) {
    const parts = { file: files[name], castellan: fronts.node.url, app: upstream.url };
    const proxy = await startProxy(name, parts);
    if (!proxy) continue;
    running.push(proxy);
    const attack: Asking['attack'] = async (bytes) => {
      const count = upstream.seen.length;
      const answer = await sendRaw(proxy.url, bytes);
      return { status: statusOf(answer), answer, arrived: arrivedSince(upstream, count) };
    };
    all.push({ name, attack });
  }
  return all;
}
