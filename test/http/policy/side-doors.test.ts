/** Ways round the guards that lie beside the obvious ones. */
import assert from 'node:assert/strict';
import { ConfigError, loadConfig } from '../../../src/config.ts';
import { evaluatorNames } from '../../../src/evaluators/index.ts';
import { beginPolicy } from '../../../src/policy/begin.ts';
import { openStorage } from '../../../src/storage/open-storage.ts';
import { startNode } from '../../e2e/process.ts';
import {
  type Client,
  eventually,
  logIn,
  makeDatabase,
  registerAndLogIn,
  startGateway,
  type TestGateway,
} from '../../harness.ts';

const rules = '/api/v1/admin/rules';
const types = '/api/v1/admin/resource-types';

describe('side doors', () => {
  let gateway: TestGateway;
  let superadmin: Client;
  let admin: Client;

  beforeEach(async () => {
    gateway = await startGateway({ env: { PASSWORD_HASH_CONCURRENCY: '2' } });
    superadmin = await logIn(gateway, 'superadmin');
    admin = await logIn(gateway, 'admin');
  });
  afterEach(() => gateway.close());

  const attributesOfUser = async () => (await superadmin.get(`${types}/user`)).body.attributes;

  it("password hashes cannot be guessed through a list: a rule does not see columns that are not the policy's", async () => {
    const attributes = {
      ...(await attributesOfUser()),
      passwordHash: { type: 'string' },
      emailKey: { type: 'string' },
    };
    assert.equal((await superadmin.patch(`${types}/user`, { attributes })).status, 200);
    for (const conditions of [
      { passwordHash: { $regex: '^\\$argon2id' } },
      { emailKey: 'admin@example.com' },
    ]) {
      const rule = { role: 'user', action: 'read', subject: 'user', conditions };
      assert.equal((await superadmin.post(rules, rule)).status, 201);
    }
    const user = await logIn(gateway, 'user');
    assert.deepEqual((await user.get('/api/v1/admin/users')).body.items, []);
  });

  it('a filter tells nothing of a field that may not be read', async () => {
    assert.equal(
      (await superadmin.post(rules, { role: 'user', action: 'read', subject: 'user', fields: ['id'] }))
        .status,
      201,
    );
    const user = await logIn(gateway, 'user');
    assert.ok((await user.get('/api/v1/admin/users')).body.items.length > 5);
    for (const filter of ['email=superadmin@example.com', 'role=superadmin', 'isActive=false']) {
      assert.deepEqual((await user.get(`/api/v1/admin/users?${filter}`)).body.items, [], filter);
    }
  });

  it('an ability tells nothing of attributes that may not be read', async () => {
    assert.equal(
      (await superadmin.post(rules, { role: 'user', action: 'read', subject: 'user', fields: ['id'] }))
        .status,
      201,
    );
    const user = await logIn(gateway, 'user');
    const { status } = await user.get('/api/v1/admin/users/00000000-0000-4000-8000-000000000003/ability');
    assert.equal(status, 403);
  });

  it('nobody gets more by calling themselves something else', async () => {
    const rule = {
      role: 'authenticated',
      action: 'read',
      subject: 'document',
      when: { 'principal.lastName': 'Ward' },
    };
    assert.equal((await superadmin.post(rules, rule)).status, 201);
    const { client } = await registerAndLogIn(gateway);
    const before = (await client.get('/api/v1/documents')).body.items.length;
    const { status, body } = await client.patch('/api/v1/me', { lastName: 'Ward' });
    assert.deepEqual([status, body.code], [403, 'privilege_escalation']);
    assert.equal((await client.get('/api/v1/documents')).body.items.length, before);
    assert.equal((await client.patch('/api/v1/me', { lastName: 'Warden' })).status, 200);
  });

  it('nobody gets rid of a deny by calling themselves something else', async () => {
    const rule = {
      role: 'authenticated',
      action: 'read',
      subject: 'document',
      inverted: true,
      when: { 'principal.lastName': 'Person' },
    };
    assert.equal((await superadmin.post(rules, rule)).status, 201);
    const { client } = await registerAndLogIn(gateway);
    assert.equal((await client.get('/api/v1/documents')).status, 403);
    assert.equal((await client.patch('/api/v1/me', { lastName: 'Else' })).body.code, 'privilege_escalation');
  });

  it('the last who can change the policy is not lost by a new e-mail', async () => {
    const narrowed = { when: { 'principal.email': 'superadmin@example.com' } };
    assert.equal((await superadmin.patch(`${rules}/superadmin-everything`, narrowed)).status, 200);
    const { status, body } = await superadmin.patch('/api/v1/me', {
      email: 'other@example.com',
      currentPassword: 'superpass',
    });
    assert.deepEqual([status, body.code], [409, 'policy_locks_out']);
    assert.equal((await superadmin.get(rules)).status, 200);
  });

  it('built-in attributes keep the type of their elements, or nobody could read a rule', async () => {
    const { attributes } = (await superadmin.get(`${types}/castellan.rule`)).body;
    const retyped = { ...attributes, action: { type: 'array', items: 'integer' } };
    assert.equal((await superadmin.patch(`${types}/castellan.rule`, { attributes: retyped })).status, 422);
  });

  it("a stolen session does not become the account: one's own password and e-mail are not set from the administration", async () => {
    const own = '/api/v1/admin/users/00000000-0000-4000-8000-000000000002';
    assert.equal((await admin.put(`${own}/password`, { newPassword: 'a wholly new one 7' })).status, 403);
    assert.equal((await admin.patch(own, { email: 'thief@example.com' })).status, 403);
  });

  it('a burst of right passwords queues: none is refused', async () => {
    const answers = await Promise.all(Array.from({ length: 25 }, () => logIn(gateway, 'editor')));
    assert.equal(answers.length, 25);
  });

  it('of a change and a publication at once, each is decided on what the other left', async () => {
    const [editor, author] = [await logIn(gateway, 'editor'), await logIn(gateway, 'author')];
    for (let i = 0; i < 10; i++) {
      const [{ id }] = await gateway.services
        .db('documents')
        .insert({
          title: 'T',
          status: 'review',
          owner_id: '00000000-0000-4000-8000-000000000004',
          department: 'editorial',
        })
        .returning('id');
      const path = `/api/v1/documents/${id}`;
      const [published, changed] = await Promise.all([
        editor.post(`${path}/publish`),
        author.patch(path, { status: 'draft' }),
      ]);
      const { status } = (await superadmin.get(path)).body;
      if (published.status === 200)
        assert.equal(status, 'published', `the change answered ${changed.status}`);
    }
  });

  it('an administrator demoted while waiting for their turn changes nothing any more', async () => {
    const { db } = gateway.services;
    const adminId = '00000000-0000-4000-8000-000000000002';
    for (const ask of [
      () => admin.post(rules, { id: 'too-late', role: 'user', action: 'read', subject: 'castellan.policy' }),
      () => admin.patch('/api/v1/admin/users/00000000-0000-4000-8000-000000000007', { lastName: 'Late' }),
    ]) {
      const answer = await db.transaction(async (turn) => {
        await turn.raw(`SELECT pg_advisory_xact_lock(hashtext('castellan.policy'))`);
        const asked = ask();
        await eventually('the administrator waits for the lock', async () => {
          const { rows } = await db.raw(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`);
          return rows.length > 0;
        });
        await turn('role_assignments').where({ account_id: adminId }).delete();
        return { asked };
      });
      const { status, body } = await answer.asked;
      assert.deepEqual([status, body.code], [403, 'access_denied']);
      await db('role_assignments').insert({ account_id: adminId, role_key: 'admin' });
    }
  });

  it('nobody weakens somebody stronger by a deny on everybody that asks for the roles of few', async () => {
    const deny = { inverted: true, action: 'update', subject: 'castellan.rule', role: 'authenticated' };
    const when = { 'principal.roles': 'superadmin' };
    const { status, body } = await admin.post(rules, { ...deny, when });
    assert.deepEqual([status, body.code], [403, 'privilege_escalation']);
    const alike = { ...deny, subject: 'document', conditions: { status: 'archived' } };
    assert.equal((await admin.post(rules, alike)).status, 201, 'what binds the giver as well may be denied');
  });

  it('who may not write a part does not write it with the whole', async () => {
    const attributes = { ...(await attributesOfUser()), desk: { type: 'object' } };
    assert.equal((await superadmin.patch(`${types}/user`, { attributes })).status, 200);
    const deny = { role: 'admin', inverted: true, action: 'update', subject: 'user', fields: ['desk.key'] };
    assert.equal((await superadmin.post(rules, deny)).status, 201);
    const path = '/api/v1/admin/users/00000000-0000-4000-8000-000000000007';
    const { status, body } = await admin.patch(path, {
      attributes: { desk: { floor: 2, key: 'all doors' } },
    });
    assert.deepEqual([status, body.code, body.errors[0].pointer], [403, 'fields_denied', '/desk/key']);
  });

  it('a start that was cut off between its policy and its accounts is made good by the next', async () => {
    const url = await makeDatabase();
    const config = loadConfig({ NODE_ENV: 'test', DATABASE_URL: url });
    const storage = await openStorage(config);
    await beginPolicy(storage.db, { demo: true, evaluators: evaluatorNames });
    await storage.close();
    const node = await startNode({ DATABASE_URL: url });
    try {
      await logIn(node, 'editor');
    } finally {
      await node.stop();
    }
  });

  it('many who wait for a revision that is not there do not make the node read its policy again and again', async () => {
    const { db } = gateway.services;
    let reads = 0;
    db.on('query', ({ sql }: { sql: string }) => {
      if (sql.includes('from "rules"')) reads++;
    });
    const wait = { 'castellan-min-revision': '99999' };
    const answers = await Promise.all(Array.from({ length: 20 }, () => admin.get('/api/v1/documents', wait)));
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [503]);
    assert.equal(reads, 0);
  });

  it('the demo, whose passwords everybody knows, does not run in production', () => {
    assert.throws(() => loadConfig({ NODE_ENV: 'production', DEMO: 'true' }), ConfigError);
  });
});
