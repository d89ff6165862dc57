/** The plumbing of src/http under endpoints of a test's own, listening on a free port: no database, no feature. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import express, { type Router } from 'express';
import { pino } from 'pino';
import { type Endpoint, type Guard, mountEndpoints } from '../../../src/http/endpoint.ts';
import { jsonBodyReader } from '../../../src/http/json-body.ts';
import { notFound, problemHandler } from '../../../src/http/problem.ts';
import { requestLog } from '../../../src/http/request-log.ts';
import { makeServer } from '../../../src/http/server.ts';
import { Client } from '../../harness.ts';

export type SmallEndpoint = Endpoint<'public', undefined>;

export interface SmallApp {
  url: string;
  port: number;
  client: Client;
  /** The log lines so far. */
  logged(): Record<string, unknown>[];
  close(): Promise<void>;
}

export interface SmallAppOptions {
  endpoints?: readonly SmallEndpoint[];
  router?: Router;
  guard?: Guard<'public', undefined>;
  bodyLimitBytes?: number;
  requestTimeoutMs?: number;
}

const openToAll: Guard<'public', undefined> = { beforeInput: async () => {}, admit: async () => undefined };

export async function startSmallApp({
  endpoints = [],
  router = express.Router(),
  guard = openToAll,
  bodyLimitBytes = 10_000,
  requestTimeoutMs = 5000,
}: SmallAppOptions): Promise<SmallApp> {
  const lines: string[] = [];
  const sink = new Writable({ write: (chunk, _encoding, done) => done(void lines.push(String(chunk))) });
  const app = express().disable('x-powered-by').set('query parser', 'simple').set('etag', false);
  app.use(requestLog(pino({ level: 'trace' }, sink)), router);
  mountEndpoints(app, endpoints, { guard, readBody: jsonBodyReader(bodyLimitBytes) });
  app.use(notFound, problemHandler);
  const { server, stop } = makeServer(app, { requestTimeoutMs });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    port,
    client: new Client(url),
    logged: () => lines.map((line): Record<string, unknown> => JSON.parse(line)),
    close: () => stop(0),
  };
}
