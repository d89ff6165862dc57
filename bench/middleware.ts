/** One Express route with requireAccess and without, in the same run. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import autocannon from 'autocannon';
import express, { type RequestHandler } from 'express';
import { problemHandler } from '../src/http/problem.ts';
import { authenticate } from '../src/sessions/authenticate.ts';
import { dropDatabases, logIn, startGateway } from '../test/harness.ts';
import { figure, median, printHeader, printTable, spread } from './report.ts';

const ROUNDS = 5;
const ROUND_SECONDS = 3;
const CONNECTIONS = 32;

printHeader(`middleware: one Express route, ${CONNECTIONS} connections, a real session by bearer token`);
const gateway = await startGateway({ logLevel: 'silent' });
const { services } = gateway;
const { token = '' } = await logIn(gateway, 'author');
const paper = {
  id: '00000000-0000-4000-8000-0000000000a1',
  ownerId: '00000000-0000-4000-8000-000000000004',
  department: 'editorial',
  status: 'draft',
  title: 'Spring issue',
  body: 'An outline.',
};
const answer: RequestHandler = (_req, res) => void res.json(paper);
const guarded: RequestHandler[] = [
  authenticate({ sessions: services.sessions, allowedOrigins: [], isSecure: services.isSecure }),
  services.requireAccess({ action: 'read', resource: 'document', load: () => paper }),
];
const apps = {
  'the route alone': await listen([]),
  'with authenticate and requireAccess': await listen(guarded),
};

const rounds = new Map<string, { rate: number; p50: number; p99: number }[]>();
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, { url }] of Object.entries(apps)) {
    const { requests, latency, non2xx } = await autocannon({
      url,
      connections: CONNECTIONS,
      duration: ROUND_SECONDS,
      headers: { authorization: `Bearer ${token}` },
    });
    if (non2xx > 0) throw new Error(`${non2xx} requests of "${name}" were not answered 2xx`);
    rounds.set(name, [
      ...(rounds.get(name) ?? []),
      { rate: requests.average, p50: latency.p50, p99: latency.p99 },
    ]);
  }
}
const alone = median((rounds.get('the route alone') ?? []).map(({ rate }) => rate));
printTable(
  ['', 'requests/s', 'spread of rounds', 'p50 ms', 'p99 ms', 'ratio'],
  [...rounds].map(([name, seen]) => {
    const rates = seen.map(({ rate }) => rate);
    return [
      name,
      figure(median(rates)),
      spread(rates, figure),
      figure(median(seen.map(({ p50 }) => p50))),
      figure(median(seen.map(({ p99 }) => p99))),
      figure(median(rates) / alone),
    ];
  }),
);
for (const { server } of Object.values(apps)) server.closeAllConnections();
await gateway.close();
await dropDatabases();
process.exit(0);

async function listen(handlers: RequestHandler[]): Promise<{ url: string; server: Server }> {
  const app = express();
  app.get('/paper', ...handlers, answer);
  app.use(problemHandler);
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/paper`, server };
}
