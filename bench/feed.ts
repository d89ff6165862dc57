/** From an accepted rule change on one node to its enforcement on another: two processes, one PostgreSQL, Redis beside it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dropDatabases, logIn, makeDemoDatabase } from '../test/harness.ts';
import { startRedis } from '../test/redis-server.ts';
import { figure, percentile, printHeader, printTable } from './report.ts';

const CHANGES = 200;

printHeader(`feed: a rule changed on node A, enforced on node B (${CHANGES} changes each)`);
const rows = [await measure('NOTIFY', {})];
const redis = await startRedis();
if (redis) rows.push(await measure('NOTIFY and Redis', { REDIS_URL: redis.url }));
else console.log('no redis-server here: only NOTIFY is measured');
await redis?.stop();
printTable(['ms', 'p50', 'p90', 'p99', 'max'], rows);
await dropDatabases();
process.exit(0);

async function measure(label: string, env: Record<string, string>): Promise<string[]> {
  const databaseUrl = await makeDemoDatabase();
  const nodes = [await startNode(databaseUrl, env), await startNode(databaseUrl, env)] as const;
  const times: number[] = [];
  try {
    const [a, b] = [await logIn(nodes[0], 'superadmin'), await logIn(nodes[1], 'user')];
    for (let i = 0; i < CHANGES; i++) times.push(await timeChange(a, b, i % 2 === 1));
  } finally {
    for (const { child } of nodes) child.kill('SIGTERM');
  }
  return [label, ...[0.5, 0.9, 0.99, 1].map((share) => figure(percentile(times, share)))];
}

/** Turns a rule on or off on A; ms from A's answer until B decides by it. B is asked on and on by another connection. */
async function timeChange(
  a: Awaited<ReturnType<typeof logIn>>,
  b: typeof a,
  enabled: boolean,
): Promise<number> {
  const { status, headers } = await a.patch('/api/v1/admin/rules/user-reads-published', { enabled });
  if (status !== 200) throw new Error(`the change answered ${status}`);
  const answeredMs = performance.now();
  const revision = headers.get('castellan-revision');
  for (;;) {
    const answer = await b.get('/api/v1/documents?limit=1');
    if (Number(answer.headers.get('castellan-revision')) >= Number(revision))
      return performance.now() - answeredMs;
  }
}

async function startNode(
  databaseUrl: string,
  env: Record<string, string>,
): Promise<{ url: string; child: ChildProcess }> {
  const child = spawn(process.execPath, ['dist/src/main.js'], {
    env: { ...process.env, ...env, DATABASE_URL: databaseUrl, PORT: '0', LOG_LEVEL: 'silent' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  while (!/Castellan is at (\S+)/.test(said)) {
    const [chunk] = await once(child.stdout, 'data');
    said += chunk;
  }
  return { url: /Castellan is at (\S+)/.exec(said)?.[1]?.replace('localhost', '127.0.0.1') ?? '', child };
}
