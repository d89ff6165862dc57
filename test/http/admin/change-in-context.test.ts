/** What may be done in a context alone is so for each part of a change, by whatever door it comes (design 4.7). */
import assert from 'node:assert/strict';
import type { Policy } from '../../../src/policy/policy.ts';
import { type Answer, type Client, startGateway, type TestGateway } from '../../harness.ts';
import { addEntityTypes, at, entitiesPath, removeAll } from '../entities/kept.ts';
import { addRole, addRule, assertProblem, ok, person, restorePolicy, rulesPath, usersPath } from './staff.ts';

const here = { 'context.ip': { $cidr: '127.0.0.0/8' } };
const elsewhere = { 'context.ip': { $cidr: '10.0.0.0/8' } };
const fromConsole = { 'context.userAgent': 'console' };
const byConsole = { 'user-agent': 'console' };
const everyAction = ['read', 'create', 'update', 'delete'];

describe('a change is decided in the context of the request that makes it', () => {
  let gateway: TestGateway;
  let root: Client;
  let policy: Policy;
  /** Given in every test; holds nothing that is guarded. */
  let given: string;

  before(async () => {
    gateway = await startGateway();
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    await addEntityTypes(root);
    given = await addRole(root);
    policy = gateway.services.live.snapshot.policy;
  });
  beforeEach(async () => {
    root = (await person(gateway, { roles: ['superadmin'] })).client;
  });
  afterEach(async () => {
    await restorePolicy(gateway, policy);
    await removeAll(gateway);
  });
  after(() => gateway.close());

  /** Somebody whose role has these rules. */
  async function holder(...rules: object[]): Promise<Client> {
    const role = await addRole(root);
    for (const rule of rules) await addRule(root, { role, ...rule });
    return (await person(gateway, { roles: [role] })).client;
  }

  const entityRules = { action: everyAction, subject: 'castellan.entity' };
  const importing = (client: Client, headers?: Record<string, string>) =>
    client.post(`${entitiesPath}/import`, { entities: [{ type: 'group', id: 'g' }] }, headers);
  const writing = (client: Client, headers?: Record<string, string>) =>
    client.put(at('group:h'), {}, headers);

  it('an import of entities is no way round a deny by address', async () => {
    const denied = { ...entityRules, action: ['create', 'update'], inverted: true, when: here };
    const client = await holder(entityRules, { ...denied, conditions: { type: 'group' } });
    for (const request of [writing, importing]) assertProblem(await request(client), 403, 'access_denied');
    ok(await client.put(at('folder:f'), {}), 201);
  });

  it('an import of entities is allowed where each of them is, and there alone', async () => {
    const client = await holder({ ...entityRules, when: fromConsole });
    for (const request of [writing, importing]) assertProblem(await request(client), 403, 'access_denied');
    ok(await writing(client, byConsole), 201);
    ok(await importing(client, byConsole));
  });

  const assign = { action: 'assign', subject: 'castellan.role' };
  const giving: [
    what: string,
    rules: object[],
    request: (client: Client, role: string) => Promise<Answer>,
  ][] = [
    ['an entity', [entityRules], (client, role) => client.put(at('robot:r'), { roles: [role] })],
    [
      'an account',
      [{ action: ['read', 'assign-role'], subject: 'user' }],
      async (client, role) => {
        const { id } = await person(gateway, { roles: [] });
        return client.put(`${usersPath}/${id}/roles/${role}`);
      },
    ],
    [
      'an API key',
      [{ action: everyAction, subject: 'castellan.api-key' }],
      (client, roles) => client.post('/api/v1/admin/api-keys', { name: 'k', roles: [roles] }),
    ],
  ];
  for (const [what, rules, request] of giving)
    it(`a role is not given to ${what} from where it may not be assigned`, async () => {
      const denied = await holder(...rules, assign, { ...assign, inverted: true, when: here });
      assertProblem(await request(denied, given), 403, 'access_denied');
      const allowed = await holder(...rules, { ...assign, when: here });
      const { status } = await request(allowed, given);
      assert.ok(status === 201 || status === 204 || status === 200, String(status));
    });

  it('an import of policy is no way round a deny by address on a part of it', async () => {
    const parts = { action: everyAction, subject: ['castellan.role', 'castellan.rule'] };
    const whole = { action: ['read', 'update'], subject: 'castellan.policy' };
    const roles = [{ key: 'imported', name: 'imported' }];
    const post = (client: Client) => client.post('/api/v1/admin/policy/import', { version: 1, roles });
    const deny = { action: 'create', subject: 'castellan.role', inverted: true };
    assertProblem(await post(await holder(parts, whole, { ...deny, when: here })), 403, 'access_denied');
    ok(await post(await holder(parts, whole, { ...deny, when: elsewhere })));
  });

  describe('what one does not hold', () => {
    const rules = { action: ['read', 'create'], subject: 'castellan.rule' };
    const escalate = { action: 'escalate', subject: 'castellan.rule' };
    const order = { action: 'read', subject: 'order' };
    const post = (client: Client, rule: object) => client.post(rulesPath, { role: given, ...order, ...rule });

    it('is given by those alone who may escalate where they ask from', async () => {
      const denied = await holder(rules, escalate, { ...escalate, inverted: true, when: here });
      assertProblem(await post(denied, {}), 403, 'privilege_escalation');
      const away = await holder(rules, { ...escalate, when: elsewhere });
      assertProblem(await post(away, {}), 403, 'privilege_escalation');
      ok(await post(await holder(rules, { ...escalate, when: here }), {}), 201);
    });

    it('is not given by those who may escalate until an instant, or from one on may not', async () => {
      const until = { 'context.time': { $lt: '2999-01-01T00:00:00Z' } };
      const from = { 'context.time': { $gte: '2999-01-01T00:00:00Z' } };
      const forATime = await holder(rules, { ...escalate, when: until });
      assertProblem(await post(forATime, {}), 403, 'privilege_escalation');
      const notLater = await holder(rules, escalate, { ...escalate, inverted: true, when: from });
      assertProblem(await post(notLater, {}), 403, 'privilege_escalation');
    });

    it('is what is held in a context, without it: a gift asks for that context itself', async () => {
      const client = await holder(rules, { ...order, when: here });
      assertProblem(await post(client, {}), 403, 'privilege_escalation');
      assertProblem(await post(client, { when: elsewhere }), 403, 'privilege_escalation');
      ok(await post(client, { when: here }), 201);
      const denied = await holder(rules, order, { ...order, inverted: true, when: elsewhere });
      assertProblem(await post(denied, {}), 403, 'privilege_escalation');
    });
  });
});
