/** Searches for subjects and resources held against evaluations: nothing is found that is denied, and nothing is missed. */
import assert from 'node:assert/strict';
import { API_KEY_TYPE } from '../../../src/policy/built-in.ts';
import { eventually } from '../../harness.ts';
import { keysPath, mint } from '../admin/keys.ts';
import { addRole, addRule, demoId, fresh, ok, person, usersPath, withRule } from '../admin/staff.ts';
import {
  type Certified,
  evaluationPath,
  evaluationsPath,
  read,
  record1,
  resourceSearchPath,
  startCertified,
  subjectSearchPath,
} from './fixture.ts';

interface Asked {
  subject: object;
  action: object;
  resource: object;
  context?: object;
  page?: { limit?: number; token?: string };
}

describe('searches', () => {
  let certified: Certified;
  before(async () => {
    certified = await startCertified();
  });
  after(() => certified.gateway.close());

  const searchAt = async (path: string, asked: Asked): Promise<{ ids: string[]; next: string }> => {
    const { body } = ok(await certified.root.post(path, asked));
    return { ids: body.results.map(({ id }: { id: string }) => id), next: body.page?.next_token ?? '' };
  };
  const subjects = async (asked: Asked) => (await searchAt(subjectSearchPath, asked)).ids;
  const resources = async (asked: Asked) => (await searchAt(resourceSearchPath, asked)).ids;
  /** All pages. */
  const paged = async (path: string, asked: Asked, limit: number, between = async () => {}) => {
    const ids: string[] = [];
    let { ids: some, next } = await searchAt(path, { ...asked, page: { limit } });
    ids.push(...some);
    while (next !== '') {
      await between();
      ({ ids: some, next } = await searchAt(path, { ...asked, page: { token: next } }));
      assert.ok(some.length <= limit);
      ids.push(...some);
    }
    return ids;
  };
  /** Those of the ids for which the evaluation is true, sorted. */
  const evaluated = async (ids: readonly string[], evaluationOf: (id: string) => object, rest: object) => {
    const evaluations = ids.map(evaluationOf);
    const { body } = ok(await certified.root.post(evaluationsPath, { ...rest, evaluations }));
    return ids.filter((_, at) => body.evaluations[at].decision).sort();
  };
  const idsIn = (table: string): Promise<string[]> => certified.gateway.services.db(table).pluck('id');
  const user = (n: number) => ({ type: 'user', id: demoId(n) });
  const name = (action: string) => ({ name: action });
  const context = { ip: '10.1.2.3' };

  describe('for resources', () => {
    it('find in a table exactly what evaluates to true, for everybody and every action', async () => {
      const ids = await idsIn('documents');
      let found = 0;
      for (const n of [1, 2, 3, 4, 5, 6, 7])
        for (const action of ['read', 'update', 'delete', 'publish'].map(name)) {
          const rest = { subject: user(n), action, context };
          const searched = await resources({ ...rest, resource: { type: 'document' } });
          const resource = (id: string) => ({ resource: { type: 'document', id } });
          assert.deepEqual(searched, await evaluated(ids, resource, rest), `${n} ${action.name}`);
          found += searched.length;
        }
      assert.ok(found > 0);
    });

    it('find accounts, API keys and parts of the policy exactly as they evaluate', async () => {
      const { snapshot } = certified.gateway.services.live;
      await mint(certified.gateway, certified.root, { roles: ['user'] });
      const idsByType = {
        user: await idsIn('accounts'),
        'castellan.api-key': await idsIn('api_keys'),
        'castellan.rule': [...snapshot.rules.keys()],
        'castellan.role': [...snapshot.roles.keys()],
        'castellan.resource-type': [...snapshot.types.keys()],
      };
      for (const [type, ids] of Object.entries(idsByType))
        for (const n of [1, 2, 7]) {
          const rest = { subject: user(n), action: read };
          const searched = await resources({ ...rest, resource: { type } });
          const resource = (id: string) => ({ resource: { type, id } });
          assert.deepEqual(searched, await evaluated(ids, resource, rest), `${n} ${type}`);
          if (n === 1) assert.ok(searched.length > 0, type);
        }
    });

    it('find what a rule names by its id, and miss nothing that it lets through beside', async () => {
      const { id } = await person(certified.gateway);
      const rest = { subject: user(7), action: read };
      const ofAccounts = async () => {
        const ids = await idsIn('accounts');
        const found = await resources({ ...rest, resource: { type: 'user' } });
        const resource = (one: string) => ({ resource: { type: 'user', id: one } });
        assert.deepEqual(found, await evaluated(ids, resource, rest));
        return found;
      };
      const rule = { principal: `user:${demoId(7)}`, action: 'read', subject: 'user' };
      const both = { $or: [{ id: demoId(3) }, { lastName: 'Vale' }] };
      await withRule(certified.root, { ...rule, conditions: both }, async () => {
        const found = await ofAccounts();
        assert.ok(found.includes(demoId(3)) && found.includes(id));
      });
      const one = { id: { $in: [demoId(3), demoId(4)] }, lastName: { $exists: true } };
      await withRule(certified.root, { ...rule, conditions: one }, async () => {
        assert.deepEqual(await ofAccounts(), [demoId(3), demoId(4)]);
      });
      const theirs = { ...rule, subject: 'record', conditions: { id: `\${principal.department}` } };
      await withRule(certified.root, theirs, async () => {
        assert.deepEqual(await resources({ ...rest, resource: { type: 'record' } }), ['sales']);
      });
    });

    it('load no row that the rules do not let through', async () => {
      const { db } = certified.gateway.services;
      const queries: { sql: string; bindings: unknown[] }[] = [];
      const listen = (query: (typeof queries)[number]) => void queries.push(query);
      db.on('query', listen);
      const searched = await resources({ subject: user(7), action: read, resource: { type: 'document' } });
      db.removeListener('query', listen);
      const loads = queries.filter(({ sql }) => sql.includes('"documents"') && sql.includes('= ANY'));
      assert.deepEqual(loads.flatMap(({ bindings }) => bindings.flat()).sort(), searched);
      assert.ok(searched.length > 0 && searched.length < (await idsIn('documents')).length);
      assert.equal(loads.length, 1);
    });

    it('mind the properties of the action, and a context that is given', async () => {
      const rule = {
        principal: `user:${demoId(7)}`,
        action: 'delete',
        subject: 'document',
        conditions: { status: 'draft' },
        when: { 'action.soft': true, 'context.ip': { $cidr: '192.0.2.0/24' } },
      };
      await withRule(certified.root, rule, async () => {
        const asked = { subject: user(7), resource: { type: 'document' } };
        const soft = { name: 'delete', properties: { soft: true } };
        const there = { ip: '192.0.2.7' };
        const own = await resources({ ...asked, action: name('delete'), context: there });
        const all = await resources({ ...asked, action: soft, context: there });
        assert.ok(all.length > own.length);
        assert.deepEqual(await resources({ ...asked, action: soft, context }), own);
      });
    });

    it('are narrowed by properties to what is stored with these very values', async () => {
      const rows: { id: string; status: string; department: string | null }[] =
        await certified.gateway.services.db('documents').select('id', 'status', 'department');
      const of = (properties: object) =>
        resources({ subject: user(1), action: read, resource: { type: 'document', properties } });
      const where = (fits: (row: (typeof rows)[number]) => boolean) =>
        rows
          .filter(fits)
          .map(({ id }) => id)
          .sort();
      const drafts = where(({ status }) => status === 'draft');
      assert.ok(drafts.length > 0 && drafts.length < rows.length);
      assert.deepEqual(await of({ status: 'draft' }), drafts);
      assert.deepEqual(await of({ status: 'draft', nobodyDeclaresThis: 1, id: 'x', roles: ['y'] }), drafts);
      assert.deepEqual(
        await of({ department: null }),
        where(({ department }) => department === null),
      );
      for (const properties of [{ status: 'lost' }, { status: 7 }, { status: { $ne: 'draft' } }])
        assert.deepEqual(await of(properties), [], JSON.stringify(properties));
    });

    it('lose and repeat nothing page by page, whatever is added or taken away meanwhile', async () => {
      const { db } = certified.gateway.services;
      const asked = { subject: user(1), action: read, resource: { type: 'document' } };
      const before = await resources(asked);
      assert.ok(before.length > 4);
      const { id: _id, ...row } = await db('documents').first();
      const added: string[] = [];
      const found = await paged(resourceSearchPath, asked, 2, async () => {
        const [made] = await db('documents').insert(row).returning('id');
        added.push(made.id);
      });
      await db('documents').whereIn('id', added).delete();
      assert.equal(new Set(found).size, found.length);
      assert.deepEqual(
        found.filter((id) => !added.includes(id)),
        before,
      );
      // The very place of a token may go: the next page begins where it was.
      const { next } = await searchAt(resourceSearchPath, { ...asked, page: { limit: 2 } });
      const gone = await db('documents').where({ id: before[1] }).first();
      await db('documents').where({ id: before[1] }).delete();
      const { ids } = await searchAt(resourceSearchPath, { ...asked, page: { token: next } });
      await db('documents').insert(gone);
      assert.deepEqual(ids, before.slice(2, 4));
    });
  });

  describe('for subjects', () => {
    it('find exactly those who evaluate to true, on every document and action', async () => {
      const ids = await idsIn('accounts');
      for (const resource of (await idsIn('documents')).slice(0, 5).map((id) => ({ type: 'document', id })))
        for (const action of ['read', 'update', 'publish'].map(name)) {
          const rest = { action, resource, context };
          const searched = await subjects({ ...rest, subject: { type: 'user' } });
          const subject = (id: string) => ({ subject: { type: 'user', id } });
          const found = searched.filter((id) => ids.includes(id));
          assert.deepEqual(found, await evaluated(ids, subject, rest), `${resource.id} ${action.name}`);
          assert.deepEqual(
            await paged(subjectSearchPath, { ...rest, subject: { type: 'user' } }, 2),
            searched,
          );
        }
    });

    it('find who has a role that inherits the one the rule is for, and who is named; no role that has expired', async () => {
      const { gateway, root } = certified;
      const general = await addRole(root);
      const special = await addRole(root, { inherits: [general] });
      const [holder, heir, named, former, other] = await Promise.all(
        [[general], [special], [], [special], ['user']].map((roles) => person(gateway, { roles })),
      );
      if (!holder || !heir || !named || !former || !other) throw new Error('five people were made');
      await gateway.services
        .db('role_assignments')
        .where({ accountId: former.id })
        .update({ expiresAt: new Date(0), createdAt: new Date(0) });
      const rule = { action: 'delete', subject: 'record', conditions: { id: 'record-7' } };
      await addRule(root, { ...rule, role: general });
      await addRule(root, { ...rule, principal: `user:${named.id}` });
      await addRule(root, { ...rule, principal: `user:${demoId(4)}`, inverted: true });
      const asked = {
        subject: { type: 'user' },
        action: name('delete'),
        resource: { type: 'record', id: 'record-7' },
      };
      const people = [holder, heir, named, former, other].map(({ id }) => id);
      const found = (await subjects(asked)).filter((id) => people.includes(id));
      assert.deepEqual(found, [holder.id, heir.id, named.id].sort());
      const subject = { type: 'user', properties: { email: heir.email } };
      assert.deepEqual(await subjects({ ...asked, subject }), [heir.id]);
    });

    it('find each but once who has an account and is named by a rule as well', async () => {
      await withRule(
        certified.root,
        { principal: `user:${demoId(3)}`, action: 'read', subject: 'record' },
        async () => {
          const found = await subjects({ subject: { type: 'user' }, action: read, resource: record1 });
          assert.equal(found.filter((id) => id === demoId(3)).length, 1);
          assert.equal(new Set(found).size, found.length);
        },
      );
    });

    it('find API keys that are in force, and none that was revoked or has expired', async () => {
      const { gateway, root } = certified;
      const role = await addRole(root);
      const keys = [];
      for (let n = 0; n < 4; n++) keys.push(await mint(gateway, root, { roles: [role] }));
      const [live, revoked, expired, named] = keys;
      if (!live || !revoked || !expired || !named) throw new Error('four keys were made');
      ok(await root.delete(`${keysPath}/${revoked.id}`), 204);
      await gateway.services
        .db('api_keys')
        .where({ id: expired.id })
        .update({ createdAt: new Date(0), expiresAt: new Date(1000) });
      const asked = { subject: { type: API_KEY_TYPE }, action: read, resource: record1 };
      assert.deepEqual(await subjects(asked), []);
      await withRule(
        root,
        { principal: `api-key:${revoked.id}`, action: 'read', subject: 'record' },
        async () => {
          await withRule(
            root,
            { principal: `api-key:${live.id}`, action: 'read', subject: 'record' },
            async () => {
              assert.deepEqual(await subjects(asked), [live.id]);
            },
          );
        },
      );
      await addRule(root, { role, action: 'read', subject: 'record' });
      assert.deepEqual(await subjects(asked), [live.id, named.id].sort());
      await withRule(
        root,
        { principal: `api-key:${named.id}`, action: 'read', subject: 'record', inverted: true },
        async () => {
          assert.deepEqual(await subjects(asked), [live.id]);
        },
      );
    });

    it('find nobody in particular where everybody may, and others by the rules that name them', async () => {
      const rest = { action: 'write', subject: 'record', conditions: { id: 'open' } };
      await withRule(certified.root, { ...rest, role: 'everyone' }, async () => {
        const asked = { action: name('write'), resource: { type: 'record', id: 'open' } };
        assert.deepEqual(await subjects({ ...asked, subject: { type: 'anonymous' } }), ['anonymous']);
        const active = certified.gateway.services.db('accounts').where({ isActive: true });
        const ids: string[] = await active.pluck('id');
        const found = await subjects({ ...asked, subject: { type: 'user' } });
        assert.deepEqual(
          found.filter((id) => ids.includes(id)),
          ids.sort(),
        );
        assert.deepEqual(found.slice(ids.length), ['alice', 'bob']);
        assert.deepEqual(await subjects({ ...asked, subject: { type: 'device' } }), []);
        await withRule(certified.root, { ...rest, principal: 'device:a7' }, async () => {
          assert.deepEqual(await subjects({ ...asked, subject: { type: 'device' } }), ['a7']);
        });
      });
    });

    it('decide so many and no more in one request, and say that more follows until all were looked at', async () => {
      const { db } = certified.gateway.services;
      const domain = `${fresh('many')}.example`;
      const { rows } = await db.raw(
        `INSERT INTO accounts (email, email_key, password_hash, first_name, last_name)
         SELECT n || '@' || ?, n || '@' || ?, (SELECT password_hash FROM accounts LIMIT 1), 'Many', 'People'
         FROM generate_series(1, 5500) n RETURNING id`,
        [domain, domain],
      );
      const last = rows
        .map(({ id }: { id: string }) => id)
        .sort()
        .at(-1);
      const rule = {
        role: 'authenticated',
        action: 'write',
        subject: 'record',
        conditions: { id: 'hidden' },
        when: { 'principal.email': (await db('accounts').where({ id: last }).first()).email },
      };
      await withRule(certified.root, { ...rule, action: 'read', when: {} }, async () => {
        const resource = { type: 'record', id: 'hidden' };
        const many = await subjects({ subject: { type: 'user' }, action: read, resource });
        assert.equal(many.length, 1000);
        assert.equal(new Set(many).size, 1000, 'of several batches none is there twice');
      });
      await withRule(certified.root, rule, async () => {
        const asked = {
          subject: { type: 'user' },
          action: name('write'),
          resource: { type: 'record', id: 'hidden' },
        };
        const first = await searchAt(subjectSearchPath, asked);
        assert.equal(first.ids.includes(last), false);
        assert.notEqual(first.next, '');
        const second = await searchAt(subjectSearchPath, { ...asked, page: { token: first.next } });
        assert.ok(second.ids.includes(last));
        assert.equal(second.next, '');
      });
      await db('accounts').where('lastName', 'People').delete();
    });
  });

  it('leave nothing in the decision log', async () => {
    const { db } = certified.gateway.services;
    const [searched, asked] = [fresh('searched'), fresh('asked')];
    const rest = { action: name('write'), resource: record1 };
    const headers = { 'x-request-id': searched };
    ok(await certified.root.post(subjectSearchPath, { ...rest, subject: { type: 'user' } }, headers));
    const resource = { type: 'castellan.rule' };
    ok(await certified.root.post(resourceSearchPath, { subject: user(1), action: read, resource }, headers));
    ok(await certified.root.post(evaluationPath, { ...rest, subject: user(7) }, { 'x-request-id': asked }));
    await eventually('what was denied later', () => db('decisions').where({ requestId: asked }).first());
    const logged = await db('decisions').where({ requestId: searched }).whereNot({ action: 'evaluate' });
    assert.deepEqual(logged, []);
  });

  it('forget whoever is deactivated at once, and what they may', async () => {
    const { id } = await person(certified.gateway, { roles: ['superadmin'] });
    const asked = { subject: { type: 'user' }, action: read, resource: record1 };
    const own = { subject: { type: 'user', id }, action: read, resource: { type: 'document' } };
    assert.ok((await subjects(asked)).includes(id));
    assert.ok((await resources(own)).length > 0);
    ok(await certified.root.delete(`${usersPath}/${id}`), 204);
    assert.equal((await subjects(asked)).includes(id), false);
    const active = { type: 'user', properties: { isActive: true } };
    assert.equal((await subjects({ ...asked, subject: active })).includes(id), false);
    assert.deepEqual(await resources(own), []);
    assert.deepEqual(await resources({ ...own, subject: { ...own.subject, ...active, id } }), []);
  });
});
