/** Writes over HTTP: decided on what is stored, before and after, under the lock; many at once through the filter. */
import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { openPool } from '../../../src/storage/postgres.ts';
import {
  type Answer,
  anonymousClient,
  type Client,
  eventually,
  startGateway,
  type TestGateway,
} from '../../harness.ts';
import {
  addRole,
  addRule,
  assertProblem,
  demoId,
  ok,
  type Person,
  person,
  sessionOf,
  typesPath,
  withRule,
} from '../admin/staff.ts';
import { kitType, startKits } from './kits.ts';

const path = '/api/v1/documents';
const nobody = '00000000-0000-4000-8000-0000000000ff';

describe('writes', () => {
  let gateway: TestGateway;
  let root: Client;
  let admin: Client;
  /** Connections that are not the gateway's. */
  let rival: Knex;
  let author: Person;
  let editor: Person;

  before(async () => {
    gateway = await startGateway();
    root = await sessionOf(gateway, demoId(1));
    admin = await sessionOf(gateway, demoId(2));
    rival = openPool({ url: gateway.databaseUrl, poolMax: 2 });
  });
  after(async () => {
    await rival.destroy();
    await gateway.close();
  });
  beforeEach(async () => {
    author = await person(gateway, { roles: ['author'], attributes: { department: 'editorial' } });
    editor = await person(gateway, { roles: ['editor'], attributes: { department: 'editorial' } });
  });

  const add = async (row: Record<string, unknown> = {}): Promise<string> => {
    const given = { title: 'T', body: 'B', owner_id: author.id, department: 'editorial', ...row };
    const [{ id }] = await gateway.services.db('documents').insert(given).returning('id');
    return id;
  };
  const stored = (id: string) => gateway.services.db('documents').where({ id }).first();

  /** The answer to a request that comes upon a row which somebody else has locked, and changes before they let go of it. */
  async function raced(
    id: string,
    send: () => Promise<Answer>,
    change: (rows: Knex.QueryBuilder) => Promise<unknown>,
  ): Promise<Answer> {
    const trx = await rival.transaction();
    try {
      await trx('documents').where({ id }).forUpdate();
      const answer = send();
      await eventually('the request waits for the lock', async () => {
        const [row] = await rival('pg_stat_activity')
          .whereRaw("datname = current_database() AND wait_event_type = 'Lock'")
          .count();
        return Number(row?.['count']) === 1;
      });
      await change(trx('documents').where({ id }));
      await trx.commit();
      return await answer;
    } finally {
      if (!trx.isCompleted()) await trx.rollback();
    }
  }

  describe('a race between the decision and the write', () => {
    it('an update of a row that the caller may no longer update is refused, and nothing changes', async () => {
      const id = await add();
      const answer = await raced(
        id,
        () => author.client.patch(`${path}/${id}`, { title: 'Mine' }),
        (rows) => rows.update({ status: 'published' }),
      );
      assertProblem(answer, 403, 'access_denied');
      const { title, status } = await stored(id);
      assert.deepEqual([title, status], ['T', 'published']);
    });

    it('an update of a field that the caller may no longer write is refused by its name, and nothing changes', async () => {
      const id = await add({ owner_id: editor.id });
      const answer = await raced(
        id,
        () => editor.client.patch(`${path}/${id}`, { title: 'New', notes: 'Mine' }),
        (rows) => rows.update({ owner_id: author.id }),
      );
      assertProblem(answer, 403, 'fields_denied', '/notes');
      const { title, notes } = await stored(id);
      assert.deepEqual([title, notes], ['T', null]);
    });

    it('an update is decided on the row as it becomes with what others wrote meanwhile', async () => {
      const id = await add();
      const answer = await raced(
        id,
        () => author.client.patch(`${path}/${id}`, { title: 'New' }),
        (rows) => rows.update({ body: 'Theirs', status: 'review' }),
      );
      assert.deepEqual(
        [ok(answer).body.title, answer.body.body, answer.body.status],
        ['New', 'Theirs', 'review'],
      );
    });

    it('a deletion of a row that the caller may no longer delete is refused, and the row stays', async () => {
      const id = await add();
      const answer = await raced(
        id,
        () => author.client.delete(`${path}/${id}`),
        (rows) => rows.update({ status: 'review' }),
      );
      assertProblem(answer, 403, 'access_denied');
      assert.equal((await stored(id)).status, 'review');
    });

    it('a publication of a row that is no longer to be published is refused', async () => {
      const id = await add({ status: 'review' });
      const answer = await raced(
        id,
        () => editor.client.post(`${path}/${id}/publish`),
        (rows) => rows.update({ department: 'sales' }),
      );
      assertProblem(answer, 403, 'access_denied');
      assert.equal((await stored(id)).status, 'review');
    });

    for (const [what, send] of [
      ['updated', (id: string) => author.client.patch(`${path}/${id}`, { title: 'New' })],
      ['deleted', (id: string) => author.client.delete(`${path}/${id}`)],
    ] as const)
      it(`a row that is gone when it would be ${what} is not there`, async () => {
        const id = await add();
        assertProblem(
          await raced(
            id,
            () => send(id),
            (rows) => rows.delete(),
          ),
          404,
          'not_found',
        );
      });

    it('a change of many leaves out what may no longer be changed', async () => {
      const [id, other] = [await add(), await add()];
      const answer = await raced(
        id,
        () => author.client.patch(`${path}?ownerId=${author.id}`, { title: 'New' }),
        (rows) => rows.update({ status: 'published' }),
      );
      assert.deepEqual(ok(answer).body, { changed: 1 });
      assert.deepEqual([(await stored(id)).title, (await stored(other)).title], ['T', 'New']);
    });

    it('a deletion of many leaves out what may no longer be deleted', async () => {
      const [id, other] = [await add(), await add()];
      const answer = await raced(
        id,
        () => author.client.delete(`${path}?ownerId=${author.id}`),
        (rows) => rows.update({ status: 'review' }),
      );
      assert.deepEqual(ok(answer).body, { deleted: 1 });
      assert.deepEqual([(await stored(id))?.status, await stored(other)], ['review', undefined]);
    });
  });

  describe('an update', () => {
    it('out of what the caller may touch is refused, and nothing changes', async () => {
      const id = await add();
      const answer = await author.client.patch(`${path}/${id}`, { status: 'archived', title: 'New' });
      assertProblem(answer, 403, 'access_denied');
      assert.match(answer.body.detail, /afterwards you could not change it any more/);
      const { status, title } = await stored(id);
      assert.deepEqual([status, title], ['draft', 'T']);
    });

    it('into what the caller may touch is refused as well: the row before it counts', async () => {
      for (const row of [{ status: 'published' }, { owner_id: demoId(7), department: 'sales' }]) {
        const id = await add(row);
        const before = await stored(id);
        assertProblem(await author.client.patch(`${path}/${id}`, { status: 'draft' }), 403, 'access_denied');
        assert.deepEqual(await stored(id), before);
      }
    });

    it('says what it did, once it is done', async () => {
      const id = await add();
      const { body } = ok(await author.client.patch(`${path}/${id}`, { status: 'review', title: 'New' }));
      const { status, title } = await stored(id);
      assert.deepEqual([body.status, body.title, status, title], ['review', 'New', 'review', 'New']);
    });
  });

  describe('a creation', () => {
    it('is decided on the row as it was stored, not as it was sent, and undone where that is denied', async () => {
      const { db } = gateway.services;
      await db.raw(`
        CREATE FUNCTION moved() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.department := 'sales'; RETURN NEW; END $$;
        CREATE TRIGGER moved BEFORE INSERT ON documents FOR EACH ROW WHEN (NEW.title = 'Moved') EXECUTE FUNCTION moved();
      `);
      try {
        assertProblem(await author.client.post(path, { title: 'Moved' }), 403, 'access_denied');
        assert.equal(await db('documents').where({ title: 'Moved' }).first(), undefined);
        ok(await author.client.post(path, { title: 'Stays' }), 201);
      } finally {
        await db.raw('DROP TRIGGER moved ON documents; DROP FUNCTION moved()');
      }
    });

    it('of what the caller may not create is refused before anything is stored', async () => {
      for (const body of [
        { title: 'X', department: 'sales' },
        { title: 'X', status: 'review' },
        { title: 'X', department: null },
      ])
        assertProblem(await author.client.post(path, body), 403, 'access_denied');
      assert.equal(await gateway.services.db('documents').where({ owner_id: author.id }).first(), undefined);
    });
  });

  describe('a change of many', () => {
    const owned = `${path}?ownerId=`;

    it('changes those that the caller may change, and no others', async () => {
      const [draft, review, published] = [
        await add(),
        await add({ status: 'review' }),
        await add({ status: 'published' }),
      ];
      const foreign = await add({ owner_id: demoId(7) });
      assert.deepEqual(ok(await author.client.patch(owned + author.id, { title: 'New' })).body, {
        changed: 2,
      });
      const titles = await Promise.all(
        [draft, review, published, foreign].map(async (id) => (await stored(id)).title),
      );
      assert.deepEqual(titles, ['New', 'New', 'T', 'T']);
      assert.deepEqual(ok(await author.client.patch(owned + demoId(7), { title: 'New' })).body, {
        changed: 0,
      });
      assert.equal((await stored(foreign)).title, 'T');
    });

    it('asks for each of the written fields on each row', async () => {
      const [own, foreign] = [await add({ owner_id: editor.id }), await add()];
      const mine = { ids: [own, foreign] };
      assert.deepEqual(
        ok(await editor.client.patch(`${path}?department=editorial&ownerId=${author.id}`, { notes: 'n' }))
          .body,
        { changed: 0 },
      );
      assert.deepEqual(
        ok(await editor.client.patch(`${path}?ownerId=${editor.id}`, { notes: 'n', title: 'N' })).body,
        { changed: 1 },
      );
      assert.deepEqual(
        ok(await editor.client.patch(`${path}?ownerId=${author.id}`, { notes: 'n', title: 'N' })).body,
        { changed: 0 },
      );
      assert.deepEqual(ok(await editor.client.patch(`${path}?ownerId=${author.id}`, { title: 'N' })).body, {
        changed: 1,
      });
      assert.deepEqual(
        ok(await editor.client.patch(`${path}?ownerId=${editor.id}`, { department: 'sales' })).body,
        { changed: 0 },
      );
      const notes = await Promise.all(mine.ids.map(async (id) => (await stored(id)).notes));
      assert.deepEqual(notes, ['n', null]);
    });

    it('is all or nothing where one of them would become what the caller could not change', async () => {
      const role = await addRole(root);
      const mover = await person(gateway, {
        roles: [role, 'author'],
        attributes: { department: 'editorial' },
      });
      const rule = { role, subject: 'document', conditions: { status: 'archived', title: 'Keep' } };
      await addRule(root, { ...rule, action: 'update' });
      const [kept, lost] = [
        await add({ owner_id: mover.id, title: 'Keep' }),
        await add({ owner_id: mover.id, title: 'Lose' }),
      ];
      const answer = await mover.client.patch(owned + mover.id, { status: 'archived' });
      assertProblem(answer, 403, 'access_denied');
      assert.match(answer.body.detail, /afterwards you could not change 1 of them any more/);
      assert.deepEqual([(await stored(kept)).status, (await stored(lost)).status], ['draft', 'draft']);
      await gateway.services.db('documents').where({ id: lost }).delete();
      assert.deepEqual(ok(await mover.client.patch(owned + mover.id, { status: 'archived' })).body, {
        changed: 1,
      });
      assert.equal((await stored(kept)).status, 'archived');
    });

    it('touches nothing that the caller may not read: the number would tell of it', async () => {
      const role = await addRole(root);
      const blind = await person(gateway, { roles: [role] });
      const conditions = { status: 'published' };
      for (const action of ['update', 'delete']) await addRule(root, { role, action, subject: 'document' });
      await addRule(root, { role, action: 'read', subject: 'document', conditions });
      const [hidden, shown] = [await add(), await add({ status: 'published' })];
      assert.deepEqual(ok(await blind.client.patch(owned + author.id, { title: 'New' })).body, {
        changed: 1,
      });
      assert.deepEqual([(await stored(hidden)).title, (await stored(shown)).title], ['T', 'New']);
      const other = await add({ status: 'review' });
      assert.deepEqual(ok(await blind.client.delete(`${owned}${author.id}&status=review`)).body, {
        deleted: 0,
      });
      assert.ok(await stored(other));
    });

    it('is not asked for by what may not be read', async () => {
      await add({ department: 'secret' });
      const deny = { role: 'everyone', action: 'read', subject: 'document', inverted: true, priority: 9 };
      await withRule(root, { ...deny, fields: ['department'] }, async () => {
        const asked = `${path}?department=secret`;
        assertProblem(await admin.patch(asked, { title: 'New' }), 403, 'fields_denied', '/query/department');
        assertProblem(await admin.delete(asked), 403, 'fields_denied', '/query/department');
      });
    });

    it('needs a filter, and knows no others than a list has', async () => {
      const id = await add();
      for (const query of [
        '',
        '?',
        '?limit=1',
        '?sort=title',
        '?title=T',
        '?search=T',
        '?ownerId=',
        '?status=lost',
        '?cursor=x',
      ]) {
        assert.equal((await admin.patch(path + query, { title: 'Gone' })).status, 400, query);
        assert.equal((await admin.delete(path + query)).status, 400, query);
      }
      for (const body of [{}, { ownerId: nobody }, { id: nobody }, { status: 'published' }])
        assert.equal((await admin.patch(owned + author.id, body)).status, 400);
      assert.equal((await stored(id)).title, 'T');
    });

    it('is for those who may do it to some document', async () => {
      const id = await add();
      const auditor = await person(gateway, { roles: ['auditor'] });
      const reader = await person(gateway);
      for (const [client, status, code] of [
        [anonymousClient(gateway), 401, 'unauthenticated'],
        [reader.client, 403, 'access_denied'],
        [auditor.client, 403, 'access_denied'],
      ] as const) {
        assertProblem(await client.patch(owned + author.id, { title: 'New' }), status, code);
        assertProblem(await client.delete(owned + author.id), status, code);
      }
      assert.equal((await stored(id)).title, 'T');
    });

    it('a deletion takes those that the caller may delete, and leaves the rest', async () => {
      const [draft, review, published] = [
        await add(),
        await add({ status: 'review' }),
        await add({ status: 'published' }),
      ];
      assert.deepEqual(ok(await author.client.delete(owned + author.id)).body, { deleted: 1 });
      assert.deepEqual(ok(await admin.delete(owned + author.id)).body, { deleted: 1 });
      assert.deepEqual(await Promise.all([draft, review].map(stored)), [undefined, undefined]);
      assert.ok(await stored(published));
    });
  });

  it('whoever writes the whole writes each part of it: one that is denied is refused in one row and left out in many', async () => {
    const kits = await startKits(gateway);
    try {
      ok(await root.post(typesPath, kitType), 201);
      const role = await addRole(root);
      const client = kits.as((await person(gateway, { roles: [role] })).client);
      for (const action of ['read', 'update']) await addRule(root, { role, action, subject: 'kit' });
      const deny = { role, action: 'update', subject: 'kit', inverted: true, fields: ['data.pin'] };
      await addRule(root, { ...deny, conditions: { name: { $regex: '^locked' } } });
      const { db } = gateway.services;
      const addKit = async (name: string) =>
        (
          await db('kits')
            .insert({ name, data: { pin: 1 }, owner_id: nobody })
            .returning('id')
        )[0].id;
      const [locked, open] = [await addKit('locked 1'), await addKit('open')];
      const data = { pin: 2 };
      assertProblem(await client.patch(`/kits/${locked}`, { data }), 403, 'fields_denied', '/data/pin');
      ok(await client.patch(`/kits/${open}`, { data: { pin: 3 } }));
      assert.deepEqual(ok(await client.patch(`/kits?ownerId=${nobody}`, { data })).body, { changed: 1 });
      const pins = await db('kits').orderBy('name').pluck('data');
      assert.deepEqual(pins, [{ pin: 1 }, { pin: 2 }]);
    } finally {
      await kits.close();
    }
  });
});
