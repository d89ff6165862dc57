/** Entities over HTTP: principals and resources of other systems, kept for decisions about them. */
import assert from 'node:assert/strict';
import { type Client, startGateway, type TestGateway } from '../../harness.ts';
import {
  addRole,
  allItems,
  assertProblem,
  auditOf,
  fresh,
  ok,
  person,
  rolesPath,
  typesPath,
} from '../admin/staff.ts';
import { addEntityTypes, at, entitiesPath, put } from './kept.ts';

describe('/admin/entities', () => {
  let gateway: TestGateway;
  let root: Client;
  let user: Client;

  before(async () => {
    gateway = await startGateway();
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    user = (await person(gateway)).client;
    await addEntityTypes(root);
  });
  after(() => gateway.close());

  describe('one entity', () => {
    it('is written, read back as it was, and changes nothing when it is written again', async () => {
      const role = await addRole(root);
      await put(root, 'folder:top');
      const written = {
        attributes: { title: 'Plans', viewers: ['b', 'a'] },
        roles: [role],
        parents: ['folder:top'],
      };
      const made = ok(await root.put(at('folder:plans'), written), 201);
      assert.deepEqual([made.body.type, made.body.id, made.body.version], ['folder', 'plans', 1]);
      const read = ok(await root.get(at('folder:plans')));
      assert.deepEqual(
        { attributes: read.body.attributes, roles: read.body.roles, parents: read.body.parents },
        written,
      );
      assert.equal(read.headers.get('etag'), '"1"');
      assert.equal(ok(await root.put(at('folder:plans'), read.body)).body.version, 1);
      assert.equal((await auditOf(gateway, 'castellan.entity', 'folder:plans')).length, 1);
    });

    it('keeps what a PATCH does not name, and replaces as a whole what it names', async () => {
      await put(root, 'folder:patched', { attributes: { title: 'A', viewers: ['x'] } });
      const { body } = ok(await root.patch(at('folder:patched'), { attributes: { title: 'B' } }));
      assert.deepEqual([body.attributes, body.parents, body.version], [{ title: 'B' }, [], 2]);
      ok(await root.patch(at('folder:patched'), { parents: [] }));
      assert.deepEqual(ok(await root.get(at('folder:patched'))).body.attributes, { title: 'B' });
    });

    it('is not overwritten by who read an older version', async () => {
      await put(root, 'folder:raced');
      const stale = { 'if-match': '"7"' };
      assertProblem(await root.patch(at('folder:raced'), { attributes: {} }, stale), 412, 'stale_version');
      assertProblem(await root.delete(at('folder:raced'), undefined, stale), 412, 'stale_version');
      assertProblem(await root.put(at('folder:nowhere'), {}, { 'if-match': '"1"' }), 412, 'stale_version');
      ok(await root.delete(at('folder:raced'), undefined, { 'if-match': '"1"' }), 204);
      assertProblem(await root.get(at('folder:raced')), 404, 'not_found');
    });

    it('is one, however its UUID is written', async () => {
      ok(await root.put(at('device:00000000-0000-4000-8000-00000000ABCD'), {}), 201);
      ok(await root.get(at('device:00000000-0000-4000-8000-00000000abcd')));
      ok(await root.put(at('device:00000000-0000-4000-8000-00000000aBcD'), {}), 200);
    });

    it('has an id of any characters but control characters, a colon too', async () => {
      const id = 'a:b/ü 1';
      ok(await root.put(at(`folder:${id}`), {}), 201);
      await put(root, 'folder:below', { parents: [`folder:${id}`] });
      assert.deepEqual(ok(await root.get(at('folder:below'))).body.parents, [`folder:${id}`]);
      assertProblem(await root.put(at('folder:a\nb'), {}), 400, 'invalid_request', '/params/id');
    });

    it('goes with its roles, and not as long as another has it as parent', async () => {
      const role = await addRole(root);
      await put(root, 'folder:mother', { roles: [role] });
      await put(root, 'folder:child', { parents: ['folder:mother'] });
      assertProblem(await root.delete(at('folder:mother')), 409, 'entity_in_use');
      assertProblem(await root.delete(`${rolesPath}/${role}`), 409, 'role_in_use');
      ok(await root.delete(at('folder:child')), 204);
      ok(await root.delete(at('folder:mother')), 204);
      ok(await root.delete(`${rolesPath}/${role}`), 204);
    });
  });

  describe('what is refused, with its pointer', () => {
    const cases: [what: string, name: string, body: object, pointer: string][] = [
      [
        'an attribute that the type does not declare',
        'folder:x',
        { attributes: { titel: 'x' } },
        '/attributes/titel',
      ],
      ['a value that does not fit', 'folder:x', { attributes: { viewers: 'ada' } }, '/attributes/viewers'],
      ['an id among the attributes', 'folder:x', { attributes: { id: 'y' } }, '/attributes/id'],
      ['forged ancestors', 'folder:x', { attributes: { ancestors: [] } }, '/attributes/ancestors'],
      ['a role that is not there', 'folder:x', { roles: ['nobody'] }, '/roles/0'],
      ['a parent that is not there', 'folder:x', { parents: ['folder:nowhere'] }, '/parents'],
      ['a parent that is no reference', 'folder:x', { parents: ['nowhere'] }, '/parents/0'],
      ['a type that is not registered', 'foldr:x', {}, '/type'],
      ['an account', 'user:x', {}, '/type'],
      ['a part of the policy', 'castellan.rule:x', {}, '/type'],
      ['a row of a table', 'document:x', {}, '/type'],
      ['an id that does not fit its declaration', 'device:seven', {}, '/id'],
      ['an unknown key', 'folder:x', { parent: 'folder:top' }, '/parent'],
    ];
    for (const [what, name, body, pointer] of cases)
      it(what, async () => {
        assertProblem(await root.put(at(name), body), 400, 'invalid_request', pointer);
      });

    it('lying in oneself, by however many steps', async () => {
      assertProblem(
        await root.put(at('folder:o'), { parents: ['folder:o'] }),
        400,
        'invalid_request',
        '/parents',
      );
      await put(root, 'folder:c1');
      await put(root, 'folder:c2', { parents: ['folder:c1'] });
      await put(root, 'folder:c3', { parents: ['folder:c2'] });
      const answer = await root.patch(at('folder:c1'), { parents: ['folder:c3'] });
      assertProblem(answer, 400, 'invalid_request', '/parents');
      assert.match(answer.body.detail, /folder:c1 → folder:c3 → folder:c2 → folder:c1/);
      assert.deepEqual(ok(await root.get(at('folder:c1'))).body.parents, []);
    });

    it('two changes at once that close a circle together', async () => {
      await put(root, 'folder:r1');
      await put(root, 'folder:r2');
      const answers = await Promise.all([
        root.patch(at('folder:r1'), { parents: ['folder:r2'] }),
        root.patch(at('folder:r2'), { parents: ['folder:r1'] }),
      ]);
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 400]);
    });
  });

  describe('a change of their resource type', () => {
    const typePath = `${typesPath}/parcel`;
    const attributes = { id: { type: 'string' }, size: { type: 'string' }, spare: { type: 'string' } };

    before(async () => {
      ok(await root.post(typesPath, { type: 'parcel', actions: ['read'], attributes }), 201);
      await put(root, 'parcel:1', { attributes: { size: 'L' } });
    });

    for (const [what, changed] of [
      ['takes an attribute that they have', { id: attributes.id, spare: attributes.spare }],
      ['gives it another type', { ...attributes, size: { type: 'integer' } }],
      ['allows other values alone', { ...attributes, size: { type: 'string', enum: ['S', 'M'] } }],
      ['gives their ids another type', { ...attributes, id: { type: 'uuid' } }],
    ] as const)
      it(`is refused where it ${what}`, async () => {
        assertProblem(await root.patch(typePath, { attributes: changed }), 409, 'resource_type_in_use');
      });

    it('is refused where it takes the type, or says that it has a table', async () => {
      assertProblem(await root.delete(typePath), 409, 'resource_type_in_use');
      assertProblem(await root.patch(typePath, { source: 'parcels' }), 409, 'resource_type_in_use');
    });

    it('goes on where they still fit', async () => {
      const { spare: _gone, ...left } = attributes;
      ok(await root.patch(typePath, { attributes: { ...left, size: { type: 'string', enum: ['L'] } } }));
      ok(await root.delete(at('parcel:1')), 204);
      ok(await root.delete(typePath), 204);
    });

    it('cannot declare what only stored entities say', async () => {
      const type = fresh('type');
      const answer = await root.post(typesPath, { type, attributes: { ancestors: { type: 'array' } } });
      assertProblem(answer, 422, 'policy_invalid', '/attributes/ancestors');
    });
  });

  describe('who may', () => {
    it('nobody without a rule reads, writes or imports', async () => {
      await put(root, 'folder:secret');
      assertProblem(await user.get(entitiesPath), 403, 'access_denied');
      assertProblem(await user.get(at('folder:secret')), 403, 'access_denied');
      assertProblem(await user.put(at('folder:mine'), {}), 403, 'access_denied');
      assertProblem(await user.delete(at('folder:secret')), 403, 'access_denied');
      assertProblem(await user.post(`${entitiesPath}/import`, { entities: [] }), 403, 'access_denied');
    });

    it('whoever keeps one type keeps that one alone, by import too', async () => {
      const role = await addRole(root);
      const conditions = { type: 'device' };
      const rule = {
        role,
        action: ['read', 'create', 'update', 'delete'],
        subject: 'castellan.entity',
        conditions,
      };
      ok(await root.post('/api/v1/admin/rules', rule), 201);
      const { client } = await person(gateway, { roles: [role] });
      const id = '00000000-0000-4000-8000-0000000000d1';
      ok(await client.put(at(`device:${id}`), {}), 201);
      assertProblem(await client.put(at('folder:other'), {}), 403, 'access_denied');
      const entities = [{ type: 'folder', id: 'other' }];
      assertProblem(await client.post(`${entitiesPath}/import`, { entities }), 403, 'access_denied');
      const items = await allItems(client, entitiesPath, 2);
      assert.deepEqual([...new Set(items.map(({ type }) => type))], ['device']);
    });
  });

  it('lists are in the order of type and id, whole over all pages, of one type where asked', async () => {
    for (const id of ['l3', 'l1', 'l2']) await put(root, `listed:${id}`);
    await put(root, 'folder:listed-too');
    const listed = await allItems(root, `${entitiesPath}?type=listed`, 2);
    assert.deepEqual(
      listed.map(({ id }) => id),
      ['l1', 'l2', 'l3'],
    );
    const all = await allItems(root, entitiesPath, 3);
    const names = all.map(({ type, id }) => `${type}:${id}`);
    assert.equal(new Set(names).size, names.length);
    assert.ok(names.includes('listed:l2') && names.some((name) => name.startsWith('folder:')));
  });
});
