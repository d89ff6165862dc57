/** Two processes on one PostgreSQL and one Redis: what is changed on one is in force on both. */
import assert from 'node:assert/strict';
import { type Answer, Client, eventually, logIn, makeDatabase, registerAndLogIn } from '../harness.ts';
import { type RedisServer, startRedis } from '../redis-server.ts';
import { metric, type Node, startNode } from './process.ts';
import { sql } from './sql.ts';
import { PROMISED_MS, report, timeUntil } from './stopwatch.ts';

const ROUNDS = 10;
const DOCUMENTS = '/api/v1/documents';
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

describe('two nodes', function () {
  this.timeout(30_000);
  let redis: RedisServer | undefined;
  let databaseUrl: string;
  let a: Node;
  let b: Node;
  let chief: Client;

  before(async function () {
    this.timeout(60_000);
    redis = await startRedis();
    if (!redis) this.skip();
    databaseUrl = await makeDatabase();
    const env = { DATABASE_URL: databaseUrl, REDIS_URL: redis.url };
    // At the same moment and on an empty database: one of them migrates and seeds, and the other one waits for it.
    [a, b] = await Promise.all([startNode(env), startNode(env)]);
    chief = await logIn(a, 'superadmin');
  });
  after(async () => {
    assert.deepEqual(await Promise.all([a?.stop(), b?.stop()]), redis ? [0, 0] : [undefined, undefined]);
    await redis?.stop();
  });

  /** The same person on the other node. */
  const onB = ({ token }: Client) => new Client(b.url, token);
  /** What is asserted of every time from the answer on A to the enforcement on B. */
  const keepsPromise = (what: string, timesMs: number[]) => {
    report(what, timesMs);
    assert.ok(Math.max(...timesMs) <= PROMISED_MS, `${what}: ${timesMs}`);
  };

  it('enforce a changed rule: A with its next request, B within a second', async () => {
    const editor = await logIn(a, 'editor');
    const id = await publishedDocument(editor);
    const read = () => onB(editor).get(`${DOCUMENTS}/${id}`);
    const denied: number[] = [];
    const allowed: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      assert.equal((await read()).status, 200);
      assert.equal((await chief.post('/api/v1/admin/rules', freeze)).status, 201);
      const time = timeUntil('denied on B', read, isStatus(403));
      const next = await editor.get(`${DOCUMENTS}/${id}`);
      assert.deepEqual([next.status, next.body.detail], [403, freeze.reason]);
      denied.push(await time);
      assert.equal((await chief.delete(`/api/v1/admin/rules/${freeze.id}`)).status, 204);
      const again = timeUntil('allowed on B', read, isStatus(200));
      assert.equal((await editor.get(`${DOCUMENTS}/${id}`)).status, 200);
      allowed.push(await again);
    }
    keepsPromise('a deny rule added', denied);
    keepsPromise('the rule removed', allowed);
  });

  it('decide by the roles an account has now: A with its next request, B within a second', async () => {
    const { client, id } = await registerAndLogIn(a);
    const role = `/api/v1/admin/users/${id}/roles/admin`;
    const ask = () => onB(client).get('/api/v1/admin/rules');
    const promoted: number[] = [];
    const demoted: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      assert.equal((await ask()).status, 403);
      assert.equal((await chief.put(role)).status, 204);
      assert.equal((await client.get('/api/v1/admin/rules')).status, 200);
      promoted.push(await timeUntil('promoted on B', ask, isStatus(200)));
      assert.equal((await chief.delete(role)).status, 204);
      const time = timeUntil('demoted on B', ask, isStatus(403));
      assert.equal((await client.get('/api/v1/admin/rules')).status, 403);
      demoted.push(await time);
    }
    keepsPromise('a role given', promoted);
    keepsPromise('a role taken away', demoted);
  });

  it('let a session die on both that was ended on one', async () => {
    const person = await registerAndLogIn(a);
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const client = await logIn(a, person.email, person.password);
      assert.equal((await onB(client).get('/api/v1/me')).status, 200);
      assert.equal((await client.post('/api/v1/auth/logout')).status, 204);
      const time = timeUntil('dead on B', () => onB(client).get('/api/v1/me'), isStatus(401));
      assert.equal((await client.get('/api/v1/me')).status, 401);
      times.push(await time);
    }
    keepsPromise('a logout', times);
  });

  it('turn a deactivated account away, and every session of it', async () => {
    const times: number[] = [];
    for (let round = 0; round < 3; round++) {
      const { client, id, email, password } = await registerAndLogIn(a);
      const other = await logIn(b, email, password);
      for (const session of [onB(client), other]) assert.equal((await session.get('/api/v1/me')).status, 200);
      assert.equal((await chief.delete(`/api/v1/admin/users/${id}`)).status, 204);
      const ask = (session: Client) => timeUntil('dead on B', () => session.get('/api/v1/me'), isStatus(401));
      const both = Promise.all([ask(onB(client)), ask(other)]);
      assert.equal((await client.get('/api/v1/me')).status, 401);
      times.push(...(await both));
      await assert.rejects(logIn(b, email, password), /answered 401/);
    }
    keepsPromise('an account deactivated', times);
  });

  it('decide by an entity as it is now, also where one remembered that there was none', async () => {
    const reader = { type: 'machine', id: 'm1' };
    const properties = { status: 'draft' };
    const rule = { id: 'machines-read', role: 'editor', action: 'read', subject: 'document' };
    const made = await chief.post('/api/v1/admin/resource-types', {
      type: 'machine',
      actions: ['use'],
      attributes: {},
    });
    assert.equal(made.status, 201);
    assert.equal((await chief.post('/api/v1/admin/rules', rule)).status, 201);
    const min = { 'castellan-min-revision': String(made.headers.get('castellan-revision')) };
    const question = {
      subject: reader,
      action: { name: 'read' },
      resource: { type: 'document', id: 'new', properties },
    };
    const ask = (client: Client) => client.post('/access/v1/evaluation', question, min);
    const knows = (isAllowed: boolean) => (answer: Answer) => answer.body.decision === isAllowed;
    const given: number[] = [];
    const taken: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      assert.ok(knows(false)(await ask(onB(chief))));
      assert.equal((await chief.put('/api/v1/admin/entities/machine/m1', { roles: ['editor'] })).status, 201);
      const time = timeUntil('known on B', () => ask(onB(chief)), knows(true));
      assert.ok(knows(true)(await ask(chief)));
      given.push(await time);
      assert.equal((await chief.delete('/api/v1/admin/entities/machine/m1')).status, 204);
      const gone = timeUntil('unknown on B', () => ask(onB(chief)), knows(false));
      assert.ok(knows(false)(await ask(chief)));
      taken.push(await gone);
    }
    keepsPromise('an entity added', given);
    keepsPromise('an entity removed', taken);
  });

  it('decide at the revision that a caller has seen on the other, or later', async () => {
    const editor = await logIn(a, 'editor');
    const id = await publishedDocument(editor);
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const made = await chief.post('/api/v1/admin/rules', freeze);
      const revision = made.headers.get('castellan-revision') ?? '';
      const beganMs = performance.now();
      const seen = await onB(editor).get(`${DOCUMENTS}/${id}`, { 'castellan-min-revision': revision });
      times.push(performance.now() - beganMs);
      assert.equal(seen.status, 403);
      assert.ok(Number(seen.headers.get('castellan-revision')) >= Number(revision));
      const removed = await chief.delete(`/api/v1/admin/rules/${freeze.id}`);
      const min = { 'castellan-min-revision': removed.headers.get('castellan-revision') ?? '' };
      assert.equal((await onB(editor).get(`${DOCUMENTS}/${id}`, min)).status, 200);
    }
    report('an answer at a new revision', times);
  });

  it('answer 503 after two seconds, never an older answer, when that revision is not there', async () => {
    const { status, headers, body } = await chief.get(DOCUMENTS, { 'castellan-min-revision': '1000000' });
    assert.deepEqual([status, body.code, headers.get('retry-after')], [503, 'revision_not_reached', '1']);
  });

  it('go on as before when a revision does not compile, say so, and go on with the next that does', async () => {
    const before = (await chief.get(DOCUMENTS)).headers.get('castellan-revision');
    await sql(
      databaseUrl,
      `INSERT INTO rules (id, role_key, action, subject) VALUES ('e2e-broken', 'user', '"read"', '"no-such-type"')`,
    );
    await sql(databaseUrl, nextRevision);
    for (const node of [a, b]) {
      const readyz = await eventually('the failure', async () => {
        const { status, body } = await new Client(node.url).get('/readyz');
        assert.equal(status, 200);
        return /does not compile/.test(body.checks.policy.detail) && body;
      });
      assert.match(readyz.checks.policy.detail, /^revision \d+ does not compile here: .*no-such-type/);
      const client = new Client(node.url, chief.token);
      const answer = await client.get(DOCUMENTS);
      assert.deepEqual([answer.status, answer.headers.get('castellan-revision')], [200, before]);
      const failures = await metric(node, 'castellan_policy_failures_total');
      await new Promise((resolve) => setTimeout(resolve, 1200));
      assert.equal(failures, 1);
      assert.equal(
        await metric(node, 'castellan_policy_failures_total'),
        1,
        'told once, not with every poll',
      );
      assert.equal(await metric(node, 'castellan_policy_revision'), Number(before));
    }
    await sql(databaseUrl, `DELETE FROM rules WHERE id = 'e2e-broken'`);
    await sql(databaseUrl, nextRevision);
    for (const node of [a, b]) {
      await timeUntil(
        'the mended revision',
        () => new Client(node.url, chief.token).get(DOCUMENTS),
        (answer) => answer.headers.get('castellan-revision') === String(Number(before) + 2),
      );
      assert.equal(
        (await new Client(node.url).get('/readyz')).body.checks.policy.detail,
        `revision ${Number(before) + 2}`,
      );
    }
  });
});

async function publishedDocument(client: Client): Promise<string> {
  const { body } = await client.get(DOCUMENTS);
  return body.items.find(({ status }: { status: string }) => status === 'published').id;
}

const nextRevision = `
  INSERT INTO revisions (number, author, message, changes, diff, policy, digest)
  SELECT number + 1, 'by hand', '', '{}', '{}', policy, digest FROM revisions ORDER BY number DESC LIMIT 1`;
