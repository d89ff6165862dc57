/** /admin/audit: what was changed, as it is shown, found and withheld. */
import assert from 'node:assert/strict';
import {
  anonymousClient,
  type Client,
  logIn,
  registerAndLogIn,
  startGateway,
  type TestGateway,
} from '../../harness.ts';
import {
  addRole,
  addRule,
  allItems,
  assertProblem,
  demoId,
  forgedCursor,
  fresh,
  ok,
  type Person,
  person,
  rulesPath,
  stateOf,
  typesPath,
  usersPath,
  withRule,
} from './staff.ts';

const path = '/api/v1/admin/audit';

interface Item {
  id: string;
  at: string;
  actor: { id: string | null; name: string };
  action: string;
  target: { type: string; id: string };
  before: unknown;
  after: unknown;
  requestId: string;
  revision: number | null;
  address: string;
  hash: string;
}

describe('the audit trail over HTTP', () => {
  let gateway: TestGateway;
  let root: Person;
  let admin: Person;
  before(async () => {
    gateway = await startGateway();
    root = await person(gateway, { roles: ['superadmin'] });
    admin = await person(gateway, { roles: ['admin'] });
  });
  after(() => gateway.close());

  const list = (query: string, client: Client = admin.client): Promise<Item[]> =>
    allItems(client, `${path}?${query}`);
  const small = (rest: object = {}) => ({ role: 'user', action: 'read', subject: 'order', ...rest });
  const row = (id: string) => gateway.services.db('audit_entries').where({ id }).first();

  it('shows an entry whole, and alone as in the list', async () => {
    const id = fresh('r');
    ok(await root.client.post(rulesPath, small({ id, reason: 'one' }), { 'x-request-id': 'req-1' }), 201);
    const changed = await root.client.patch(
      `${rulesPath}/${id}`,
      { reason: 'two' },
      { 'x-request-id': 'req-2' },
    );
    const [newest, first, ...more] = await list(`targetType=castellan.rule&targetId=${id}`);
    assert.deepEqual(more, []);
    assert.equal(first?.before, null);
    const rule = {
      ...small(),
      id,
      priority: 0,
      inverted: false,
      enabled: true,
      validFrom: null,
      validUntil: null,
    };
    const { id: number, at, hash, ...told } = newest ?? assert.fail();
    assert.deepEqual(told, {
      actor: { id: root.id, name: root.email },
      action: 'rule.update',
      target: { type: 'castellan.rule', id },
      before: { ...rule, reason: 'one' },
      after: { ...rule, reason: 'two' },
      requestId: 'req-2',
      revision: Number(changed.headers.get('castellan-revision')),
      address: '127.0.0.1',
    });
    const stored = await row(number);
    assert.equal(hash, stored.hash.toString('hex'));
    assert.equal(at, stored.at.toISOString());
    const { body, headers } = ok(await admin.client.get(`${path}/${number}`));
    assert.deepEqual(body, newest);
    assert.equal(headers.get('cache-control'), 'no-store');
  });

  it('shows what rules say about passwords and tokens, and of an account no token', async () => {
    const type = fresh('type');
    const attributes = { passwordAge: { type: 'integer' }, token: { type: 'string' } };
    ok(await root.client.post(typesPath, { type, actions: ['read'], attributes }), 201);
    const conditions = { passwordAge: { $gt: 90 }, token: 'none' };
    const role = await addRole(root.client);
    const { id } = await addRule(root.client, { ...small(), role, subject: type, conditions });
    const declared = ok(await root.client.get(`${typesPath}/user`)).body.attributes;
    const more = { apiToken: { type: 'string' }, tokenCount: { type: 'integer' } };
    ok(await root.client.patch(`${typesPath}/user`, { attributes: { ...declared, ...more } }));
    const given = { apiToken: 'hunter2', tokenCount: 5 };
    const form = {
      email: `${fresh('p')}@example.org`,
      password: 'timber lantern 4',
      firstName: 'A',
      lastName: 'B',
    };
    const made = ok(await root.client.post(usersPath, { ...form, attributes: given }), 201).body.user;
    const afterOf = async (target: string) =>
      (await list(`targetId=${target}`))[0]?.after as Record<string, unknown>;
    assert.deepEqual((await afterOf(type))['attributes'], attributes);
    assert.deepEqual((await afterOf(id))['conditions'], conditions);
    assert.deepEqual((await afterOf(made.id))['attributes'], { apiToken: '[redacted]', tokenCount: 5 });
  });

  it('keeps no session token that was sent as the id of a request or in the words about a change', async () => {
    const token = String(root.client.token);
    const given = { 'x-request-id': token };
    const { id } = ok(
      await root.client.post(rulesPath, { ...small(), message: `with ${token}` }, given),
      201,
    ).body;
    const words = { 'castellan-message': `${'x'.repeat(499 - token.length)} ${token}` };
    ok(await root.client.patch(`${rulesPath}/${id}`, { priority: 1 }, { ...given, ...words }));
    ok(await anonymousClient(gateway).get(rulesPath, given), 401);
    const told = await list(`targetId=${id}`);
    assert.deepEqual(
      told.map(({ requestId }) => requestId),
      ['[redacted]', '[redacted]'],
    );
    await gateway.services.decisionLog.flush();
    for (const table of ['audit_entries', 'revisions', 'decisions']) {
      const text = JSON.stringify(await gateway.services.db(table).select('*'));
      assert.ok(text.includes('[redacted]'), table);
      assert.ok(!text.includes(token.slice(0, 19)), table);
    }
  });

  describe('is filtered', () => {
    let start: number;
    let target: Person;
    let rule: string;
    const since = (items: Item[]) => items.filter(({ id }) => Number(id) > start).map(({ action }) => action);
    const all = ['user.update', 'user.assign-role', 'rule.create'];
    before(async () => {
      start = (await stateOf(gateway)).auditEntries;
      target = await person(gateway);
      rule = (await addRule(root.client, small())).id;
      ok(
        await admin.client.put(`${usersPath}/${target.id}/roles/author`, undefined, {
          'x-request-id': 'req-77',
        }),
        204,
      );
      ok(await target.client.patch('/api/v1/me', { firstName: 'Ida' }));
    });

    const cases: [what: string, query: () => string, ...found: string[]][] = [
      ['by nothing: the newest first', () => '', ...all],
      ['by the id of an actor', () => `actor=${target.id}`, 'user.update'],
      ['by the name of an actor', () => `actor=${encodeURIComponent(root.email)}`, 'rule.create'],
      ['by action', () => 'action=user.assign-role', 'user.assign-role'],
      ['by the type of the target', () => 'targetType=user', 'user.update', 'user.assign-role'],
      ['by the target', () => `targetType=castellan.rule&targetId=${rule}`, 'rule.create'],
      ['by request', () => 'requestId=req-77', 'user.assign-role'],
      ['by several at once', () => `actor=${target.id}&action=user.assign-role`],
      ['by what nothing has', () => 'action=nothing'],
    ];
    for (const [what, query, ...found] of cases)
      it(what, async () => assert.deepEqual(since(await list(query())), found));

    it('by revision', async () => {
      const [entry] = await list(`targetId=${rule}`);
      assert.deepEqual(
        (await list(`revision=${entry?.revision}`)).map(({ id }) => id),
        [entry?.id],
      );
    });

    it('by time: from an instant on, and up to one that is not in it, whatever the offset', async () => {
      const [newest, middle, oldest] = (await list('')).filter(({ id }) => Number(id) > start);
      const between = async (from = '', to = '') =>
        since(await list(`from=${from}&to=${to}`.replace(/\w+=(&|$)/g, '')));
      assert.deepEqual(await between(oldest?.at), all);
      assert.deepEqual(await between(middle?.at, newest?.at), ['user.assign-role']);
      assert.deepEqual(await between(oldest?.at, oldest?.at), []);
      assert.deepEqual(await between('2999-01-01'), []);
      const offset = new Date(Date.parse(middle?.at ?? '') + 5.5 * 3600_000)
        .toISOString()
        .replace('Z', '%2B05:30');
      assert.deepEqual(await between(offset), ['user.update', 'user.assign-role']);
      const withoutOffset = middle?.at.replace('Z', '');
      assert.deepEqual(await between(withoutOffset), ['user.update', 'user.assign-role']);
    });

    it('by nothing else, and by nothing that is no such value', async () => {
      const wrong: Record<string, string> = {
        'from=yesterday': '/query/from',
        'to=2026-02-30': '/query/to',
        'from=2026-01-01T00:00:00+01:00': '/query/from', // the plus was not encoded
        'to=%2B275760-09-13T00:00:00Z': '/query/to',
        'revision=x': '/query/revision',
        'revision=3000000000': '/query/revision',
        'limit=0': '/query/limit',
        'before=x': '/query/before',
        'action=a&action=b': '/query/action',
      };
      for (const [query, pointer] of Object.entries(wrong))
        assertProblem(await admin.client.get(`${path}?${query}`), 400, 'invalid_request', pointer);
    });
  });

  it('comes in full pages, each entry once, also while others are written', async () => {
    for (let n = 0; n < 8; n++) await addRule(root.client, small());
    const whole = await list('');
    const paged: Item[] = [];
    let cursor = '';
    do {
      const { body } = ok(await admin.client.get(`${path}?limit=3${cursor}`));
      paged.push(...body.items);
      assert.ok(body.nextCursor === null || body.items.length === 3);
      cursor = body.nextCursor === null ? '' : `&cursor=${body.nextCursor}`;
      await addRule(root.client, small());
    } while (cursor !== '');
    assert.deepEqual(paged, whole);
    for (const content of [['x'], ['0'], ['1e3'], ['9'.repeat(30)], [1], ['1', '2'], 'x'])
      assertProblem(
        await admin.client.get(`${path}?cursor=${forgedCursor(content)}`),
        400,
        'invalid_request',
        '/query/cursor',
      );
  });

  it('answers 404 for an entry that is not there, and 400 for what is no number', async () => {
    assertProblem(await admin.client.get(`${path}/999999999`), 404, 'not_found');
    for (const id of ['0', 'x', '01', '1.5', '9'.repeat(19)])
      assertProblem(await admin.client.get(`${path}/${id}`), 400, 'invalid_request', '/params/id');
  });

  it('only grows over HTTP as well: nothing but GET is answered', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
      for (const at of [path, `${path}/1`])
        assertProblem(await root.client.send(method, at, {}), 405, 'method_not_allowed');
  });

  describe('is withheld from', () => {
    it('whoever is not logged in, and whoever has no rule about it', async () => {
      for (const at of [path, `${path}/1`, `${path}/999999999`, `${path}?from=x`]) {
        assertProblem(await anonymousClient(gateway).get(at), 401, 'unauthenticated');
        for (const roles of [['user'], ['author'], ['editor'], ['approver']]) {
          const { client } = await person(gateway, { roles });
          assertProblem(await client.get(at), 403, 'access_denied');
        }
      }
    });

    it('nobody of superadmin, admin and auditor', async () => {
      for (const who of ['superadmin', 'admin', 'auditor']) {
        const client = await logIn(gateway, who);
        assert.ok((await list('', client)).length > 0, who);
        ok(await client.get(`${path}/1`));
      }
    });

    /** Somebody whose only right is this rule about entries. */
    async function withOnly(rule: object, use: (who: Person) => Promise<void>): Promise<void> {
      const role = await addRole(root.client);
      await withRule(root.client, { role, action: 'read', subject: 'castellan.audit', ...rule }, async () => {
        const who = await person(gateway, { roles: [role] });
        await use(who);
        await gateway.services.db('role_assignments').where({ accountId: who.id }).delete();
      });
      ok(await root.client.delete(`/api/v1/admin/roles/${role}`), 204);
    }

    it('those whose rules are about other entries: in lists as by number, whether SQL knows the rule or not', async () => {
      const { client: person1, id } = await registerAndLogIn(gateway);
      ok(await person1.patch('/api/v1/me', { lastName: 'Other' }));
      const whole = await list('');
      const rules: [conditions: object, shown: (item: Item) => boolean][] = [
        [{ targetType: 'user', targetId: id }, ({ target }) => target.id === id],
        [{ actorId: { $ne: root.id } }, ({ actor }) => actor.id !== root.id],
        [{ actorId: { $exists: false } }, ({ actor }) => actor.id === null],
        [
          { action: { $in: ['user.register', 'user.update'] } },
          ({ action }) => /^user\.(register|update)$/.test(action),
        ],
        [{ action: { $regex: '^rule\\.' } }, ({ action }) => action.startsWith('rule.')],
        [{ revision: { $gt: 2 } }, ({ revision }) => (revision ?? 0) > 2],
        [{ revision: { $lt: 3_000_000_000 } }, ({ revision }) => revision !== null],
        [{ at: { $lte: whole[1]?.at } }, ({ at }) => at <= (whole[1]?.at ?? '')],
        [{ id: { $in: ['1', 'x'] } }, (item) => item.id === '1'],
      ];
      for (const [conditions, shown] of rules)
        await withOnly({ conditions }, async ({ client }) => {
          const what = JSON.stringify(conditions);
          const known = new Set(whole.map((item) => item.id));
          const items = (await list('', client)).filter((item) => known.has(item.id));
          assert.deepEqual(items, whole.filter(shown), what);
          for (const item of whole.slice(0, 3)) {
            const answer = await client.get(`${path}/${item.id}`);
            assert.equal(answer.status, shown(item) ? 200 : 403, what);
          }
        });
    });

    it('those who are denied some, though others allow all', async () => {
      const { id: hidden } = await addRule(root.client, small());
      await withRule(
        root.client,
        {
          role: 'admin',
          action: 'read',
          subject: 'castellan.audit',
          inverted: true,
          conditions: { targetId: hidden },
        },
        async () => {
          assert.deepEqual(await list(`targetId=${hidden}`), []);
          const [{ id }] = (await list(`targetId=${hidden}`, root.client)) as [Item];
          assertProblem(await admin.client.get(`${path}/${id}`), 403, 'access_denied');
        },
      );
    });

    it('those who may read some fields: they see these, and neither before and after nor the hash', async () => {
      const fields = ['id', 'at', 'action', 'targetType', 'actor'];
      await withOnly({ fields }, async ({ client }) => {
        const [item] = await list('action=user.register', client);
        assert.deepEqual(Object.keys(item ?? {}), ['id', 'at', 'actor', 'action', 'target']);
        assert.deepEqual(Object.keys(item?.actor ?? {}), ['name']);
        assert.deepEqual(Object.keys(item?.target ?? {}), ['type']);
        assert.deepEqual(ok(await client.get(`${path}/${item?.id}`)).body, item);
      });
      await withOnly({ fields: ['id', 'revision'] }, async ({ client }) => {
        const [item] = await list('', client);
        assert.deepEqual(Object.keys(item ?? {}), ['id', 'revision']);
      });
    });

    it('those who would learn a field that they may not read by filtering for it', async () => {
      await withOnly({ fields: ['id', 'at', 'action', 'actor'] }, async ({ client }) => {
        const filters = [
          `actor=${encodeURIComponent(root.email)}`,
          'targetType=castellan.rule',
          `targetId=${demoId(1)}`,
          'requestId=req-1',
          'revision=2',
        ];
        for (const filter of filters) assert.deepEqual(await list(filter, client), [], filter);
        assert.notEqual((await list('action=rule.create&from=2020-01-01', client)).length, 0);
      });
    });

    it('those who may read few of many, without going through them all', async () => {
      const { db } = gateway.services;
      await db.raw(`INSERT INTO audit_entries (actor, action, target_type, target_id)
        SELECT 'somebody', 'user.update', 'user', 'x' FROM generate_series(1, 500)`);
      await withOnly({ conditions: { action: 'user.register' } }, async ({ client }) => {
        const asked: string[] = [];
        const note = ({ sql }: { sql: string }) => asked.push(sql);
        db.on('query', note);
        const { body } = ok(await client.get(`${path}?limit=1`));
        db.removeListener('query', note);
        assert.equal(body.items[0].action, 'user.register');
        assert.equal(asked.filter((sql) => sql.includes('audit_entries')).length, 1);
      });
    });
  });
});
