/** Two nodes, and what becomes of the second one when its feed, or all of its PostgreSQL, is cut off. No Redis helps. */
import assert from 'node:assert/strict';
import type { CutProxy } from '../cut-proxy.ts';
import { type Answer, Client, eventually, logIn, makeDatabase, registerAndLogIn } from '../harness.ts';
import { startPostgresProxy } from './postgres-proxy.ts';
import { metric, type Node, startNode } from './process.ts';
import { sql } from './sql.ts';
import { PROMISED_MS, report, timeUntil } from './stopwatch.ts';

const STALE_SECONDS = 2;
/** The poll begins a second after the last one was answered; a busy machine takes up to as long again to ask and to answer. */
const POLLED_MS = PROMISED_MS + 1000;
const DOCUMENTS = '/api/v1/documents';
const RULES = '/api/v1/admin/rules';
const freeze = {
  id: 'e2e-freeze',
  role: 'everyone',
  action: 'read',
  subject: 'document',
  conditions: { status: 'published' },
  inverted: true,
  reason: 'Nothing is read now',
  priority: 100,
};

const isStatus = (status: number) => (answer: Answer) => answer.status === status;

describe('a node whose feed is cut', function () {
  this.timeout(40_000);
  let proxy: CutProxy;
  let databaseUrl: string;
  let a: Node;
  let b: Node;
  let chief: Client;
  let document: string;

  before(async function () {
    this.timeout(60_000);
    databaseUrl = await makeDatabase();
    const through = await startPostgresProxy(databaseUrl);
    proxy = through.proxy;
    a = await startNode({ DATABASE_URL: databaseUrl });
    b = await startNode({
      DATABASE_URL: through.databaseUrl,
      POLICY_STALE_SECONDS: String(STALE_SECONDS),
      LOG_LEVEL: 'fatal',
    });
    chief = await logIn(a, 'superadmin');
    const { body } = await chief.get(DOCUMENTS);
    const published = body.items.find(({ status }: { status: string }) => status === 'published');
    document = `${DOCUMENTS}/${published.id}`;
  });
  after(async () => {
    proxy?.heal();
    await Promise.all([a?.stop(), b?.stop()]);
    await proxy?.close();
  });

  const onB = ({ token }: Client) => new Client(b.url, token);
  const add = async () => assert.equal((await chief.post(RULES, freeze)).status, 201);
  const remove = async () => assert.equal((await chief.delete(`${RULES}/${freeze.id}`)).status, 204);
  /** From the rule's addition on A to its enforcement on B; it is removed afterwards. */
  async function timeRule(): Promise<number> {
    const reader = onB(chief);
    await timeUntil('allowed on B', () => reader.get(document), isStatus(200));
    await add();
    const ms = await timeUntil('denied on B', () => reader.get(document), isStatus(403));
    await remove();
    await timeUntil('allowed on B', () => reader.get(document), isStatus(200));
    return ms;
  }
  const listening = (node: Node, now: 0 | 1) =>
    eventually(`listening ${now}`, async () => (await metric(node, 'castellan_feed_listening')) === now);

  it('hears of everything from the poll alone', async () => {
    await sql(databaseUrl, 'ALTER TABLE changes DISABLE TRIGGER changes_notify');
    const rules = [await timeRule(), await timeRule()];
    const { client, id } = await registerAndLogIn(a);
    const role = `/api/v1/admin/users/${id}/roles/admin`;
    assert.equal((await onB(client).get(RULES)).status, 403);
    assert.equal((await chief.put(role)).status, 204);
    const promoted = await timeUntil('promoted on B', () => onB(client).get(RULES), isStatus(200));
    assert.equal((await client.post('/api/v1/auth/logout')).status, 204);
    const dead = await timeUntil('dead on B', () => onB(client).get('/api/v1/me'), isStatus(401));
    await sql(databaseUrl, 'ALTER TABLE changes ENABLE TRIGGER changes_notify');
    report('a change heard of by the poll', [...rules, promoted, dead]);
    assert.ok(Math.max(...rules, promoted, dead) <= POLLED_MS);
  });

  it('listens again by itself when PostgreSQL ended its LISTEN connection, and misses nothing', async () => {
    const { client } = await registerAndLogIn(a);
    assert.equal((await onB(client).get('/api/v1/me')).status, 200);
    await sql(databaseUrl, `${killBackends} AND application_name = 'castellan feed'`);
    assert.equal((await client.post('/api/v1/auth/logout')).status, 204);
    const dead = await timeUntil('dead on B', () => onB(client).get('/api/v1/me'), isStatus(401));
    const rule = await timeRule();
    report('a change while the feed was down', [dead, rule]);
    assert.ok(Math.max(dead, rule) <= POLLED_MS);
    for (const node of [a, b]) await listening(node, 1);
    report('a change afterwards', [await timeRule(), await timeRule()]);
  });

  it('goes on when PostgreSQL ended every connection, as a restart does', async () => {
    await sql(databaseUrl, `${killBackends} AND application_name LIKE 'castellan%'`);
    const beganMs = performance.now();
    for (const node of [a, b]) {
      await listening(node, 1);
      await timeUntil('an answer', () => new Client(node.url, chief.token).get(document), isStatus(200));
    }
    report('in use again on both', [performance.now() - beganMs]);
    assert.ok((await timeRule()) <= POLLED_MS);
  });

  for (const [how, fail] of [
    ['cut off', () => proxy.cut()],
    ['silent', () => proxy.stall()],
  ] as const) {
    it(`stops deciding when PostgreSQL is ${how} for too long, and its first answer afterwards is a fresh one`, async () => {
      const [left, demoted] = [await registerAndLogIn(a), await registerAndLogIn(a)];
      const role = `/api/v1/admin/users/${demoted.id}/roles/admin`;
      assert.equal((await chief.put(role)).status, 204);
      await timeUntil('promoted on B', () => onB(demoted.client).get(RULES), isStatus(200));
      // The poll tells once more what NOTIFY has told; after that B knows the three of them until it hears of a change.
      await new Promise((resolve) => setTimeout(resolve, POLLED_MS));
      for (const { token } of [chief, left.client, demoted.client])
        assert.equal((await new Client(b.url, token).get(document)).status, 200);

      fail();
      const cutMs = performance.now();
      const stale = ({ status, body }: Answer) => status === 503 && body.code === 'policy_stale';
      await timeUntil('stale on B', () => onB(chief).get('/api/v1/me/ability'), stale, 15_000);
      report('stale', [performance.now() - cutMs]);
      for (const client of [chief, left.client, demoted.client])
        assert.ok(stale(await onB(client).get(DOCUMENTS)));
      const beganMs = performance.now();
      assert.equal((await new Client(b.url).get('/livez')).status, 200);
      const { status, body } = await new Client(b.url).get('/readyz');
      assert.equal(status, 503);
      assert.match(body.checks.policy.detail, /^not confirmed for \d+ s$/);
      assert.equal(body.checks.postgres.ok, false);
      assert.ok(performance.now() - beganMs < 5000);

      await add();
      assert.equal((await left.client.post('/api/v1/auth/logout')).status, 204);
      assert.equal((await chief.delete(role)).status, 204);
      const asked = [
        firstAnswer(() => onB(chief).get(document)),
        firstAnswer(() => onB(left.client).get(DOCUMENTS)),
        firstAnswer(() => onB(demoted.client).get(RULES)),
      ];
      await new Promise((resolve) => setTimeout(resolve, 300));
      proxy.heal();
      const healedMs = performance.now();
      const answers = await Promise.all(asked);
      report('deciding again', [performance.now() - healedMs]);
      assert.deepEqual(
        answers.map((answer) => answer.status),
        [403, 401, 403],
      );
      await remove();
      await listening(b, 1);
      assert.ok((await timeRule()) <= POLLED_MS);
    });
  }
});

const killBackends = `
  SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`;

/** The first answer that is not 503. */
async function firstAnswer(ask: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    const answer = await ask();
    if (answer.status < 500) return answer;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
