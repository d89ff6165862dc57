/** /api/v1/admin/users: accounts, kept by those whom the policy lets. */
import assert from 'node:assert/strict';
import { createMongoAbility, subject } from '@casl/ability';
import { anonymousClient, type Client, logIn, startGateway, type TestGateway } from '../../harness.ts';
import {
  addRole,
  addRule,
  allItems,
  assertProblem,
  auditOf,
  demoId,
  forgedCursor,
  fresh,
  ok,
  type Person,
  usersPath as path,
  person,
  sessionOf,
  stateOf,
  told,
  withRule,
} from './staff.ts';

const password = 'quiet harbour 4711';
const missing = '00000000-0000-4000-8000-0000000000ff';

describe('/admin/users', () => {
  let gateway: TestGateway;
  let root: Client;
  let admin: Person;
  let plain: Client;
  before(async () => {
    gateway = await startGateway();
    root = await sessionOf(gateway, demoId(1));
    admin = await person(gateway, { roles: ['admin'] });
    plain = (await person(gateway)).client;
  });
  after(() => gateway.close());

  const form = (rest: object = {}) => ({
    email: `${fresh('u')}@example.org`,
    password,
    firstName: 'Ada',
    lastName: 'Byron',
    ...rest,
  });
  const create = async (rest: object = {}) => {
    const sent = form(rest);
    return { ...sent, ...ok(await admin.client.post(path, sent), 201).body.user };
  };
  const read = async (id: string) => ok(await root.get(`${path}/${id}`)).body.user;
  const logsIn = (email: string, secret = password) =>
    anonymousClient(gateway).post('/api/v1/auth/login', { email, password: secret });

  describe('who may', () => {
    const requests: [string, string, object?][] = [
      ['GET', ''],
      ['POST', '', form()],
      ['GET', '/:id'],
      ['PATCH', '/:id', { firstName: 'x' }],
      ['DELETE', '/:id'],
      ['PUT', '/:id/password', { newPassword: password }],
      ['PUT', '/:id/roles/user'],
      ['DELETE', '/:id/roles/user'],
      ['DELETE', '/:id/sessions'],
      ['GET', '/:id/ability'],
    ];
    for (const [method, suffix, body] of requests) {
      const send = (client: Client, id: string) =>
        client.send(method, path + suffix.replace(':id', id), body);
      it(`${method} ${suffix}: 401 to nobody and 403 to whoever has no rule for it, whatever is there`, async () => {
        const before = await stateOf(gateway);
        for (const [client, status, code] of [
          [anonymousClient(gateway), 401, 'unauthenticated'],
          [plain, 403, 'access_denied'],
        ] as const) {
          const there = await send(client, demoId(5));
          assertProblem(there, status, code);
          assert.deepEqual(told(await send(client, missing)), told(there));
        }
        assert.deepEqual(await stateOf(gateway), before);
      });
      if (suffix)
        it(`${method} ${suffix}: 404 when there is none, 400 for what is no id`, async () => {
          assertProblem(await send(admin.client, missing), 404, 'not_found');
          assertProblem(await send(admin.client, 'somebody'), 400, 'invalid_request', '/params/id');
        });
    }
    it('roles: 404 for a role that is not there, built-in ones included', async () => {
      for (const key of ['no-such-role', 'everyone', 'authenticated'])
        for (const method of ['PUT', 'DELETE'])
          assertProblem(await root.send(method, `${path}/${demoId(5)}/roles/${key}`), 404, 'not_found');
    });
  });

  describe('create', () => {
    it('201: answers the account, with the roles of a registration where none are given', async () => {
      const sent = form({
        patronymic: 'Ивановна',
        attributes: { department: 'sales', approvalLimit: 10.5, regions: ['EU'] },
      });
      const answer = ok(await admin.client.post(path, sent), 201);
      const { user } = answer.body;
      assert.deepEqual(Object.keys(answer.body), ['user']);
      assert.deepEqual(user, {
        id: user.id,
        email: sent.email,
        firstName: 'Ada',
        lastName: 'Byron',
        patronymic: 'Ивановна',
        isActive: true,
        roles: ['user'],
        attributes: { department: 'sales', approvalLimit: 10.5, regions: ['EU'] },
        createdAt: user.createdAt,
        updatedAt: user.updatedAt,
      });
      assert.equal(answer.headers.get('location'), `${path}/${user.id}`);
      assert.equal(answer.headers.get('cache-control'), 'no-store');
      assert.deepEqual(await read(user.id), user);
      ok(await logsIn(sent.email));
    });

    it('with roles, with none, and with null for an attribute left out', async () => {
      assert.deepEqual((await create({ roles: ['editor', 'approver'] })).roles, ['approver', 'editor']);
      const none = await create({ roles: [], attributes: { department: null } });
      assert.deepEqual([none.roles, none.attributes], [[], {}]);
    });

    it('leaves an audit entry without the password', async () => {
      const user = await create({ attributes: { department: 'ops' } });
      const [entry, ...more] = await auditOf(gateway, 'user', user.id);
      assert.deepEqual(more, []);
      assert.deepEqual([entry.action, entry.actorId, entry.actor], ['user.create', admin.id, admin.email]);
      assert.equal(entry.after.attributes.department, 'ops');
      assert.ok(!JSON.stringify(entry).includes(password));
    });

    it('409 email_taken without regard to case, also of an account that is deactivated', async () => {
      const user = await create();
      assertProblem(
        await admin.client.post(path, form({ email: user.email.toUpperCase() })),
        409,
        'email_taken',
        '/email',
      );
      ok(await admin.client.delete(`${path}/${user.id}`), 204);
      assertProblem(await admin.client.post(path, form({ email: user.email })), 409, 'email_taken', '/email');
    });

    it('400 for what is no account, each with its pointer', async () => {
      const before = await stateOf(gateway);
      const cases: [object, string[]][] = [
        [{}, ['/email', '/password', '/firstName', '/lastName']],
        [form({ email: 'nobody', password: 'short' }), ['/email', '/password']],
        [form({ roles: ['user', 'no-such-role'] }), ['/roles/1']],
        [form({ roles: ['user', 'user'] }), ['/roles/1']],
        [
          form({ attributes: { department: 7, approvalLimit: '1000', regions: 'EU', shoeSize: 42 } }),
          [
            '/attributes/department',
            '/attributes/approvalLimit',
            '/attributes/regions',
            '/attributes/shoeSize',
          ],
        ],
        [form({ attributes: { regions: ['EU', 7] } }), ['/attributes/regions']],
        [form({ password: 'password123' }), ['/password']],
      ];
      for (const [sent, pointers] of cases)
        assertProblem(await admin.client.post(path, sent), 400, 'invalid_request', ...pointers);
      assert.deepEqual(await stateOf(gateway), before);
    });

    it("mass assignment: id, state, hash and times cannot be sent along, nor the account's own columns as attributes", async () => {
      for (const extra of ['id', 'isActive', 'passwordHash', 'accessVersion', 'createdAt', 'emailKey'])
        assertProblem(
          await admin.client.post(path, form({ [extra]: demoId(1) })),
          400,
          'invalid_request',
          `/${extra}`,
        );
      for (const own of ['id', 'email', 'isActive', 'createdAt', 'firstName'])
        assertProblem(
          await admin.client.post(path, form({ attributes: { [own]: 'x' } })),
          400,
          'invalid_request',
          `/attributes/${own}`,
        );
    });

    it('who may create accounts of some kind creates no others, and writes no other fields', async () => {
      const role = await addRole(root);
      await addRule(root, {
        role,
        action: 'create',
        subject: 'user',
        conditions: { department: 'sales' },
        fields: ['email', 'firstName', 'lastName', 'department'],
      });
      const { client } = await person(gateway, { roles: [role] });
      ok(await client.post(path, form({ roles: [], attributes: { department: 'sales' } })), 201);
      assertProblem(
        await client.post(path, form({ roles: [], attributes: { department: 'ops' } })),
        403,
        'access_denied',
      );
      assertProblem(await client.post(path, form({ roles: [] })), 403, 'access_denied');
      const more = form({
        roles: [],
        patronymic: 'x',
        attributes: { department: 'sales', approvalLimit: 5 },
      });
      assertProblem(await client.post(path, more), 403, 'fields_denied', '/patronymic', '/approvalLimit');
    });
  });

  describe('list', () => {
    it('comes in pages, every account once', async () => {
      for (let count = 0; count < 5; count++) await person(gateway);
      const ids: string[] = await gateway.services.db('accounts').orderBy('id').pluck('id');
      for (const limit of [3, 200])
        assert.deepEqual(
          (await allItems(root, path, limit)).map(({ id }) => id),
          ids,
        );
    });
    it('shows each account as a single read does', async () => {
      for (const item of await allItems(admin.client, path)) assert.deepEqual(item, await read(item.id));
    });
    it('is filtered by role, e-mail and state', async () => {
      const role = await addRole(root);
      const [a, b] = [
        await person(gateway, { roles: [role] }),
        await person(gateway, { roles: [role, 'user'] }),
      ];
      ok(await admin.client.delete(`${path}/${b.id}`), 204);
      const found = async (query: string) =>
        (await allItems(admin.client, `${path}?${query}`)).map(({ id }) => id).sort();
      assert.deepEqual(await found(`role=${role}`), [a.id, b.id].sort());
      assert.deepEqual(await found(`role=${role}&isActive=true`), [a.id]);
      assert.deepEqual(await found(`role=${role}&isActive=false`), [b.id]);
      assert.deepEqual(await found(`email=${encodeURIComponent(` ${a.email.toUpperCase()} `)}`), [a.id]);
      assert.deepEqual(await found(`email=${a.email}&isActive=false`), []);
      assert.deepEqual(await found('role=no-such-role'), []);
    });
    it('400 for a filter, a limit or a cursor that cannot be', async () => {
      assertProblem(await admin.client.get(`${path}?name=x`), 400, 'invalid_request', '/query/name');
      assertProblem(
        await admin.client.get(`${path}?isActive=perhaps`),
        400,
        'invalid_request',
        '/query/isActive',
      );
      assertProblem(await admin.client.get(`${path}?limit=0`), 400, 'invalid_request', '/query/limit');
      for (const cursor of [
        'x',
        forgedCursor([]),
        forgedCursor(['abc']),
        forgedCursor(["' OR 1=1"]),
        forgedCursor([missing, 'b']),
      ])
        assertProblem(
          await admin.client.get(`${path}?cursor=${cursor}`),
          400,
          'invalid_request',
          '/query/cursor',
        );
    });
    it('holds only those who may be read, with the fields that may be read, as a single read does', async () => {
      const role = await addRole(root);
      await addRule(root, {
        role,
        action: 'read',
        subject: 'user',
        conditions: { department: 'sales' },
        fields: ['id', 'firstName', 'department'],
      });
      await addRule(root, {
        role,
        action: 'read',
        subject: 'user',
        conditions: { id: '$' + '{principal.id}' },
      });
      const seller = await person(gateway, { attributes: { department: 'sales', approvalLimit: 7 } });
      const { client, id } = await person(gateway, {
        roles: [role],
        attributes: { department: 'ops', approvalLimit: 3 },
      });
      const listed = new Map((await allItems(client, path, 2)).map((item) => [item.id, item]));
      assert.deepEqual(listed.get(seller.id), {
        id: seller.id,
        firstName: 'Noor',
        attributes: { department: 'sales' },
      });
      assert.deepEqual(listed.get(id)?.attributes, { department: 'ops', approvalLimit: 3 });
      for (const { id: other } of await allItems(root, path)) {
        const { status, body } = await client.get(`${path}/${other}`);
        assert.deepEqual(listed.get(other), status === 200 ? body.user : undefined);
      }
    });
  });

  describe('change', () => {
    it('changes what is named, merges attributes, and null takes one away', async () => {
      const user = await create({
        patronymic: 'Olegovna',
        attributes: { department: 'sales', approvalLimit: 10 },
      });
      const email = `${fresh('New')}@example.org`;
      const patch = {
        firstName: 'Grace',
        patronymic: null,
        email,
        attributes: { approvalLimit: null, regions: ['UK'] },
      };
      const answer = ok(await admin.client.patch(`${path}/${user.id}`, patch));
      const { updatedAt, ...rest } = answer.body.user;
      assert.deepEqual(rest, {
        id: user.id,
        email,
        firstName: 'Grace',
        lastName: 'Byron',
        patronymic: null,
        isActive: true,
        roles: ['user'],
        attributes: { department: 'sales', regions: ['UK'] },
        createdAt: user.createdAt,
      });
      assert.ok(updatedAt > user.updatedAt);
      assert.deepEqual(await read(user.id), answer.body.user);
      ok(await logsIn(email));
    });

    it('leaves an audit entry with what was and what is', async () => {
      const { id } = await person(gateway, { attributes: { department: 'sales', approvalLimit: 10 } });
      const headers = { 'x-request-id': fresh('req') };
      const patch = { firstName: 'Grace', attributes: { department: 'ops', approvalLimit: null } };
      ok(await admin.client.patch(`${path}/${id}`, patch, headers));
      const [entry] = await auditOf(gateway, 'user', id);
      assert.equal(entry.action, 'user.update');
      assert.deepEqual(entry.before, {
        firstName: 'Noor',
        attributes: { department: 'sales', approvalLimit: 10 },
      });
      assert.deepEqual(entry.after, { firstName: 'Grace', attributes: { department: 'ops' } });
      assert.deepEqual(
        [entry.actorId, entry.address, entry.requestId],
        [admin.id, '127.0.0.1', headers['x-request-id']],
      );
    });

    it('400 for what is no change: unknown or unfit attributes, unknown keys, nothing at all', async () => {
      const { id } = await person(gateway);
      const cases: [object, string[]][] = [
        [
          { attributes: { approvalLimit: '10', regions: [1], shoeSize: 42, email: 'x@example.org' } },
          ['/attributes/approvalLimit', '/attributes/regions', '/attributes/shoeSize', '/attributes/email'],
        ],
        [{ roles: ['superadmin'] }, ['/roles']],
        [{ password }, ['/password']],
        [{ id: missing }, ['/id']],
        [{ firstName: '', email: 'x' }, ['/firstName', '/email']],
        [{}, ['']],
      ];
      const before = await stateOf(gateway);
      for (const [patch, pointers] of cases)
        assertProblem(await admin.client.patch(`${path}/${id}`, patch), 400, 'invalid_request', ...pointers);
      assert.deepEqual(await stateOf(gateway), before);
    });

    it('409 email_taken for the e-mail of another', async () => {
      const [a, b] = [await person(gateway), await person(gateway)];
      assertProblem(
        await admin.client.patch(`${path}/${a.id}`, { email: b.email.toUpperCase() }),
        409,
        'email_taken',
        '/email',
      );
      assert.equal((await read(a.id)).email, a.email);
    });

    it('403 fields_denied names the fields, and attributes one by one; nothing is written', async () => {
      const role = await addRole(root);
      await addRule(root, {
        role,
        action: ['read', 'update'],
        subject: 'user',
        fields: ['lastName', 'department'],
      });
      const { client } = await person(gateway, { roles: [role] });
      const { id } = await person(gateway, { roles: [], attributes: { department: 'a' } });
      const before = await stateOf(gateway);
      const patch = { firstName: 'x', lastName: 'y', attributes: { department: 'b', approvalLimit: 1 } };
      assertProblem(
        await client.patch(`${path}/${id}`, patch),
        403,
        'fields_denied',
        '/firstName',
        '/approvalLimit',
      );
      assert.deepEqual(await stateOf(gateway), before);
      const allowed = ok(
        await client.patch(`${path}/${id}`, { lastName: 'y', attributes: { department: 'b' } }),
      );
      assert.deepEqual(allowed.body, { user: { lastName: 'y', attributes: { department: 'b' } } });
    });

    it('nobody changes an account into one that they could not change', async () => {
      const role = await addRole(root);
      await addRule(root, { role, action: 'update', subject: 'user', conditions: { department: 'sales' } });
      const { client } = await person(gateway, { roles: [role] });
      const { id } = await person(gateway, { roles: [], attributes: { department: 'sales' } });
      ok(await client.patch(`${path}/${id}`, { lastName: 'y' }));
      for (const department of ['ops', null])
        assertProblem(
          await client.patch(`${path}/${id}`, { attributes: { department } }),
          403,
          'access_denied',
        );
      assert.deepEqual((await read(id)).attributes, { department: 'sales' });
    });

    it('what it changes counts with the next request of the account', async () => {
      await withRule(
        root,
        {
          role: 'user',
          action: 'read',
          subject: 'order',
          when: { 'principal.department': 'treasury' },
          conditions: { region: 'US' },
        },
        async () => {
          const { client, id } = await person(gateway);
          const orders = async () => ok(await client.get('/api/v1/orders')).body.items.length;
          assert.equal(await orders(), 0);
          ok(await root.patch(`${path}/${id}`, { attributes: { department: 'treasury' } }));
          assert.ok((await orders()) > 0);
          ok(await root.patch(`${path}/${id}`, { attributes: { department: null } }));
          assert.equal(await orders(), 0);
        },
      );
    });
  });

  describe('deactivate and reactivate', () => {
    for (const [how, deactivate] of [
      ['DELETE', async (id: string) => ok(await admin.client.delete(`${path}/${id}`), 204)],
      ['PATCH', async (id: string) => ok(await admin.client.patch(`${path}/${id}`, { isActive: false }))],
    ] as const)
      it(`by ${how}: every session ends at once, a login is like one with a wrong password, the row stays; and back`, async () => {
        const user = await create();
        const sessions = [await logIn(gateway, user.email, password), await sessionOf(gateway, user.id)];
        for (const client of sessions) ok(await client.get('/api/v1/me'));
        await deactivate(user.id);
        for (const client of sessions) assertProblem(await client.get('/api/v1/me'), 401, 'unauthenticated');
        const refused = await logsIn(user.email);
        assertProblem(refused, 401, 'invalid_credentials');
        assert.deepEqual(told(refused), told(await logsIn(user.email, 'wrong password')));
        assert.equal((await read(user.id)).isActive, false);
        const row = await gateway.services.db('accounts').where({ id: user.id }).first();
        assert.ok(row.deactivatedAt instanceof Date);

        const back = ok(await admin.client.patch(`${path}/${user.id}`, { isActive: true })).body.user;
        assert.deepEqual([back.isActive, back.roles], [true, ['user']]);
        for (const client of sessions) assertProblem(await client.get('/api/v1/me'), 401, 'unauthenticated');
        ok(await logsIn(user.email));
        assert.equal(
          (await gateway.services.db('accounts').where({ id: user.id }).first()).deactivatedAt,
          null,
        );
      });

    it('each needs an action of its own: who may only change accounts does neither', async () => {
      const role = await addRole(root);
      await addRule(root, { role, action: ['read', 'update'], subject: 'user' });
      const { client } = await person(gateway, { roles: [role] });
      const { id } = await person(gateway, { roles: [] });
      assertProblem(await client.delete(`${path}/${id}`), 403, 'access_denied');
      assertProblem(
        await client.patch(`${path}/${id}`, { isActive: false, lastName: 'x' }),
        403,
        'access_denied',
      );
      ok(await client.patch(`${path}/${id}`, { isActive: true }));
      ok(await root.delete(`${path}/${id}`), 204);
      assertProblem(await client.patch(`${path}/${id}`, { isActive: true }), 403, 'access_denied');
      assert.equal((await read(id)).lastName, 'Vale');
    });

    it('a second DELETE finds it deactivated already', async () => {
      const { id } = await person(gateway);
      ok(await admin.client.delete(`${path}/${id}`), 204);
      ok(await admin.client.delete(`${path}/${id}`), 204);
    });
  });

  describe('roles', () => {
    it('PUT gives and DELETE takes, each 204, each once in the audit trail, each in force at once', async () => {
      const { client, id } = await person(gateway);
      const reads = async () => (await client.get(`/api/v1/documents/${await draft()}`)).status;
      assert.equal(await reads(), 403);
      for (let twice = 0; twice < 2; twice++) {
        const given = ok(await admin.client.put(`${path}/${id}/roles/auditor`), 204);
        assert.equal(given.body, '');
      }
      assert.equal(await reads(), 200);
      assert.deepEqual((await read(id)).roles, ['auditor', 'user']);
      for (let twice = 0; twice < 2; twice++) ok(await root.delete(`${path}/${id}/roles/auditor`), 204);
      assert.equal(await reads(), 403);
      const entries = await auditOf(gateway, 'user', id);
      assert.deepEqual(
        entries.map(({ action, before, after }) => [action, before.roles, after.roles]),
        [
          ['user.assign-role', ['user'], ['auditor', 'user']],
          ['user.unassign-role', ['auditor', 'user'], ['user']],
        ],
      );
    });
    const draft = async () => (await gateway.services.db('documents').where({ status: 'draft' }).first()).id;
  });

  describe('sessions', () => {
    it('DELETE ends every session of the account at once, and no other', async () => {
      const target = await person(gateway);
      const clients = [
        target.client,
        await sessionOf(gateway, target.id),
        await sessionOf(gateway, target.id),
      ];
      for (const client of clients) ok(await client.get('/api/v1/me'));
      ok(await admin.client.delete(`${path}/${target.id}/sessions`), 204);
      for (const client of clients) assertProblem(await client.get('/api/v1/me'), 401, 'unauthenticated');
      ok(await admin.client.get('/api/v1/me'));
      ok(await plain.get('/api/v1/me'));
      ok(await (await sessionOf(gateway, target.id)).get('/api/v1/me'));
      assert.equal((await auditOf(gateway, 'user', target.id))[0].action, 'user.end-sessions');
    });
    it('is guarded by castellan.session, not by user', async () => {
      const [keeper, ender] = [await addRole(root), await addRole(root)];
      await addRule(root, { role: keeper, action: ['read', 'update', 'deactivate'], subject: 'user' });
      const { id } = await person(gateway, { roles: [] });
      await addRule(root, {
        role: ender,
        action: 'delete',
        subject: 'castellan.session',
        conditions: { accountId: id },
      });
      const other = await person(gateway, { roles: [] });
      assertProblem(
        await (await person(gateway, { roles: [keeper] })).client.delete(`${path}/${id}/sessions`),
        403,
        'access_denied',
      );
      const { client } = await person(gateway, { roles: [ender] });
      ok(await client.delete(`${path}/${id}/sessions`), 204);
      assertProblem(await client.delete(`${path}/${other.id}/sessions`), 403, 'access_denied');
    });
  });

  describe('password', () => {
    it('PUT sets it and ends every session; the old one is no good any more', async () => {
      const user = await create();
      const session = await sessionOf(gateway, user.id);
      ok(await session.get('/api/v1/me'));
      const newPassword = 'another harbour 4712';
      ok(await admin.client.put(`${path}/${user.id}/password`, { newPassword }), 204);
      assertProblem(await session.get('/api/v1/me'), 401, 'unauthenticated');
      assertProblem(await logsIn(user.email), 401, 'invalid_credentials');
      ok(await logsIn(user.email, newPassword));
      const entry = (await auditOf(gateway, 'user', user.id)).at(-1);
      assert.equal(entry.action, 'user.reset-password');
      assert.ok(!JSON.stringify(entry).includes(newPassword));
    });
    it('400 for one that is too short, common, or made of the name or e-mail of the account', async () => {
      const { id } = await person(gateway);
      const before = await stateOf(gateway);
      for (const newPassword of ['short', 'password123', 'org example 12', 'noor vale noor vale'])
        assertProblem(
          await admin.client.put(`${path}/${id}/password`, { newPassword }),
          400,
          'invalid_request',
          '/newPassword',
        );
      assert.deepEqual(await stateOf(gateway), before);
    });
  });

  describe('ability', () => {
    it("feeds createMongoAbility and answers as the gateway does, for each of the demo's people", async () => {
      const documents = await gateway.services.db('documents').select();
      for (let n = 1; n <= 7; n++) {
        const { headers, body } = ok(await root.get(`${path}/${demoId(n)}/ability`));
        assert.deepEqual(Object.keys(body), ['revision', 'rules', 'serverOnly']);
        assert.equal(headers.get('castellan-revision'), String(body.revision));
        const ability = createMongoAbility(body.rules);
        const client = await sessionOf(gateway, demoId(n));
        assert.deepEqual(ok(await client.get('/api/v1/me/ability')).body, body);
        for (const { id, ownerId, status, department } of documents) {
          const document = subject('document', {
            id,
            ownerId,
            status,
            ...(department !== null && { department }),
          });
          assert.equal(
            (await client.get(`/api/v1/documents/${id}`)).status === 200,
            ability.can('read', document),
          );
        }
      }
    });
    it("lists what only the gateway can decide, and leaves out what is not the account's", async () => {
      const { body } = ok(await root.get(`${path}/${demoId(3)}/ability`));
      assert.deepEqual(
        body.serverOnly.map(({ id }: { id: string }) => id),
        ['editor-publishes-from-inside'],
      );
      const nobody = await person(gateway, { roles: [] });
      const { rules } = ok(await root.get(`${path}/${nobody.id}/ability`)).body;
      assert.ok(rules.every(({ inverted }: { inverted: boolean }) => inverted));
    });
  });
});
