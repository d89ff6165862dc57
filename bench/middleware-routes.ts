/** The server of bench/middleware.ts: a small Express app twice, without and with access control, in one process. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type RequestHandler } from 'express';
import { problemHandler } from '../src/http/problem.ts';
import { authenticate } from '../src/sessions/authenticate.ts';
import { dropDatabases, logIn, startGateway } from '../test/harness.ts';

/** What is told once they listen. */
export interface Routes {
  token: string;
  urls: Record<string, string>;
}

/** An own draft of the demo's author. It is at hand: what a database would take is no part of the measure. */
const paper = {
  id: '00000000-0000-4000-8000-0000000000a1',
  title: 'Spring issue',
  body: 'An outline.',
  status: 'draft',
  ownerId: '00000000-0000-4000-8000-000000000004',
  department: 'editorial',
  createdAt: new Date('2026-03-01T09:00:00Z'),
  updatedAt: new Date('2026-03-02T09:00:00Z'),
};

const gateway = await startGateway({ logLevel: 'silent' });
const { requireAccess } = gateway.services;
const identify = authenticate(gateway.services);
const guard = requireAccess({ action: 'read', resource: 'document', load: () => paper });
const urls = {
  alone: await listen([]),
  'after authenticate': await listen([identify]),
  'after authenticate and requireAccess': await listen([identify, guard]),
};
const { token = '' } = await logIn(gateway, 'author');
process.on('message', async (message) => {
  if (message === 'cpu') process.send?.(cpuUs());
  if (message === 'stop') await stop();
});
process.send?.({ token, urls } satisfies Routes);

async function listen(handlers: RequestHandler[]): Promise<string> {
  const app = express();
  app.get('/paper', ...handlers, (_req, res) => void res.json(paper));
  app.use(problemHandler);
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/paper`;
}

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

async function stop(): Promise<void> {
  await gateway.close();
  await dropDatabases();
  process.exit(0);
}
