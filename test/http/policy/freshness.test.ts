/** A change answered 2xx decides the very next request on the node that answered; no answer is older than asked for. */
import assert from 'node:assert/strict';
import { anonymousClient, type Client, eventually, startGateway, type TestGateway } from '../../harness.ts';
import {
  addRole,
  addRule,
  assertProblem,
  ok,
  type Person,
  person,
  rolesPath,
  rulesPath,
  sessionOf,
  usersPath,
} from '../admin/staff.ts';

const documents = '/api/v1/documents';

/** A node that hears of nothing: it never polls, and its database does not notify. What it knows it was told by itself. */
async function startDeaf(databaseUrl?: string, env: Record<string, string> = {}): Promise<TestGateway> {
  const gateway = await startGateway({
    ...(databaseUrl && { databaseUrl }),
    env: { POLICY_POLL_MS: '3600000', POLICY_STALE_SECONDS: '3600', ...env },
  });
  await gateway.services.db.raw('DROP TRIGGER IF EXISTS changes_notify ON changes');
  return gateway;
}

describe('the very next request on the same node', () => {
  let gateway: TestGateway;
  let root: Client;
  let draft: string;
  before(async () => {
    gateway = await startDeaf();
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    draft = (await gateway.services.db('documents').where({ status: 'draft', department: 'sales' }).first())
      .id;
  });
  after(() => gateway.close());

  /** Somebody without rights whose ability is cached, by decisions that were made of it. */
  async function cached(roles: string[], attributes = {}): Promise<Person> {
    const somebody = await person(gateway, { roles, attributes });
    await expectRead(somebody.client, false);
    await expectRead(somebody.client, false);
    return somebody;
  }
  async function expectRead(client: Client, allowed: boolean): Promise<void> {
    const { status, headers } = await client.get(`${documents}/${draft}`);
    assert.equal(status, allowed ? 200 : 403);
    assert.equal(headers.get('castellan-revision'), String(gateway.services.live.snapshot.revision));
  }
  const reading = { action: 'read', subject: 'document', conditions: { status: 'draft' } };

  it('is decided by a rule that was added, changed, switched off and on, and removed', async () => {
    const role = await addRole(root);
    const { client } = await cached([role]);
    const { id } = await addRule(root, { role, ...reading });
    await expectRead(client, true);
    const changes: [object, boolean][] = [
      [{ conditions: { status: 'review' } }, false],
      [{ conditions: { status: 'draft' } }, true],
      [{ enabled: false }, false],
      [{ enabled: true }, true],
      [{ action: 'update' }, false],
      [{ action: ['read'] }, true],
      [{ inverted: true }, false],
      [{ inverted: false }, true],
      [{ validUntil: '2020-01-01T00:00:00.000Z' }, false],
      [{ validUntil: null }, true],
      [{ when: { 'context.ip': '192.0.2.1' } }, false],
      [{ when: { 'context.ip': '127.0.0.1' } }, true],
    ];
    for (const [patch, allowed] of changes) {
      ok(await root.patch(`${rulesPath}/${id}`, patch));
      await expectRead(client, allowed);
    }
    ok(await root.delete(`${rulesPath}/${id}`), 204);
    await expectRead(client, false);
  });

  it('is decided by a deny that was added, and no more by one that was removed', async () => {
    const role = await addRole(root);
    await addRule(root, { role, ...reading });
    const { client, id } = await person(gateway, { roles: [role] });
    await expectRead(client, true);
    const deny = await addRule(root, { principal: `user:${id}`, ...reading, inverted: true });
    await expectRead(client, false);
    ok(await root.delete(`${rulesPath}/${deny.id}`), 204);
    await expectRead(client, true);
  });

  it('is decided by what its role inherits since', async () => {
    const [parent, role] = [await addRole(root), await addRole(root)];
    await addRule(root, { role: parent, ...reading });
    const { client } = await cached([role]);
    for (const inherits of [[parent], [], [parent]]) {
      ok(await root.patch(`${rolesPath}/${role}`, { inherits }));
      await expectRead(client, inherits.length > 0);
    }
  });

  it('is decided by the roles and attributes that the account has since', async () => {
    const role = await addRole(root);
    await addRule(root, { role, ...reading, conditions: { department: '$' + '{principal.department}' } });
    const { client, id } = await cached([]);
    const at = `${usersPath}/${id}`;
    ok(await root.put(`${at}/roles/${role}`), 204);
    await expectRead(client, false);
    for (const department of ['sales', 'ops', 'sales', null, 'sales']) {
      ok(await root.patch(at, { attributes: { department } }));
      await expectRead(client, department === 'sales');
    }
    ok(await root.delete(`${at}/roles/${role}`), 204);
    await expectRead(client, false);
  });

  it("is nobody's when the account was deactivated or its sessions were ended", async () => {
    const one = await cached([]);
    ok(await root.delete(`${usersPath}/${one.id}`), 204);
    assertProblem(await one.client.get(`${documents}/${draft}`), 401, 'unauthenticated');
    const other = await cached([]);
    ok(await root.delete(`${usersPath}/${other.id}/sessions`), 204);
    assertProblem(await other.client.get(`${documents}/${draft}`), 401, 'unauthenticated');
    await expectRead(await sessionOf(gateway, other.id), false);
  });

  it('holds for lists as well', async () => {
    const role = await addRole(root);
    const { client } = await cached([role, 'user']);
    const ids = async () => ok(await client.get(documents)).body.items.map(({ id }: { id: string }) => id);
    assert.ok(!(await ids()).includes(draft));
    const { id } = await addRule(root, { role, ...reading });
    assert.ok((await ids()).includes(draft));
    ok(await root.delete(`${rulesPath}/${id}`), 204);
    assert.ok(!(await ids()).includes(draft));
  });
});

describe('Castellan-Revision', () => {
  let gateway: TestGateway;
  let root: Client;
  let plain: Client;
  before(async () => {
    gateway = await startGateway();
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    plain = (await person(gateway)).client;
  });
  after(() => gateway.close());

  it('is on every answer that was decided, whatever it is', async () => {
    const missing = '00000000-0000-4000-8000-0000000000ff';
    const draft = (await gateway.services.db('documents').where({ status: 'draft' }).first()).id;
    await addRule(root, { role: 'user', action: 'read', subject: 'order' });
    const revision = String(gateway.services.live.snapshot.revision);
    const answers: [number, Promise<{ status: number; headers: Headers }>][] = [
      [200, plain.get(documents)],
      [200, plain.get('/api/v1/me/ability')],
      [201, plain.post('/api/v1/orders', { amount: 1, currency: 'EUR', region: 'EU' })],
      [403, plain.get(`${documents}/${draft}`)],
      [403, plain.post(documents, { title: 'x' })],
      [403, plain.get(rulesPath)],
      [404, plain.get(`${documents}/${missing}`)],
      [401, anonymousClient(gateway).get(`${documents}/${draft}`)],
      [400, plain.get(`${documents}?limit=0`)],
      [400, root.post(documents, {})],
      [422, root.post(rulesPath, {})],
    ];
    for (const [status, answer] of answers) {
      const { status: found, headers } = await answer;
      assert.deepEqual([found, headers.get('castellan-revision')], [status, revision]);
    }
  });

  it('of a change is the revision that it made', async () => {
    const before = gateway.services.live.snapshot.revision;
    const rule = { role: 'user', action: 'read', subject: 'order' };
    const added = ok(await root.post(rulesPath, rule), 201);
    assert.equal(added.headers.get('castellan-revision'), String(before + 1));
    const at = String(added.headers.get('location'));
    assert.equal(
      (await root.patch(at, { priority: 2 })).headers.get('castellan-revision'),
      String(before + 2),
    );
    assert.equal((await root.delete(at)).headers.get('castellan-revision'), String(before + 3));
  });
});

describe('Castellan-Min-Revision', () => {
  let here: TestGateway;
  let deaf: TestGateway;
  let root: Client;
  const WAIT_MS = 150;
  before(async () => {
    here = await startGateway();
    deaf = await startDeaf(here.databaseUrl, { MIN_REVISION_WAIT_MS: String(WAIT_MS) });
    root = (await person(here, { roles: ['superadmin'] })).client;
  });
  after(async () => {
    await deaf.close();
    await here.close();
  });

  const asked = (revision: number | string) => ({ 'castellan-min-revision': String(revision) });

  it('that is reached is served, at that revision or a later one', async () => {
    const { client } = await person(here);
    const { revision } = here.services.live.snapshot;
    for (const wanted of [0, 1, revision]) {
      const answer = ok(await client.get(documents, asked(wanted)));
      assert.equal(answer.headers.get('castellan-revision'), String(revision));
    }
  });

  it('that is not reached is answered 503 revision_not_reached, after the wait and not before', async () => {
    const { client } = await person(deaf);
    const startedMs = performance.now();
    const answer = await client.get(documents, asked(deaf.services.live.snapshot.revision + 1000));
    assert.ok(performance.now() - startedMs >= WAIT_MS - 2);
    assertProblem(answer, 503, 'revision_not_reached');
    assert.equal(answer.headers.get('retry-after'), '1');
    assert.ok(!('items' in answer.body));
    ok(await client.get(documents));
  });

  it('makes a node that heard of nothing catch up: never an older answer', async () => {
    const { client, id } = await person(deaf);
    const { revision } = deaf.services.live.snapshot;
    assert.equal(ok(await client.get('/api/v1/me/ability')).body.revision, revision);
    const { headers } = ok(
      await root.post(rulesPath, { principal: `user:${id}`, action: 'read', subject: 'order' }),
      201,
    );
    const made = Number(headers.get('castellan-revision'));
    assert.equal(deaf.services.live.snapshot.revision, revision, 'the node was to hear of nothing');
    const answer = ok(await client.get('/api/v1/orders', asked(made)));
    assert.equal(answer.headers.get('castellan-revision'), String(made));
    assert.ok(answer.body.items.length > 0);
  });

  it('that a node is about to commit itself is not read for hearing of it; should it come otherwise, it is', async () => {
    const { db, live } = deaf.services;
    await live.refresh();
    const next = live.snapshot.revision + 1;
    const settle = live.expect(next);
    ok(await root.post(rulesPath, { role: 'user', action: 'read', subject: 'order' }), 201);
    let queries = 0;
    db.on('query', () => queries++);
    live.hear(next);
    assert.equal(queries, 0);
    assert.equal(live.snapshot.revision, next - 1);
    settle();
    await live.waitFor(next, 5000);
    live.expect(next + 1)();
    await live.refresh();
    assert.equal(live.snapshot.revision, next);
  });

  it('that a node published a moment ago is not read by the next publication there: many at once cost what each costs', async () => {
    const { db, live } = here.services;
    const read: string[] = [];
    const note = ({ sql }: { sql: string }) => {
      if (/from "cedar_parts"/.test(sql)) read.push(sql);
    };
    db.on('query', note);
    const before = live.snapshot.revision;
    const rule = { role: 'user', action: 'read', subject: 'order' };
    const made = await Promise.all(Array.from({ length: 20 }, () => root.post(rulesPath, rule)));
    db.off('query', note);
    for (const answer of made) ok(answer, 201);
    assert.equal(live.snapshot.revision, before + made.length);
    assert.deepEqual(read, []);
  });

  it('whose publication hears nothing more from the database keeps the policy from nobody: the next reads it', async () => {
    const { live } = deaf.services;
    await live.refresh();
    const next = live.snapshot.revision + 1;
    const settle = live.expect(next);
    const rule = { role: 'user', action: 'read', subject: 'order' };
    ok(await root.post(rulesPath, rule), 201);
    const { client } = await person(deaf, { roles: ['superadmin'] });
    const { headers } = ok(await client.post(rulesPath, rule), 201);
    assert.equal(headers.get('castellan-revision'), String(next + 1));
    settle();
  });

  it('that is published while it is waited for is served', async () => {
    const patient = await startDeaf(here.databaseUrl, { MIN_REVISION_WAIT_MS: '15000' });
    try {
      const { client } = await person(patient);
      const wanted = here.services.live.snapshot.revision + 2;
      let answered = false;
      const waiting = client.get(documents, asked(wanted)).finally(() => {
        answered = true;
      });
      for (let made = wanted - 1; made <= wanted; made++) {
        assert.equal(answered, false);
        ok(await root.post(rulesPath, { role: 'user', action: 'read', subject: 'order' }), 201);
      }
      await eventually('the node asked anew', async () => {
        await patient.services.live.refresh();
        return answered;
      });
      const answer = ok(await waiting);
      assert.ok(Number(answer.headers.get('castellan-revision')) >= wanted);
    } finally {
      await patient.close();
    }
  });

  it('that is no number of a revision is answered 400, whoever asks for whatever', async () => {
    const { client } = await person(here);
    for (const wrong of ['abc', '-1', '1.5', '1e3', '1 2', '0x10', '', '9999999999', '1, 2'])
      for (const path of [documents, '/api/v1/me/ability'])
        assertProblem(
          await client.get(path, asked(wrong)),
          400,
          'invalid_request',
          '/headers/Castellan-Min-Revision',
        );
  });

  it('holds for changes as well: nothing is written at an older revision', async () => {
    const author = await person(deaf, { roles: ['author'], attributes: { department: 'ops' } });
    const before = await here.services.db('documents').count();
    const answer = await author.client.post(
      documents,
      { title: 'x' },
      asked(deaf.services.live.snapshot.revision + 1000),
    );
    assertProblem(answer, 503, 'revision_not_reached');
    assert.deepEqual(await here.services.db('documents').count(), before);
  });
});
