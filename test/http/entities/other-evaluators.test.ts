/** Entities are no way to more than one holds where others than `casl` decide: what those see of a principal takes `escalate`. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Policy } from '../../../src/policy/policy.ts';
import { type Answer, type Client, startGateway, type TestGateway } from '../../harness.ts';
import { addRule, assertProblem, ok, person, restorePolicy, rolesPath, typesPath } from '../admin/staff.ts';
import { evaluationPath } from '../authzen/fixture.ts';
import { addEntityTypes, at, entitiesPath, put, removeAll } from './kept.ts';

describe('an entity is no way to more by what others than casl decide', () => {
  const folder = mkdtempSync(join(tmpdir(), 'castellan-evaluators-'));
  let gateway: TestGateway;
  let root: Client;
  /** Keeps entities and assigns roles; holds nothing else, but has the role `held`. */
  let keeper: Client;
  let policy: Policy;

  before(async () => {
    const module = join(folder, 'own.mjs');
    writeFileSync(module, `export default { name: 'own', evaluate: () => ({ allow: false }) };`);
    gateway = await startGateway({ env: { EVALUATORS: module } });
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    await addEntityTypes(root);
    for (const key of ['entity-keeper', 'held', 'other']) ok(await root.post(rolesPath, { key }), 201);
    const role = 'entity-keeper';
    await addRule(root, {
      role,
      action: ['read', 'create', 'update', 'delete'],
      subject: 'castellan.entity',
    });
    await addRule(root, { role, action: 'assign', subject: 'castellan.role' });
    policy = gateway.services.live.snapshot.policy;
  });
  beforeEach(async () => {
    await restorePolicy(gateway, policy);
    await removeAll(gateway);
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    keeper = (await person(gateway, { roles: ['entity-keeper', 'held'] })).client;
    await put(root, 'group:g', { attributes: { level: 'plain' } });
    await put(root, 'group:other', { roles: ['other'] });
    await put(root, 'robot:r', { attributes: { department: 'sales' }, parents: ['group:g'] });
    await put(root, 'folder:f', { attributes: { title: 'x' } });
  });
  after(async () => {
    await gateway.close();
    rmSync(folder, { recursive: true });
  });

  type Request = (client: Client) => Promise<Answer>;
  const refused = async (request: Request) => {
    assertProblem(await request(keeper), 403, 'privilege_escalation');
    const { status } = await request(root);
    assert.ok(status < 300, String(status));
  };
  const done = async (request: Request) => {
    const { status, body } = await request(keeper);
    assert.ok(status < 300, JSON.stringify(body));
  };
  const attributes =
    (reference: string, given: object): Request =>
    (client) =>
      client.patch(at(reference), { attributes: given });

  describe('Cedar', () => {
    const publish = async (policies: string) =>
      ok(
        await root.post('/api/v1/admin/policy/import', {
          version: 1,
          resourceTypes: [{ type: 'vault', actions: ['open'], evaluator: 'cedar' }],
          cedar: [{ id: 'vaults', policies }],
        }),
      );
    const open = 'permit(principal, action == Action::"open", resource)';
    const opens = async (id: string) =>
      ok(
        await root.post(evaluationPath, {
          subject: { type: 'robot', id },
          action: { name: 'open' },
          resource: { type: 'vault', id: 'v' },
        }),
      ).body.decision;

    it('attack: an attribute that a policy reads, changed, made, imported or taken away', async () => {
      await publish(`${open} when { principal has department && principal.department == "finance" };`);
      const finance = { attributes: { department: 'finance' } };
      await refused((client) => client.patch(at('robot:r'), finance));
      assert.equal(await opens('r'), true);
      await refused((client) => client.put(at('robot:new'), finance));
      const entities = [{ type: 'robot', id: 'i', ...finance }];
      await refused((client) => client.post(`${entitiesPath}/import`, { entities }));
      await refused(attributes('robot:r', {}));
    });

    it('attack: an attribute that a policy reads by way of a branch, a record or the name', async () => {
      for (const way of ['(if true then principal else resource)', '{"a": principal}["a"]', 'robot::"r"']) {
        const condition = `principal is robot && ${way}.department == "finance"`;
        await publish(`${open} when { ${condition} };`);
        await refused(attributes('robot:r', { department: 'finance' }));
        ok(await root.patch(at('robot:r'), { attributes: { department: 'sales' } }));
      }
    });

    it('attack: a role that only a policy names, given, by a group, or taken away', async () => {
      await publish('permit(principal in Role::"other", action, resource);');
      await refused((client) => client.patch(at('robot:r'), { roles: ['other'] }));
      await refused((client) => client.patch(at('robot:r'), { roles: [] }));
      await refused((client) => client.patch(at('robot:r'), { parents: ['group:other'] }));
      await refused((client) => client.patch(at('group:g'), { parents: ['group:other'] }));
      await refused((client) => client.delete(at('robot:r')));
    });

    it('what no policy can see, or what it permits to the keeper alike, stands in nobody’s way', async () => {
      const asked = 'principal has department && resource.title == "x" && context.level == 1';
      await publish(`${open} when { ${asked} }; permit(principal in Role::"held", action, resource);`);
      await done(attributes('folder:f', { title: 'y' }));
      await done(attributes('group:g', { level: 'gold' }));
      await done((client) => client.put(at('folder:below'), { parents: ['folder:f'] }));
      await publish('permit(principal in Role::"held", action, resource);');
      await done((client) => client.patch(at('robot:r'), { roles: ['held'] }));
      await done(attributes('robot:r', { department: 'finance' }));
    });
  });

  describe('another decision point', () => {
    beforeEach(async () => {
      const type = { type: 'remote', actions: ['read'], evaluator: 'authzen-remote' };
      ok(await root.post(typesPath, type), 201);
    });

    it('attack: any attribute, and a role that is not one’s own', async () => {
      await refused(attributes('robot:r', { department: 'finance' }));
      await refused((client) => client.patch(at('robot:r'), { parents: ['group:other'] }));
      await refused((client) => client.patch(at('robot:r'), { parents: ['group:g'] }));
      await done((client) => client.patch(at('robot:r'), { roles: ['held'] }));
      await done((client) => client.put(at('folder:below'), { parents: ['folder:f'] }));
    });

    it('who may escalate on the entity may', async () => {
      const conditions = { type: 'folder' };
      const rule = { role: 'held', action: 'escalate', subject: 'castellan.entity', conditions };
      await refused(attributes('folder:f', { title: 'y' }));
      await addRule(root, rule);
      await done(attributes('folder:f', { title: 'z' }));
    });
  });

  it('attack: an evaluator of one’s own sees what a group is like', async () => {
    const below = attributes('group:g', { level: 'gold' });
    ok(await keeper.patch(at('group:g'), { attributes: { level: 'silver' } }));
    ok(await root.post(typesPath, { type: 'owned', actions: ['read'], evaluator: 'own' }), 201);
    await refused(below);
    await refused((client) => client.patch(at('robot:r'), { parents: [] }));
  });
});
