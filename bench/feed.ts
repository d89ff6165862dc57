/** From an accepted rule change on one node to its enforcement on another: two processes, one PostgreSQL, Redis beside it. */
import { dropDatabases, makeDemoDatabase } from '../test/harness.ts';
import { startRedis } from '../test/redis-server.ts';
import { logIn, type Node, send, startNode } from './node.ts';
import { figure, median, percentile, printHeader, printTable } from './report.ts';

const CHANGES = 200;
const RULE = 'user-reads-published';

printHeader('feed: a rule is switched on node A; ms from the 2xx of A until node B decides by it');
const rows = [await measure('PostgreSQL NOTIFY', {})];
const redis = await startRedis();
if (redis) rows.push(await measure('PostgreSQL NOTIFY and Redis', { REDIS_URL: redis.url }));
else console.log('No redis-server is installed here, so only NOTIFY is measured.');
await redis?.stop();
printTable(['feed', 'changes', 'p50', 'p90', 'p99', 'max', 'one question to B'], rows);
console.log(
  'B is asked again as soon as it has answered, on one connection; the last question is part of the time.',
);
await dropDatabases();
process.exit(0);

async function measure(feed: string, env: Record<string, string>): Promise<string[]> {
  const databaseUrl = await makeDemoDatabase();
  const nodes: Node[] = [await startNode(databaseUrl, env), await startNode(databaseUrl, env)];
  try {
    const [a, b] = nodes as [Node, Node];
    const admin = await logIn(a, 'superadmin@example.com', 'superpass');
    const reader = await logIn(b, 'user@example.com', 'userpass');
    const document = await publishedDocument(a, admin);
    const isAllowed = async () => (await send(`${b.url}${document}`, { token: reader })).status === 200;
    const switchRule = async (enabled: boolean) => {
      await send(`${a.url}/api/v1/admin/rules/${RULE}`, {
        method: 'PATCH',
        token: admin,
        body: { enabled },
        expect: 200,
      });
    };
    const times: number[] = [];
    const questions: number[] = [];
    for (let change = 0; change < CHANGES; change++) {
      const enabled = change % 2 === 1;
      await switchRule(enabled);
      const startedMs = performance.now();
      let askedMs = startedMs;
      while ((await isAllowed()) !== enabled) {
        questions.push(performance.now() - askedMs);
        askedMs = performance.now();
      }
      times.push(performance.now() - startedMs);
    }
    const shares = [0.5, 0.9, 0.99, 1].map((share) => figure(percentile(times, share)));
    return [feed, String(CHANGES), ...shares, questions.length > 0 ? figure(median(questions)) : ''];
  } finally {
    await Promise.all(nodes.map((node) => node.stop()));
  }
}

/** The path of a document that the reader may read by the rule alone. */
async function publishedDocument({ url }: Node, token: string): Promise<string> {
  const answer = await send(`${url}/api/v1/documents?limit=100`, { token, expect: 200 });
  const { items } = (await answer.json()) as { items: { id: string; status: string }[] };
  const published = items.find(({ status }) => status === 'published');
  if (!published) throw new Error('the demo has no published document');
  return `/api/v1/documents/${published.id}`;
}
