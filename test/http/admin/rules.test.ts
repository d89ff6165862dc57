/** /api/v1/admin/rules: who may, what is answered, shapes, filters, pages. */
import assert from 'node:assert/strict';
import { digestOf } from '../../../src/policy/compile.ts';
import { loadPolicy } from '../../../src/policy/store.ts';
import { anonymousClient, type Client, startGateway, type TestGateway } from '../../harness.ts';
import {
  addRole,
  addRule,
  allItems,
  assertProblem,
  forgedCursor,
  fresh,
  ok,
  rulesPath as path,
  person,
  told,
  withRule,
} from './staff.ts';

describe('/admin/rules', () => {
  let gateway: TestGateway;
  let root: Client;
  let admin: Client;
  let plain: Client;
  let anonymous: Client;
  before(async () => {
    gateway = await startGateway();
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    admin = (await person(gateway, { roles: ['admin'] })).client;
    plain = (await person(gateway)).client;
    anonymous = anonymousClient(gateway);
  });
  after(() => gateway.close());

  const small = (rest: object = {}) => ({ role: 'user', action: 'read', subject: 'document', ...rest });
  const requests: [string, string, object?][] = [
    ['GET', ''],
    ['POST', '', small()],
    ['POST', '/validate', small()],
    ['GET', '/:id'],
    ['PUT', '/:id', small()],
    ['PATCH', '/:id', { priority: 1 }],
    ['DELETE', '/:id'],
  ];

  describe('who may', () => {
    for (const [method, suffix, body] of requests) {
      const at = (id: string) => path + suffix.replace(':id', id);

      it(`${method} ${suffix}: 401 to nobody, whatever is there and whatever is sent`, async () => {
        const there = await anonymous.send(method, at('user-reads-own'), body);
        const missing = await anonymous.send(method, at('no-such-rule'), body && { nonsense: true });
        assertProblem(there, 401, 'unauthenticated');
        assert.match(String(there.headers.get('www-authenticate')), /^Bearer/);
        assert.deepEqual(told(missing), told(there));
      });

      it(`${method} ${suffix}: 403 to whoever has no rule for it, whatever is there and whatever is sent`, async () => {
        const there = await plain.send(method, at('user-reads-own'), body);
        const missing = await plain.send(method, at('no-such-rule'), body && { nonsense: true });
        assertProblem(there, 403, 'access_denied');
        assert.equal(there.body.detail, 'No rule allows it');
        assert.deepEqual(told(missing), told(there));
      });
    }

    for (const [method, suffix, body] of requests.filter(([, at]) => at === '/:id'))
      it(`${method} ${suffix}: 404 when there is no such rule`, async () => {
        assertProblem(await admin.send(method, `${path}/no-such-rule`, body), 404, 'not_found');
        assertProblem(
          await admin.send(method, `${path}/${'x'.repeat(101)}`, body),
          400,
          'invalid_request',
          '/params/id',
        );
      });

    it('other methods are answered 405 with Allow', async () => {
      const answer = await admin.patch(path, {});
      assertProblem(answer, 405, 'method_not_allowed');
      assert.equal(answer.headers.get('allow'), 'GET, POST, HEAD, OPTIONS');
      assert.equal((await admin.put(`${path}/validate`, {})).status, 404);
    });

    it('what a rule says of rules decides: one may keep the rules of one role and no others', async () => {
      const [mine, other, clerk] = [await addRole(root), await addRole(root), await addRole(root)];
      const ids = [fresh('mine'), fresh('mine'), fresh('mine')];
      for (const id of ids)
        await addRule(
          root,
          small({ id, role: mine, conditions: { status: 'published' }, fields: ['id', 'title', 'body'] }),
        );
      const others = (await addRule(root, small({ role: other, conditions: { status: 'published' } }))).id;
      for (const action of ['read', 'create', 'update', 'delete'])
        await addRule(root, { role: clerk, action, subject: 'castellan.rule', conditions: { role: mine } });
      const { client } = await person(gateway, { roles: [clerk, 'user'] });
      const conditions = { status: 'published' };
      const fields = ['id', 'title'];

      const seen = await allItems(client, path, 2);
      assert.deepEqual(seen.map(({ id }) => id).sort(), [...ids].sort());
      ok(await client.get(`${path}/${ids[0]}`));
      assertProblem(await client.get(`${path}/${others}`), 403, 'access_denied');
      ok(await client.post(path, small({ role: mine, fields, conditions })), 201);
      assertProblem(
        await client.post(path, small({ role: other, fields, conditions })),
        403,
        'access_denied',
      );
      ok(await client.patch(`${path}/${ids[0]}`, { fields }));
      assertProblem(await client.patch(`${path}/${others}`, { fields }), 403, 'access_denied');
      assertProblem(await client.delete(`${path}/${others}`), 403, 'access_denied');
    });

    it('nobody changes a rule into one that they could not change', async () => {
      const [mine, other, clerk] = [await addRole(root), await addRole(root), await addRole(root)];
      const conditions = { status: 'published' };
      const fields = ['id', 'title'];
      const { id } = await addRule(root, small({ role: mine, fields, conditions }));
      await addRule(root, {
        role: clerk,
        action: 'update',
        subject: 'castellan.rule',
        conditions: { role: mine },
      });
      const { client } = await person(gateway, { roles: [clerk, 'user'] });
      assertProblem(await client.patch(`${path}/${id}`, { role: other }), 403, 'access_denied');
      assertProblem(
        await client.put(`${path}/${id}`, small({ role: other, fields, conditions })),
        403,
        'access_denied',
      );
      assert.equal((await root.get(`${path}/${id}`)).body.role, mine);
    });

    it('fields: who may only switch rules on and off changes nothing else of them', async () => {
      const [role, clerk] = [await addRole(root), await addRole(root)];
      const conditions = { status: 'published' };
      const { id } = await addRule(root, small({ role, conditions, fields: ['id', 'title'] }));
      const about = { role: clerk, subject: 'castellan.rule' };
      await addRule(root, { ...about, action: 'read', fields: ['id', 'role', 'enabled'] });
      await addRule(root, { ...about, action: ['create', 'update'], fields: ['enabled'] });
      const { client } = await person(gateway, { roles: [clerk, 'user'] });
      ok(await client.patch(`${path}/${id}`, { enabled: false }));
      const write = await client.patch(`${path}/${id}`, {
        enabled: true,
        conditions: { status: 'archived' },
        priority: 5,
      });
      assertProblem(write, 403, 'fields_denied', '/conditions', '/priority');
      const whole = await client.put(
        `${path}/${id}`,
        small({ role, fields: ['id', 'title'], conditions: { status: 'archived' } }),
      );
      assertProblem(whole, 403, 'fields_denied', '/conditions');
      const added = await client.post(path, small({ role, conditions }));
      assertProblem(added, 403, 'fields_denied', '/role', '/action', '/subject', '/conditions');
      const { body } = await root.get(`${path}/${id}`);
      assert.deepEqual([body.enabled, body.conditions, body.priority], [false, conditions, 0]);
    });

    it('fields: replies leave out what of a rule may not be read', async () => {
      const [role, clerk] = [await addRole(root), await addRole(root)];
      const { id } = await addRule(
        root,
        small({ role, conditions: { status: 'published' }, reason: 'secret' }),
      );
      const about = { role: clerk, subject: 'castellan.rule' };
      await addRule(root, { ...about, action: 'read', fields: ['id', 'role', 'enabled'] });
      await addRule(root, { ...about, action: 'update' });
      const { client } = await person(gateway, { roles: [clerk, 'user'] });
      const shown = { id, role, enabled: true };
      assert.deepEqual(ok(await client.get(`${path}/${id}`)).body, shown);
      assert.deepEqual(ok(await client.get(`${path}?role=${role}`)).body.items, [shown]);
      assert.deepEqual(ok(await client.patch(`${path}/${id}`, { priority: 0 })).body, shown);
    });
  });

  describe('shapes', () => {
    const rowKeys = ({ version, createdAt, updatedAt }: Record<string, unknown>) => ({
      version,
      createdAt,
      updatedAt,
    });

    it('POST answers 201 with what was sent, to the letter, beside version and times', async () => {
      const sent = {
        id: fresh('full'),
        role: 'editor',
        action: ['update', 'publish'],
        subject: ['document'],
        fields: ['title', 'body'],
        conditions: { $or: [{ ownerId: '$' + '{principal.id}' }, { status: { $in: ['draft', 'review'] } }] },
        when: { 'context.ip': { $cidr: ['10.0.0.0/8'] }, 'principal.department': 'editorial' },
        inverted: true,
        reason: 'Only “drafts” are changed — не иначе',
        priority: -7,
        enabled: false,
        validFrom: '2026-01-31T12:00:00.250Z',
        validUntil: '2031-01-31T12:00:00.000Z',
      };
      const answer = ok(await admin.post(path, sent), 201);
      assert.deepEqual(answer.body, { ...sent, ...rowKeys(answer.body) });
      assert.deepEqual(Object.keys(answer.body), [...Object.keys(sent), 'version', 'createdAt', 'updatedAt']);
      assert.equal(answer.body.version, 1);
      for (const time of [answer.body.createdAt, answer.body.updatedAt])
        assert.equal(new Date(String(time)).toISOString(), time);
      assert.equal(answer.headers.get('location'), `${path}/${sent.id}`);
      assert.equal(answer.headers.get('etag'), '"1"');
      assert.equal(answer.headers.get('cache-control'), 'no-store');
      const read = ok(await admin.get(`${path}/${sent.id}`));
      assert.deepEqual(read.body, answer.body);
      assert.equal(read.headers.get('etag'), '"1"');
      const [listed] = (await allItems(admin, `${path}?role=editor`)).filter(({ id }) => id === sent.id);
      assert.deepEqual(listed, answer.body);
    });

    it('what is left out gets its default, an id is made up, and what is optional stays away', async () => {
      const { body } = ok(await admin.post(path, small()), 201);
      assert.match(body.id, /^user-read-document-[0-9a-f]{6}$/);
      assert.deepEqual(body, {
        id: body.id,
        role: 'user',
        action: 'read',
        subject: 'document',
        inverted: false,
        priority: 0,
        enabled: true,
        validFrom: null,
        validUntil: null,
        ...rowKeys(body),
      });
    });

    it('a string stays a string and a list of one stays a list', async () => {
      const lists = await addRule(admin, small({ action: ['read'], subject: ['document'] }));
      const texts = await addRule(admin, small());
      assert.deepEqual([lists.action, lists.subject], [['read'], ['document']]);
      assert.deepEqual([texts.action, texts.subject], ['read', 'document']);
    });

    it('null is as good as left out', async () => {
      const nulls = { principal: null, fields: null, conditions: null, when: null, reason: null };
      const body = await addRule(admin, small(nulls));
      for (const key of Object.keys(nulls)) assert.ok(!(key in body), key);
    });

    it('a rule may be for one principal instead of a role', async () => {
      const { id } = await person(gateway);
      const body = await addRule(admin, { principal: `user:${id}`, action: 'read', subject: 'document' });
      assert.equal(body.principal, `user:${id}`);
      assert.ok(!('role' in body));
    });

    it('instants come back as ISO 8601 in UTC, however they were written', async () => {
      const body = await addRule(
        admin,
        small({ validFrom: '2026-03-01', validUntil: '2031-01-31T13:00:00+01:00' }),
      );
      assert.equal(body.validFrom, '2026-03-01T00:00:00.000Z');
      assert.equal(body.validUntil, '2031-01-31T12:00:00.000Z');
    });

    it('PUT of what GET answered changes nothing: no revision, no version, no audit entry', async () => {
      const rules = [
        small({ conditions: { status: 'published', ownerId: '$' + '{principal.id}' }, fields: ['title'] }),
        small({ validFrom: '2026-03-01', validUntil: '2031-01-31T13:00:00+01:00' }),
        small({ validUntil: '2031-01-31T13:00:00.123456Z', reason: 'x', action: ['read'] }),
      ];
      for (const rule of rules) {
        const { id } = await addRule(admin, rule);
        const got = await admin.get(`${path}/${id}`);
        const { revision } = gateway.services.live.snapshot;
        const etag = String(got.headers.get('etag'));
        const put = ok(await admin.put(`${path}/${id}`, got.body, { 'if-match': etag }));
        assert.deepEqual(put.body, got.body);
        assert.equal(put.headers.get('etag'), etag);
        assert.equal(gateway.services.live.snapshot.revision, revision);
        assert.equal(put.headers.get('castellan-revision'), String(revision));
        const [{ count } = {}] = await gateway.services.db('audit_entries').where({ targetId: id }).count();
        assert.equal(Number(count), 1);
      }
    });

    it('the digest of a revision is that of its policy as it is read back: every node has the same', async () => {
      await addRule(admin, small({ validUntil: '2031-01-31T13:00:00+01:00', validFrom: '2026-03-01' }));
      const { db } = gateway.services;
      const { revision, policy } = await loadPolicy(db);
      assert.equal((await db('revisions').where({ number: revision }).first()).digest, digestOf(policy));
    });
  });

  describe('PUT and PATCH', () => {
    it('PUT replaces the whole: what is left out falls back to its default', async () => {
      const { id } = await addRule(
        admin,
        small({ fields: ['title'], conditions: { status: 'draft' }, priority: 4, reason: 'r' }),
      );
      const { body, headers } = ok(await admin.put(`${path}/${id}`, small({ action: ['read'] })));
      assert.equal(headers.get('etag'), '"2"');
      assert.equal(body.version, 2);
      assert.deepEqual(body.action, ['read']);
      assert.equal(body.priority, 0);
      for (const key of ['fields', 'conditions', 'reason']) assert.ok(!(key in body), key);
      assert.notEqual(body.updatedAt, body.createdAt);
    });

    it('PATCH changes what is named and keeps the rest; null takes a part away', async () => {
      const sent = small({
        fields: ['title'],
        conditions: { status: 'draft' },
        priority: 4,
        reason: 'r',
        validUntil: '2031-01-01T00:00:00.000Z',
      });
      const added = await addRule(admin, sent);
      const patch = { conditions: { status: 'review' }, fields: null, reason: null, validUntil: null };
      const { body } = ok(await admin.patch(`${path}/${added.id}`, patch));
      const { fields: _fields, reason: _reason, ...rest } = added;
      const expected = {
        ...rest,
        conditions: { status: 'review' },
        validUntil: null,
        version: 2,
        updatedAt: body.updatedAt,
      };
      assert.deepEqual(body, expected);
    });

    it('PATCH can hand a rule from a role to a principal', async () => {
      const { id: who } = await person(gateway);
      const { id } = await addRule(admin, small());
      assertProblem(
        await admin.patch(`${path}/${id}`, { principal: `user:${who}` }),
        422,
        'policy_invalid',
        '/role',
      );
      const { body } = ok(await admin.patch(`${path}/${id}`, { principal: `user:${who}`, role: null }));
      assert.equal(body.principal, `user:${who}`);
      assert.ok(!('role' in body));
    });

    it('PATCH of nothing changes nothing', async () => {
      const added = await addRule(admin, small());
      const { revision } = gateway.services.live.snapshot;
      assert.deepEqual(ok(await admin.patch(`${path}/${added.id}`, {})).body, added);
      assert.equal(gateway.services.live.snapshot.revision, revision);
    });

    it('an id is for ever: 422 at /id for another one', async () => {
      const { id } = await addRule(admin, small());
      assertProblem(await admin.put(`${path}/${id}`, small({ id: 'another' })), 422, 'policy_invalid', '/id');
      assertProblem(await admin.patch(`${path}/${id}`, { id: 'another' }), 422, 'policy_invalid', '/id');
    });

    it('null for what a rule must have is refused', async () => {
      const { id } = await addRule(admin, small());
      for (const key of ['action', 'subject', 'inverted', 'priority', 'enabled'])
        assertProblem(await admin.patch(`${path}/${id}`, { [key]: null }), 422, 'policy_invalid', `/${key}`);
    });

    it('DELETE answers 204, and 404 from then on', async () => {
      const { id } = await addRule(admin, small());
      const gone = ok(await admin.delete(`${path}/${id}`), 204);
      assert.equal(gone.body, '');
      for (const method of ['GET', 'DELETE'])
        assertProblem(await admin.send(method, `${path}/${id}`), 404, 'not_found');
    });
  });

  describe('If-Match', () => {
    const writes: [string, object?][] = [
      ['PUT', small({ priority: 3 })],
      ['PATCH', { priority: 3 }],
      ['DELETE'],
    ];
    for (const [method, body] of writes) {
      it(`${method}: 412 with a tag that is not the one in force, and nothing is written`, async () => {
        const added = await addRule(admin, small());
        for (const tag of ['"2"', '"0"', 'W/"1"', '1', '""', 'nonsense', '"2", "3"'])
          assertProblem(
            await admin.send(method, `${path}/${added.id}`, body, { 'if-match': tag }),
            412,
            'stale_version',
          );
        assert.deepEqual((await admin.get(`${path}/${added.id}`)).body, added);
      });

      it(`${method}: passes with the tag in force, with a list that holds it, with * and without`, async () => {
        for (const tag of ['"1"', '"7", "1"', '*', undefined]) {
          const headers: Record<string, string> = tag === undefined ? {} : { 'if-match': tag };
          const { id } = await addRule(admin, small());
          ok(await admin.send(method, `${path}/${id}`, body, headers), method === 'DELETE' ? 204 : 200);
        }
      });
    }
  });

  describe('what is not a rule', () => {
    it('400 for a body that is no JSON object', async () => {
      for (const body of ['[1]', '"text"', '7', 'null'])
        assertProblem(await admin.post(path, body), 400, 'invalid_request');
      assertProblem(await admin.post(path), 400, 'invalid_request');
      assertProblem(await admin.post(path, '{"role": "user",'), 400, 'malformed_json');
    });

    it('400 for keys that are there twice or would pollute a prototype', async () => {
      const body = '{"role":"user","action":"read","subject":"document"';
      for (const [more, pointer] of [
        [',"role":"admin"}', '/role'],
        [',"__proto__":{"a":1}}', '/__proto__'],
        [',"conditions":{"constructor":{"x":1}}}', '/conditions/constructor'],
      ] as const)
        assertProblem(await admin.post(path, body + more), 400, 'malformed_json', pointer);
    });

    it('415 for another media type, 413 for more than is read', async () => {
      const text = { 'content-type': 'text/yaml' };
      assertProblem(await admin.post(path, 'role: user', text), 415, 'unsupported_media_type');
      assertProblem(
        await admin.post(path, small({ reason: 'x'.repeat(1024 * 1024) })),
        413,
        'body_too_large',
      );
    });

    it('409 at /id for an id that is taken', async () => {
      const { id } = await addRule(admin, small());
      assertProblem(await admin.post(path, small({ id })), 409, 'conflict', '/id');
    });

    it('422 with every problem at once, each with its pointer, and a better word where one is close', async () => {
      const before = gateway.services.live.snapshot;
      const answer = await admin.post(path, {
        role: 'usr',
        action: ['read', 'pblish'],
        subject: 'document',
        fields: ['titel'],
        conditions: {
          statsu: 'draft',
          ownerId: null,
          status: 'drft',
          title: { $regexp: 'x' },
          department: '$' + '{principal.departmnt}',
        },
        when: { 'context.ip': { $cidr: 'here' } },
        priority: 'high',
        validFrom: 'soon',
        enabld: true,
      });
      const pointers = [
        '/role',
        '/action/1',
        '/fields/0',
        '/conditions/statsu',
        '/conditions/ownerId',
        '/conditions/status',
        '/conditions/title/$regexp',
        '/conditions/department',
        '/when/context.ip/$cidr',
        '/priority',
        '/validFrom',
        '/enabld',
      ];
      assertProblem(answer, 422, 'policy_invalid', ...pointers);
      const suggested = Object.fromEntries(
        answer.body.problems.map(({ pointer, suggestion }: Record<string, string>) => [pointer, suggestion]),
      );
      assert.equal(suggested['/role'], 'user');
      assert.equal(suggested['/action/1'], 'publish');
      assert.equal(suggested['/fields/0'], 'title');
      assert.equal(suggested['/conditions/statsu'], 'status');
      assert.equal(suggested['/conditions/title/$regexp'], '$regex');
      assert.equal(suggested['/conditions/department'], 'department');
      assert.equal(suggested['/enabld'], 'enabled');
      for (const { code, message } of answer.body.problems) assert.ok(code && message);
      assert.equal(gateway.services.live.snapshot, before);
    });

    it('422: a missing action hides no problem elsewhere', async () => {
      const answer = await admin.post(path, {
        role: 'usr',
        subject: 'document',
        conditions: { statsu: 'draft' },
        when: [],
      });
      assertProblem(answer, 422, 'policy_invalid', '/role', '/action', '/conditions/statsu', '/when');
    });

    it('422 for instants that no clock knows, or that are in the wrong order', async () => {
      const wrong: [object, string][] = [
        [{ validFrom: '2026-02-30T00:00:00Z' }, '/validFrom'],
        [{ validUntil: '2026-W05' }, '/validUntil'],
        [{ validFrom: '2026-045' }, '/validFrom'],
        [{ validFrom: 1767225600000 }, '/validFrom'],
        [{ validFrom: '2027-01-01', validUntil: '2026-01-01' }, '/validUntil'],
        [{ validFrom: '2027-01-01', validUntil: '2027-01-01' }, '/validUntil'],
      ];
      for (const [window, pointer] of wrong)
        assertProblem(await admin.post(path, small(window)), 422, 'policy_invalid', pointer);
    });

    it('a date without a day or without seconds is a date or a problem, never a failure', async () => {
      for (const validUntil of [
        '2031',
        '2031-05',
        '2031-05-01T10:00Z',
        '+002031-05-01T00:00:00Z',
        '2031-05-01T24:00:00Z',
      ]) {
        const { status } = await admin.post(path, small({ validUntil }));
        assert.ok([201, 422].includes(status), `${validUntil} answered ${status}`);
      }
    });

    it('what an unknown operator, null or a hanging template would do to a deny is refused at writing (4.3, 4.4)', async () => {
      for (const conditions of [
        { status: { $equals: 'draft' } },
        { notes: null },
        { department: '$' + '{principal.nothing}' },
        { ownerId: 'a $' + '{principal.id}' },
      ])
        assert.equal((await admin.post(path, small({ inverted: true, conditions }))).status, 422);
    });
  });

  describe('filters and pages', () => {
    let role: string;
    const ids: string[] = [];
    before(async () => {
      role = await addRole(root);
      const rules = [
        { action: 'read', subject: 'document' },
        { action: ['read', 'update'], subject: ['document'], enabled: false },
        { action: 'manage', subject: ['document', 'order'] },
        { action: ['approve'], subject: 'order' },
        { action: 'read', subject: 'order', enabled: false },
      ];
      for (const rule of rules)
        ids.push((await addRule(root, { ...rule, role, id: fresh(`r${ids.length}`) })).id);
    });
    const found = async (query: string) =>
      (await allItems(admin, `${path}?role=${role}${query}`)).map(({ id }) => id);

    it('by role', async () => assert.deepEqual(await found(''), ids));
    it('by subject, whether written as text or in a list', async () => {
      assert.deepEqual(await found('&subject=document'), ids.slice(0, 3));
      assert.deepEqual(await found('&subject=order'), ids.slice(2));
      assert.deepEqual(await found('&subject=docu'), []);
    });
    it('by action, whether written as text or in a list', async () => {
      assert.deepEqual(await found('&action=read'), [ids[0], ids[1], ids[4]]);
      assert.deepEqual(await found('&action=manage'), [ids[2]]);
    });
    it('by enabled', async () => {
      assert.deepEqual(await found('&enabled=false'), [ids[1], ids[4]]);
      assert.deepEqual(await found('&enabled=true'), [ids[0], ids[2], ids[3]]);
    });
    it('by all of them together', async () =>
      assert.deepEqual(await found('&enabled=false&action=read&subject=order'), [ids[4]]));
    it('400 for a filter that is not known or cannot be', async () => {
      assertProblem(await admin.get(`${path}?rol=user`), 400, 'invalid_request', '/query/rol');
      assertProblem(await admin.get(`${path}?enabled=maybe`), 400, 'invalid_request', '/query/enabled');
      assertProblem(await admin.get(`${path}?role=user&role=admin`), 400, 'invalid_request', '/query/role');
    });

    it('pages hold what was asked for, every rule once, and end with null', async () => {
      for (const limit of [1, 2, 3, 4, 5, 6]) {
        const first = ok(await admin.get(`${path}?role=${role}&limit=${limit}`)).body;
        assert.deepEqual(
          first.items.map(({ id }: { id: string }) => id),
          ids.slice(0, limit),
        );
        assert.equal(first.nextCursor === null, limit >= ids.length);
        assert.deepEqual(
          (await allItems(admin, `${path}?role=${role}`, limit)).map(({ id }) => id),
          ids,
        );
      }
    });

    it('a cursor stays where it is when rules come and go around it', async () => {
      const own = await addRole(root);
      const rule = (id: string) => ({ id: `${id}-${own}`, role: own, action: 'read', subject: 'order' });
      for (const id of ['b', 'd', 'f', 'h']) await addRule(root, rule(id));
      const first = ok(await admin.get(`${path}?role=${own}&limit=2`)).body;
      await addRule(root, rule('a'));
      await addRule(root, rule('g'));
      ok(await root.delete(`${path}/d-${own}`), 204);
      const rest = ok(await admin.get(`${path}?role=${own}&limit=9&cursor=${first.nextCursor}`)).body;
      assert.deepEqual(
        rest.items.map(({ id }: { id: string }) => id),
        ['f', 'g', 'h'].map((id) => `${id}-${own}`),
      );
    });

    it('400 for a cursor that this list did not give, and for a limit out of bounds', async () => {
      const cursors = [
        'x',
        '%F0',
        forgedCursor('b'),
        forgedCursor([]),
        forgedCursor(['a', 'b']),
        forgedCursor([1]),
        forgedCursor({ a: 1 }),
        forgedCursor(['a\0b']),
      ];
      for (const cursor of cursors)
        assert.equal((await admin.get(`${path}?cursor=${cursor}`)).status, 400, cursor);
      for (const limit of ['0', '201', '-1', '1.5', 'all', ''])
        assertProblem(await admin.get(`${path}?limit=${limit}`), 400, 'invalid_request', '/query/limit');
    });

    it('a list shows only what single reads allow', async () => {
      const reader = await addRole(root);
      await addRule(root, {
        role: reader,
        action: 'read',
        subject: 'castellan.rule',
        conditions: { enabled: true, inverted: false },
      });
      await addRule(root, {
        role: reader,
        action: 'read',
        subject: 'castellan.rule',
        conditions: { subject: 'order' },
        inverted: true,
      });
      const { client } = await person(gateway, { roles: [reader] });
      const seen = new Set((await allItems(client, path, 7)).map(({ id }) => id));
      for (const { id } of await allItems(root, path))
        assert.equal((await client.get(`${path}/${id}`)).status === 200, seen.has(id), id);
    });
  });

  describe('POST /rules/validate', () => {
    it('says what is wrong or whom it would concern, and writes nothing', async () => {
      const state = async () => {
        const { db, live } = gateway.services;
        const counts = [];
        for (const table of ['rules', 'revisions', 'audit_entries', 'changes'])
          counts.push(await db(table).count());
        return JSON.stringify([counts, live.snapshot.revision, live.snapshot.digest]);
      };
      const before = await state();
      const valid = ok(
        await admin.post(`${path}/validate`, small({ role: 'author', action: 'publish' })),
      ).body;
      assert.deepEqual([valid.valid, valid.problems], [true, []]);
      assert.deepEqual([valid.impact.roles, valid.impact.accounts], [['author', 'editor'], 2]);
      assert.equal(valid.impact.affected, 2, 'as a simulation of the rule says');
      const invalid = ok(
        await admin.post(`${path}/validate`, small({ role: 'authr', conditions: { statsu: 'x' } })),
      ).body;
      assert.equal(invalid.valid, false);
      assert.equal(invalid.impact, null);
      assert.deepEqual(
        invalid.problems.map(({ pointer, suggestion }: Record<string, string>) => [pointer, suggestion]),
        [
          ['/role', 'author'],
          ['/conditions/statsu', 'status'],
        ],
      );
      assert.equal(await state(), before);
    });

    it('counts one for a rule of one principal, and everybody active for everyone', async () => {
      const { id } = await person(gateway);
      const one = await admin.post(`${path}/validate`, {
        principal: `user:${id}`,
        action: 'read',
        subject: 'order',
      });
      assert.deepEqual([one.body.impact.roles, one.body.impact.accounts], [[], 1]);
      const all = await admin.post(`${path}/validate`, small({ role: 'everyone' }));
      const [{ count } = {}] = await gateway.services.db('accounts').where({ isActive: true }).count();
      assert.deepEqual([all.body.impact.roles, all.body.impact.accounts], [['everyone'], Number(count)]);
    });

    it('the same checks as POST: what is said to be valid is accepted, what is not is refused', async () => {
      const drafts = [
        small(),
        small({ conditions: { title: { $regex: '(a)\\1' } } }),
        small({ fields: ['a.__proto__'] }),
        small({ when: { 'principal.roles': 'user' } }),
      ];
      for (const draft of drafts) {
        const { valid } = (await admin.post(`${path}/validate`, draft)).body;
        assert.equal((await admin.post(path, draft)).status, valid ? 201 : 422);
      }
    });

    it('400 for a body that is no object', async () =>
      assertProblem(await admin.post(`${path}/validate`, '[]'), 400, 'invalid_request'));
  });

  it('a rule that is taken away again leaves things as they were', async () => {
    const { id } = await person(gateway);
    const { digest } = gateway.services.live.snapshot;
    await withRule(root, { principal: `user:${id}`, action: 'read', subject: 'order' }, async () => {
      assert.notEqual(gateway.services.live.snapshot.digest, digest);
    });
    assert.equal(gateway.services.live.snapshot.digest, digest);
  });
});
