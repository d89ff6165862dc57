/** The last account that can change the policy cannot be lost (design 4.8). */
import assert from 'node:assert/strict';
import type { Policy } from '../../../src/policy/policy.ts';
import { type Answer, type Client, logIn, startGateway, type TestGateway } from '../../harness.ts';
import {
  addRole,
  addRule,
  assertProblem,
  demoId,
  fresh,
  ok,
  type Person,
  person,
  restorePolicy,
  rolesPath,
  rulesPath,
  sessionOf,
  stateOf,
  usersPath,
  withRule,
} from './staff.ts';

const rootId = demoId(1);
const everything = { action: 'manage', subject: 'all' };
const later = '2998-01-01T00:00:00.000Z';
const evenLater = '2999-01-01T00:00:00.000Z';

describe('the last account that can change the policy', () => {
  let gateway: TestGateway;
  let root: Client;
  let policy: Policy;
  before(async () => {
    gateway = await startGateway();
    policy = gateway.services.live.snapshot.policy;
  });
  beforeEach(async () => {
    root = await sessionOf(gateway, rootId);
  });
  afterEach(async () => {
    const { db } = gateway.services;
    await restorePolicy(gateway, policy);
    await db('accounts').where({ id: rootId }).update({ isActive: true });
    await db('role_assignments').insert({ accountId: rootId, roleKey: 'superadmin' }).onConflict().ignore();
    gateway.services.sessions.forgetAll();
  });
  after(() => gateway.close());

  /** Refused as a lock-out, and nothing is other than it was. */
  async function refused(request: () => Promise<Answer>): Promise<void> {
    const before = await stateOf(gateway);
    assertProblem(await request(), 409, 'policy_locks_out');
    assert.deepEqual(await stateOf(gateway), before);
    const { user } = ok(await root.get(`${usersPath}/${rootId}`)).body;
    assert.deepEqual([user.isActive, user.roles], [true, ['superadmin']]);
  }

  describe('is not lost by a change of the account', () => {
    it('its role is not taken away', () =>
      refused(() => root.delete(`${usersPath}/${rootId}/roles/superadmin`)));

    it('it is not deactivated, by DELETE or by PATCH', async () => {
      await refused(() => root.delete(`${usersPath}/${rootId}`));
      await refused(() => root.patch(`${usersPath}/${rootId}`, { isActive: false }));
    });

    it('it is not deactivated by an administrator who may do so with anybody', async () => {
      const role = await addRole(root);
      await addRule(root, { role, action: ['deactivate', 'escalate', 'read'], subject: 'user' });
      const { client } = await person(gateway, { roles: [role] });
      await refused(() => client.delete(`${usersPath}/${rootId}`));
      const other = await person(gateway, { roles: ['admin'] });
      ok(await client.delete(`${usersPath}/${other.id}`), 204);
    });

    it('it does not delete itself', async () => {
      const self = await logIn(gateway, 'superadmin');
      await refused(() => self.delete('/api/v1/me', { currentPassword: 'superpass' }));
      ok(await self.get('/api/v1/me'));
    });

    it('the attribute by which it has the right is not changed', async () => {
      const role = await addRole(root);
      await addRule(root, { role, ...everything, when: { 'principal.department': 'board' } });
      const chair = await person(gateway, { roles: [role], attributes: { department: 'board' } });
      const at = `${usersPath}/${chair.id}`;
      ok(await root.patch(at, { attributes: { department: 'ops' } }));
      ok(await root.patch(at, { attributes: { department: 'board' } }));
      ok(await chair.client.delete(`${usersPath}/${rootId}/roles/superadmin`), 204);
      for (const department of ['ops', null])
        assertProblem(await chair.client.patch(at, { attributes: { department } }), 409, 'policy_locks_out');
      const { user } = ok(await chair.client.patch(at, { firstName: 'Chair' })).body;
      assert.equal(user.attributes.department, 'board');
    });
  });

  describe('is not lost by a change of its rule', () => {
    const rule = `${rulesPath}/superadmin-everything`;
    const changes: [string, object][] = [
      ['switched off', { enabled: false }],
      ['inverted', { inverted: true }],
      ['narrowed to an action', { action: 'read' }],
      [
        'without the right to go beyond what one holds',
        { action: ['read', 'create', 'update', 'delete'], subject: 'castellan.rule' },
      ],
      ['narrowed to a type', { subject: ['document', 'castellan.role'] }],
      ['narrowed by conditions', { conditions: { id: { $ne: 'x' } } }],
      ['narrowed by when', { when: { 'context.mfa': true } }],
      ['narrowed to fields', { fields: ['id'] }],
      ['moved to a role that nobody has', { role: 'auditor', when: { 'principal.department': 'nowhere' } }],
      [
        'moved to one who is not there',
        { role: null, principal: 'user:00000000-0000-4000-8000-00000000dead' },
      ],
      ['with an end, however far', { validUntil: evenLater }],
      ['with a beginning that has not come', { validFrom: later }],
      ['over already', { validUntil: '2020-01-01T00:00:00.000Z' }],
    ];
    for (const [how, patch] of changes) it(how, () => refused(() => root.patch(rule, patch)));

    it('removed', () => refused(() => root.delete(rule)));
    it('replaced', () =>
      refused(() => root.put(rule, { role: 'superadmin', action: 'manage', subject: 'document' })));
    it('a change that leaves the right whole is accepted', async () => {
      const whole = ok(await root.get(rule)).body;
      ok(await root.patch(rule, { reason: 'All of it', priority: 1 }));
      ok(await root.put(rule, whole));
    });
  });

  describe('is not lost by a deny', () => {
    const denies: [string, object][] = [
      ['for everyone', { role: 'everyone', ...everything }],
      ['for the authenticated', { role: 'authenticated', action: 'update', subject: 'castellan.rule' }],
      ['for its role', { role: 'superadmin', action: ['delete'], subject: ['document', 'castellan.rule'] }],
      ['for itself', { principal: `user:${rootId}`, action: 'escalate', subject: 'castellan.rule' }],
      [
        'on some of the rules',
        {
          role: 'everyone',
          action: 'update',
          subject: 'castellan.rule',
          conditions: { id: 'superadmin-everything' },
        },
      ],
      ['on a field', { role: 'everyone', action: 'update', subject: 'castellan.rule', fields: ['enabled'] }],
      [
        'at some times',
        {
          role: 'everyone',
          action: 'create',
          subject: 'castellan.rule',
          when: { 'context.mfa': { $exists: false } },
        },
      ],
      ['that begins later', { role: 'everyone', ...everything, validFrom: later }],
      [
        'that begins later and ends',
        { role: 'everyone', ...everything, validFrom: later, validUntil: evenLater },
      ],
      ['that ends', { role: 'everyone', ...everything, validUntil: later }],
    ];
    for (const [how, deny] of denies) {
      it(how, () => refused(() => root.post(rulesPath, { ...deny, inverted: true, priority: 0 })));
      it(`${how}, by an accepted rule that becomes one`, async () => {
        const { id } = await addRule(root, { ...deny, inverted: true, enabled: false });
        await refused(() => root.patch(`${rulesPath}/${id}`, { enabled: true }));
      });
    }
    it('one that its rule outranks, one on others, or on other things, is accepted', async () => {
      const { id } = await person(gateway);
      for (const deny of [
        { role: 'everyone', ...everything, priority: -1 },
        { role: 'admin', ...everything },
        { principal: `user:${id}`, ...everything },
        { role: 'everyone', action: 'manage', subject: 'document' },
      ])
        await withRule(root, { ...deny, inverted: true }, async () => {});
    });
  });

  describe('may be lost as long as another remains', () => {
    it('is demoted, deactivated and given back by the other', async () => {
      const { client } = await person(gateway, { roles: ['superadmin'] });
      ok(await client.delete(`${usersPath}/${rootId}/roles/superadmin`), 204);
      ok(await client.put(`${usersPath}/${rootId}/roles/superadmin`), 204);
      ok(await client.delete(`${usersPath}/${rootId}`), 204);
      ok(await client.patch(`${usersPath}/${rootId}`, { isActive: true }));
    });

    it('another who is deactivated is none', async () => {
      const { id } = await person(gateway, { roles: ['superadmin'] });
      ok(await root.delete(`${usersPath}/${id}`), 204);
      await refused(() => root.delete(`${usersPath}/${rootId}/roles/superadmin`));
    });

    for (const [what, limit] of [
      ['only under conditions', { conditions: { id: 'x' } }],
      ['only sometimes', { when: { 'context.mfa': true } }],
      ['only until a day', { validUntil: evenLater }],
      ['only from a day on', { validFrom: later }],
      ['only in some fields', { fields: ['id'] }],
    ] as const)
      it(`another who has the right ${what} is none`, async () => {
        const role = await addRole(root);
        await addRule(root, { role, action: 'manage', subject: 'castellan.rule', ...limit });
        await person(gateway, { roles: [role] });
        await refused(() => root.delete(`${usersPath}/${rootId}`));
      });

    it('another by a role that inherits counts, until it inherits no more', async () => {
      const heir = await addRole(root, { inherits: ['superadmin'] });
      const { client } = await person(gateway, { roles: [heir] });
      ok(await client.delete(`${usersPath}/${rootId}/roles/superadmin`), 204);
      const before = await stateOf(gateway);
      assertProblem(await client.patch(`${rolesPath}/${heir}`, { inherits: [] }), 409, 'policy_locks_out');
      assertProblem(await client.delete(`${rolesPath}/${heir}`), 409, 'role_in_use');
      assert.deepEqual(await stateOf(gateway), before);
      ok(await client.put(`${usersPath}/${rootId}/roles/superadmin`), 204);
      ok(await client.patch(`${rolesPath}/${heir}`, { inherits: [] }));
    });

    it('another by a rule of their own counts', async () => {
      const other = await person(gateway);
      const { id } = await addRule(root, { principal: `user:${other.id}`, ...everything });
      ok(await other.client.delete(`${usersPath}/${rootId}/roles/superadmin`), 204);
      assertProblem(await other.client.delete(`${rulesPath}/${id}`), 409, 'policy_locks_out');
    });

    it('everybody identified counts where everybody identified has the right', async () => {
      await addRule(root, { role: 'authenticated', ...everything });
      ok(await root.delete(`${usersPath}/${rootId}/roles/superadmin`), 204);
    });

    it('a right that ends may end when another begins at that instant, and not before', async () => {
      await addRule(root, { principal: `user:${rootId}`, ...everything, validFrom: later });
      const rule = `${rulesPath}/superadmin-everything`;
      await refused(() => root.patch(rule, { validUntil: '2997-12-31T23:59:59.999Z' }));
      ok(await root.patch(rule, { validUntil: later }));
    });

    it('where nobody can already, nothing is refused for it', async () => {
      const admin = await person(gateway, { roles: ['admin'] });
      await gateway.services.db('accounts').where({ id: rootId }).update({ isActive: false });
      const { id } = await addRule(admin.client, { role: 'user', action: 'read', subject: 'order' });
      ok(await admin.client.delete(`${rulesPath}/${id}`), 204);
    });
  });
});

describe('two that are the last who can change the policy, each taking it from the other at once: one succeeds', () => {
  let gateway: TestGateway;
  let other: TestGateway;
  before(async () => {
    gateway = await startGateway();
    await gateway.services.db('role_assignments').where({ roleKey: 'superadmin' }).delete();
    other = await startGateway({ databaseUrl: gateway.databaseUrl });
  });
  after(async () => {
    await other.close();
    await gateway.close();
  });

  type Attack = (by: Person, on: Person) => Promise<Answer>;
  const demotes: Attack = ({ client }, { id }) => client.delete(`${usersPath}/${id}/roles/superadmin`);
  const deactivates: Attack = ({ client }, { id }) => client.delete(`${usersPath}/${id}`);
  const denies: Attack = ({ client }, { id }) =>
    client.post(rulesPath, { id: `against-${id}`, principal: `user:${id}`, ...everything, inverted: true });
  const rounds: [string, Attack, Attack][] = [
    ['demoted', demotes, demotes],
    ['deactivated', deactivates, deactivates],
    ['denied by a rule', denies, denies],
    ['demoted and deactivated', demotes, deactivates],
    ['demoted and denied by a rule', demotes, denies],
  ];
  for (const [how, first, second] of rounds)
    for (const nodes of ['one node', 'two nodes'])
      it(`${how}, on ${nodes}`, async () => {
        const there = nodes === 'two nodes' ? other : gateway;
        for (let round = 0; round < 4; round++) {
          const a = await person(gateway, { roles: ['superadmin'] });
          const b = await person(there, { roles: ['superadmin'] });
          const answers = await Promise.all([first(a, b), second(b, a)]);
          const statuses = answers.map(({ status }) => status);
          assert.equal(statuses.filter((status) => status < 300).length, 1, `answered ${statuses}`);
          assert.ok(statuses.some((status) => [401, 403, 409].includes(status)));
          const winner = statuses[0] === Math.min(...statuses) ? a : b;
          // The one who is left can still change the policy.
          const rule = { id: fresh('r'), role: 'user', action: 'read', subject: 'order' };
          ok(await winner.client.post(rulesPath, rule), 201);
          await gateway.services.db('role_assignments').whereIn('accountId', [a.id, b.id]).delete();
        }
      });
});
