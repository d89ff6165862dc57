/** Where no rule looks at what somebody belongs to, roles come down from there all the same: no place is a way to more (design 4.7). */
import assert from 'node:assert/strict';
import { type Answer, type Client, startGateway, type TestGateway } from '../../harness.ts';
import { addRule, assertProblem, ok, person, rolesPath } from '../admin/staff.ts';
import { addEntityTypes, at, entitiesPath, put, removeAll } from './kept.ts';

const DEVICE = 'a3bb189e-8bf9-4c2e-9c1a-0a1b2c3d4e5f';

describe('a place is no way to more, though no rule looks above', () => {
  let gateway: TestGateway;
  let root: Client;
  let keeper: Client;

  before(async () => {
    gateway = await startGateway();
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    await addEntityTypes(root);
    for (const key of ['entity-keeper', 'weak', 'crew', 'strong'])
      ok(await root.post(rolesPath, { key }), 201);
    for (const rule of [
      { role: 'entity-keeper', action: ['read', 'create', 'update', 'delete'], subject: 'castellan.entity' },
      { role: 'entity-keeper', action: 'assign', subject: 'castellan.role' },
      { role: 'entity-keeper', action: 'read', subject: 'order' },
      { role: 'weak', action: 'read', subject: 'order' },
      { role: 'crew', action: 'read', subject: 'order' },
      { role: 'strong', action: 'approve', subject: 'order' },
      {
        role: 'authenticated',
        action: 'approve',
        subject: 'order',
        when: { 'principal.roles': 'crew', 'principal.type': 'robot' },
      },
    ])
      await addRule(root, rule);
    keeper = (await person(gateway, { roles: ['entity-keeper'] })).client;
  });
  beforeEach(async () => {
    await removeAll(gateway);
    await put(root, 'group:strong', { roles: ['strong'] });
    await put(root, 'group:strong-below', { parents: ['group:strong'] });
    await put(root, 'group:weak', { roles: ['weak'] });
    await put(root, 'group:plain');
    await put(root, 'group:plain-below', { parents: ['group:plain'] });
    await put(root, 'robot:r', { parents: ['group:plain-below'] });
    await put(root, 'robot:chief', { parents: ['group:strong-below'] });
    await put(root, `device:${DEVICE}`, { parents: ['group:strong'] });
  });
  after(() => gateway.close());

  const rows = async () => {
    const { db } = gateway.services;
    return Promise.all(
      ['entities', 'entity_roles', 'entity_parents'].map((table) => db(table).orderBy(['type', 'id'])),
    );
  };
  const given = (...entities: [reference: string, ...parents: string[]][]) => ({
    entities: entities.map(([reference, ...parents]) => {
      const [type, id] = reference.split(':');
      return { type, id, parents };
    }),
  });
  const imported =
    (...entities: Parameters<typeof given>) =>
    (client: Client) =>
      client.post(`${entitiesPath}/import`, given(...entities));

  const attacks: [what: string, request: (client: Client) => Promise<Answer>][] = [
    ['a group with more', (client) => client.patch(at('robot:r'), { parents: ['group:strong'] })],
    [
      'one below a group with more',
      (client) => client.patch(at('robot:r'), { parents: ['group:strong-below'] }),
    ],
    [
      'a group with more for a group far above',
      (client) => client.patch(at('group:plain'), { parents: ['group:strong-below'] }),
    ],
    [
      'a new one made in a group with more',
      (client) => client.put(at('robot:n'), { parents: ['group:strong'] }),
    ],
    [
      'a group with more over two that are new, named before them',
      imported(['robot:n', 'group:n1'], ['group:n1', 'group:n2'], ['group:n2', 'group:strong']),
    ],
    [
      'a new group below one with more, put above one that is there',
      imported(['group:n', 'group:strong'], ['group:plain', 'group:n']),
    ],
    [
      'a group that comes to lie below one with more by the same import',
      imported(['group:plain', 'group:strong'], ['robot:n', 'group:plain-below']),
    ],
    [
      'below what lies below a device with more, whose id is written in capitals',
      imported([`robot:n`, `device:${DEVICE.toUpperCase()}`]),
    ],
    [
      'a robot in a new group with what is more for robots alone',
      (client) =>
        client.post(`${entitiesPath}/import`, {
          entities: [
            { type: 'robot', id: 'n', parents: ['group:n1'] },
            { type: 'group', id: 'n1', parents: ['group:n2'] },
            { type: 'group', id: 'n2', roles: ['crew'] },
          ],
        }),
    ],
    [
      'more taken from somebody, by another group',
      (client) => client.patch(at('robot:chief'), { parents: ['group:plain'] }),
    ],
    ['more taken from all in a group', (client) => client.patch(at('group:strong-below'), { parents: [] })],
    ['somebody with more by a group, removed', (client) => client.delete(at('robot:chief'))],
    [
      'one of a group with more, left out of an import that replaces',
      (client) =>
        client.post(`${entitiesPath}/import?mode=replace`, {
          entities: [
            { type: 'group', id: 'strong', roles: ['strong'] },
            { type: 'group', id: 'weak', roles: ['weak'] },
            ...given(
              ['group:strong-below', 'group:strong'],
              ['group:plain'],
              ['group:plain-below', 'group:plain'],
              ['robot:r', 'group:plain-below'],
              [`device:${DEVICE}`, 'group:strong'],
            ).entities,
          ],
        }),
    ],
  ];
  for (const [what, request] of attacks)
    it(`refused: ${what} (an attack)`, async () => {
      const before = await rows();
      assertProblem(await request(keeper), 403, 'privilege_escalation');
      assert.deepEqual(await rows(), before);
      const { status } = await request(root);
      assert.ok(status < 300, `whoever holds it may: ${status}`);
    });

  it('goes on with places that give nothing, or no more than is held', async () => {
    ok(await imported(['file:1', 'folder:1'], ['folder:1', 'folder:2'], ['folder:2'])(keeper));
    ok(await imported(['robot:r', 'group:weak'], ['robot:n', 'group:plain'])(keeper));
    ok(await keeper.patch(at('robot:r'), { parents: [] }));
    ok(await keeper.delete(at('robot:r')), 204);
  });

  it('two that change places are no circle, and no way to more', async () => {
    ok(await imported(['group:plain-below'], ['group:plain', 'group:plain-below'])(keeper));
    const changed = imported(['group:strong-below'], ['group:strong', 'group:strong-below']);
    assertProblem(await changed(keeper), 403, 'privilege_escalation');
  });
});
