/** A change of an entity is guarded in bounded time, however much lies below it and however deep. */
import assert from 'node:assert/strict';
import { entityReader, loadEntities } from '../../../src/decision/entities.ts';
import { type Client, startGateway, type TestGateway } from '../../harness.ts';
import { addRole, addRule, assertProblem, ok, person } from '../admin/staff.ts';
import { addEntityTypes, at, removeAll } from './kept.ts';

describe('a change with much below it', () => {
  let gateway: TestGateway;
  let root: Client;
  let keeper: Client;

  before(async () => {
    gateway = await startGateway();
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    await addEntityTypes(root);
    const role = await addRole(root);
    await addRule(root, { role, action: ['read', 'update'], subject: 'castellan.entity' });
    const when = { 'principal.ancestors.viewers': 'vip' };
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of a rule
    const conditions = { viewers: '${principal.id}' };
    await addRule(root, { role: 'authenticated', action: 'update', subject: 'file', when, conditions });
    keeper = (await person(gateway, { roles: [role] })).client;
  });
  beforeEach(() => removeAll(gateway));
  after(() => gateway.close());

  /** Folders in each other, and files in the last of them. */
  async function stored(folders: number, files: number): Promise<void> {
    const { db } = gateway.services;
    const add = (type: string, count: number) =>
      db.raw(
        `INSERT INTO entities (type, id, attributes) SELECT ?, n::text, '{}'::jsonb FROM generate_series(1, ?::int) n`,
        [type, count],
      );
    const place = (type: string, parent: string, from: number, to: number) =>
      db.raw(
        `INSERT INTO entity_parents (type, id, parent_type, parent_id)
         SELECT ?, n::text, 'folder', ${parent} FROM generate_series(?::int, ?::int) n`,
        [type, from, to],
      );
    await add('folder', folders);
    await add('file', files);
    await place('folder', '(n - 1)::text', 2, folders);
    await place('file', `'${folders}'`, 1, files);
  }
  const viewed = (client: Client, folder: number, viewers: string[]) =>
    client.patch(at(`folder:${folder}`), { attributes: { viewers } });

  it('what lies above all in one folder is there once, not once for each', async () => {
    await stored(20, 2);
    const { db, live } = gateway.services;
    const names = ['1', '2'].map((id) => ({ type: 'file', id }));
    const find = await loadEntities(db, live.snapshot, names);
    const [one, other] = names.map((name) => find(name)?.ancestors);
    assert.equal(one?.length, 20);
    assert.equal(one, other);
  });

  it('read batch after batch, each is what it is by itself, and what lies above is still there once', async () => {
    await stored(20, 4);
    const { db, live } = gateway.services;
    const names = [
      ...['1', '2', '3', '4', 'none'].map((id) => ({ type: 'file', id })),
      ...['20', '1', '7'].map((id) => ({ type: 'folder', id })),
    ];
    const read = entityReader(db, live.snapshot);
    const lists = new Set<unknown>();
    for (const name of names) {
      const [found, alone] = [
        (await read([name]))(name),
        (await loadEntities(db, live.snapshot, [name]))(name),
      ];
      assert.deepEqual(found, alone);
      if (name.type === 'file' && found) lists.add(found.ancestors);
    }
    assert.equal(lists.size, 1);
  });

  it('is refused as privilege escalation in the last of what lies below, and goes on where nothing is gained', async () => {
    await stored(5, 6000);
    ok(await viewed(keeper, 1, ['somebody']));
    assertProblem(await viewed(keeper, 1, ['vip']), 403, 'privilege_escalation');
    ok(await viewed(root, 1, ['vip']));
  });

  it('attack: one change of a chain of a thousand folders, each below all others: refused at once, and says what to do', async () => {
    await stored(1100, 1);
    const answer = await viewed(keeper, 1, ['somebody']);
    assertProblem(answer, 403, 'privilege_escalation');
    assert.match(answer.body.detail, /below more than 500000 entities .* change fewer .* may escalate/);
    ok(await viewed(keeper, 900, ['somebody']));
    ok(await viewed(root, 1, ['somebody']));
  });
});
