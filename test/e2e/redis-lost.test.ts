/** Two nodes whose Redis is cut off, or accepts and never answers: they go on from Postgres, and come back by themselves. */
import assert from 'node:assert/strict';
import { type CutProxy, startCutProxy } from '../cut-proxy.ts';
import { type Answer, Client, eventually, logIn, makeDatabase, registerAndLogIn } from '../harness.ts';
import { type RedisServer, startRedis } from '../redis-server.ts';
import { metric, type Node, startNode } from './process.ts';
import { sql } from './sql.ts';
import { PROMISED_MS, report, timeUntil } from './stopwatch.ts';

const MOST_FAILURES = 3;
/** Several waits of REDIS_COMMAND_TIMEOUT_MS, and the work itself on a busy machine. */
const BOUND_MS = 1500;

type Person = Awaited<ReturnType<typeof registerAndLogIn>>;

describe('two nodes without their Redis', function () {
  this.timeout(40_000);
  let redis: RedisServer | undefined;
  let proxy: CutProxy;
  let databaseUrl: string;
  let a: Node;
  let b: Node;

  before(async function () {
    this.timeout(60_000);
    redis = await startRedis();
    if (!redis) this.skip();
    const { hostname, port, pathname } = new URL(redis.url);
    proxy = await startCutProxy({ host: hostname, port: Number(port) });
    databaseUrl = await makeDatabase();
    const env = {
      DATABASE_URL: databaseUrl,
      REDIS_URL: `redis://127.0.0.1:${proxy.port}${pathname}`,
      REDIS_PREFIX: `e2e-${process.pid}:`,
      LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS: String(MOST_FAILURES),
    };
    [a, b] = await Promise.all([startNode(env), startNode(env)]);
  });
  after(async () => {
    await Promise.all([a?.stop(), b?.stop()]);
    await proxy?.close();
    await redis?.stop();
  });

  const logInWrongly = ({ url }: Node, { email }: Person): Promise<Answer> =>
    new Client(url).post('/api/v1/auth/login', { email, password: 'not the password' });
  const redisOf = async ({ url }: Node): Promise<[number, string]> => {
    const { status, body } = await new Client(url).get('/readyz');
    return [status, body.checks.redis.detail];
  };
  const timed = async (times: number[], ask: () => Promise<unknown>) => {
    const beganMs = performance.now();
    await ask();
    times.push(performance.now() - beganMs);
  };
  /** From the logout on A to the death of the session on B. */
  async function timeLogout(person: Person): Promise<number> {
    const client = await logIn(a, person.email, person.password);
    const onB = new Client(b.url, client.token);
    assert.equal((await onB.get('/api/v1/me')).status, 200);
    assert.equal((await client.post('/api/v1/auth/logout')).status, 204);
    return timeUntil(
      'dead on B',
      () => onB.get('/api/v1/me'),
      ({ status }) => status === 401,
    );
  }
  async function assertThrottledTogether(): Promise<void> {
    const person = await registerAndLogIn(a);
    for (const node of [a, b, a]) assert.equal((await logInWrongly(node, person)).status, 401);
    for (const node of [a, b]) assert.equal((await logInWrongly(node, person)).status, 429);
  }

  it('share the throttle of logins while it is there, and hear of changes through it alone', async () => {
    assert.deepEqual([await redisOf(a), await metric(a, 'castellan_redis_up')], [[200, 'answers'], 1]);
    await assertThrottledTogether();
    await sql(databaseUrl, 'ALTER TABLE changes DISABLE TRIGGER changes_notify');
    const person = await registerAndLogIn(a);
    const times: number[] = [];
    for (let round = 0; round < 5; round++) times.push(await timeLogout(person));
    await sql(databaseUrl, 'ALTER TABLE changes ENABLE TRIGGER changes_notify');
    report('a logout heard of through Redis', times);
    assert.ok(times.filter((ms) => ms < PROMISED_MS / 4).length > 2, `that was the poll: ${times}`);
  });

  for (const [how, fail] of [
    ['cut off', () => proxy.cut()],
    ['silent', () => proxy.stall()],
  ] as const) {
    it(`go on when it is ${how}, within a bounded wait, say so, and use it again when it is back`, async () => {
      const person = await registerAndLogIn(a);
      const requests: number[] = [];
      fail();
      try {
        const beganMs = performance.now();
        for (const node of [a, b]) {
          await eventually('it is noticed', async () => (await metric(node, 'castellan_redis_up')) === 0);
          assert.deepEqual(await redisOf(node), [200, 'down; going on from Postgres']);
        }
        report('noticed on both', [performance.now() - beganMs]);
        for (const node of [a, b, a, b]) {
          let client = new Client(node.url);
          await timed(requests, async () => {
            client = await logIn(node, person.email, person.password);
          });
          await timed(requests, async () =>
            assert.equal((await client.get('/api/v1/documents')).status, 200),
          );
        }
        const times = [await timeLogout(person), await timeLogout(person)];
        report('a logout', times);
        assert.ok(Math.max(...times) <= PROMISED_MS);
        for (let failure = 0; failure < MOST_FAILURES; failure++)
          await timed(requests, async () => assert.equal((await logInWrongly(a, person)).status, 401));
        const { status, headers } = await logInWrongly(a, person);
        assert.deepEqual([status, Number(headers.get('retry-after')) > 0], [429, true]);
        report('a request', requests);
        assert.ok(Math.max(...requests) < BOUND_MS, `${requests}`);
      } finally {
        proxy.heal();
      }
      const healedMs = performance.now();
      for (const node of [a, b]) {
        await eventually('it is back', async () => (await metric(node, 'castellan_redis_up')) === 1);
        assert.deepEqual(await redisOf(node), [200, 'answers']);
      }
      report('in use again on both', [performance.now() - healedMs]);
      await assertThrottledTogether();
    });
  }
});
