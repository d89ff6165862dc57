/** Nobody gives what they do not hold, where what somebody holds is decided elsewhere and cannot be looked at. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Policy } from '../../../src/policy/policy.ts';
import { type Answer, type Client, startGateway, type TestGateway } from '../../harness.ts';
import { mint } from './keys.ts';
import {
  addRole,
  addRule,
  assertProblem,
  demoId,
  fresh,
  ok,
  person,
  restorePolicy,
  rolesPath,
  sessionOf,
  stateOf,
  typesPath,
  usersPath,
} from './staff.ts';

const keysPath = '/api/v1/admin/api-keys';
/** Allows by a role that no rule names, by one that is inherited, and by an attribute. */
const elsewhere = `export default { name: 'elsewhere', evaluate: (snapshot, { principal }) => ({
  allow: principal.attributes.clearance === 'high' ||
    principal.roles.some((role) => snapshot.lineage.get(role)?.has('boss')) }) };`;

describe('nobody gives what is decided elsewhere and not seen here', () => {
  const folder = mkdtempSync(join(tmpdir(), 'castellan-unseen-'));
  let gateway: TestGateway;
  let root: Client;
  /** The demo's administrator, who may change accounts, roles, types and keys, and may not `escalate`. */
  let admin: Client;
  let without: Policy;
  let policy: Policy;

  before(async () => {
    const file = join(folder, 'elsewhere.mjs');
    writeFileSync(file, elsewhere);
    gateway = await startGateway({ env: { EVALUATORS: file } });
    root = await sessionOf(gateway, demoId(1));
    admin = await sessionOf(gateway, demoId(2));
    ok(await root.post(rolesPath, { key: 'boss' }), 201);
    const user = ok(await root.get(`${typesPath}/user`)).body;
    const attributes = { ...user.attributes, clearance: { type: 'string' } };
    ok(await root.patch(`${typesPath}/user`, { attributes }));
    await addRule(root, {
      role: 'admin',
      action: 'manage',
      subject: 'castellan.api-key',
    });
    await addRule(root, {
      id: 'admins-escalate-no-keys',
      role: 'admin',
      action: 'escalate',
      subject: 'castellan.api-key',
      inverted: true,
    });
    without = gateway.services.live.snapshot.policy;
    ok(await root.post(typesPath, { type: 'vault', actions: ['open'], evaluator: 'elsewhere' }), 201);
    policy = gateway.services.live.snapshot.policy;
  });
  afterEach(() => restorePolicy(gateway, policy));
  after(async () => {
    await gateway.close();
    rmSync(folder, { recursive: true });
  });

  async function refused(request: () => Promise<Answer>): Promise<void> {
    const before = await stateOf(gateway);
    assertProblem(await request(), 403, 'privilege_escalation');
    assert.deepEqual(await stateOf(gateway), before);
  }
  const opens = async (id: string): Promise<boolean> => {
    const asked = {
      subject: { type: 'user', id },
      action: { name: 'open' },
      resource: { type: 'vault', id: '1' },
    };
    return ok(await root.post('/access/v1/evaluation', asked)).body.decision;
  };
  const newcomer = (rest: object) => ({
    email: `${fresh('p')}@example.org`,
    password: 'an-unguessable-9-phrase',
    firstName: 'Noor',
    lastName: 'Vale',
    ...rest,
  });

  it('attack: a role that only an engine elsewhere knows is given to oneself, to others, to a key, or to somebody new', async () => {
    const { id } = await person(gateway, { roles: [] });
    await refused(() => admin.put(`${usersPath}/${id}/roles/boss`));
    await refused(() => admin.put(`${usersPath}/${demoId(2)}/roles/boss`));
    await refused(() => admin.post(keysPath, { name: fresh('key'), roles: ['boss'] }));
    await refused(() => admin.post(usersPath, newcomer({ roles: ['boss'] })));
    assert.deepEqual([await opens(id), await opens(demoId(2))], [false, false]);
    ok(await root.put(`${usersPath}/${id}/roles/boss`), 204);
    assert.equal(await opens(id), true);
  });

  it('attack: such a role is taken away, inherited, or had by the password or a key of whoever has it', async () => {
    const { id } = await person(gateway, { roles: ['boss'] });
    const key = await mint(gateway, root, { roles: ['boss'] });
    const other = await addRole(root);
    await refused(() => admin.delete(`${usersPath}/${id}/roles/boss`));
    await refused(() => admin.patch(`${rolesPath}/${other}`, { inherits: ['boss'] }));
    await refused(() => admin.put(`${usersPath}/${id}/password`, { newPassword: 'an-unguessable-9-phrase' }));
    await refused(() => admin.post(`${keysPath}/${key.id}/rotate`));
  });

  it('attack: an attribute that it may go by is given to somebody, or to somebody new', async () => {
    const { id } = await person(gateway, { roles: [] });
    const attributes = { clearance: 'high' };
    await refused(() => admin.patch(`${usersPath}/${id}`, { attributes }));
    await refused(() => admin.post(usersPath, newcomer({ attributes, roles: [] })));
    ok(await admin.patch(`${usersPath}/${id}`, { firstName: 'Ada' }));
    ok(await root.patch(`${usersPath}/${id}`, { attributes }));
    assert.equal(await opens(id), true);
  });

  it('attack: a type is made for it, changed under it, or removed to be made anew', async () => {
    await refused(() =>
      admin.post(typesPath, { type: fresh('t'), actions: ['open'], evaluator: 'authzen-remote' }),
    );
    await refused(() => admin.patch(`${typesPath}/vault`, { actions: ['open', 'empty'] }));
    await refused(() => admin.delete(`${typesPath}/vault`));
    ok(await admin.patch(`${typesPath}/vault`, { description: 'A vault' }));
  });

  it('who has the role gives it; and where all is decided by rules, who holds them gives it', async () => {
    const { id } = await person(gateway, { roles: [] });
    await gateway.services.db('role_assignments').insert({ accountId: demoId(2), roleKey: 'boss' });
    ok(await admin.put(`${usersPath}/${id}/roles/boss`), 204);
    await gateway.services
      .db('role_assignments')
      .where({ accountId: demoId(2), roleKey: 'boss' })
      .delete();
    await restorePolicy(gateway, without);
    ok(await admin.put(`${usersPath}/${id}/roles/boss`), 204);
    ok(await admin.patch(`${usersPath}/${id}`, { attributes: { clearance: 'low' } }));
  });
});
