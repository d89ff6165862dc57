/** Nobody gives what they do not hold (design 4.7): every side door by name. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { Policy } from '../../../src/policy/policy.ts';
import { type Answer, type Client, startGateway, type TestGateway } from '../../harness.ts';
import { keysPath } from './keys.ts';
import {
  addRole,
  addRule,
  allItems,
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
} from './staff.ts';

const later = '2999-01-01T00:00:00.000Z';
const sales = { department: 'sales' };
const password = 'correct horse battery';

describe('nobody gives what they do not hold', () => {
  let gateway: TestGateway;
  let root: Client;
  let policy: Policy;
  /**
   * Keeps accounts, rules and roles. Of documents holds only reading those of sales, and that without the notes;
   * holds reading orders for a time; holds deleting orders but for what a deny on the role takes away.
   */
  let manager: Person;
  const role = 'manager';

  before(async () => {
    gateway = await startGateway();
    root = await sessionOf(gateway, demoId(1));
    ok(await root.post(rolesPath, { key: role }), 201);
    const rules = [
      { action: ['read', 'create', 'update', 'delete'], subject: ['castellan.rule', 'castellan.role'] },
      { action: 'assign', subject: 'castellan.role' },
      {
        action: ['read', 'create', 'update', 'deactivate', 'reactivate', 'reset-password', 'assign-role'],
        subject: 'user',
      },
      { action: 'delete', subject: 'castellan.session' },
      {
        id: 'manager-reads-sales',
        action: 'read',
        subject: 'document',
        conditions: sales,
        fields: ['id', 'title', 'body'],
      },
      { action: 'read', subject: 'order', validUntil: later },
      { action: 'create', subject: 'order' },
      {
        id: 'manager-not-us',
        action: 'create',
        subject: 'order',
        conditions: { region: 'US' },
        inverted: true,
      },
    ];
    for (const rule of rules) await addRule(root, { role, ...rule });
    policy = gateway.services.live.snapshot.policy;
  });
  beforeEach(async () => {
    manager = await person(gateway, { roles: [role] });
  });
  afterEach(() => restorePolicy(gateway, policy));
  after(() => gateway.close());

  /** Refused as more than is held, and nothing is other than it was. */
  async function refused(request: () => Promise<Answer>): Promise<void> {
    const before = await stateOf(gateway);
    assertProblem(await request(), 403, 'privilege_escalation');
    assert.deepEqual(await stateOf(gateway), before);
  }

  const held = (rest: object = {}) => ({
    action: 'read',
    subject: 'document',
    conditions: sales,
    fields: ['title'],
    ...rest,
  });

  const more: [string, object][] = [
    ['everything', { action: 'manage', subject: 'all' }],
    ['an action that is not held', held({ action: 'update' })],
    ['every action', held({ action: 'manage' })],
    ['a type that is not held', { action: 'create', subject: 'document' }],
    ['every type', { action: 'read', subject: 'all' }],
    ['more rows', held({ conditions: undefined })],
    ['other rows', held({ conditions: { department: 'editorial' } })],
    ['the rows of whoever gets it', held({ conditions: { department: '$' + '{principal.department}' } })],
    ['more fields', held({ fields: ['title', 'notes'] })],
    ['all fields', held({ fields: undefined })],
    ['what is held only for a time', { action: 'read', subject: 'order' }],
    [
      'what is held only for a time, for a time',
      { action: 'read', subject: 'order', validUntil: '2998-01-01T00:00:00.000Z' },
    ],
    ['what a deny takes away', { action: 'create', subject: 'order' }],
    ['just what a deny takes away', { action: 'create', subject: 'order', conditions: { region: 'US' } }],
    ['to escalate', { action: 'escalate', subject: 'castellan.rule' }],
  ];

  describe('by a rule', () => {
    for (const [what, rule] of more) {
      it(`a new one that gives ${what}`, () =>
        refused(() => manager.client.post(rulesPath, { role: 'user', ...rule })));
      it(`one that becomes one that gives ${what}`, async () => {
        const { id } = await addRule(manager.client, held({ role: 'user' }));
        await refused(() => manager.client.put(`${rulesPath}/${id}`, { role: 'user', ...rule }));
        const { conditions = null, fields = null, ...patch } = rule as Record<string, unknown>;
        await refused(() => manager.client.patch(`${rulesPath}/${id}`, { conditions, fields, ...patch }));
      });
    }

    for (const holder of ['manager', 'everyone', 'authenticated', 'anonymous', 'admin'])
      it(`one for the role ${holder}`, () =>
        refused(() =>
          manager.client.post(rulesPath, { role: holder, action: 'update', subject: 'document' }),
        ));

    it('one for oneself, and one for an accomplice', async () => {
      const accomplice = await person(gateway);
      for (const { id } of [manager, accomplice])
        await refused(() =>
          manager.client.post(rulesPath, { principal: `user:${id}`, action: 'manage', subject: 'all' }),
        );
    });

    it("a wider one of one's own, by which one holds what there is to hold", () =>
      refused(() => manager.client.patch(`${rulesPath}/manager-reads-sales`, { conditions: null })));

    it('one made switched off, for somebody to switch on, or to stand where only the stronger can remove it', async () => {
      const off = { role: 'user', action: 'manage', subject: 'all', enabled: false };
      for (const inverted of [false, true])
        await refused(() => manager.client.post(rulesPath, { ...off, inverted }));
      const { id } = await addRule(manager.client, held({ role: 'user', enabled: false }));
      await refused(() =>
        manager.client.patch(`${rulesPath}/${id}`, { ...off, conditions: null, fields: null }),
      );
      ok(await manager.client.delete(`${rulesPath}/${id}`), 204);
    });
    it('one imported switched off into a role, of which nobody but the stronger could make anything then', async () => {
      const admin = await person(gateway, { roles: ['admin'] });
      const rule = { id: 'off', role: 'admin', action: 'manage', subject: 'all', enabled: false };
      await refused(() => admin.client.post('/api/v1/admin/policy/import', { version: 1, rules: [rule] }));
      ok(await admin.client.patch(`${rolesPath}/admin`, { inherits: ['author'] }));
    });

    it('one that somebody stronger switched off', async () => {
      const { id } = await addRule(root, { role, action: 'manage', subject: 'document', enabled: false });
      await refused(() => manager.client.patch(`${rulesPath}/${id}`, { enabled: true }));
    });

    it('one that is over, given a new end', async () => {
      const { id } = await addRule(root, {
        role,
        action: 'manage',
        subject: 'document',
        validUntil: '2020-01-01T00:00:00.000Z',
      });
      for (const validUntil of [null, later])
        await refused(() => manager.client.patch(`${rulesPath}/${id}`, { validUntil }));
    });

    it('one held for a time, made to last', async () => {
      const [{ id }] = (await allItems(root, `${rulesPath}?role=${role}&subject=order&action=read`)) as [
        { id: string },
      ];
      for (const validUntil of [null, '3000-01-01T00:00:00.000Z'])
        await refused(() => manager.client.patch(`${rulesPath}/${id}`, { validUntil }));
    });

    it('one raised above a deny that binds everyone', async () => {
      const { id } = await addRule(manager.client, held({ role: 'user' }));
      const deny = {
        role: 'everyone',
        action: 'read',
        subject: 'document',
        conditions: { status: 'archived' },
        inverted: true,
        priority: 5,
      };
      await addRule(root, deny);
      ok(await manager.client.patch(`${rulesPath}/${id}`, { priority: 5 }));
      await refused(() => manager.client.patch(`${rulesPath}/${id}`, { priority: 6 }));
      await refused(() => manager.client.post(rulesPath, held({ role: 'user', priority: 6 })));
    });

    it('one handed from a role to another, or taken away, that is more than is held', async () => {
      const { id } = await addRule(root, { role: 'auditor', action: 'update', subject: 'document' });
      await refused(() => manager.client.patch(`${rulesPath}/${id}`, { role: 'user' }));
      await refused(() => manager.client.delete(`${rulesPath}/${id}`));
    });
  });

  describe('by a deny that goes or grows weaker', () => {
    const weaker: [string, object][] = [
      ['switched off', { enabled: false }],
      ['turned into an allow', { inverted: false }],
      ['moved to another role', { role: 'auditor' }],
      ['narrowed by conditions', { conditions: { region: 'US', amount: { $gt: 1000 } } }],
      ['narrowed by when', { when: { 'context.mfa': true } }],
      ['narrowed to fields', { fields: ['amount'] }],
      ['narrowed to another action', { action: 'approve' }],
      ['given an end', { validUntil: '2020-01-01T00:00:00.000Z' }],
      ['lowered', { priority: -1 }],
    ];
    const binds: [string, object][] = [
      ["on one's own role", {}],
      ['on everyone', { role: 'everyone' }],
    ];
    for (const [whom, rest] of binds) {
      const deny = {
        role,
        action: 'create',
        subject: 'order',
        conditions: { region: 'EU' },
        inverted: true,
        ...rest,
      };
      for (const [how, patch] of weaker)
        it(`${whom}, ${how}`, async () => {
          const { id } = await addRule(root, deny);
          await refused(() => manager.client.patch(`${rulesPath}/${id}`, patch));
        });
      it(`${whom}, removed`, async () => {
        const { id } = await addRule(root, deny);
        await refused(() => manager.client.delete(`${rulesPath}/${id}`));
      });
    }
    it('on oneself alone, removed', async () => {
      const deny = {
        principal: `user:${manager.id}`,
        action: 'create',
        subject: 'order',
        conditions: { region: 'EU' },
        inverted: true,
      };
      const { id } = await addRule(root, deny);
      await refused(() => manager.client.delete(`${rulesPath}/${id}`));
    });
    it('on oneself, that begins later: what will be lost is not passed on before', async () => {
      const begins = { inverted: true, validFrom: later };
      await addRule(root, { role, action: 'read', subject: 'document', ...begins });
      await refused(() => manager.client.post(rulesPath, held({ role: 'author' })));
      const passed = await addRole(root);
      await addRule(root, held({ role: passed }));
      await refused(() => manager.client.put(`${usersPath}/${demoId(7)}/roles/${passed}`));
    });
    it('on others, that keeps from them what one does not hold either', async () => {
      const { id } = await addRule(root, {
        role: 'editor',
        action: 'publish',
        subject: 'document',
        inverted: true,
      });
      await refused(() => manager.client.delete(`${rulesPath}/${id}`));
      await refused(() => manager.client.patch(`${rulesPath}/${id}`, { enabled: false }));
    });
    it('on everyone who is like oneself: an account that is not like it would go free', async () => {
      const when = { 'principal.department': 'interns' };
      await addRule(root, { role: 'everyone', action: 'read', subject: 'document', inverted: true, when });
      const intern = await person(gateway, { roles: [role], attributes: { department: 'interns' } });
      await refused(() => intern.client.post(rulesPath, held({ role: 'user' })));
      ok(await manager.client.post(rulesPath, held({ role: 'user' })), 201);
    });
    it('on the identified, by a rule for those whom nobody identified', async () => {
      await addRule(root, {
        role: 'authenticated',
        action: 'read',
        subject: 'document',
        inverted: true,
        conditions: { status: 'archived' },
      });
      for (const holder of ['anonymous', 'everyone'])
        await refused(() => manager.client.post(rulesPath, held({ role: holder })));
      ok(await manager.client.post(rulesPath, held({ role: 'authenticated' })), 201);
    });
  });

  describe('by denying others: what one does not hold, or to those who are stronger', () => {
    it('a deny of what the denier does not hold', async () => {
      const deny = { role: await addRole(manager.client), inverted: true };
      await refused(() => manager.client.post(rulesPath, { ...deny, action: 'create', subject: 'document' }));
      await refused(() => manager.client.post(rulesPath, { ...deny, ...held({ conditions: undefined }) }));
    });
    it('a deny on a role or an account that may do more than the denier', async () => {
      const editor = await person(gateway, { roles: ['editor'] });
      for (const holder of [
        { role: 'editor' },
        { role: 'superadmin' },
        { principal: `user:${editor.id}` },
        { principal: `user:${demoId(1)}` },
      ])
        await refused(() => manager.client.post(rulesPath, held({ ...holder, inverted: true })));
    });
    it('a deny on a role that a stronger one inherits', async () => {
      const base = await addRole(root);
      await addRole(root, { inherits: [base, 'editor'] });
      await refused(() => manager.client.post(rulesPath, held({ role: base, inverted: true })));
    });
    it('a deny switched on, or moved to somebody stronger', async () => {
      const [weak, off] = [
        held({ role: await addRole(root), inverted: true }),
        held({ role: 'editor', inverted: true, enabled: false }),
      ];
      const ids = [(await addRule(manager.client, weak)).id, (await addRule(root, off)).id];
      await refused(() => manager.client.patch(`${rulesPath}/${ids[0]}`, { role: 'superadmin' }));
      await refused(() => manager.client.patch(`${rulesPath}/${ids[1]}`, { enabled: true }));
    });
  });

  describe('by a role', () => {
    it('a new one that inherits more', () =>
      refused(() => manager.client.post(rolesPath, { key: fresh('r'), inherits: ['editor'] })));
    it('a new one that inherits more further up', async () => {
      const middle = await addRole(root, { inherits: ['editor'] });
      await refused(() => manager.client.post(rolesPath, { key: fresh('r'), inherits: [middle] }));
    });
    it("one's own, made to inherit more", () =>
      refused(() => manager.client.patch(`${rolesPath}/${role}`, { inherits: ['superadmin'] })));
    it("somebody else's, made to inherit more", async () => {
      const key = await addRole(manager.client);
      await refused(() => manager.client.patch(`${rolesPath}/${key}`, { inherits: ['auditor'] }));
      await refused(() => manager.client.put(`${rolesPath}/${key}`, { key, inherits: ['auditor'] }));
    });
    it('one that no longer inherits a deny', async () => {
      const strict = await addRole(root);
      await addRule(root, { role: strict, action: 'publish', subject: 'document', inverted: true });
      const key = await addRole(root, { inherits: [strict] });
      await refused(() => manager.client.patch(`${rolesPath}/${key}`, { inherits: [] }));
      await refused(() => manager.client.delete(`${rolesPath}/${key}`));
    });
    it('a stronger one, changed in any way', async () => {
      await refused(() => manager.client.patch(`${rolesPath}/superadmin`, { description: 'mine' }));
      await refused(() => manager.client.patch(`${rolesPath}/editor`, { inherits: [] }));
    });
    it('one with a rule that is switched off and more than is held', async () => {
      const sleeping = await addRole(root);
      await addRule(root, { role: sleeping, action: 'manage', subject: 'document', enabled: false });
      await refused(() => manager.client.put(`${usersPath}/${manager.id}/roles/${sleeping}`));
    });
  });

  describe('by an assignment', () => {
    for (const stronger of ['superadmin', 'admin', 'editor', 'auditor', 'approver'])
      it(`of ${stronger} to oneself or to others`, async () => {
        const other = await person(gateway);
        for (const { id } of [manager, other])
          await refused(() => manager.client.put(`${usersPath}/${id}/roles/${stronger}`));
      });
    it('of a role with what is held only for a time', async () => {
      const timed = await addRole(root);
      await addRule(root, { role: timed, action: 'read', subject: 'order' });
      const { id } = await person(gateway);
      await refused(() => manager.client.put(`${usersPath}/${id}/roles/${timed}`));
    });
    it('of a role whose rules begin later', async () => {
      const coming = await addRole(root);
      await addRule(root, { role: coming, action: 'manage', subject: 'all', validFrom: later });
      await refused(() => manager.client.put(`${usersPath}/${manager.id}/roles/${coming}`));
    });
    it('taken away: a role that denies, from oneself', async () => {
      const strict = await addRole(root);
      await addRule(root, {
        role: strict,
        action: 'create',
        subject: 'order',
        conditions: { region: 'EU' },
        inverted: true,
      });
      const { client, id } = await person(gateway, { roles: [role, strict] });
      await refused(() => client.delete(`${usersPath}/${id}/roles/${strict}`));
    });
    it('taken away: a role of somebody stronger', () =>
      refused(() => manager.client.delete(`${usersPath}/${demoId(1)}/roles/superadmin`)));
    it('of a role that denies, to somebody stronger', async () => {
      const strict = await addRole(root);
      await addRule(root, held({ role: strict, inverted: true }));
      const weaker = await person(gateway, { roles: [] });
      ok(await manager.client.put(`${usersPath}/${weaker.id}/roles/${strict}`), 204);
      await refused(() => manager.client.put(`${usersPath}/${demoId(1)}/roles/${strict}`));
    });
    it('of a role that the policy does not let one assign: 403, however little is in it', async () => {
      const clerk = await addRole(root);
      const mine = await addRole(root);
      await addRule(root, { role: clerk, action: ['assign-role', 'create', 'read'], subject: 'user' });
      await addRule(root, {
        role: clerk,
        action: 'assign',
        subject: 'castellan.role',
        conditions: { id: mine },
      });
      const { client } = await person(gateway, { roles: [clerk] });
      const other = await addRole(root);
      const { id } = await person(gateway, { roles: [other] });
      ok(await client.put(`${usersPath}/${id}/roles/${mine}`), 204);
      ok(await client.delete(`${usersPath}/${id}/roles/${mine}`), 204);
      const before = await stateOf(gateway);
      for (const method of ['PUT', 'DELETE'])
        assertProblem(await client.send(method, `${usersPath}/${id}/roles/${other}`), 403, 'access_denied');
      assertProblem(await client.post(usersPath, newcomer({ roles: [other] })), 403, 'access_denied');
      assert.deepEqual(await stateOf(gateway), before);
      ok(await client.post(usersPath, newcomer({ roles: [mine] })), 201);
    });
  });

  const newcomer = (rest: object = {}) => ({
    email: `${fresh('new')}@example.org`,
    password,
    firstName: 'Neu',
    lastName: 'Ling',
    ...rest,
  });

  describe('by an account', () => {
    /** Whoever is of the treasury may approve orders. */
    const treasury = () =>
      addRule(root, {
        role: 'authenticated',
        action: 'approve',
        subject: 'order',
        when: { 'principal.department': 'treasury' },
      });

    it('made with a stronger role', () =>
      refused(() => manager.client.post(usersPath, newcomer({ roles: ['user', 'superadmin'] }))));
    it('made with attributes that let it do more', async () => {
      await treasury();
      await refused(() =>
        manager.client.post(usersPath, newcomer({ roles: [], attributes: { department: 'treasury' } })),
      );
      await refused(() =>
        manager.client.post(usersPath, newcomer({ attributes: { department: 'treasury' } })),
      );
    });
    it("given attributes that let it do more: one's own", async () => {
      await treasury();
      await refused(() =>
        manager.client.patch(`${usersPath}/${manager.id}`, { attributes: { department: 'treasury' } }),
      );
    });
    it('given attributes that let it do more: those of others', async () => {
      await treasury();
      const other = await person(gateway, { roles: [] });
      await refused(() =>
        manager.client.patch(`${usersPath}/${other.id}`, { attributes: { department: 'treasury' } }),
      );
    });
    it('given attributes that free it from a deny', async () => {
      const approves = await addRole(root);
      const rule = { action: 'approve', subject: 'order' };
      await addRule(root, { ...rule, role: approves });
      await addRule(root, {
        ...rule,
        role: 'authenticated',
        inverted: true,
        when: { 'principal.department': 'interns' },
      });
      const barred = await person(gateway, { roles: [approves], attributes: { department: 'interns' } });
      await refused(() =>
        manager.client.patch(`${usersPath}/${barred.id}`, { attributes: { department: null } }),
      );
    });
    it('given an e-mail address that lets it do more', async () => {
      await addRule(root, {
        role: 'authenticated',
        action: 'approve',
        subject: 'order',
        when: { 'principal.email': 'cfo@example.org' },
      });
      const other = await person(gateway, { roles: [] });
      await refused(() => manager.client.patch(`${usersPath}/${other.id}`, { email: 'cfo@example.org' }));
    });

    /** Who is stronger, and why. */
    const stronger: [string, () => Promise<string>][] = [
      ['a superadmin', async () => demoId(1)],
      ['an editor', async () => (await person(gateway, { roles: ['editor'] })).id],
      [
        'somebody by a rule of their own',
        async () => {
          const { id } = await person(gateway, { roles: [] });
          await addRule(root, { principal: `user:${id}`, action: 'approve', subject: 'order' });
          return id;
        },
      ],
      [
        'somebody by an attribute',
        async () => {
          await treasury();
          return (await person(gateway, { roles: [], attributes: { department: 'treasury' } })).id;
        },
      ],
      [
        'somebody by a rule that begins later',
        async () => {
          const { id } = await person(gateway, { roles: [] });
          await addRule(root, {
            principal: `user:${id}`,
            action: 'approve',
            subject: 'order',
            validFrom: later,
          });
          return id;
        },
      ],
      [
        'somebody by a role whose rule begins later',
        async () => {
          const coming = await addRole(root);
          const heir = await addRole(root, { inherits: [coming] });
          await addRule(root, { role: coming, action: 'approve', subject: 'order', validFrom: later });
          return (await person(gateway, { roles: [heir] })).id;
        },
      ],
    ];
    const touches: [string, (id: string) => Promise<Answer>][] = [
      [
        'password reset',
        (id) => manager.client.put(`${usersPath}/${id}/password`, { newPassword: password }),
      ],
      [
        'e-mail change',
        (id) => manager.client.patch(`${usersPath}/${id}`, { email: `${fresh('x')}@example.org` }),
      ],
      [
        'change of attributes',
        (id) => manager.client.patch(`${usersPath}/${id}`, { attributes: { department: 'x' } }),
      ],
      ['deactivation', (id) => manager.client.delete(`${usersPath}/${id}`)],
      ['deactivation by PATCH', (id) => manager.client.patch(`${usersPath}/${id}`, { isActive: false })],
      ['ending of sessions', (id) => manager.client.delete(`${usersPath}/${id}/sessions`)],
    ];
    for (const [who, make] of stronger) {
      it(`of somebody stronger: ${who}`, async () => {
        const id = await make();
        for (const [what, touch] of touches)
          await refused(() => touch(id)).catch((cause) => assert.fail(`${what}: ${cause.message}`));
      });
    }
    it('of somebody stronger, given back by reactivation', async () => {
      const { id } = await person(gateway, { roles: ['editor'] });
      ok(await root.delete(`${usersPath}/${id}`), 204);
      await refused(() => manager.client.patch(`${usersPath}/${id}`, { isActive: true }));
      await refused(() => manager.client.put(`${usersPath}/${id}/password`, { newPassword: password }));
    });
    it('of somebody stronger only while active: taken over first, reactivated then', async () => {
      const { id } = await person(gateway, { roles: [] });
      await addRule(root, {
        principal: `user:${id}`,
        action: 'approve',
        subject: 'order',
        when: { 'principal.isActive': true },
      });
      ok(await root.delete(`${usersPath}/${id}`), 204);
      await refused(() => manager.client.patch(`${usersPath}/${id}`, { isActive: true }));
    });
  });

  describe('by what everybody has of their own', () => {
    const own = (conditions: object) =>
      addRule(root, { role: 'authenticated', action: 'update', subject: 'document', conditions });

    it('makes nobody stronger: accounts are made, changed, given roles, logged out and deactivated as before', async () => {
      await own({ ownerId: `$\{principal.id}` });
      const plain = await addRole(root);
      const made = newcomer({ roles: [plain] });
      const { id } = ok(await manager.client.post(usersPath, made), 201).body.user;
      ok(
        await manager.client.patch(`${usersPath}/${id}`, {
          attributes: { department: 'x' },
          lastName: 'New',
        }),
      );
      ok(await manager.client.delete(`${usersPath}/${id}/roles/${plain}`), 204);
      ok(await manager.client.put(`${usersPath}/${id}/roles/${plain}`), 204);
      ok(await manager.client.delete(`${usersPath}/${id}/sessions`), 204);
      ok(await manager.client.delete(`${usersPath}/${id}`), 204);
      ok(await manager.client.patch(`${usersPath}/${id}`, { isActive: true }));
    });
    it('nor does what lies in the folders that are shared with them, as the shipped example has it', async () => {
      const example = await readFile(new URL('../../../docs/examples/folders.yaml', import.meta.url), 'utf8');
      ok(await root.post('/api/v1/admin/policy/import?mode=merge', parse(example)));
      const admin = await sessionOf(gateway, demoId(2));
      const { id } = ok(await admin.post(usersPath, newcomer({ roles: ['user'] })), 201).body.user;
      ok(await admin.post(keysPath, { name: fresh('k'), roles: ['user'] }), 201);
      ok(await admin.patch(`${usersPath}/${id}`, { lastName: 'New' }));
      ok(await admin.delete(`${usersPath}/${id}`), 204);
      await gateway.services.db('entity_parents').delete();
      await gateway.services.db('entities').delete();
    });
    it("is not taken over with an account: by a password reset, or an e-mail address that is one's own", async () => {
      await own({ ownerId: `$\{principal.id}` });
      const { id } = await person(gateway, { roles: [] });
      await refused(() => manager.client.put(`${usersPath}/${id}/password`, { newPassword: password }));
      await refused(() => manager.client.patch(`${usersPath}/${id}`, { email: `${fresh('x')}@example.org` }));
    });
    for (const conditions of [
      { ownerId: { $ne: `$\{principal.id}` } },
      { $nor: [{ ownerId: `$\{principal.id}` }] },
    ])
      it(`and what excepts it is none of it: by a second account one would approve what one made (${Object.keys(conditions)})`, async () => {
        await own(conditions);
        const plain = await addRole(root);
        await refused(() => manager.client.post(usersPath, newcomer({ roles: [plain] })));
      });
    it('nor what asks for more than who they are', async () => {
      await own({ ownerId: `$\{principal.id}`, department: `$\{principal.department}` });
      ok(await root.patch(`${usersPath}/${manager.id}`, { attributes: sales }));
      const other = await person(gateway, { roles: [], attributes: sales });
      await refused(() => manager.client.delete(`${usersPath}/${other.id}`));
    });
    it('nor by what it is on a condition: one that is taken over while it has nothing is given nothing back', async () => {
      await addRule(root, {
        role: 'authenticated',
        action: 'update',
        subject: 'document',
        conditions: { ownerId: `$\{principal.id}` },
        when: { 'principal.department': 'active' },
      });
      const active = { attributes: { department: 'active' } };
      ok(await root.patch(`${usersPath}/${manager.id}`, active));
      const other = await person(gateway, { roles: [], ...active });
      await refused(() =>
        manager.client.patch(`${usersPath}/${other.id}`, { attributes: { department: 'x' } }),
      );
      const idle = await person(gateway, { roles: [] });
      await refused(() => manager.client.patch(`${usersPath}/${idle.id}`, active));
    });
    it('nor by an attribute that is made to be the id, or an id that is named', async () => {
      const inside = { 'context.ip': { $cidr: '10.0.0.0/8' } };
      const update = { role: 'authenticated', action: 'update', subject: 'document' };
      const { id } = await person(gateway, { roles: [] });
      await addRule(root, {
        ...update,
        when: { $or: [{ 'principal.department': `$\{principal.id}` }, inside] },
      });
      await refused(() => manager.client.patch(`${usersPath}/${id}`, { attributes: { department: id } }));
      await addRule(root, { ...update, when: { $or: [{ 'principal.id': id }, inside] } });
      await refused(() => manager.client.delete(`${usersPath}/${id}`));
    });
    it('nor where it is denied to the giver', async () => {
      await own({ ownerId: `$\{principal.id}` });
      await addRule(root, { role, action: 'update', subject: 'document', inverted: true });
      const other = await person(gateway, { roles: [] });
      await refused(() => manager.client.delete(`${usersPath}/${other.id}`));
    });
  });

  describe('but what is held may be given', () => {
    it('by rules: the same, narrower, for a time, to a role or a principal, and taken back', async () => {
      for (const rest of [
        {},
        { fields: ['title', 'body'] },
        { conditions: { ...sales, status: 'published' } },
        { validUntil: later },
        { when: { 'context.mfa': true } },
        { enabled: false },
        { priority: 3 },
        { role: undefined, principal: `user:${manager.id}` },
      ]) {
        const { id } = await addRule(manager.client, held({ role: 'user', ...rest }));
        ok(await manager.client.patch(`${rulesPath}/${id}`, { reason: 'because' }));
        ok(await manager.client.delete(`${rulesPath}/${id}`), 204);
      }
    });
    it('a part that no deny takes away', async () => {
      await addRule(root, { role, action: 'approve', subject: 'order', priority: 2 });
      await addRule(manager.client, { role: 'user', action: 'approve', subject: 'order' });
    });
    it('by denies on those who are not stronger', async () => {
      const weaker = await addRole(manager.client);
      const { id } = await addRule(manager.client, held({ role: weaker, inverted: true }));
      ok(await manager.client.delete(`${rulesPath}/${id}`), 204);
    });
    it('by roles, assignments and accounts', async () => {
      const key = await addRole(manager.client);
      await addRule(manager.client, held({ role: key }));
      const heir = await addRole(manager.client, { inherits: [key] });
      const { body } = ok(await manager.client.post(usersPath, newcomer({ roles: [heir] })), 201);
      const at = `${usersPath}/${body.user.id}`;
      ok(await manager.client.put(`${at}/roles/${key}`), 204);
      ok(await manager.client.delete(`${at}/roles/${heir}`), 204);
      ok(
        await manager.client.patch(at, {
          attributes: { department: 'sales' },
          email: `${fresh('x')}@example.org`,
        }),
      );
      ok(await manager.client.put(`${at}/password`, { newPassword: password }), 204);
      ok(await manager.client.delete(`${at}/sessions`), 204);
      ok(await manager.client.delete(at), 204);
      ok(await manager.client.patch(at, { isActive: true }));
    });
    it("by the demo's administrator: each of the roles but superadmin, and accounts that have them", async () => {
      const admin = (await person(gateway, { roles: ['admin'] })).client;
      for (const key of ['user', 'author', 'editor', 'auditor', 'approver', 'admin']) {
        const { body } = ok(
          await admin.post(usersPath, newcomer({ roles: [key], attributes: { department: 'sales' } })),
          201,
        );
        const { id } = await person(gateway);
        ok(await admin.put(`${usersPath}/${id}/roles/${key}`), 204);
        ok(await admin.put(`${usersPath}/${body.user.id}/password`, { newPassword: password }), 204);
        ok(await admin.delete(`${usersPath}/${body.user.id}`), 204);
      }
    });
  });

  describe('escalate lets', () => {
    it('rules, but those alone that it is about', async () => {
      const writer = await addRole(root);
      await addRule(root, {
        role: writer,
        action: ['read', 'create', 'update', 'delete'],
        subject: 'castellan.rule',
      });
      await addRule(root, {
        role: writer,
        action: 'escalate',
        subject: 'castellan.rule',
        conditions: { role: 'user' },
      });
      const { client } = await person(gateway, { roles: [writer] });
      const { id } = await addRule(client, { role: 'user', action: 'publish', subject: 'document' });
      ok(await client.patch(`${rulesPath}/${id}`, { action: 'manage' }));
      await refused(() => client.patch(`${rulesPath}/${id}`, { role: 'author' }));
      await refused(() => client.post(rulesPath, { role: 'author', action: 'publish', subject: 'document' }));
      ok(await client.delete(`${rulesPath}/${id}`), 204);
    });
    it('roles and assignments, but those alone that it is about', async () => {
      const keeper = await addRole(root);
      await addRule(root, {
        role: keeper,
        action: ['read', 'create', 'update', 'delete', 'assign'],
        subject: 'castellan.role',
      });
      await addRule(root, {
        role: keeper,
        action: 'escalate',
        subject: 'castellan.role',
        conditions: { id: { $in: ['editor', 'helper'] } },
      });
      await addRule(root, { role: keeper, action: ['read', 'assign-role'], subject: 'user' });
      const { client, id } = await person(gateway, { roles: [keeper] });
      ok(await client.put(`${usersPath}/${id}/roles/editor`), 204);
      await refused(() => client.put(`${usersPath}/${id}/roles/admin`));
      ok(await client.post(rolesPath, { key: 'helper', inherits: ['approver'] }), 201);
      await refused(() => client.post(rolesPath, { key: 'helper-two', inherits: ['approver'] }));
    });
    it('nothing where it is held for a time, or is denied from a time on', async () => {
      const gift = { role: 'user', action: 'publish', subject: 'document' };
      const keeps = { action: ['read', 'create'], subject: 'castellan.rule' };
      const escalate = { action: 'escalate', subject: 'castellan.rule' };
      const [timed, ending] = [await addRole(root), await addRole(root)];
      for (const key of [timed, ending]) await addRule(root, { role: key, ...keeps });
      await addRule(root, { role: timed, ...escalate, validUntil: later });
      await addRule(root, { role: ending, ...escalate });
      const { client } = await person(gateway, { roles: [ending] });
      ok(await client.post(rulesPath, { ...gift, reason: 'while it lasts' }), 201);
      await addRule(root, { role: ending, ...escalate, inverted: true, validFrom: later });
      await refused(() => client.post(rulesPath, gift));
      const temporary = await person(gateway, { roles: [timed] });
      await refused(() => temporary.client.post(rulesPath, gift));
    });
    it('accounts, but those alone that it is about', async () => {
      const helpdesk = await addRole(root);
      await addRule(root, { role: helpdesk, action: ['read', 'reset-password'], subject: 'user' });
      await addRule(root, { role: helpdesk, action: 'escalate', subject: 'user', conditions: sales });
      const { client } = await person(gateway, { roles: [helpdesk] });
      const theirs = await person(gateway, { roles: ['editor'], attributes: sales });
      const other = await person(gateway, { roles: ['editor'] });
      ok(await client.put(`${usersPath}/${theirs.id}/password`, { newPassword: password }), 204);
      await refused(() => client.put(`${usersPath}/${other.id}/password`, { newPassword: password }));
    });
  });

  it('an admin does not make, change or become a superadmin', async () => {
    const admin = await person(gateway, { roles: ['admin'] });
    const superadmin = await person(gateway, { roles: ['superadmin'] });
    const [self, them] = [`${usersPath}/${admin.id}`, `${usersPath}/${superadmin.id}`];
    const everything = { action: 'manage', subject: 'all' };
    const { client } = admin;
    const attempts: [string, () => Promise<Answer>][] = [
      ['made: an account', () => client.post(usersPath, newcomer({ roles: ['superadmin'] }))],
      ['made: an assignment', () => client.put(`${usersPath}/${demoId(7)}/roles/superadmin`)],
      [
        'made: a role that inherits it',
        () => client.post(rolesPath, { key: 'deputy', inherits: ['superadmin'] }),
      ],
      ['made: a rule like its own', () => client.post(rulesPath, { role: 'user', ...everything })],
      ['become: assigned', () => client.put(`${self}/roles/superadmin`)],
      ['become: inherited', () => client.patch(`${rolesPath}/admin`, { inherits: ['superadmin'] })],
      ['become: a rule', () => client.post(rulesPath, { role: 'admin', ...everything })],
      [
        "become: a rule of one's own",
        () => client.post(rulesPath, { principal: `user:${admin.id}`, ...everything }),
      ],
      ['become: its rule', () => client.patch(`${rulesPath}/superadmin-everything`, { role: 'admin' })],
      ['become: by its password', () => client.put(`${them}/password`, { newPassword: password })],
      ['become: by its e-mail', () => client.patch(them, { email: `${fresh('x')}@example.org` })],
      [
        'become: to escalate',
        () =>
          client.post(rulesPath, {
            role: 'admin',
            action: 'escalate',
            subject: ['castellan.rule', 'castellan.role'],
          }),
      ],
      [
        'become: to escalate on accounts',
        () => client.post(rulesPath, { role: 'admin', action: 'escalate', subject: 'user' }),
      ],
      ['changed: its name', () => client.patch(them, { firstName: 'Other' })],
      ['changed: its attributes', () => client.patch(them, { attributes: { department: 'x' } })],
      ['changed: deactivated', () => client.delete(them)],
      ['changed: deactivated by PATCH', () => client.patch(them, { isActive: false })],
      ['changed: its sessions', () => client.delete(`${them}/sessions`)],
      ['changed: its role taken', () => client.delete(`${them}/roles/superadmin`)],
      ['changed: a role that denies', () => client.put(`${them}/roles/auditor`)],
      ['changed: its role', () => client.patch(`${rolesPath}/superadmin`, { name: 'Other' })],
      [
        'changed: what its role inherits',
        () => client.patch(`${rolesPath}/superadmin`, { inherits: ['auditor'] }),
      ],
      ['changed: its rule', () => client.patch(`${rulesPath}/superadmin-everything`, { reason: 'x' })],
      ['changed: its rule removed', () => client.delete(`${rulesPath}/superadmin-everything`)],
      [
        'changed: denied',
        () =>
          client.post(rulesPath, {
            principal: `user:${superadmin.id}`,
            action: 'read',
            subject: 'document',
            inverted: true,
          }),
      ],
      [
        'changed: its role denied',
        () =>
          client.post(rulesPath, { role: 'superadmin', action: 'read', subject: 'document', inverted: true }),
      ],
      [
        'changed: everyone denied',
        () => client.post(rulesPath, { role: 'everyone', ...everything, inverted: true }),
      ],
    ];
    for (const [what, attempt] of attempts)
      await refused(attempt).catch((cause) => assert.fail(`${what}: ${cause.message}`));
  });
});
