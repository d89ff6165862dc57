/** /api/v1/admin/resource-types: kinds of resources, their actions and typed attributes. */
import assert from 'node:assert/strict';
import { anonymousClient, type Client, startGateway, type TestGateway } from '../../harness.ts';
import {
  addRule,
  allItems,
  assertProblem,
  forgedCursor,
  fresh,
  ok,
  typesPath as path,
  person,
  stateOf,
  told,
} from './staff.ts';

describe('/admin/resource-types', () => {
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

  const add = async (rest: object = {}) =>
    ok(await admin.post(path, { type: fresh('type'), actions: ['read'], ...rest }), 201).body;

  const requests: [string, string, object?][] = [
    ['GET', ''],
    ['POST', '', { type: 'made' }],
    ['GET', '/:type'],
    ['PUT', '/:type', { actions: ['read'] }],
    ['PATCH', '/:type', { description: 'x' }],
    ['DELETE', '/:type'],
  ];
  for (const [method, suffix, body] of requests) {
    it(`${method} ${suffix}: 401 to nobody and 403 to whoever has no rule for it, whatever is there`, async () => {
      const send = (client: Client, type: string) =>
        client.send(method, path + suffix.replace(':type', type), body);
      for (const [client, status, code] of [
        [anonymousClient(gateway), 401, 'unauthenticated'],
        [plain, 403, 'access_denied'],
      ] as const) {
        const there = await send(client, 'document');
        assertProblem(there, status, code);
        assert.deepEqual(told(await send(client, 'no-such-type')), told(there));
      }
    });
    if (suffix)
      it(`${method} ${suffix}: 404 when there is none`, async () =>
        assertProblem(await root.send(method, `${path}/no-such-type`, body), 404, 'not_found'));
  }

  it('POST answers 201 with what was sent, beside version and times', async () => {
    const sent = {
      type: fresh('crm.case'),
      description: 'A case',
      actions: ['read', 'close'],
      attributes: {
        id: { type: 'uuid' },
        priority: { type: 'string', enum: ['low', 'high'] },
        level: { type: 'integer', enum: [1, 2] },
        watchers: { type: 'array', items: 'uuid' },
        meta: { type: 'object', nullable: true },
      },
      source: 'cases',
      evaluator: 'casl',
    };
    const answer = ok(await admin.post(path, sent), 201);
    const { version, createdAt, updatedAt, ...rest } = answer.body;
    assert.deepEqual(rest, sent);
    assert.equal(version, 1);
    for (const time of [createdAt, updatedAt]) assert.equal(new Date(time).toISOString(), time);
    assert.equal(answer.headers.get('location'), `${path}/${sent.type}`);
    assert.equal(answer.headers.get('etag'), '"1"');
    assert.deepEqual(ok(await admin.get(`${path}/${sent.type}`)).body, answer.body);
  });

  it('what is left out gets its default', async () => {
    const type = fresh('small');
    const {
      version: _v,
      createdAt: _c,
      updatedAt: _u,
      ...rest
    } = ok(await admin.post(path, { type }), 201).body;
    assert.deepEqual(rest, {
      type,
      description: '',
      actions: [],
      attributes: {},
      source: null,
      evaluator: 'casl',
    });
  });

  it('PUT replaces, PATCH changes parts, DELETE removes', async () => {
    const { type } = await add({ description: 'old', attributes: { size: { type: 'number' } } });
    const put = ok(await admin.put(`${path}/${type}`, { actions: ['open'] })).body;
    assert.deepEqual([put.description, put.actions, put.attributes, put.version], ['', ['open'], {}, 2]);
    const patched = ok(await admin.patch(`${path}/${type}`, { source: 'things' })).body;
    assert.deepEqual([patched.source, patched.actions, patched.version], ['things', ['open'], 3]);
    ok(await admin.delete(`${path}/${type}`), 204);
    assertProblem(await admin.get(`${path}/${type}`), 404, 'not_found');
  });

  it('PUT of what GET answered changes nothing, for any type there is', async () => {
    await add({
      attributes: { z: { type: 'string' }, a: { nullable: true, type: 'array', items: 'string' } },
    });
    const before = await stateOf(gateway);
    for (const type of await allItems(root, path)) {
      const { body, headers } = await root.get(`${path}/${type.type}`);
      assert.deepEqual(body, type);
      const put = ok(
        await root.put(`${path}/${type.type}`, body, { 'if-match': String(headers.get('etag')) }),
      );
      assert.deepEqual(put.body, body);
    }
    assert.deepEqual(await stateOf(gateway), before);
  });

  for (const [method, body] of [['PUT', {}], ['PATCH', { description: 'x' }], ['DELETE']] as [
    string,
    object?,
  ][])
    it(`${method}: 412 with a tag that is not the one in force, passes with it and with *`, async () => {
      for (const tag of ['"1"', '*']) {
        const { type } = await add();
        for (const stale of ['"2"', 'W/"1"', '1'])
          assertProblem(
            await admin.send(method, `${path}/${type}`, body, { 'if-match': stale }),
            412,
            'stale_version',
          );
        ok(
          await admin.send(method, `${path}/${type}`, body, { 'if-match': tag }),
          method === 'DELETE' ? 204 : 200,
        );
      }
    });

  it('renaming is refused: a type is for ever', async () => {
    const { type } = await add();
    for (const method of ['PUT', 'PATCH'])
      assertProblem(
        await admin.send(method, `${path}/${type}`, { type: fresh('other') }),
        422,
        'policy_invalid',
        '/type',
      );
  });

  it('409 for a type that is taken', async () =>
    assertProblem(await admin.post(path, { type: 'document' }), 409, 'conflict', '/type'));

  it('422 for what is no resource type, every problem with its pointer', async () => {
    const type = fresh('t');
    const cases: [object, string[]][] = [
      [{}, ['/type']],
      [{ type: 'Not a name' }, ['/type']],
      [{ type: 'all' }, ['/type']],
      [{ type, actions: ['read', 'manage'] }, ['/actions']],
      [{ type, actions: ['Read', 'read'] }, ['/actions/0']],
      [{ type, actions: ['read', 'read'] }, ['/actions/1']],
      [{ type, attributes: { a: { type: 'text' }, b: {} } }, ['/attributes/a/type', '/attributes/b/type']],
      [{ type, attributes: { a: { type: 'string', items: 'string' } } }, ['/attributes/a/items']],
      [{ type, attributes: { a: { type: 'integer', enum: ['x'] } } }, ['/attributes/a/enum']],
      [
        { type, attributes: { 'a.b': { type: 'string' }, toString: { type: 'string' } } },
        ['/attributes/a.b', '/attributes/toString'],
      ],
      [{ type, evaluator: 'rego' }, ['/evaluator']],
      [{ type, shadow: 'rego' }, ['/shadow']],
      [{ type, source: 'Robert; DROP TABLE' }, ['/source']],
      [{ type, atributes: {}, description: 1 }, ['/atributes', '/description']],
    ];
    const before = await stateOf(gateway);
    for (const [sent, pointers] of cases)
      assertProblem(await root.post(path, sent), 422, 'policy_invalid', ...pointers);
    assert.deepEqual(await stateOf(gateway), before);
  });

  it('prototype pollution: attributes named like what objects inherit are not accepted', async () => {
    const body = (name: string) => `{"type":"polluting","attributes":{"${name}":{"type":"string"}}}`;
    for (const name of ['__proto__', 'constructor', 'prototype'])
      assertProblem(await root.post(path, body(name)), 400, 'malformed_json', `/attributes/${name}`);
    for (const name of ['hasOwnProperty', 'valueOf', '__defineGetter__'])
      assert.equal((await root.post(path, body(name))).status, 422);
  });

  it('409 resource_type_in_use for one that rules name, alone or in a list, and nothing is written', async () => {
    const [alone, listed] = [(await add()).type, (await add()).type];
    await addRule(root, { role: 'user', action: 'read', subject: alone, enabled: false });
    await addRule(root, { role: 'user', action: 'read', subject: ['order', listed] });
    const before = await stateOf(gateway);
    for (const type of [alone, listed])
      assertProblem(await root.delete(`${path}/${type}`), 409, 'resource_type_in_use');
    assert.deepEqual(await stateOf(gateway), before);
  });

  it('built-in types are kept: 409 built_in for removing one', async () => {
    const builtIn = (await allItems(root, path))
      .map(({ type }) => type)
      .filter((type) => type === 'user' || type.startsWith('castellan.'));
    assert.ok(builtIn.length >= 6);
    const before = await stateOf(gateway);
    for (const type of builtIn) assertProblem(await root.delete(`${path}/${type}`), 409, 'built_in');
    assert.deepEqual(await stateOf(gateway), before);
  });

  it('built-in types are kept: 422 for taking away what the gateway itself asks about', async () => {
    const { body: user } = await root.get(`${path}/user`);
    const { email: _email, ...attributes } = user.attributes;
    const withoutRead = user.actions.filter((action: string) => action !== 'escalate');
    const before = await stateOf(gateway);
    for (const [type, patch, pointer] of [
      ['user', { actions: withoutRead }, '/actions'],
      ['user', { attributes }, '/attributes/email'],
      ['user', { attributes: { ...user.attributes, isActive: { type: 'string' } } }, '/attributes/isActive'],
      ['castellan.rule', { actions: ['read', 'create', 'update', 'delete'] }, '/actions'],
      ['castellan.role', { attributes: {} }, '/attributes/inherits'],
    ] as const) {
      const answer = await root.patch(`${path}/${type}`, patch);
      assert.equal(answer.status, 422);
      assert.ok(
        answer.body.problems.some((problem: { pointer: string }) => problem.pointer === pointer),
        pointer,
      );
    }
    assert.deepEqual(await stateOf(gateway), before);
  });

  it('built-in types may be added to: a further attribute of accounts can be given and asked about', async () => {
    const { body: user } = await root.get(`${path}/user`);
    ok(
      await root.patch(`${path}/user`, {
        attributes: { ...user.attributes, clearance: { type: 'integer' } },
      }),
    );
    await addRule(root, {
      role: 'user',
      action: 'approve',
      subject: 'order',
      when: { 'principal.clearance': { $gte: 3 } },
    });
    const { id } = await person(gateway);
    const patched = ok(await root.patch(`/api/v1/admin/users/${id}`, { attributes: { clearance: 4 } }));
    assert.equal(patched.body.user.attributes.clearance, 4);
  });

  it('422 for taking away what rules ask about: each of them is named', async () => {
    const { type } = await add({
      actions: ['read', 'open'],
      attributes: { size: { type: 'number' }, owner: { type: 'uuid' } },
    });
    const ids = [
      (await addRule(root, { role: 'user', action: 'open', subject: type })).id,
      (await addRule(root, { role: 'user', action: 'read', subject: type, conditions: { size: { $lt: 3 } } }))
        .id,
      (await addRule(root, { role: 'user', action: 'read', subject: type, fields: ['owner'] })).id,
    ];
    const rules = gateway.services.live.snapshot.policy.rules.map(({ id }) => id);
    const at = (id: string, rest: string) => `/rules/${rules.indexOf(id)}/${rest}`;
    const before = await stateOf(gateway);
    const answer = await root.put(`${path}/${type}`, {
      actions: ['read'],
      attributes: { size: { type: 'string' } },
    });
    assertProblem(
      answer,
      422,
      'policy_invalid',
      at(ids[0], 'action'),
      at(ids[1], 'conditions/size/$lt'),
      at(ids[2], 'fields/0'),
    );
    assert.deepEqual(await stateOf(gateway), before);
  });

  it('the list comes in pages, in the order of names', async () => {
    const all = (await allItems(root, path)).map(({ type }) => type);
    assert.deepEqual(all, all.toSorted());
    assert.deepEqual(
      (await allItems(root, path, 2)).map(({ type }) => type),
      all,
    );
    for (const cursor of ['x', forgedCursor([]), forgedCursor(['a', 'b'])])
      assertProblem(await admin.get(`${path}?cursor=${cursor}`), 400, 'invalid_request', '/query/cursor');
  });
});
