/** The demo's service behind the gateway: which port it has, and its process. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { environmentWith } from '../config.ts';
import type { Policy } from '../policy/policy.ts';
import { freePort } from '../storage/embedded-postgres-server.ts';

const ROUTE = 'press-proof';
const SERVICE = /^http:\/\/127\.0\.0\.1:(\d+)$/;

/** The demo's policy with its service on a port that is free: the one after the gateway's, or any. */
export async function withPressOn(policy: Policy, gatewayPort: number): Promise<Policy> {
  const port = await freePort(gatewayPort > 0 && gatewayPort < 65_535 ? gatewayPort + 1 : 0);
  const upstream = `http://127.0.0.1:${port}`;
  const routes = policy.routes.map((route) =>
    typeof route.upstream === 'string' && SERVICE.test(route.upstream) ? { ...route, upstream } : route,
  );
  return { ...policy, routes };
}

/**
 * Starts it where the policy's route to it says; undefined where the policy has no such route any more. One that does not
 * start is told on stderr, and its routes are answered 502.
 */
export async function startPress(
  { routes }: Pick<Policy, 'routes'>,
  { gatewayUrl, certFile }: { gatewayUrl: string; certFile?: string | undefined },
): Promise<{ close(): Promise<void> } | undefined> {
  const upstream = routes.find(({ id }) => id === ROUTE)?.upstream;
  const [, port] = (typeof upstream === 'string' && SERVICE.exec(upstream)) || [];
  if (!port) return undefined;
  const path = fileURLToPath(
    new URL(`./press.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url),
  );
  const service = fork(path, [port, gatewayUrl], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // It reads the gateway's keys over TLS, by a certificate that may be nobody else's.
    env: environmentWith(certFile ? { NODE_EXTRA_CA_CERTS: certFile } : {}),
  });
  const ended = once(service, 'exit');
  await Promise.race([once(service, 'message'), ended]);
  return {
    close: async () => {
      if (service.connected) service.disconnect();
      await ended;
    },
  };
}
