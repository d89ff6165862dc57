/** Searches over entities held against evaluations: by roles from above, by attributes, and by what something lies in. */
import assert from 'node:assert/strict';
import type { TestGateway } from '../../harness.ts';
import { addRole, addRule, demoId, ok, rulesPath, typesPath } from '../admin/staff.ts';
import { addEntityTypes, put } from '../entities/kept.ts';
import {
  type Certified,
  evaluationsPath,
  resourceSearchPath,
  startCertified,
  subjectSearchPath,
} from './fixture.ts';

const robots = ['r1', 'r2', 'r3', 'r4'];
const files = ['plan-1', 'plan-2', 'plan-3', 'note-1', 'note-2'];

/** Beside more files than one request decides on, all of which come before those that are found. */
async function amongMany<T>({ services: { db } }: TestGateway, search: () => Promise<T>): Promise<T> {
  await db.raw(
    `INSERT INTO entities (type, id, attributes)
     SELECT 'file', 'a-' || n, '{"title": "note"}' FROM generate_series(1, 6000) n`,
  );
  const found = await search();
  await db('entities').where('id', 'like', 'a-%').delete();
  return found;
}

describe('searches over entities', () => {
  let certified: Certified;
  before(async () => {
    certified = await startCertified();
    const { root } = certified;
    await addEntityTypes(root);
    await addRole(root, { key: 'fleet' });
    const plans = { title: { $regex: '^plan' }, sealed: { $ne: true } };
    await addRule(root, {
      id: 'fleet-changes-plans',
      role: 'fleet',
      action: 'update',
      subject: 'file',
      conditions: plans,
    });
    await addRule(root, {
      id: 'viewers-read-below',
      role: 'authenticated',
      action: 'read',
      subject: 'file',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of a rule
      conditions: { ancestors: { $elemMatch: { type: 'folder', viewers: '${principal.id}' } } },
    });
    await addRule(root, { principal: 'robot:r9', action: 'update', subject: 'file' });
    await put(root, 'group:crew', { roles: ['fleet'] });
    await put(root, 'group:night', { parents: ['group:crew'] });
    await put(root, 'robot:r1', { roles: ['fleet'] });
    await put(root, 'robot:r2', { parents: ['group:night'] });
    await put(root, 'robot:r3', { attributes: { department: 'sales' } });
    await put(root, 'robot:r4');
    await put(root, 'folder:top', { attributes: { viewers: ['r3'] } });
    await put(root, 'folder:inner', { parents: ['folder:top'] });
    await put(root, 'file:plan-1', { attributes: { title: 'plan of it' } });
    await put(root, 'file:plan-2', { attributes: { title: 'plan', sealed: true } });
    await put(root, 'file:plan-3', { attributes: { title: 'planned' }, parents: ['folder:inner'] });
    await put(root, 'file:note-1', { attributes: { title: 'a plan' }, parents: ['folder:top'] });
    await put(root, 'file:note-2');
  });
  after(() => certified.gateway.close());

  const robot = (id: string) => ({ type: 'robot', id });
  const file = (id: string) => ({ type: 'file', id });
  const page = async (path: string, asked: object) => {
    const { body } = ok(await certified.root.post(path, asked));
    return { ids: body.results.map(({ id }: { id: string }) => id), next: body.page?.next_token ?? '' };
  };
  const found = async (path: string, asked: object) => (await page(path, asked)).ids;
  /** Those pairs of which an evaluation is true. */
  const evaluated = async (action: string): Promise<string[]> => {
    const pairs = robots.flatMap((who) => files.map((what) => ({ who, what })));
    const evaluations = pairs.map(({ who, what }) => ({ subject: robot(who), resource: file(what) }));
    const asked = { action: { name: action }, evaluations };
    const { body } = ok(await certified.root.post(evaluationsPath, asked));
    return pairs.flatMap(({ who, what }, at) =>
      body.evaluations[at].decision ? [`${who} ${action} ${what}`] : [],
    );
  };

  it('find the entities that somebody may administer exactly as they evaluate, page by page', async () => {
    const { root } = certified;
    const type = 'castellan.entity';
    const rule = { role: await addRole(root), subject: type, conditions: { type: 'folder' } };
    await addRule(root, { ...rule, action: 'update' });
    await put(root, 'robot:keeper', { roles: [rule.role] });
    await put(root, 'folder:with:colon');
    const rows: { type: string; id: string }[] = await certified.gateway.services.db('entities');
    const evaluations = rows.map(({ type: of, id }) => ({ resource: { type, id: `${of}:${id}` } }));
    const asked = { subject: robot('keeper'), action: { name: 'update' } };
    const { body } = ok(await root.post(evaluationsPath, { ...asked, evaluations }));
    const wanted = evaluations.flatMap(({ resource: { id } }, at) =>
      body.evaluations[at].decision ? [id] : [],
    );
    assert.deepEqual(wanted.sort(), ['folder:inner', 'folder:top', 'folder:with:colon']);
    const resource = { type };
    assert.deepEqual(await found(resourceSearchPath, { ...asked, resource }), wanted);
    const paged: string[] = [];
    for (let next: string | undefined; next !== ''; ) {
      const request = { ...asked, resource, page: next ? { token: next } : { limit: 1 } };
      const one = await page(resourceSearchPath, request);
      paged.push(...one.ids);
      next = one.next;
    }
    assert.deepEqual(paged, wanted);
    const ofSuperadmin = { subject: { type: 'user', id: demoId(1) }, action: { name: 'read' }, resource };
    assert.equal((await found(resourceSearchPath, ofSuperadmin)).length, rows.length);
  });

  for (const [action, wanted] of Object.entries({
    update: ['r1 update plan-1', 'r1 update plan-3', 'r2 update plan-1', 'r2 update plan-3'],
    read: ['r3 read plan-3', 'r3 read note-1'],
  }))
    it(`find to ${action} what evaluations allow, by subject and by resource, no more and no less`, async () => {
      const name = { name: action };
      assert.deepEqual(await evaluated(action), wanted);
      const byResource: string[] = [];
      for (const who of robots) {
        const asked = { subject: robot(who), action: name, resource: { type: 'file' } };
        for (const what of await found(resourceSearchPath, asked))
          byResource.push(`${who} ${action} ${what}`);
      }
      assert.deepEqual(byResource.sort(), wanted.toSorted());
      const bySubject: string[] = [];
      for (const what of files) {
        const asked = { subject: { type: 'robot' }, action: name, resource: file(what) };
        for (const who of await found(subjectSearchPath, asked))
          if (who !== 'r9') bySubject.push(`${who} ${action} ${what}`);
      }
      assert.deepEqual(bySubject.sort(), wanted.toSorted());
    });

  it('find whom a rule names and who is no entity, after those who are', async () => {
    const asked = { subject: { type: 'robot' }, action: { name: 'update' }, resource: file('plan-1') };
    assert.deepEqual(await found(subjectSearchPath, asked), ['r1', 'r2', 'r9']);
  });

  it('are narrowed by the properties of what is searched for, as they are stored', async () => {
    const subject = { type: 'robot', properties: { department: 'sales' } };
    const asked = { subject, action: { name: 'read' }, resource: file('note-1') };
    assert.deepEqual(await found(subjectSearchPath, asked), ['r3']);
    const other = { ...asked, subject: { type: 'robot', properties: { department: 'stock' } } };
    assert.deepEqual(await found(subjectSearchPath, other), []);
    const resource = { type: 'file', properties: { title: 'planned' } };
    const planned = { subject: robot('r1'), action: { name: 'update' }, resource };
    assert.deepEqual(await found(resourceSearchPath, planned), ['plan-3']);
  });

  it('go on page by page, with each once, though others come before the place', async () => {
    const asked = { subject: robot('r1'), action: { name: 'update' }, resource: { type: 'file' } };
    const first = await page(resourceSearchPath, { ...asked, page: { limit: 1 } });
    assert.deepEqual(first.ids, ['plan-1']);
    await put(certified.root, 'file:plan-0', { attributes: { title: 'plan 0' } });
    const second = await page(resourceSearchPath, { ...asked, page: { token: first.next } });
    assert.deepEqual(second, { ids: ['plan-3'], next: '' });
  });

  it('are chosen by PostgreSQL by the rules it can be asked, beside a deny about what something lies in', async () => {
    const { root, gateway } = certified;
    await addRule(root, {
      role: 'everyone',
      action: 'update',
      subject: 'file',
      inverted: true,
      conditions: { ancestors: { $elemMatch: { type: 'folder', title: 'vault' } } },
    });
    await put(root, 'folder:vault', { attributes: { title: 'vault' } });
    await put(root, 'file:plan-9', { attributes: { title: 'plan 9' }, parents: ['folder:vault'] });
    const asked = { subject: robot('r1'), action: { name: 'update' }, resource: { type: 'file' } };
    const some = await amongMany(gateway, () => page(resourceSearchPath, { ...asked, page: { limit: 10 } }));
    assert.equal(some.next, '');
    assert.deepEqual(
      some.ids.filter((id: string) => id !== 'plan-0'),
      ['plan-1', 'plan-3'],
    );
  });

  it('are chosen by PostgreSQL by what they lie in, however deep, and not one by one', async () => {
    const { root, gateway } = certified;
    const asked = { subject: robot('r3'), action: { name: 'read' }, resource: { type: 'file' } };
    const found = () => amongMany(gateway, () => page(resourceSearchPath, { ...asked, page: { limit: 10 } }));
    assert.deepEqual(await found(), { ids: ['note-1', 'plan-3'], next: '' });
    const deny = await addRule(root, {
      role: 'everyone',
      action: 'read',
      subject: 'file',
      inverted: true,
      conditions: { title: 'planned', ancestors: { $not: { $elemMatch: { viewers: { $in: ['r1'] } } } } },
    });
    assert.deepEqual(await found(), { ids: ['note-1'], next: '' });
    ok(await root.delete(`${rulesPath}/${deny.id}`), 204);
    // Written past every check: what lies in it is in doubt, and no error of the search.
    const inner = gateway.services.db('entities').where({ type: 'folder', id: 'inner' });
    await inner.clone().update({ attributes: { viewers: ['r3'], title: 7 } });
    assert.deepEqual(await found(), { ids: ['note-1'], next: '' });
    await inner.clone().update({ attributes: {} });
  });

  it('find entities whose id is a UUID, and those with lists that PostgreSQL is not asked about', async () => {
    const { root } = certified;
    const [mine, other] = ['abcdef00-0000-4000-8000-0000000000aa', 'abcdef00-0000-4000-8000-0000000000bb'];
    const type = 'badge';
    const attributes = { id: { type: 'uuid' }, holders: { type: 'array', items: 'uuid' } };
    ok(await root.post(typesPath, { type, actions: ['read', 'update'], attributes }), 201);
    const rule = { role: 'authenticated', subject: type };
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a template of a rule
    await addRule(root, { ...rule, action: 'read', conditions: { holders: '${principal.id}' } });
    await addRule(root, { ...rule, action: 'update', conditions: { id: mine.toUpperCase() } });
    await put(root, `badge:${mine.toUpperCase()}`, { attributes: { holders: [mine.toUpperCase()] } });
    await put(root, `badge:${other}`, { attributes: { holders: [other] } });
    for (const name of ['read', 'update']) {
      const asked = { subject: { type, id: mine }, action: { name }, resource: { type } };
      assert.deepEqual(await found(resourceSearchPath, asked), [mine], name);
    }
  });
});
