/** A service behind the gateway that tells what it got, byte by byte, and routes to it. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import type { Client } from '../../harness.ts';
import { ok } from '../admin/staff.ts';

/** A request as it came. */
export interface Seen {
  method: string;
  url: string;
  headers: Record<string, string>;
  rawHeaders: string[];
  body: string;
}

export interface Upstream {
  url: string;
  server: Server;
  /** Every request that came, the last one last. */
  seen: Seen[];
  close(): Promise<void>;
}

type Handle = (req: IncomingMessage, res: ServerResponse) => void;

/** Starts one on loopback. `handle` answers instead of the usual 200. */
export async function startUpstream(handle?: Handle): Promise<Upstream> {
  const seen: Seen[] = [];
  const server = createServer((req, res) => {
    if (handle) return handle(req, res);
    const chunks: Buffer[] = [];
    req.on('data', (chunk) => chunks.push(chunk));
    req.on('end', () => {
      const { method = '', url = '', rawHeaders } = req;
      const headers = req.headers as Record<string, string>;
      seen.push({ method, url, headers, rawHeaders, body: Buffer.concat(chunks).toString() });
      res.setHeader('Content-Type', 'application/json');
      res.end(JSON.stringify({ method, url, headers }));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    server,
    seen,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export const routesPath = '/api/v1/admin/routes';

/** Adds routes; those without methods take GET. */
export async function addRoutes(root: Client, routes: object[]): Promise<void> {
  for (const route of routes) ok(await root.post(routesPath, { methods: ['GET'], ...route }), 201);
}

/** Sends these bytes on a connection of their own, and reads until it is closed or an answer has come whole. */
export async function sendRaw(base: string, bytes: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(base);
  const socket = connect(Number(port), hostname);
  socket.write(bytes);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => {});
  await once(socket, 'close');
  return Buffer.concat(chunks).toString('latin1');
}

/** A request as raw text: start line and headers as they are given, `Host` first unless one is among them. */
export function rawRequest(
  target: string,
  { method = 'GET', headers = [] as string[], body = '' } = {},
): string {
  const hasHost = headers.some((header) => /^host:/i.test(header));
  const lines = [`${method} ${target} HTTP/1.1`, ...(hasHost ? [] : ['Host: gateway.test']), ...headers];
  return `${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`;
}

/** The status of a raw answer; 0 where there was none. */
export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
}
