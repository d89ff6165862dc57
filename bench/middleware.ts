/** One Express route without and with access control, in one process, asked by another. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import type { Routes } from './middleware-routes.ts';
import { figure, median, printHeader, printTable, ratio, spread } from './report.ts';

const ROUNDS = 7;
const ROUND_SECONDS = 2;
const CONNECTIONS = 16;

interface Round {
  perSecond: number;
  p50: number;
  p99: number;
  /** CPU time of the server's process for each request, which other processes hardly change. */
  cpuUs: number;
}

printHeader(`middleware: GET of one Express route over loopback, ${CONNECTIONS} kept connections`);
const server = fork(fileURLToPath(new URL('./middleware-routes.js', import.meta.url)));
const { token, urls } = await answer<Routes>(server);
const rounds = new Map<string, Round[]>(Object.keys(urls).map((name) => [name, []]));
for (let round = 0; round <= ROUNDS; round++) {
  for (const [name, url] of Object.entries(urls)) {
    const seen = await oneRound(url, round === 0 ? 1 : ROUND_SECONDS);
    if (round > 0) rounds.get(name)?.push(seen);
  }
}
server.send('stop');
await once(server, 'exit');
const base = [...rounds.values()][0] ?? [];
const column = (of: Round[], key: keyof Round) => of.map((round) => round[key]);
printTable(
  [
    'the route',
    'requests/s',
    'most rounds',
    '/ alone',
    '/ row above',
    'p50 ms',
    'p99 ms',
    'server CPU, µs each',
  ],
  [...rounds].map(([name, of], row, all) => {
    const above = all[row - 1]?.[1];
    const rates = column(of, 'perSecond');
    const cpu = column(of, 'cpuUs');
    return [
      name,
      figure(median(rates)),
      spread(rates),
      above ? figure(ratio(rates, column(base, 'perSecond'))) : '',
      above ? figure(ratio(rates, column(above, 'perSecond'))) : '',
      figure(median(column(of, 'p50'))),
      figure(median(column(of, 'p99'))),
      figure(median(cpu)),
    ];
  }),
);

async function oneRound(url: string, duration: number): Promise<Round> {
  const before = await cpuUsOf(server);
  const { requests, latency, non2xx, errors } = await autocannon({
    url,
    duration,
    connections: CONNECTIONS,
    headers: { authorization: `Bearer ${token}` },
  });
  if (non2xx + errors > 0) throw new Error(`${non2xx + errors} requests of ${url} were not answered 2xx`);
  const cpuUs = ((await cpuUsOf(server)) - before) / requests.total;
  return { perSecond: requests.average, p50: latency.p50, p99: latency.p99, cpuUs };
}

async function cpuUsOf(process: ChildProcess): Promise<number> {
  process.send('cpu');
  return answer<number>(process);
}

async function answer<T>(process: ChildProcess): Promise<T> {
  const [message] = await once(process, 'message');
  return message;
}
