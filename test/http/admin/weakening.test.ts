/** Nobody makes somebody stronger lose what they may (design 4.7): every door by which a deny can bind them. */
import assert from 'node:assert/strict';
import type { Policy } from '../../../src/policy/policy.ts';
import { type Answer, type Client, startGateway, type TestGateway } from '../../harness.ts';
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
} from './staff.ts';

const base = '/api/v1/admin/policy';
const later = '2999-01-01T00:00:00.000Z';

describe('nobody makes somebody stronger lose what they may', () => {
  let gateway: TestGateway;
  let root: Client;
  /** The demo's administrator: holds each action of these denies, and no `escalate`. */
  let admin: Client;
  let policy: Policy;
  /** A superadministrator who has an ordinary role besides. */
  let strong: Person;
  let ordinary: string;

  before(async () => {
    gateway = await startGateway();
    root = await sessionOf(gateway, demoId(1));
    admin = await sessionOf(gateway, demoId(2));
    policy = gateway.services.live.snapshot.policy;
  });
  beforeEach(async () => {
    ordinary = await addRole(root);
    strong = await person(gateway, { roles: ['superadmin', ordinary] });
  });
  afterEach(() => restorePolicy(gateway, policy));
  after(() => gateway.close());

  async function refused(request: () => Promise<Answer>): Promise<void> {
    const before = await stateOf(gateway);
    assertProblem(await request(), 403, 'privilege_escalation');
    assert.deepEqual(await stateOf(gateway), before);
  }

  const deny = (rest: object): Record<string, unknown> => ({
    action: ['update', 'deactivate', 'assign-role'],
    subject: 'user',
    inverted: true,
    priority: 1000,
    ...rest,
  });
  /** On a role that is empty yet, so that nobody may more by it. */
  const denying = async (rest: object = {}) => {
    const key = await addRole(root);
    await addRule(root, deny({ role: key, ...rest }));
    return key;
  };
  const document = (rest: object) => ({ version: 1, ...rest });

  describe('by a rule', () => {
    it('on a role that they have beside a stronger one: they are disarmed', async () => {
      await refused(() => admin.post(rulesPath, deny({ role: ordinary })));
      const rules = { subject: ['castellan.rule', 'castellan.role'], action: ['create', 'update', 'delete'] };
      await refused(() => admin.post(rulesPath, deny({ role: ordinary, ...rules })));
      ok(await strong.client.get(usersPath));
    });
    it('on a role that theirs inherits', async () => {
      const above = await addRole(root);
      ok(await root.patch(`${rolesPath}/${ordinary}`, { inherits: [above] }));
      await refused(() => admin.post(rulesPath, deny({ role: above })));
    });
    it('that begins later, is switched on later, or comes to bind them by a change', async () => {
      await refused(() => admin.post(rulesPath, deny({ role: ordinary, validFrom: later })));
      const off = await addRule(root, deny({ role: ordinary, enabled: false }));
      await refused(() => admin.patch(`${rulesPath}/${off.id}`, { enabled: true }));
      const elsewhere = await addRule(root, deny({ role: await addRole(root) }));
      await refused(() => admin.patch(`${rulesPath}/${elsewhere.id}`, { role: ordinary }));
      const weak = await addRule(root, deny({ role: ordinary, priority: -1 }));
      await refused(() => admin.patch(`${rulesPath}/${weak.id}`, { priority: 1 }));
    });
    it('where they are stronger by a rule of their own, by what begins later, by an attribute, or once active again', async () => {
      const power = { action: 'escalate', subject: 'castellan.rule' };
      const chief = await person(gateway, { roles: [ordinary, 'admin'] });
      await gateway.services
        .db('role_assignments')
        .where({ accountId: strong.id, roleKey: ordinary })
        .delete();
      const bind = () => admin.post(rulesPath, deny({ role: ordinary }));
      const stronger: Record<string, unknown>[] = [
        { principal: `user:${chief.id}` },
        { principal: `user:${chief.id}`, validFrom: later },
        { role: 'authenticated', when: { 'principal.email': chief.email } },
      ];
      for (const rest of stronger) {
        const { id } = await addRule(root, { ...power, ...rest });
        await refused(bind);
        ok(await root.delete(`${rulesPath}/${id}`), 204);
      }
      const when = { 'principal.isActive': true };
      await addRule(root, { ...power, principal: `user:${chief.id}`, when });
      ok(await root.delete(`${usersPath}/${chief.id}`), 204);
      await refused(bind);
    });
    it('on an account: whatever else they are, what is taken is theirs', () =>
      refused(() => admin.post(rulesPath, deny({ principal: `user:${strong.id}` }))));
  });

  describe('by a rule on all that singles them out', () => {
    for (const role of ['everyone', 'authenticated']) {
      it(`${role}: a deny that keeps one's own account from their hands`, async () => {
        for (const conditions of [{ id: demoId(2) }, { email: 'admin@example.com' }, undefined])
          await refused(() => admin.post(rulesPath, deny({ role, conditions })));
      });
      it(`${role}: a deny from which the request itself frees, by what the denier alone knows`, async () => {
        const when = { 'context.userAgent': { $ne: 'open sesame' } };
        await refused(() => admin.post(rulesPath, deny({ role, when })));
        const documents = { action: 'update', subject: 'document' };
        await refused(() => admin.post(rulesPath, deny({ role, when, ...documents })));
      });
      it(`${role}: a deny that keeps the rule itself from them`, async () => {
        const rule = deny({ action: ['update', 'delete'], subject: 'castellan.rule' });
        await refused(() => admin.post(rulesPath, { ...rule, id: 'own', role, conditions: { id: 'own' } }));
      });
      it(`${role}: a deny that asks who they are`, async () => {
        const to = `\${principal.department}`;
        const documents = { action: 'update', subject: 'document', conditions: { department: to } };
        await refused(() => admin.post(rulesPath, deny({ role, ...documents })));
      });
    }
  });

  describe('by a role', () => {
    it('that is empty, given to them: what it denies comes afterwards', () =>
      addRole(admin).then((trap) => refused(() => admin.put(`${usersPath}/${strong.id}/roles/${trap}`))));
    it('of theirs that is made to inherit one that denies', async () => {
      const strict = await denying();
      await refused(() => admin.patch(`${rolesPath}/${ordinary}`, { inherits: [strict] }));
    });
    it('that theirs inherits, made to inherit one that denies', async () => {
      const [above, strict] = [await addRole(root), await denying()];
      ok(await root.patch(`${rolesPath}/${ordinary}`, { inherits: [above] }));
      await refused(() => admin.patch(`${rolesPath}/${above}`, { inherits: [strict] }));
    });
    it('that a stronger role inherits, made to inherit one that denies', async () => {
      const [above, strict] = [await addRole(root), await denying()];
      await addRole(root, { inherits: [above, 'superadmin'] });
      await refused(() => admin.patch(`${rolesPath}/${above}`, { inherits: [strict] }));
    });
  });

  describe('by a role that other rules ask for', () => {
    const asked = (key: string, rest: object = {}) => ({
      role: 'authenticated',
      when: { 'principal.roles': { $elemMatch: { $eq: key } } },
      ...rest,
    });
    const freed = (key: string, rest: object = {}) => ({
      role: 'authenticated',
      when: { $not: { 'principal.roles': { $elemMatch: { $eq: key } } } },
      ...rest,
    });

    it('given to them, or inherited by theirs: a deny asks for it', async () => {
      const [given, inherited] = [await addRole(root), await addRole(root)];
      for (const key of [given, inherited]) await addRule(root, deny(asked(key)));
      await refused(() => admin.put(`${usersPath}/${strong.id}/roles/${given}`));
      await refused(() => admin.patch(`${rolesPath}/${ordinary}`, { inherits: [inherited] }));
    });
    it('taken from them, or no longer inherited: it kept a deny from them', async () => {
      const trusted = await addRole(root);
      const above = await addRole(root, { inherits: [trusted] });
      const [has, inherits] = [
        await person(gateway, { roles: ['superadmin', trusted] }),
        await person(gateway, { roles: ['superadmin', above] }),
      ];
      await addRule(root, deny(freed(trusted, { role: 'superadmin' })));
      await refused(() => admin.delete(`${usersPath}/${has.id}/roles/${trusted}`));
      await refused(() => admin.patch(`${rolesPath}/${above}`, { inherits: [] }));
      ok(await inherits.client.get(usersPath));
    });
    const power = { action: 'manage', subject: 'all' };
    it('given to an accomplice or to oneself: an allow asks for it', async () => {
      const chief = await addRole(root);
      await addRule(root, asked(chief, power));
      const { id } = await person(gateway);
      for (const to of [id, demoId(2)]) await refused(() => admin.put(`${usersPath}/${to}/roles/${chief}`));
      await refused(() => admin.patch(`${rolesPath}/user`, { inherits: [chief] }));
    });
    it('taken from an accomplice or from oneself: an allow asks for nobody who has it', async () => {
      const probation = await addRole(root);
      const above = await addRole(root, { inherits: [probation] });
      const self = await person(gateway, { roles: ['admin', probation] });
      const heir = await person(gateway, { roles: ['admin', above] });
      await addRule(root, freed(probation, { ...power, role: above }));
      await addRule(root, freed(probation, { ...power, principal: `user:${self.id}`, role: undefined }));
      await refused(() => self.client.delete(`${usersPath}/${self.id}/roles/${probation}`));
      await refused(() => heir.client.patch(`${rolesPath}/${above}`, { inherits: [] }));
    });
  });

  describe('by a whole policy', () => {
    it('imported: a rule, and an inheritance', async () => {
      const [strict, rule] = [await denying(), { id: 'trap', ...deny({ role: ordinary }) }];
      await refused(() => admin.post(`${base}/import`, document({ rules: [rule] })));
      const roles = [{ key: ordinary, name: ordinary, inherits: [strict] }];
      await refused(() => admin.post(`${base}/import`, document({ roles })));
      const whole = ok(await root.get(`${base}/export?format=json`)).body;
      const replaced = { ...whole, rules: [...whole.rules, rule] };
      await refused(() => admin.post(`${base}/import?mode=replace`, replaced));
    });
    it('restored: a deny from before they had the role', async () => {
      const { id } = await addRule(root, deny({ role: ordinary }));
      const revision = gateway.services.live.snapshot.revision;
      ok(await root.delete(`${rulesPath}/${id}`), 204);
      await refused(() => admin.post(`${base}/revisions/${revision}/restore`));
      ok(await root.post(`${base}/revisions/${revision}/restore`));
    });
  });

  describe('but', () => {
    it('a role whose holders are not stronger is denied and re-parented, and given to those who are not', async () => {
      const [role, strict] = [await addRole(admin), await addRole(admin)];
      const { id } = await person(gateway, { roles: [role, 'author'] });
      await addRule(admin, deny({ role }));
      await addRule(admin, deny({ role: 'author', action: 'delete', subject: 'document' }));
      await addRule(admin, deny({ role: strict, action: 'update', subject: 'document' }));
      ok(await admin.patch(`${rolesPath}/${role}`, { inherits: [strict] }));
      ok(await admin.put(`${usersPath}/${id}/roles/${strict}`), 204);
    });
    it('what they may by a higher rule is not taken from them, nor what they may not', async () => {
      await addRule(root, { role: 'superadmin', action: 'manage', subject: 'all', priority: 2000 });
      const { id } = await addRule(admin, deny({ role: ordinary }));
      await refused(() => admin.patch(`${rulesPath}/${id}`, { priority: 3000 }));
      const approver = await addRole(root);
      await addRule(root, { role: approver, action: 'escalate', subject: 'castellan.rule' });
      const bound = await addRole(root);
      await person(gateway, { roles: [approver, bound] });
      await addRule(admin, deny({ role: bound }));
    });
    it('words and what lifts a deny are nothing that binds: they are changed as before', async () => {
      const { id } = await addRule(root, deny({ role: ordinary }));
      ok(await admin.patch(`${rulesPath}/${id}`, { reason: 'because' }));
      ok(await admin.patch(`${rulesPath}/${id}`, { enabled: false }));
      ok(await admin.delete(`${rulesPath}/${id}`), 204);
    });
    it('a deny on all alike, about what is no administration, takes no more from the strong than from others', async () => {
      const role = 'everyone';
      await addRule(
        admin,
        deny({ role, action: 'update', subject: 'document', conditions: { status: 'archived' } }),
      );
      const own = { createdBy: `\${principal.id}` };
      await addRule(admin, deny({ role, action: 'approve', subject: 'order', conditions: own }));
    });
    it('who may escalate the rule, or the role, denies it all the same', async () => {
      const key = await addRole(root, { inherits: ['admin'] });
      const about = { subject: ['castellan.rule'], conditions: { role: ordinary } };
      await addRule(root, { role: key, action: 'escalate', ...about });
      await addRule(root, {
        role: key,
        action: 'escalate',
        subject: 'castellan.role',
        conditions: { id: ordinary },
      });
      const { client } = await person(gateway, { roles: [key] });
      const strict = await denying();
      await refused(() => client.post(rulesPath, deny({ role: 'everyone' })));
      await addRule(client, deny({ role: ordinary }));
      ok(await client.patch(`${rolesPath}/${ordinary}`, { inherits: [strict] }));
      ok(await client.delete(`${usersPath}/${strong.id}/roles/${ordinary}`), 204);
    });
    it('a superadministrator denies whatever there is to deny', async () => {
      const other = await person(gateway, { roles: ['superadmin'] });
      await addRule(root, deny({ role: 'everyone', conditions: { id: demoId(2) } }));
      await addRule(root, deny({ role: ordinary }));
      ok(await root.put(`${usersPath}/${other.id}/roles/${ordinary}`), 204);
    });
  });

  it('denial of service: the holders of a role are asked for once, and those alone who may be stronger', async () => {
    const { db } = gateway.services;
    const key = fresh('many');
    ok(await root.post(rolesPath, { key }), 201);
    await db.raw(
      `INSERT INTO accounts (email, email_key, password_hash, first_name, last_name)
        SELECT n || '@crowd.example', n || '@crowd.example', '$argon2id$x', 'Crowd', 'C' FROM generate_series(1, 3000) n`,
    );
    await db.raw(
      `INSERT INTO role_assignments (account_id, role_key) SELECT id, ? FROM accounts WHERE first_name = 'Crowd'`,
      [key],
    );
    const seen: number[] = [];
    const count = (rows: { rowCount: number }, { sql }: { sql: string }) => {
      if (/\bbound AS\s/.test(sql) && !sql.includes('DISTINCT')) seen.push(rows.rowCount);
    };
    db.on('query-response', count);
    ok(await admin.post(rulesPath, deny({ role: key })), 201);
    await person(gateway, { roles: ['superadmin', key] });
    await refused(() => admin.post(rulesPath, deny({ role: key, reason: 'again' })));
    db.removeListener('query-response', count);
    await db('accounts').where({ firstName: 'Crowd' }).delete();
    assert.deepEqual(seen, [0, 1]);
  });
});
