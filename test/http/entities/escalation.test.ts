/** Entities are no way to more than one holds (design 4.7): every side door by name. */
import assert from 'node:assert/strict';
import { type Answer, type Client, startGateway, type TestGateway } from '../../harness.ts';
import { addRole, addRule, assertProblem, ok, type Person, person, rolesPath } from '../admin/staff.ts';
import { addEntityTypes, at, entitiesPath, put, removeAll } from './kept.ts';

describe('an entity is no way to more', () => {
  let gateway: TestGateway;
  let root: Client;
  /** Keeps entities and assigns roles; holds reading orders. */
  let keeper: Person;

  before(async () => {
    gateway = await startGateway();
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    await addEntityTypes(root);
    for (const key of ['entity-keeper', 'weak', 'strong', 'denied'])
      ok(await root.post(rolesPath, { key }), 201);
    for (const rule of [
      { role: 'entity-keeper', action: ['read', 'create', 'update', 'delete'], subject: 'castellan.entity' },
      { role: 'entity-keeper', action: 'assign', subject: 'castellan.role' },
      { role: 'entity-keeper', action: 'read', subject: 'order' },
      { role: 'weak', action: 'read', subject: 'order' },
      { role: 'strong', action: 'approve', subject: 'order' },
      { role: 'denied', action: 'approve', subject: 'order', inverted: true },
      {
        role: 'authenticated',
        action: 'approve',
        subject: 'order',
        when: { 'principal.department': 'finance', 'principal.type': 'robot' },
      },
      {
        role: 'authenticated',
        action: 'approve',
        subject: 'order',
        when: { 'principal.ancestors': { $elemMatch: { type: 'group', level: 'gold' } } },
      },
      {
        role: 'authenticated',
        action: 'read',
        subject: 'order',
        inverted: true,
        when: { 'principal.department': 'barred' },
      },
    ])
      await addRule(root, rule);
    keeper = await person(gateway, { roles: ['entity-keeper'] });
  });
  beforeEach(async () => {
    await removeAll(gateway);
    await put(root, 'group:strong', { roles: ['strong'] });
    await put(root, 'group:weak', { roles: ['weak'] });
    await put(root, 'group:gold', { attributes: { level: 'gold' } });
    await put(root, 'group:plain');
    await put(root, 'group:below', { parents: ['group:plain'] });
    await put(root, 'robot:r', { parents: ['group:below'] });
    await put(root, 'robot:chief', { roles: ['strong'] });
  });
  after(() => gateway.close());

  const rows = async () => {
    const { db } = gateway.services;
    return Promise.all(
      ['entities', 'entity_roles', 'entity_parents'].map((table) => db(table).orderBy(['type', 'id'])),
    );
  };

  async function refused(request: (client: Client) => Promise<Answer>): Promise<void> {
    const before = await rows();
    assertProblem(await request(keeper.client), 403, 'privilege_escalation');
    assert.deepEqual(await rows(), before);
    const { status } = await request(root);
    assert.ok(status < 300, `whoever holds it may: ${status}`);
  }

  const attacks: [what: string, request: (client: Client) => Promise<Answer>][] = [
    ['a role with more', (client) => client.patch(at('robot:r'), { roles: ['strong'] })],
    ['a role with more for a new one', (client) => client.put(at('robot:new'), { roles: ['strong'] })],
    ['a group with more', (client) => client.patch(at('robot:r'), { parents: ['group:strong'] })],
    [
      'more for a group, and so for whoever is in it',
      (client) => client.patch(at('group:plain'), { roles: ['strong'] }),
    ],
    [
      'a group with more for a group far above',
      (client) => client.patch(at('group:plain'), { parents: ['group:strong'] }),
    ],
    [
      'an attribute that gives more',
      (client) => client.patch(at('robot:r'), { attributes: { department: 'finance' } }),
    ],
    [
      'an attribute of a group that gives more to whoever is in it',
      (client) => client.patch(at('group:plain'), { attributes: { level: 'gold' } }),
    ],
    [
      'a group whose attribute gives more',
      (client) => client.patch(at('robot:r'), { parents: ['group:gold'] }),
    ],
    [
      'any of it by import',
      (client) =>
        client.post(`${entitiesPath}/import`, {
          entities: [
            { type: 'robot', id: 'i1' },
            { type: 'robot', id: 'i2', parents: ['group:strong'] },
          ],
        }),
    ],
    ['what somebody stronger has, taken away', (client) => client.patch(at('robot:chief'), { roles: [] })],
    ['somebody stronger, removed', (client) => client.delete(at('robot:chief'))],
    [
      'an attribute that takes from somebody stronger what the keeper holds, too',
      (client) => client.patch(at('robot:chief'), { attributes: { department: 'barred' } }),
    ],
    [
      'a deny on somebody stronger',
      (client) => client.patch(at('robot:chief'), { roles: ['denied', 'strong'] }),
    ],
  ];
  for (const [what, request] of attacks) it(`refused: ${what}`, () => refused(request));

  it('refused: a deny taken away', async () => {
    await put(root, 'robot:bound', { roles: ['denied'] });
    await refused((client) => client.patch(at('robot:bound'), { roles: [] }));
  });

  it('goes on as far as what is given is held, and for what gives nothing', async () => {
    const { client } = keeper;
    ok(await client.patch(at('robot:r'), { roles: ['weak'] }));
    ok(await client.put(at('robot:mine'), { parents: ['group:weak'] }), 201);
    ok(await client.put(at('folder:f'), { attributes: { viewers: ['anybody'] } }), 201);
    ok(await client.patch(at('group:plain'), { attributes: { level: 'silver' } }));
    ok(await client.put(at('device:00000000-0000-4000-8000-0000000000aa'), {}), 201);
    ok(await client.delete(at('folder:f')), 204);
  });

  it('who may escalate on what an entity becomes does not make it that', async () => {
    const escalates = {
      role: 'entity-keeper',
      action: 'escalate',
      subject: 'castellan.entity',
      conditions: { 'attributes.level': 'open' },
    };
    const { id } = await addRule(root, escalates);
    const parts = { attributes: { level: 'open' }, roles: ['strong'] };
    await put(root, 'group:open', { attributes: { level: 'open' } });
    await refused((client) => client.put(at('group:plain'), parts));
    ok(await keeper.client.put(at('group:open'), parts));
    ok(await root.delete(`/api/v1/admin/rules/${id}`), 204);
  });

  it('who may write some fields of entities writes no others, by import either', async () => {
    const role = await addRole(root);
    const subject = 'castellan.entity';
    await addRule(root, { role, action: ['read', 'delete'], subject });
    await addRule(root, { role, action: ['create', 'update'], subject, fields: ['attributes'] });
    const { client } = await person(gateway, { roles: [role] });
    const moved = { type: 'folder', id: 'f', attributes: { title: 'x' }, parents: ['folder:top'] };
    await put(root, 'folder:top');
    assertProblem(await client.put(at('folder:f'), moved), 403, 'fields_denied', '/parents');
    const importing = (entities: object[]) => client.post(`${entitiesPath}/import`, { entities });
    assertProblem(await importing([moved]), 403, 'fields_denied', '/parents');
    ok(await importing([{ ...moved, parents: [] }]));
    assertProblem(await importing([moved]), 403, 'fields_denied', '/parents');
    ok(await importing([{ ...moved, attributes: { title: 'y' }, parents: [] }]));
  });

  describe('a deny by who keeps rules', () => {
    let ruler: Person;

    before(async () => {
      const role = await addRole(root);
      await addRule(root, { role, action: ['read', 'create'], subject: 'castellan.rule' });
      await addRule(root, { role, action: 'read', subject: 'order' });
      ruler = await person(gateway, { roles: [role] });
      ok(await root.post(rolesPath, { key: 'soft' }), 201);
    });
    const deny = { action: 'read', subject: 'order', inverted: true };

    it('refused: on an entity that is stronger, by a role, by a group or by name', async () => {
      await put(root, 'group:soft', { roles: ['soft'] });
      for (const parts of [
        { roles: ['soft', 'strong', 'weak'] },
        { roles: ['strong', 'weak'], parents: ['group:soft'] },
      ]) {
        ok(await root.put(at('robot:chief'), parts));
        const answer = await ruler.client.post('/api/v1/admin/rules', { ...deny, role: 'soft' });
        assertProblem(answer, 403, 'privilege_escalation');
      }
      const named = { ...deny, principal: 'robot:chief' };
      assertProblem(await ruler.client.post('/api/v1/admin/rules', named), 403, 'privilege_escalation');
    });

    it('goes on where the entity may no more than its writer', async () => {
      await put(root, 'robot:small', { roles: ['soft', 'weak'] });
      const { body } = ok(await ruler.client.post('/api/v1/admin/rules', { ...deny, role: 'soft' }), 201);
      ok(await root.delete(`/api/v1/admin/rules/${body.id}`), 204);
    });
  });

  it('a role that may not be assigned is not given, though all in it is held', async () => {
    const { client } = await person(gateway, { roles: ['superadmin'] });
    const deny = {
      role: 'superadmin',
      action: 'assign',
      subject: 'castellan.role',
      inverted: true,
      priority: 1,
    };
    const { id } = await addRule(root, deny);
    assertProblem(await client.patch(at('robot:r'), { roles: ['weak'] }), 403, 'access_denied');
    ok(await root.delete(`/api/v1/admin/rules/${id}`), 204);
  });

  it('more principals than can be checked one by one take the right to escalate', async () => {
    const entities = Array.from({ length: 1001 }, (_, n) => ({
      type: 'robot',
      id: `many-${n}`,
      attributes: { department: `d${n}` },
    }));
    await refused((client) => client.post(`${entitiesPath}/import`, { entities }));
  });
});
