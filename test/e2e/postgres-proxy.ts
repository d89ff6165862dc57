/** A PostgreSQL behind a wire that can be cut. */
import { type CutProxy, startCutProxy } from '../cut-proxy.ts';

/** Starts a proxy to the server of `url`; `databaseUrl` leads to the same database through it. */
export async function startPostgresProxy(url: string): Promise<{ proxy: CutProxy; databaseUrl: string }> {
  const { hostname, port } = new URL(url);
  const proxy = await startCutProxy({ host: hostname, port: Number(port || 5432) });
  const through = new URL(url);
  through.hostname = '127.0.0.1';
  through.port = String(proxy.port);
  return { proxy, databaseUrl: through.href };
}
