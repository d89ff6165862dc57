/** A database whose policy was published by an earlier version, which knew fewer built-in resource types. */
import assert from 'node:assert/strict';
import { evaluatorNames } from '../../../src/evaluators/index.ts';
import { beginPolicy } from '../../../src/policy/begin.ts';
import { builtInTypes } from '../../../src/policy/built-in.ts';
import { digestOf } from '../../../src/policy/compile.ts';
import { emptyPolicy } from '../../../src/policy/policy.ts';
import { loadPolicy } from '../../../src/policy/store.ts';
import { openPool } from '../../../src/storage/postgres.ts';
import { sql } from '../../e2e/sql.ts';
import { logIn, makeDemoDatabase, startGateway } from '../../harness.ts';

describe('the policy of an earlier version', () => {
  /** The demo without `castellan.audit`, and an account type that lacks an action and an attribute, but has a wider one. */
  async function olderDatabase(): Promise<string> {
    const url = await makeDemoDatabase();
    await sql(
      url,
      `DELETE FROM rules WHERE subject = '"castellan.audit"';
       DELETE FROM resource_types WHERE type = 'castellan.audit';
       UPDATE rules SET action = action - 'reactivate' WHERE jsonb_typeof(action) = 'array';
       UPDATE resource_types SET actions = actions - 'reactivate' || '["salute"]', attributes = attributes - 'createdAt'
         WHERE type = 'user';
       UPDATE revisions SET policy = policy || jsonb_build_object(
         'resourceTypes', jsonb_path_query_array(policy, '$.resourceTypes[*] ? (@.type != "castellan.audit")'),
         'rules', jsonb_path_query_array(policy, '$.rules[*] ? (@.subject != "castellan.audit")'))`,
    );
    return url;
  }

  it('is given what it lacks of the built-in types as a revision of its own, and keeps the rest', async () => {
    const url = await olderDatabase();
    const db = openPool({ url, poolMax: 1 });
    const older = await loadPolicy(db);
    const gateway = await startGateway({ databaseUrl: url });
    try {
      const { revision, policy } = await loadPolicy(db);
      const [last] = await db('revisions').where({ number: revision });
      assert.deepEqual(
        [revision, last.author, last.message, last.digest],
        [older.revision + 1, 'castellan', 'Built-in resource types of this version', digestOf(policy)],
      );
      assert.equal(digestOf({ ...emptyPolicy(), ...last.policy }), last.digest);
      assert.deepEqual([policy.rules, policy.roles], [older.policy.rules, older.policy.roles]);
      const type = (name: string) => policy.resourceTypes.find((one) => one.type === name);
      assert.deepEqual(
        type('castellan.audit'),
        builtInTypes.find((one) => one.type === 'castellan.audit'),
      );
      const before = older.policy.resourceTypes.find((one) => one.type === 'user');
      assert.deepEqual(type('user')?.actions.toSorted(), [...(before?.actions ?? []), 'reactivate'].sort());
      assert.deepEqual(type('user')?.attributes, { ...before?.attributes, createdAt: { type: 'date' } });
      assert.deepEqual(
        [
          last.diff.resourceTypes.added.length,
          last.diff.resourceTypes.changed.length,
          last.diff.rules.added.length,
        ],
        [1, 1, 0],
      );
      assert.equal(gateway.services.live.snapshot.revision, revision);
      // Nobody is given more than before: the superadmin's rule is about everything, the administrator's are not.
      assert.equal((await (await logIn(gateway, 'superadmin')).get('/api/v1/admin/audit')).status, 200);
      assert.equal((await (await logIn(gateway, 'admin')).get('/api/v1/admin/audit')).status, 403);
    } finally {
      await gateway.close();
      await db.destroy();
    }
  });

  it('can be restored: it is given what it lacks then as well', async () => {
    const gateway = await startGateway({ databaseUrl: await olderDatabase() });
    try {
      const root = await logIn(gateway, 'superadmin');
      const rule = { id: 'later', role: 'user', action: 'read', subject: 'order' };
      assert.equal((await root.post('/api/v1/admin/rules', rule)).status, 201);
      const restored = await root.post('/api/v1/admin/policy/revisions/1/restore');
      assert.equal(restored.status, 200, JSON.stringify(restored.body));
      assert.equal((await root.get('/api/v1/admin/rules/later')).status, 404);
      assert.equal((await root.get('/api/v1/admin/audit')).status, 200);
    } finally {
      await gateway.close();
    }
  });

  it('is given it once by several nodes that begin at once, and not again', async () => {
    const db = openPool({ url: await olderDatabase(), poolMax: 5 });
    try {
      const begin = () => beginPolicy(db, { demo: false, evaluators: evaluatorNames });
      assert.deepEqual(await Promise.all([begin(), begin(), begin(), begin()]), [false, false, false, false]);
      assert.equal(await begin(), false);
      assert.equal((await loadPolicy(db)).revision, 2);
    } finally {
      await db.destroy();
    }
  });

  it('that uses a new name for something else is not touched: the start says what is in the way', async () => {
    const url = await olderDatabase();
    await sql(
      url,
      `INSERT INTO resource_types (type, actions, attributes) VALUES ('castellan.audit', '["read"]', '{"at": {"type": "string"}}')`,
    );
    const db = openPool({ url, poolMax: 1 });
    try {
      await assert.rejects(beginPolicy(db, { demo: false, evaluators: evaluatorNames }), (refused: Error) => {
        assert.match(refused.message, /must keep at of type date/);
        return true;
      });
      assert.equal((await loadPolicy(db)).revision, 1);
    } finally {
      await db.destroy();
    }
  });
});
