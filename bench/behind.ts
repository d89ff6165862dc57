/** What bench/gateway.ts and bench/gateway-load.ts have in common: a service, a gateway with a route to it, and whoever asks. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { makeDemoDatabase } from '../test/harness.ts';
import { logIn, type Node, send, startNode } from './node.ts';

export interface Behind {
  gateway: Node;
  /** Of the service. */
  upstream: string;
  /** Of somebody who may read what the route is about, and of who may change the policy. */
  token: string;
  admin: string;
  stop(): Promise<void>;
}

/** `/open` is public, `/parcels/:id` is decided about. */
export async function startBehind(env: Record<string, string> = {}): Promise<Behind> {
  const service = await startServer('upstream');
  const gateway = await startNode(await makeDemoDatabase(), env);
  const admin = await logIn(gateway, 'superadmin@example.com', 'superpass');
  const token = await logIn(gateway, 'user@example.com', 'userpass');
  await send(`${gateway.url}/api/v1/admin/policy/import`, {
    method: 'POST',
    token: admin,
    body: policyWith(service.url),
    expect: 200,
  });
  return {
    gateway,
    upstream: service.url,
    token,
    admin,
    stop: async () => {
      await gateway.stop();
      service.process.disconnect();
    },
  };
}

function policyWith(upstream: string): object {
  return {
    version: 1,
    resourceTypes: [{ type: 'parcel', actions: ['read'], attributes: { id: { type: 'string' } } }],
    rules: [
      {
        id: 'all-read-parcels',
        role: 'authenticated',
        action: 'read',
        subject: 'parcel',
        conditions: { id: { $ne: 'x' } },
      },
    ],
    routes: [
      { id: 'open', methods: ['GET'], path: '/open', public: true, upstream },
      {
        id: 'parcels',
        methods: ['GET', 'POST'],
        path: '/parcels/:id',
        resource: 'parcel',
        action: 'read',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of a route
        resourceId: '${path.id}',
        upstream,
      },
    ],
  };
}

/** One of bench/gateway-servers.ts in a process of its own. */
export async function startServer(...args: string[]): Promise<{ url: string; process: ChildProcess }> {
  const server = fork(fileURLToPath(new URL('./gateway-servers.js', import.meta.url)), args);
  const [url] = (await once(server, 'message')) as [string];
  return { url, process: server };
}

/** Publishes a rule about something else again and again, `perSecond` times in a second as far as the gateway can; ends it, and says how many there were. */
export function keepPublishing({ gateway, admin }: Behind, perSecond: number): () => Promise<number> {
  let published = 0;
  let ended = false;
  const publish = async (lane: number) => {
    const path = `${gateway.url}/api/v1/admin/rules`;
    const id = `load-${lane}`;
    const rule = { id, role: 'auditor', action: 'read', subject: 'parcel' };
    await send(path, { method: 'POST', token: admin, body: rule });
    while (!ended) {
      const startedMs = performance.now();
      const body = { priority: published % 100 };
      const { status } = await send(`${path}/${id}`, { method: 'PATCH', token: admin, body });
      if (status === 200) published++;
      const restMs = (1000 * LANES) / perSecond - (performance.now() - startedMs);
      if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
    }
  };
  const lanes = Array.from({ length: LANES }, (_, lane) => publish(lane));
  return async () => {
    ended = true;
    await Promise.all(lanes);
    return published;
  };
}

/** So many are on their way at once. */
const LANES = 4;
