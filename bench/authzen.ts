/** POST /access/v1/evaluation beside Cerbos with an equal policy, and beside a bare server that parses the same JSON. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import type { DecisionPoints } from './authzen-servers.ts';
import { figure, median, printHeader, printTable, ratio, spread } from './report.ts';

const ROUNDS = 7;
const ROUND_SECONDS = 2;
const CONNECTIONS = 32;

interface Round {
  perSecond: number;
  p50: number;
  p99: number;
  /** CPU time of the server's process for each request, which other processes hardly change. */
  cpuUs: number;
  /** Of the server's process after the round. */
  rssMb: number;
}

/** Somebody of another system and something of it, with all that the policy asks for. */
const question = JSON.stringify({
  subject: {
    type: 'employee',
    id: 'e-1',
    // Cerbos takes roles from whoever asks, and nobody without.
    properties: { department: 'sales', approvalLimit: 5000, 'cerbos.roles': ['employee'] },
  },
  action: { name: 'update' },
  resource: { type: 'deal', id: 'd-1', properties: { department: 'sales', stage: 'open', amount: 100 } },
});

printHeader(`authzen: one evaluation over loopback, ${CONNECTIONS} kept connections`);
const servers = new Map<string, { process: ChildProcess; url: string; headers: Record<string, string> }>();
for (const name of ['bare', 'castellan', 'cerbos']) {
  const server = fork(fileURLToPath(new URL('./authzen-servers.js', import.meta.url)), [name]);
  const point = await answer<DecisionPoints>(server);
  await requireAllowed(point);
  servers.set(name, { process: server, ...point });
}
const rounds = new Map<string, Round[]>([...servers.keys()].map((name) => [name, []]));
for (let round = 0; round <= ROUNDS; round++)
  for (const [name, server] of servers) {
    const seen = await oneRound(server, round === 0 ? 1 : ROUND_SECONDS);
    if (round > 0) rounds.get(name)?.push(seen);
  }
for (const { process: server } of servers.values()) {
  server.send('stop');
  await once(server, 'exit');
}
const column = (of: Round[], key: keyof Round) => of.map((round) => round[key]);
const bare = column(rounds.get('bare') ?? [], 'perSecond');
printTable(
  ['server', 'requests/s', 'most rounds', '/ bare', 'p50 ms', 'p99 ms', 'server CPU, µs each', 'RSS MB'],
  [...rounds].map(([name, of]) => {
    const rates = column(of, 'perSecond');
    return [
      name,
      figure(median(rates)),
      spread(rates),
      figure(ratio(rates, bare)),
      figure(median(column(of, 'p50'))),
      figure(median(column(of, 'p99'))),
      figure(median(column(of, 'cpuUs'))),
      figure(median(column(of, 'rssMb'))),
    ];
  }),
);

/** What is measured is a decision, and the same one everywhere. */
async function requireAllowed({ url, headers }: DecisionPoints): Promise<void> {
  const answered = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: question,
  });
  const { decision } = (await answered.json()) as { decision?: unknown };
  if (decision !== true) throw new Error(`${url} answered ${answered.status}, decision ${decision}`);
}

async function oneRound(
  { process: server, url, headers }: { process: ChildProcess; url: string; headers: Record<string, string> },
  duration: number,
): Promise<Round> {
  const before = await usageOf(server);
  const { requests, latency, non2xx, errors } = await autocannon({
    url,
    duration,
    connections: CONNECTIONS,
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: question,
  });
  if (non2xx + errors > 0) throw new Error(`${non2xx + errors} requests of ${url} were not answered 2xx`);
  const after = await usageOf(server);
  const cpuUs = (after.cpuUs - before.cpuUs) / requests.total;
  return { perSecond: requests.average, p50: latency.p50, p99: latency.p99, cpuUs, rssMb: after.rssMb };
}

async function usageOf(process: ChildProcess): Promise<{ cpuUs: number; rssMb: number }> {
  process.send('usage');
  return answer(process);
}

async function answer<T>(process: ChildProcess): Promise<T> {
  const answered = new AbortController();
  const gone = once(process, 'exit', { signal: answered.signal }).then(([code]) => {
    throw new Error(`the server ended with ${code}`);
  });
  const [message] = await Promise.race([once(process, 'message', { signal: answered.signal }), gone]);
  gone.catch(() => {});
  answered.abort();
  return message;
}
