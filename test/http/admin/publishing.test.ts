/** Changes of the policy over HTTP: one transaction each, one after the other, nothing lost and nothing half done. */
import assert from 'node:assert/strict';
import { digestOf } from '../../../src/policy/compile.ts';
import { emptyPolicy } from '../../../src/policy/policy.ts';
import { loadPolicy } from '../../../src/policy/store.ts';
import { type Client, startGateway, type TestGateway } from '../../harness.ts';
import {
  addRole,
  addRule,
  assertProblem,
  auditOf,
  fresh,
  ok,
  type Person,
  person,
  rolesPath,
  rulesPath,
  stateOf,
  typesPath,
  usersPath,
} from './staff.ts';

describe('a change of the policy', () => {
  let gateway: TestGateway;
  let root: Client;
  let admin: Person;
  before(async () => {
    gateway = await startGateway();
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    admin = await person(gateway, { roles: ['admin'] });
  });
  after(() => gateway.close());

  const small = (rest: object = {}) => ({ role: 'user', action: 'read', subject: 'order', ...rest });
  const revisionRow = (number: number) => gateway.services.db('revisions').where({ number }).first();

  describe('leaves', () => {
    it('rule, revision, audit entry and change log together', async () => {
      const before = await stateOf(gateway);
      const id = fresh('r');
      const headers = {
        'castellan-message': 'for the %F0%9F%8F%B0, %D0%B2%D0%BE%D1%82',
        'x-request-id': 'req-4711',
      };
      const answer = ok(await admin.client.post(rulesPath, small({ id, priority: 3 }), headers), 201);
      const number = before.inForce + 1;
      assert.equal(answer.headers.get('castellan-revision'), String(number));
      const after = await stateOf(gateway);
      assert.deepEqual(
        { ...after, digest: '' },
        {
          ...before,
          digest: '',
          inForce: number,
          rules: before.rules + 1,
          revisions: before.revisions + 1,
          auditEntries: before.auditEntries + 1,
          changes: before.changes + 1,
        },
      );

      const rule = {
        ...small(),
        id,
        priority: 3,
        inverted: false,
        enabled: true,
        validFrom: null,
        validUntil: null,
      };
      const { policy } = await loadPolicy(gateway.services.db);
      const nothing = { added: [], changed: [], removed: [] };
      const { createdAt, ...revision } = await revisionRow(number);
      assert.deepEqual(revision, {
        number,
        authorId: admin.id,
        author: admin.email,
        message: 'for the 🏰, вот',
        changes: { added: 1, changed: 0, removed: 0 },
        diff: {
          resourceTypes: nothing,
          roles: nothing,
          rules: { ...nothing, added: [rule] },
          routes: nothing,
          cases: nothing,
          cedar: nothing,
        },
        policy: revision.policy,
        digest: digestOf(policy),
      });
      assert.equal(digestOf({ ...emptyPolicy(), ...revision.policy }), revision.digest);
      assert.equal(gateway.services.live.snapshot.digest, revision.digest);
      assert.ok(Date.now() - createdAt.getTime() < 60_000);

      const [entry, ...more] = await auditOf(gateway, 'castellan.rule', id);
      assert.deepEqual(more, []);
      const { id: _id, at, hash: _hash, previousHash: _previous, ...told } = entry;
      assert.ok(Date.now() - at.getTime() < 60_000);
      assert.deepEqual(told, {
        actorId: admin.id,
        actor: admin.email,
        action: 'rule.create',
        targetType: 'castellan.rule',
        targetId: id,
        before: null,
        after: rule,
        requestId: 'req-4711',
        revision: number,
        address: '127.0.0.1',
      });

      const change = await gateway.services.db('changes').orderBy('id', 'desc').first();
      assert.deepEqual([change.kind, change.subject], ['policy', String(number)]);
    });

    it('before and after of a rule that is changed, and before of one that is removed', async () => {
      const { id } = await addRule(admin.client, small({ reason: 'old' }));
      ok(await admin.client.patch(`${rulesPath}/${id}`, { reason: 'new' }));
      ok(await admin.client.delete(`${rulesPath}/${id}`), 204);
      const entries = await auditOf(gateway, 'castellan.rule', id);
      assert.deepEqual(
        entries.map(({ action, before, after }) => [action, before?.reason, after?.reason]),
        [
          ['rule.create', undefined, 'old'],
          ['rule.update', 'old', 'new'],
          ['rule.delete', 'new', undefined],
        ],
      );
      const [, updated, removed] = await Promise.all(entries.map(({ revision }) => revisionRow(revision)));
      const [changed] = updated.diff.rules.changed;
      assert.deepEqual([changed.before.reason, changed.after.reason], ['old', 'new']);
      assert.equal(removed.diff.rules.removed[0].id, id);
    });

    it('its traces for roles and resource types as well', async () => {
      const key = await addRole(admin.client, { description: 'one' });
      ok(await admin.client.patch(`${rolesPath}/${key}`, { description: 'two' }));
      ok(await admin.client.delete(`${rolesPath}/${key}`), 204);
      const type = fresh('type');
      ok(await admin.client.post(typesPath, { type, actions: ['read'] }), 201);
      ok(await admin.client.patch(`${typesPath}/${type}`, { actions: ['read', 'write'] }));
      ok(await admin.client.delete(`${typesPath}/${type}`), 204);
      const entries = [
        ...(await auditOf(gateway, 'castellan.role', key)),
        ...(await auditOf(gateway, 'castellan.resource-type', type)),
      ];
      assert.deepEqual(
        entries.map(({ action }) => action),
        [
          'role.create',
          'role.update',
          'role.delete',
          'resource-type.create',
          'resource-type.update',
          'resource-type.delete',
        ],
      );
      const numbers = entries.map(({ revision }) => revision);
      assert.deepEqual(
        numbers,
        numbers.map((_, index) => numbers[0] + index),
      );
    });

    it('a message as it is when it is no percent-encoding, without U+0000, and of 500 characters at most', async () => {
      for (const [sent, kept] of [
        ['100% sure', '100% sure'],
        ['a%00b', 'ab'],
        ['%'.repeat(500), '%'.repeat(500)],
        ['%C3%A9'.repeat(500), 'é'.repeat(500)],
      ]) {
        const answer = ok(
          await admin.client.post(rulesPath, small(), { 'castellan-message': String(sent) }),
          201,
        );
        const revision = await revisionRow(Number(answer.headers.get('castellan-revision')));
        assert.equal(revision.message, kept);
      }
      const before = await stateOf(gateway);
      const long = { 'castellan-message': 'x'.repeat(501) };
      const answer = await admin.client.post(rulesPath, small(), long);
      assertProblem(answer, 400, 'invalid_request', '/headers/Castellan-Message');
      assert.deepEqual(await stateOf(gateway), before);
    });
  });

  describe('that fails on the way', () => {
    /** Makes every insert into a table fail, in this test's own database, for as long as `use` runs. */
    async function withBroken(table: string, use: () => Promise<void>): Promise<void> {
      const { db } = gateway.services;
      await db.raw(`
        CREATE FUNCTION test_break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$;
        CREATE TRIGGER test_break BEFORE INSERT OR UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION test_break();`);
      try {
        await use();
      } finally {
        await db.raw(`DROP FUNCTION test_break CASCADE`);
      }
    }

    for (const table of ['rules', 'revisions', 'audit_entries', 'changes'])
      it(`at ${table}, leaves nothing at all, and the next one goes through`, async () => {
        const { id } = await addRule(root, small({ reason: 'as it was' }));
        const before = await stateOf(gateway);
        const { snapshot } = gateway.services.live;
        await withBroken(table, async () => {
          assertProblem(await root.post(rulesPath, small()), 500, 'internal_error');
          assertProblem(await root.patch(`${rulesPath}/${id}`, { reason: 'other' }), 500, 'internal_error');
          if (table !== 'rules')
            assertProblem(await root.delete(`${rulesPath}/${id}`), 500, 'internal_error');
        });
        assert.deepEqual(await stateOf(gateway), before);
        assert.equal(gateway.services.live.snapshot, snapshot);
        assert.equal(ok(await root.get(`${rulesPath}/${id}`)).body.reason, 'as it was');
        const next = ok(await root.post(rulesPath, small()), 201);
        assert.equal(next.headers.get('castellan-revision'), String(before.inForce + 1));
      });

    for (const table of ['role_assignments', 'audit_entries', 'changes'])
      it(`at ${table}, changes no account`, async () => {
        const target = await person(gateway, { attributes: { department: 'sales' } });
        const before = await stateOf(gateway);
        await withBroken(table, async () => {
          assertProblem(await root.put(`${usersPath}/${target.id}/roles/author`), 500, 'internal_error');
          if (table === 'role_assignments') return;
          const patch = { attributes: { department: 'ops' }, firstName: 'Other' };
          assertProblem(await root.patch(`${usersPath}/${target.id}`, patch), 500, 'internal_error');
          assertProblem(await root.delete(`${usersPath}/${target.id}`), 500, 'internal_error');
          assertProblem(await root.delete(`${usersPath}/${target.id}/sessions`), 500, 'internal_error');
        });
        assert.deepEqual(await stateOf(gateway), before);
        const { user } = ok(await root.get(`${usersPath}/${target.id}`)).body;
        assert.deepEqual(
          [user.roles, user.attributes, user.firstName, user.isActive],
          [['user'], { department: 'sales' }, 'Noor', true],
        );
        ok(await target.client.get('/api/v1/me'));
      });
  });

  describe('at once with others', () => {
    it('fifty administrators save the same rule with one ETag: one wins, the others get 412, nothing is lost', async () => {
      const { id } = await addRule(root, small());
      const administrators = await Promise.all(
        Array.from({ length: 50 }, () => person(gateway, { roles: ['admin'] })),
      );
      const before = await stateOf(gateway);
      const answers = await Promise.all(
        administrators.map(({ client }, index) =>
          client.put(`${rulesPath}/${id}`, small({ reason: `by ${index}` }), { 'if-match': '"1"' }),
        ),
      );
      const winners = answers.flatMap(({ status }, index) => (status === 200 ? [index] : []));
      assert.equal(winners.length, 1);
      for (const [index, answer] of answers.entries())
        if (index !== winners[0]) assertProblem(answer, 412, 'stale_version');
      const { body } = await root.get(`${rulesPath}/${id}`);
      assert.deepEqual([body.version, body.reason], [2, `by ${winners[0]}`]);
      const after = await stateOf(gateway);
      assert.equal(after.revisions, before.revisions + 1);
      assert.equal(after.auditEntries, before.auditEntries + 1);
      const entry = (await auditOf(gateway, 'castellan.rule', id)).at(-1);
      assert.equal(entry.actor, administrators[winners[0] ?? -1]?.email);
    });

    it('without If-Match the last one wins and every one is in the history', async () => {
      const { id } = await addRule(root, small());
      const reasons = Array.from({ length: 10 }, (_, index) => `by ${index}`);
      const answers = await Promise.all(
        reasons.map((reason) => root.patch(`${rulesPath}/${id}`, { reason })),
      );
      for (const answer of answers) ok(answer);
      const entries = (await auditOf(gateway, 'castellan.rule', id)).slice(1);
      assert.deepEqual(entries.map(({ after }) => after.reason).sort(), reasons);
      for (const [index, { before }] of entries.entries())
        assert.equal(before.reason, index === 0 ? undefined : entries[index - 1].after.reason);
      assert.equal((await root.get(`${rulesPath}/${id}`)).body.reason, entries.at(-1).after.reason);
    });

    it('thirty new rules: all are there, revisions have no gap, the last is in force', async () => {
      const before = gateway.services.live.snapshot.revision;
      const ids = Array.from({ length: 30 }, () => fresh('r'));
      const answers = await Promise.all(ids.map((id) => admin.client.post(rulesPath, small({ id }))));
      for (const answer of answers) ok(answer, 201);
      const numbers = answers.map(({ headers }) => Number(headers.get('castellan-revision')));
      assert.deepEqual(
        numbers.sort((a, b) => a - b),
        numbers.map((_, index) => before + 1 + index),
      );
      const { live, db } = gateway.services;
      assert.equal(live.snapshot.revision, before + 30);
      for (const id of ids) assert.ok(live.snapshot.rules.has(id), id);
      const rows = await db('revisions').orderBy('number').pluck('number');
      assert.deepEqual(
        rows,
        rows.map((_: number, index: number) => index + 1),
      );
      for (const number of numbers) {
        const { diff, policy, digest } = await revisionRow(number);
        assert.equal(diff.rules.added.length, 1);
        assert.equal(digestOf({ ...emptyPolicy(), ...policy }), digest);
      }
    });

    it('one id by ten at once: one is made, the others get 409', async () => {
      const id = fresh('r');
      const answers = await Promise.all(
        Array.from({ length: 10 }, () => admin.client.post(rulesPath, small({ id }))),
      );
      assert.equal(answers.filter(({ status }) => status === 201).length, 1);
      assert.equal(answers.filter(({ status }) => status === 409).length, 9);
    });

    it('two nodes on one database: neither loses what the other published', async () => {
      const other = await startGateway({ databaseUrl: gateway.databaseUrl });
      try {
        const there = (await person(other, { roles: ['admin'] })).client;
        const ids = Array.from({ length: 16 }, () => fresh('r'));
        const answers = await Promise.all(
          ids.map((id, index) => (index % 2 ? admin.client : there).post(rulesPath, small({ id }))),
        );
        for (const answer of answers) ok(answer, 201);
        const { policy, revision } = await loadPolicy(gateway.services.db);
        const last = await revisionRow(revision);
        for (const id of ids) {
          assert.ok(policy.rules.some((rule) => rule.id === id));
          assert.ok(last.policy.rules.some((rule: { id: string }) => rule.id === id));
        }
      } finally {
        await other.close();
      }
    });
  });

  it('that does not compile changes nothing: 422, the policy in force stays as it was', async () => {
    const before = await stateOf(gateway);
    const { snapshot } = gateway.services.live;
    assertProblem(await root.post(rulesPath, small({ subject: 'ordr' })), 422, 'policy_invalid', '/subject');
    const inUse = await root.patch(`${typesPath}/order`, { attributes: { id: { type: 'uuid' } } });
    assert.equal(inUse.status, 422);
    assert.ok(inUse.body.problems.length > 3, 'every rule that the change would break is named');
    assert.deepEqual(await stateOf(gateway), before);
    assert.equal(gateway.services.live.snapshot, snapshot);
  });
});
