/** /api/v1/admin/roles: named bundles of rules that may inherit each other. */
import assert from 'node:assert/strict';
import { anonymousClient, type Client, startGateway, type TestGateway } from '../../harness.ts';
import {
  addRole,
  addRule,
  allItems,
  assertProblem,
  forgedCursor,
  fresh,
  ok,
  rolesPath as path,
  person,
  stateOf,
  told,
} from './staff.ts';

describe('/admin/roles', () => {
  let gateway: TestGateway;
  let root: Client;
  let admin: Client;
  let plain: Client;
  before(async () => {
    gateway = await startGateway();
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    admin = (await person(gateway, { roles: ['admin'] })).client;
    plain = (await person(gateway)).client;
  });
  after(() => gateway.close());

  const requests: [string, string, object?][] = [
    ['GET', ''],
    ['POST', '', { key: 'made' }],
    ['GET', '/:key'],
    ['PUT', '/:key', { name: 'Other' }],
    ['PATCH', '/:key', { name: 'Other' }],
    ['DELETE', '/:key'],
  ];
  for (const [method, suffix, body] of requests) {
    it(`${method} ${suffix}: 401 to nobody and 403 to whoever has no rule for it, whatever is there`, async () => {
      const send = (client: Client, key: string) =>
        client.send(method, path + suffix.replace(':key', key), body);
      for (const [client, status, code] of [
        [anonymousClient(gateway), 401, 'unauthenticated'],
        [plain, 403, 'access_denied'],
      ] as const) {
        const there = await send(client, 'author');
        assertProblem(there, status, code);
        assert.deepEqual(told(await send(client, 'no-such-role')), told(there));
      }
    });
    if (suffix)
      it(`${method} ${suffix}: 404 when there is none; the built-in roles are no rows of this list`, async () => {
        for (const key of ['no-such-role', 'everyone', 'authenticated', 'anonymous'])
          assertProblem(await root.send(method, `${path}/${key}`, body), 404, 'not_found');
      });
  }

  it('POST answers 201 with what was sent, beside version and times', async () => {
    const sent = {
      key: fresh('full'),
      name: 'Наставник',
      description: 'Helps',
      inherits: ['user', 'author'],
    };
    const answer = ok(await admin.post(path, sent), 201);
    const { version, createdAt, updatedAt, ...rest } = answer.body;
    assert.deepEqual(rest, sent);
    assert.equal(version, 1);
    for (const time of [createdAt, updatedAt]) assert.equal(new Date(time).toISOString(), time);
    assert.equal(answer.headers.get('location'), `${path}/${sent.key}`);
    assert.equal(answer.headers.get('etag'), '"1"');
    const read = ok(await admin.get(`${path}/${sent.key}`));
    assert.deepEqual(read.body, answer.body);
    assert.equal(read.headers.get('etag'), '"1"');
  });

  it('what is left out gets its default', async () => {
    const key = fresh('small');
    const {
      version: _v,
      createdAt: _c,
      updatedAt: _u,
      ...rest
    } = ok(await admin.post(path, { key }), 201).body;
    assert.deepEqual(rest, { key, name: key, description: '', inherits: [] });
  });

  it('PUT replaces, PATCH changes parts, DELETE removes', async () => {
    const key = await addRole(admin, { description: 'old', inherits: ['user'] });
    const put = ok(await admin.put(`${path}/${key}`, { name: 'New' }));
    assert.deepEqual(
      [put.body.name, put.body.description, put.body.inherits, put.body.version],
      ['New', '', [], 2],
    );
    const patched = ok(await admin.patch(`${path}/${key}`, { inherits: ['author'] }));
    assert.deepEqual(
      [patched.body.name, patched.body.inherits, patched.body.version],
      ['New', ['author'], 3],
    );
    assert.equal(patched.headers.get('etag'), '"3"');
    ok(await admin.delete(`${path}/${key}`), 204);
    assertProblem(await admin.get(`${path}/${key}`), 404, 'not_found');
  });

  it('PUT of what GET answered changes nothing', async () => {
    const key = await addRole(admin, { inherits: ['author', 'auditor'] });
    const { body } = await admin.get(`${path}/${key}`);
    const before = await stateOf(gateway);
    assert.deepEqual(ok(await admin.put(`${path}/${key}`, body)).body, body);
    assert.deepEqual(await stateOf(gateway), before);
  });

  for (const [method, body] of [['PUT', { name: 'x' }], ['PATCH', { name: 'x' }], ['DELETE']] as [
    string,
    object?,
  ][])
    it(`${method}: 412 with a tag that is not the one in force, passes with it and with *`, async () => {
      for (const tag of ['"1"', '*']) {
        const key = await addRole(admin);
        for (const stale of ['"2"', 'W/"1"', '1'])
          assertProblem(
            await admin.send(method, `${path}/${key}`, body, { 'if-match': stale }),
            412,
            'stale_version',
          );
        ok(
          await admin.send(method, `${path}/${key}`, body, { 'if-match': tag }),
          method === 'DELETE' ? 204 : 200,
        );
      }
    });

  it('renaming is refused: a key is for ever', async () => {
    const key = await addRole(admin);
    for (const method of ['PUT', 'PATCH'])
      assertProblem(
        await admin.send(method, `${path}/${key}`, { key: fresh('other') }),
        422,
        'policy_invalid',
        '/key',
      );
    ok(await admin.put(`${path}/${key}`, { key, name: 'Same' }));
  });

  it('409 for a key that is taken', async () =>
    assertProblem(await admin.post(path, { key: 'author' }), 409, 'conflict', '/key'));

  it('422 for what is no role, every problem with its pointer', async () => {
    const cases: [object, string[]][] = [
      [{}, ['/key']],
      [{ key: 'Not A Slug' }, ['/key']],
      [{ key: 'everyone' }, ['/key']],
      [{ key: 'authenticated' }, ['/key']],
      [{ key: fresh('r'), name: 7, inherit: ['user'] }, ['/name', '/inherit']],
      [{ key: fresh('r'), inherits: 'user' }, ['/inherits']],
      [{ key: fresh('r'), inherits: ['user', 'user'] }, ['/inherits/1']],
      [{ key: fresh('r'), inherits: ['user', 'auther', 'nobody-at-all'] }, ['/inherits/1', '/inherits/2']],
      [{ key: fresh('r'), inherits: ['everyone'] }, ['/inherits/0']],
    ];
    const before = await stateOf(gateway);
    for (const [role, pointers] of cases)
      assertProblem(await root.post(path, role), 422, 'policy_invalid', ...pointers);
    assert.deepEqual(await stateOf(gateway), before);
    const { body } = await root.post(path, { key: 'x', inherits: ['auther'] });
    assert.equal(body.problems[0].suggestion, 'author');
  });

  it('400 for a body that is no object', async () => {
    for (const body of ['[]', '"x"', '1'])
      assertProblem(await admin.post(path, body), 400, 'invalid_request');
  });

  it('422 for a role that would inherit itself, directly or by others, and nothing is written', async () => {
    const a = await addRole(root);
    const b = await addRole(root, { inherits: [a] });
    const c = await addRole(root, { inherits: [b] });
    const before = await stateOf(gateway);
    for (const parent of [a, b, c]) {
      const answer = await root.patch(`${path}/${a}`, { inherits: [parent] });
      assert.equal(answer.status, 422);
      assert.ok(
        answer.body.problems.some(
          ({ pointer, code }: Record<string, string>) => pointer === '/inherits' && code === 'cycle',
        ),
      );
    }
    assertProblem(
      await root.post(path, { key: 'self', inherits: ['self'] }),
      422,
      'policy_invalid',
      '/inherits',
    );
    assert.deepEqual(await stateOf(gateway), before);
  });

  it('a cycle closed by two at once is refused to one of them', async () => {
    const [a, b] = [await addRole(root), await addRole(root)];
    const answers = await Promise.all([
      root.patch(`${path}/${a}`, { inherits: [b] }),
      root.patch(`${path}/${b}`, { inherits: [a] }),
    ]);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 422]);
  });

  it('409 role_in_use for one that rules, roles or accounts refer to, and nothing is written', async () => {
    const [byRule, byRole, byAccount] = [await addRole(root), await addRole(root), await addRole(root)];
    await addRule(root, { role: byRule, action: 'read', subject: 'order', enabled: false });
    await addRole(root, { inherits: [byRole] });
    const holder = await person(gateway, { roles: [byAccount] });
    ok(await root.delete(`/api/v1/admin/users/${holder.id}`), 204);
    const before = await stateOf(gateway);
    for (const key of [byRule, byRole, byAccount])
      assertProblem(await root.delete(`${path}/${key}`), 409, 'role_in_use');
    assert.deepEqual(await stateOf(gateway), before);
  });

  it('a role given to somebody while it is being removed: one of the two is refused', async () => {
    for (let round = 0; round < 5; round++) {
      const key = await addRole(root);
      const { id } = await person(gateway);
      const [removed, given] = await Promise.all([
        root.delete(`${path}/${key}`),
        root.put(`/api/v1/admin/users/${id}/roles/${key}`),
      ]);
      assert.ok(
        (removed.status === 204 && given.status === 404) || (removed.status === 409 && given.status === 204),
        `${removed.status} ${given.status}`,
      );
    }
  });

  it('what a role inherits counts with the next request, and no more when it is taken away', async () => {
    const parent = await addRole(root);
    await addRule(root, { role: parent, action: 'read', subject: 'order' });
    const key = await addRole(root);
    const { client } = await person(gateway, { roles: [key] });
    assert.equal((await client.get('/api/v1/orders')).status, 403);
    ok(await root.patch(`${path}/${key}`, { inherits: [parent] }));
    ok(await client.get('/api/v1/orders'));
    ok(await root.patch(`${path}/${key}`, { inherits: [] }));
    assert.equal((await client.get('/api/v1/orders')).status, 403);
  });

  it('the list comes in pages, in the order of keys, and only with what single reads allow', async () => {
    const all = (await allItems(root, path)).map(({ key }) => key);
    assert.deepEqual(all, all.toSorted());
    assert.deepEqual(
      (await allItems(root, path, 3)).map(({ key }) => key),
      all,
    );
    assert.ok(!all.some((key) => ['everyone', 'authenticated', 'anonymous'].includes(key)));
    const reader = await addRole(root);
    await addRule(root, {
      role: reader,
      action: 'read',
      subject: 'castellan.role',
      conditions: { inherits: 'user' },
    });
    const { client } = await person(gateway, { roles: [reader] });
    const seen = (await allItems(client, path, 2)).map(({ key }) => key);
    assert.ok(seen.includes('author') && seen.includes('auditor') && !seen.includes('admin'));
    for (const key of all)
      assert.equal((await client.get(`${path}/${key}`)).status === 200, seen.includes(key), key);
  });

  it('400 for a cursor that this list did not give', async () => {
    for (const cursor of ['x', forgedCursor([]), forgedCursor(['a', 'b'])])
      assertProblem(await admin.get(`${path}?cursor=${cursor}`), 400, 'invalid_request', '/query/cursor');
  });

  it('what a rule says of roles decides: fields, and what a role may become', async () => {
    const clerk = await addRole(root);
    const base = await addRole(root);
    const mine = await addRole(root, { inherits: [base] });
    const about = { role: clerk, subject: 'castellan.role' };
    await addRule(root, {
      ...about,
      action: 'update',
      fields: ['name', 'inherits'],
      conditions: { inherits: base },
    });
    await addRule(root, { ...about, action: 'read', fields: ['name'] });
    const { client } = await person(gateway, { roles: [clerk] });
    assert.deepEqual(ok(await client.patch(`${path}/${mine}`, { name: 'Mine' })).body, { name: 'Mine' });
    assertProblem(
      await client.patch(`${path}/${mine}`, { description: 'x' }),
      403,
      'fields_denied',
      '/description',
    );
    assertProblem(await client.patch(`${path}/${mine}`, { inherits: [] }), 403, 'access_denied');
    assertProblem(await client.patch(`${path}/admin`, { name: 'x' }), 403, 'access_denied');
    assert.deepEqual(ok(await client.get(`${path}/admin`)).body, { name: 'Administrator' });
  });
});
