/** Lists over HTTP: order, filters, search, total and cursors compose with what may be read, and tell nothing beyond it. */
import assert from 'node:assert/strict';
import type { Client } from '../../harness.ts';
import { startGateway, type TestGateway } from '../../harness.ts';
import {
  addRole,
  addRule,
  allItems,
  assertProblem,
  demoId,
  forgedCursor,
  ok,
  type Person,
  person,
  sessionOf,
  typesPath,
  withRule,
} from '../admin/staff.ts';
import { type KitService, kitType, startKits } from './kits.ts';

const path = '/api/v1/documents';

describe('lists', () => {
  let gateway: TestGateway;
  let root: Client;
  /** Whatever is in the list of a test is theirs, so that no other test's rows are in it. */
  let owner: Person;

  before(async () => {
    gateway = await startGateway();
    root = await sessionOf(gateway, demoId(1));
  });
  after(() => gateway.close());
  beforeEach(async () => {
    owner = await person(gateway, { attributes: { department: 'editorial' } });
  });

  const add = async (row: Record<string, unknown> = {}): Promise<string> => {
    const given = { title: 'T', body: 'B', owner_id: owner.id, ...row };
    const [{ id }] = await gateway.services.db('documents').insert(given).returning('id');
    return id;
  };
  const list = (query: Record<string, string | number> = {}, client = owner.client) => {
    const parameters = new URLSearchParams({ ownerId: owner.id });
    for (const [name, value] of Object.entries(query)) parameters.set(name, String(value));
    return client.get(`${path}?${parameters}`);
  };
  const idsOf = ({ body }: Awaited<ReturnType<typeof list>>): string[] =>
    body.items.map(({ id }: { id: string }) => id);
  /** The rows, page by page, in the order in which they are shown. */
  const walked = async (query: Record<string, string | number> = {}, client = owner.client, limit = 2) => {
    const parameters = new URLSearchParams({ ownerId: owner.id });
    for (const [name, value] of Object.entries(query)) parameters.set(name, String(value));
    return (await allItems(client, `${path}?${parameters}`, limit)).map(({ id }) => id);
  };

  describe('order', () => {
    it('puts what is missing last in both directions, and walks every row once in either', async () => {
      const [b, none, a, alsoNone, c] = [
        await add({ department: 'b' }),
        await add(),
        await add({ department: 'a' }),
        await add(),
        await add({ department: 'c' }),
      ];
      const missing = [none, alsoNone].sort();
      assert.deepEqual(await walked({ sort: 'department' }), [a, b, c, ...missing]);
      assert.deepEqual(await walked({ sort: '-department' }), [c, b, a, ...missing.toReversed()]);
      assert.deepEqual(await walked({ sort: 'department' }, owner.client, 1), [a, b, c, ...missing]);
    });

    it('walks rows of one place by their ids, so that none is lost or shown twice', async () => {
      const ids = [];
      for (let index = 0; index < 7; index++) ids.push(await add({ title: 'Same' }));
      for (const limit of [1, 2, 3, 7]) {
        assert.deepEqual(await walked({ sort: 'title' }, owner.client, limit), ids.toSorted());
        assert.deepEqual(await walked({ sort: '-title' }, owner.client, limit), ids.toSorted().reverse());
      }
    });

    it('tells instants apart that differ by a microsecond, which JavaScript cannot', async () => {
      const at = (micros: number) => `2026-03-01T00:00:00.000${String(micros).padStart(3, '0')}Z`;
      const ids: string[] = [];
      for (const micros of [3, 1, 2, 5, 4]) ids[micros] = await add({ created_at: at(micros) });
      const inOrder = ids.filter(Boolean);
      assert.deepEqual(await walked({ sort: 'createdAt' }, owner.client, 1), inOrder);
      assert.deepEqual(await walked({ sort: '-createdAt' }, owner.client, 1), inOrder.toReversed());
      assert.deepEqual(
        await walked({}, owner.client, 2),
        inOrder.toReversed(),
        'the newest first, unless asked',
      );
    });

    it('takes texts with quotes, NULL as a word and the signs of a cursor for what they are', async () => {
      const ids: string[] = [];
      for (const department of ['', '=', "';--", 'NULL', '\\', '😀', '"', '%'])
        ids.push(await add({ department }));
      ids.push(await add());
      for (const sort of ['department', '-department'])
        assert.deepEqual((await walked({ sort }, owner.client, 1)).toSorted(), ids.toSorted());
    });

    it('is one of those that the list has, and nothing else gets into the SQL', async () => {
      for (const sort of ['body', 'owner_id', '--title', 'title;', 'title desc', '-'])
        assertProblem(await list({ sort }), 400, 'invalid_request', '/query/sort');
    });
  });

  describe('filters, search and total', () => {
    it('compose with what may be read, and the total counts what all of the pages show', async () => {
      const other = await person(gateway);
      for (const status of ['draft', 'review', 'published', 'published'])
        await add({ status, department: 'sales' });
      await add({ status: 'published', department: 'Sales' });
      const count = async (client: Client, query: Record<string, string | number>) => {
        const { body } = ok(await list({ ...query, total: 'true', limit: 1 }, client));
        assert.equal(body.items.length, Math.min(1, body.total));
        return body.total;
      };
      assert.equal(await count(owner.client, {}), 5);
      assert.equal(await count(other.client, {}), 3);
      assert.equal(await count(other.client, { status: 'draft' }), 0);
      assert.equal(await count(owner.client, { status: 'published', department: 'sales' }), 2);
      assert.equal(await count(owner.client, { department: 'Sales' }), 1, 'case counts in a filter');
      assert.equal(await count(owner.client, { department: 'sal%' }), 0);
      assert.equal(
        await count(owner.client, { ownerId: owner.id.toUpperCase() }),
        5,
        'an id is one in any case',
      );
      assert.equal('total' in (await list()).body, false);
    });

    it('the total is that of the list, on whichever page it is asked for', async () => {
      for (let index = 0; index < 3; index++) await add();
      const { body } = await list({ limit: 2, total: 'true' });
      const next = ok(await list({ limit: 2, total: 'true', cursor: body.nextCursor })).body;
      assert.deepEqual([body.total, next.total, next.items.length, next.nextCursor], [3, 3, 1, null]);
    });

    it('a search looks for the text itself: %, _ and \\ stand for themselves, and the case does not matter', async () => {
      const titles = [
        '100% sure',
        '100 sure',
        'snake_case',
        'snakeXcase',
        'C:\\temp',
        'C:temp',
        'ÉTÉ',
        "O'Hara",
        '50 %_\\',
      ];
      const byTitle = new Map<string, string>();
      for (const title of titles) byTitle.set(await add({ title, body: '' }), title);
      const found = async (search: string) =>
        idsOf(ok(await list({ search })))
          .map((id) => byTitle.get(id))
          .sort();
      assert.deepEqual(await found('%'), ['100% sure', '50 %_\\']);
      assert.deepEqual(await found('_'), ['50 %_\\', 'snake_case']);
      assert.deepEqual(await found('\\'), ['50 %_\\', 'C:\\temp']);
      assert.deepEqual(await found('%_\\'), ['50 %_\\']);
      assert.deepEqual(await found('0%s'), []);
      assert.deepEqual(await found('SNAKE_CASE'), ['snake_case']);
      assert.deepEqual(await found('été'), ['ÉTÉ']);
      assert.deepEqual(await found("o'h"), ["O'Hara"]);
      assert.deepEqual(await found("' OR true --"), []);
      assert.deepEqual(await found('?'), []);
    });

    it('a search, filter and order in one walk show each row once', async () => {
      const ids: string[] = [];
      for (let index = 0; index < 5; index++)
        ids.push(await add({ title: `hit ${index % 2}`, status: index === 4 ? 'archived' : 'draft' }));
      await add({ title: 'miss' });
      const query = { search: 'HIT', status: 'draft', sort: 'title' };
      assert.deepEqual((await walked(query, owner.client, 1)).toSorted(), ids.slice(0, 4).sort());
    });
  });

  describe('cursors', () => {
    it('walk every row that stays exactly once, while others come and go', async () => {
      const staying: string[] = [];
      for (let index = 0; index < 8; index++) staying.push(await add({ title: `k${index}` }));
      const going = [await add({ title: 'k2b' }), await add({ title: 'k5b' }), await add({ title: 'k6b' })];
      const seen: string[] = [];
      let cursor: string | undefined;
      for (let page = 0; cursor !== undefined || page === 0; page++) {
        const { body } = ok(await list({ sort: 'title', limit: 2, ...(cursor && { cursor }) }));
        seen.push(...body.items.map(({ id }: { id: string }) => id));
        cursor = body.nextCursor ?? undefined;
        // Before and after the place; and the row itself that the cursor stands on.
        await add({ title: 'a new one before' });
        await add({ title: `k${page + 3}c` });
        const gone = page === 0 ? going : body.items.slice(-1).map(({ id }: { id: string }) => id);
        await gateway.services.db('documents').whereIn('id', gone).delete();
      }
      assert.deepEqual(
        seen.filter((id) => staying.includes(id)),
        staying,
      );
      assert.equal(new Set(seen).size, seen.length);
      assert.deepEqual(
        seen.filter((id) => going.includes(id)),
        [],
      );
    });

    it("of another principal, order, filter, search or list are refused, and of another's total and limit are not", async () => {
      for (let index = 0; index < 4; index++) await add({ status: 'published' });
      const other = await person(gateway);
      const { nextCursor } = ok(await list({ limit: 1, sort: 'title' })).body;
      const ask = (query: Record<string, string>, client?: Client) =>
        list({ limit: 2, sort: 'title', cursor: nextCursor, ...query }, client);
      ok(await ask({}));
      ok(await ask({ total: 'true', limit: '3' }));
      const others: Record<string, string>[] = [
        { sort: '-title' },
        { sort: 'createdAt' },
        { status: 'published' },
        { search: 'T' },
        { ownerId: other.id },
      ];
      for (const query of others) assertProblem(await ask(query), 400, 'invalid_request', '/query/cursor');
      assertProblem(await ask({}, other.client), 400, 'invalid_request', '/query/cursor');
      // The same query, but of another list.
      const byTime = ok(await owner.client.get(`${path}?limit=1&sort=createdAt`)).body.nextCursor;
      const orders = `/api/v1/orders?sort=createdAt&cursor=${byTime}`;
      assertProblem(await owner.client.get(orders), 400, 'invalid_request', '/query/cursor');
    });

    it('forged: nonsense is refused, and a place of somebody else’s row shows nothing that may not be read', async () => {
      const other = await person(gateway);
      const [hidden, shown] = [await add({ title: 'a' }), await add({ title: 'b', status: 'published' })];
      await add({ title: 'c', status: 'published' });
      const { nextCursor } = ok(await list({ limit: 1, sort: 'title' }, other.client)).body;
      const [binding] = JSON.parse(Buffer.from(nextCursor, 'base64url').toString());
      const go = (content: unknown) => list({ sort: 'title', cursor: forgedCursor(content) }, other.client);
      const before = ok(await go([binding, '=', '00000000-0000-0000-0000-000000000000']));
      assert.equal(idsOf(before)[0], shown);
      assert.ok(!idsOf(before).includes(hidden));
      for (const content of [
        [binding, '=a'],
        [binding, '=a', 'not an id'],
        [binding, '=a', hidden, ''],
        [binding, '=\0', hidden],
        [binding, 1, hidden],
        ['', '=a', hidden],
        [`${binding}x`, '=a', hidden],
        { 0: binding, 1: '=a', 2: hidden, length: 3 },
        null,
      ])
        assertProblem(await go(content), 400, 'invalid_request', '/query/cursor');
      for (const cursor of ['', '%', 'x'.repeat(1001), '[]'])
        assertProblem(await list({ cursor }), 400, 'invalid_request', '/query/cursor');
      const byTime = ok(await list({ limit: 1 }, other.client)).body.nextCursor;
      const [bound, , id] = JSON.parse(Buffer.from(byTime, 'base64url').toString());
      for (const place of ['=yesterday-ish', '=2026-13-45', "='; DROP TABLE documents; --"])
        assertProblem(
          await list({ cursor: forgedCursor([bound, place, id]) }, other.client),
          400,
          'invalid_request',
          '/query/cursor',
        );
    });

    it('hold a place and no permission: what may no longer be read is not on the next page', async () => {
      const other = await person(gateway);
      for (const title of ['a', 'b', 'c', 'd']) await add({ title, status: 'published' });
      const { nextCursor, items } = ok(await list({ limit: 1, sort: 'title' }, other.client)).body;
      assert.deepEqual([items.length, items[0].title], [1, 'a']);
      await gateway.services
        .db('documents')
        .where({ owner_id: owner.id, title: 'b' })
        .update({ status: 'draft' });
      const next = ok(await list({ sort: 'title', cursor: nextCursor }, other.client)).body;
      assert.deepEqual(
        next.items.map(({ title }: { title: string }) => title),
        ['c', 'd'],
      );
      const deny = { role: 'user', action: 'read', subject: 'document', inverted: true, priority: 9 };
      await withRule(root, { ...deny, conditions: { title: 'c' } }, async () => {
        const last = ok(await list({ sort: 'title', cursor: nextCursor }, other.client)).body;
        assert.deepEqual(
          last.items.map(({ title }: { title: string }) => title),
          ['d'],
        );
      });
    });
  });

  describe('fields that may not be read', () => {
    it('the order of a list would tell them: to sort by one is refused, by its name', async () => {
      await add({ status: 'published', notes: 'x' });
      const reader = await person(gateway);
      assertProblem(await list({ sort: 'notes' }, reader.client), 403, 'fields_denied', '/query/sort');
      assertProblem(await list({ sort: '-notes' }, reader.client), 403, 'fields_denied', '/query/sort');
      // Their own documents show them the notes, but the list has others', too.
      assertProblem(await list({ sort: 'notes' }), 403, 'fields_denied', '/query/sort');
      const auditor = await person(gateway, { roles: ['auditor'] });
      ok(await list({ sort: 'notes' }, auditor.client));
    });

    it('the absence of a row would tell them: to filter by one is refused, by its name', async () => {
      await add({ status: 'published', department: 'secret' });
      const denied = { role: 'user', action: 'read', subject: 'document', inverted: true, priority: 9 };
      await withRule(root, { ...denied, fields: ['department'] }, async () => {
        for (const department of ['secret', 'other'])
          assertProblem(await list({ department }), 403, 'fields_denied', '/query/department');
        assertProblem(
          await list({ department: 'x', sort: 'department' }),
          403,
          'fields_denied',
          '/query/sort',
        );
        ok(await list({ status: 'published' }));
      });
      ok(await list({ department: 'secret' }));
    });

    it('denied on some rows of the list alone, they are refused as well', async () => {
      await add({ status: 'draft', department: 'x' });
      const denied = { role: 'user', action: 'read', subject: 'document', inverted: true, priority: 9 };
      const conditions = { status: 'archived' };
      await withRule(root, { ...denied, fields: ['department'], conditions }, async () => {
        assertProblem(await list({ sort: 'department' }), 403, 'fields_denied', '/query/sort');
        assertProblem(await list({ department: 'x' }), 403, 'fields_denied', '/query/department');
      });
    });

    it('a search does not look into them', async () => {
      await add({ status: 'published', title: 'plain', body: 'plain', notes: 'needle' });
      const reader = await person(gateway);
      assert.deepEqual(idsOf(ok(await list({ search: 'needle' }, reader.client))), []);
      assert.deepEqual(idsOf(ok(await list({ search: 'needle' }))), [], 'not even into those of their own');
      const auditor = await person(gateway, { roles: ['auditor'] });
      assert.equal(idsOf(ok(await list({ search: 'needle' }, auditor.client))).length, 1);
      const denied = { role: 'user', action: 'read', subject: 'document', inverted: true, priority: 9 };
      await withRule(root, { ...denied, fields: ['title', 'body'] }, async () => {
        assertProblem(await list({ search: 'plain' }, reader.client), 403, 'fields_denied', '/query/search');
      });
    });

    it('taken out of the resource type, they are neither shown nor asked', async () => {
      const other = await startGateway();
      try {
        const admin = await sessionOf(other, demoId(1));
        const { attributes } = ok(await admin.get(`${typesPath}/document`)).body;
        const { notes: _notes, department: _department, ...rest } = attributes;
        const using = ok(await admin.get('/api/v1/admin/rules?subject=document&limit=200')).body.items;
        const cases = ok(await admin.get('/api/v1/admin/policy')).body.cases.map(
          ({ id }: { id: string }) => id,
        );
        const named = (rule: object) => /notes|department/.test(JSON.stringify(rule));
        const rules = using.filter(named).map(({ id }: { id: string }) => id);
        ok(
          await admin.post('/api/v1/admin/policy/import', {
            version: 1,
            resourceTypes: [
              {
                type: 'document',
                actions: ['read', 'create', 'update', 'delete', 'publish'],
                attributes: rest,
              },
            ],
            remove: { rules, cases },
          }),
        );
        const auditor = await person(other, { roles: ['superadmin'] });
        await other.services
          .db('documents')
          .insert({ title: 'T', owner_id: demoId(1), notes: 'n', department: 'd' });
        const { items } = ok(await auditor.client.get(path)).body;
        assert.ok(
          items.length > 0 && items.every((item: object) => !('notes' in item || 'department' in item)),
        );
        assertProblem(await auditor.client.get(`${path}?sort=notes`), 403, 'fields_denied', '/query/sort');
        assertProblem(
          await auditor.client.get(`${path}?department=d`),
          403,
          'fields_denied',
          '/query/department',
        );
      } finally {
        await other.close();
      }
    });
  });

  describe('with parts of their own, in jsonb', () => {
    let kits: KitService;
    let role: string;
    let client: Client;

    before(async () => {
      kits = await startKits(gateway);
      ok(await root.post(typesPath, kitType), 201);
    });
    after(() => kits.close());
    beforeEach(async () => {
      await gateway.services.db('kits').delete();
      role = await addRole(root);
      client = kits.as((await person(gateway, { roles: [role] })).client);
    });
    const addKit = async (row: Record<string, unknown>) => {
      const [{ id }] = await gateway.services
        .db('kits')
        .insert({ name: 'k', ...row })
        .returning('id');
      return id;
    };
    const rule = (rest: object) => ({ role, action: 'read', subject: 'kit', ...rest });

    it('masks are those of each row: a part is shown where a rule grants it, and left out where one denies it', async () => {
      const data = { open: 1, secret: { pin: 2, hint: 'h' }, list: [{ a: 1, b: 2 }, { b: 3 }, 'x'] };
      await addKit({ name: 'all', data, rank: 1 });
      await addKit({ name: 'no-pin', data, rank: 2 });
      await addKit({ name: 'only-open', data, rank: 3 });
      await addKit({ name: 'no-b', data, rank: 4 });
      await addKit({ name: 'nothing', data, rank: 5 });
      await addKit({ name: 'unseen', data, rank: 6 });
      await addRule(root, rule({ conditions: { rank: { $lte: 2 } } }));
      await addRule(root, rule({ conditions: { rank: 4 } }));
      await addRule(root, rule({ inverted: true, fields: ['data.secret.pin'], conditions: { rank: 2 } }));
      await addRule(root, rule({ fields: ['id', 'name', 'data.open'], conditions: { rank: 3 } }));
      await addRule(root, rule({ inverted: true, fields: ['data.list.b'], conditions: { rank: 4 } }));
      await addRule(root, rule({ fields: ['name'], conditions: { rank: 5 } }));
      const { items } = ok(await client.get('/kits')).body;
      const seen = Object.fromEntries(
        items.map((item: { name: string; data?: unknown }) => [item.name, item.data]),
      );
      assert.deepEqual(seen, {
        all: data,
        'no-pin': { ...data, secret: { hint: 'h' } },
        'only-open': { open: 1 },
        'no-b': { ...data, list: [{ a: 1 }, {}, 'x'] },
        nothing: undefined,
      });
      assert.deepEqual(
        items.find(({ name }: { name: string }) => name === 'nothing'),
        { name: 'nothing' },
      );
    });

    it('an attribute that is called as the list calls something itself is shown', async () => {
      await addKit({ place: 'shelf' });
      await addRule(root, rule({}));
      assert.equal(ok(await client.get('/kits')).body.items[0].place, 'shelf');
    });

    it('a part that may not be read cannot be found out by the order or by a search of the whole', async () => {
      await addKit({ data: { secret: 'needle', open: 1 } });
      await addRule(root, rule({}));
      assert.equal(ok(await client.get('/kits?search=needle')).body.items.length, 1);
      ok(await client.get('/kits?sort=data'));
      await addRule(root, rule({ inverted: true, fields: ['data.secret'] }));
      assert.deepEqual(ok(await client.get('/kits')).body.items[0].data, { open: 1 });
      assertProblem(await client.get('/kits?sort=data'), 403, 'fields_denied', '/query/sort');
      assertProblem(await client.get('/kits?search=needle'), 403, 'fields_denied', '/query/search');
    });

    it('lists and objects are an order, too: every row is walked once', async () => {
      await addRule(root, rule({}));
      const ids: string[] = [];
      for (const scores of ['{}', '{1.5}', '{1.5,2}', '{2}', null])
        ids.push(await addKit({ scores, data: { a: scores } }));
      for (const sort of ['scores', '-scores', 'data', 'rank'])
        assert.deepEqual(
          (await allItems(client, `/kits?sort=${sort}`, 1)).map(({ id }) => id).toSorted(),
          ids.toSorted(),
        );
    });

    it('a list joined with another that is narrowed shows what both allow', async () => {
      const [mine, theirs] = [await person(gateway), await person(gateway)];
      const reader = await person(gateway, { roles: [role, 'user'] });
      const add = (owner: Person, row: object) =>
        gateway.services.db('documents').insert({ title: 'T', owner_id: owner.id, ...row });
      await add(mine, { status: 'published' });
      await add(mine, { status: 'published' });
      await add(theirs, { status: 'draft' });
      const [kit] = [
        await addKit({ owner_id: mine.id, name: 'a' }),
        await addKit({ owner_id: theirs.id, name: 'b' }),
      ];
      await addKit({ owner_id: mine.id, name: 'hidden' });
      await addRule(root, rule({ conditions: { name: { $ne: 'hidden' } } }));
      const { items, total } = ok(await kits.as(reader.client).get('/kits-with-documents?total=true')).body;
      assert.deepEqual([items.map(({ id }: { id: string }) => id), total], [[kit], 1]);
    });
  });
});
