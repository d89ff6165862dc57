/** Every way to the upstream of the field: to a node alone, and through each real proxy before another. */
import { Client, type TestGateway } from '../../harness.ts';
import { sendRaw, statusOf } from '../../http/gateway/upstream.ts';
import { type Arrived, arrivedSince } from './arrived.ts';
import { field } from './field.ts';

export interface Way {
  name: 'alone' | 'nginx' | 'caddy';
  url: string;
  /** The node that it leads to: what is changed there counts at once. */
  gateway: TestGateway;
  /** May change everything, there. */
  root: Client;
  /** Sends bytes on a connection of their own; what was answered, and what the upstream got of it. */
  send(bytes: string | Buffer): Promise<{ status: number; answer: string; arrived: Arrived[] }>;
}

/** Those that a test can be made for by name. */
export const wayNames = ['alone', 'nginx', 'caddy'] as const;

/** Those whose proxy is installed, each with what the field has. */
export async function everyWay(): Promise<Way[]> {
  const { gateway, upstream, root, fronts } = await field();
  await fronts.haveCaughtUp();
  const behind = fronts.all.map(({ name, url }) => ({ name, url, gateway: fronts.node }));
  return [{ name: 'alone' as const, url: gateway.url, gateway }, ...behind].map((way) => ({
    ...way,
    root: new Client(way.gateway.url, root.token),
    send: async (bytes) => {
      const count = upstream.seen.length;
      const answer = await sendRaw(way.url, bytes);
      return { status: statusOf(answer), answer, arrived: arrivedSince(upstream, count) };
    },
  }));
}

/** One of them; undefined where its proxy is not installed. */
export async function wayBy(name: Way['name']): Promise<Way | undefined> {
  return (await everyWay()).find((way) => way.name === name);
}
