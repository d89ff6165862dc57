/** What Cedar decides by, over HTTP: published, exported, decided, explained; and nobody gives by it what they do not hold. */
import assert from 'node:assert/strict';
import type { Policy } from '../../../src/policy/policy.ts';
import { type Answer, type Client, startGateway, type TestGateway } from '../../harness.ts';
import {
  addRole,
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

const base = '/api/v1/admin/policy';

const ticket = {
  type: 'ticket',
  actions: ['read', 'close'],
  attributes: { status: { type: 'string' }, ownerId: { type: 'uuid' } },
  evaluator: 'cedar',
};

const policies = `@id("agents-read")
permit(principal in Role::"agent", action == Action::"read", resource is ticket);
@id("nobody-touches-sealed") @reason("It is sealed")
forbid(principal, action, resource is ticket) when { resource has status && resource.status == "sealed" };
`;

const document = {
  version: 1,
  resourceTypes: [ticket],
  roles: [{ key: 'agent' }],
  cedar: [{ id: 'tickets', policies }],
};

describe('Cedar as part of the policy', () => {
  let gateway: TestGateway;
  let root: Client;
  /** The demo's administrator, who may change the policy and may not `escalate`. */
  let admin: Client;
  let policy: Policy;

  before(async () => {
    gateway = await startGateway();
    root = await sessionOf(gateway, demoId(1));
    admin = await sessionOf(gateway, demoId(2));
    policy = gateway.services.live.snapshot.policy;
  });
  afterEach(() => restorePolicy(gateway, policy));
  after(() => gateway.close());

  const publishTickets = async () => ok(await root.post(`${base}/import`, document)).body;
  const explain = async (resource: object, roles: string[] = ['agent']) =>
    ok(
      await root.post(`${base}/explain`, {
        principal: { id: demoId(9), roles },
        action: 'read',
        resource: { type: 'ticket', id: '1', ...resource },
      }),
    ).body;

  async function refused(request: () => Promise<Answer>): Promise<void> {
    const before = await stateOf(gateway);
    assertProblem(await request(), 403, 'privilege_escalation');
    assert.deepEqual(await stateOf(gateway), before);
  }

  it('is imported, exported and imported again without a change, and a revision before it is restored', async () => {
    const { revision, changes } = await publishTickets();
    assert.equal(changes.added, 3);
    const yaml = String(ok(await root.get(`${base}/export`)).body);
    assert.match(yaml, /^cedar:\n {2}- id: tickets\n {4}policies: \|\n {6}@id\("agents-read"\)$/m);
    const again = await root.post(`${base}/import?mode=replace`, ok(await root.get(base)).body);
    assert.equal(ok(again).body.revision, revision);
    ok(await root.post(`${base}/revisions/${revision - 1}/restore`, {}));
    assert.equal('cedar' in ok(await root.get(base)).body, false);
    assert.deepEqual(gateway.services.live.snapshot.policy.cedar, []);
  });

  it('is refused with the place in the document and in its text, and nothing is published', async () => {
    const wrong = { ...document, cedar: [{ id: 'tickets', policies: 'permit(principal);' }] };
    const answer = await root.post(`${base}/import`, wrong);
    assertProblem(answer, 422, 'policy_invalid', '/cedar/0/policies');
    assert.match(answer.body.errors[0].message, /at line 1, column \d+$/);
  });

  it('decides, and the explanation shows the determining policies', async () => {
    await publishTickets();
    const allowed = await explain({ status: 'open' });
    assert.deepEqual([allowed.decision.allow, allowed.decision.ruleId], [true, 'agents-read']);
    assert.deepEqual(allowed.cedar.determining, [{ id: 'agents-read', effect: 'permit' }]);
    assert.match(
      allowed.summary[0],
      /^user:.* may read ticket:1: the policy agents-read of Cedar permits it\.$/,
    );
    const denied = await explain({ status: 'sealed' });
    assert.deepEqual([denied.decision.allow, denied.decision.reason], [false, 'It is sealed']);
    assert.deepEqual(denied.cedar.determining, [
      { id: 'nobody-touches-sealed', effect: 'forbid', reason: 'It is sealed' },
    ]);
    const none = await explain({}, []);
    assert.deepEqual([none.decision.ruleId, none.cedar], [null, { determining: [], errors: [] }]);
  });

  it('the explanation shows what Cedar could not evaluate, and it is denied', async () => {
    await publishTickets();
    const broken = `${policies}forbid(principal, action, resource) when { resource.status == "x" };`;
    ok(await root.post(`${base}/import`, { version: 1, cedar: [{ id: 'tickets', policies: broken }] }));
    const { decision, cedar, summary } = await explain({});
    assert.equal(decision.allow, false);
    assert.equal(cedar.errors[0].id, 'tickets#3');
    assert.match(cedar.errors[0].message, /status/);
    assert.match(summary[0], /in doubt/);
  });

  describe('nobody gives by it what they do not hold', () => {
    it('attack: whoever may change the policy, without escalate, writes themselves a permit', async () => {
      await publishTickets();
      const permit = {
        version: 1,
        cedar: [{ id: 'mine', policies: 'permit(principal, action, resource);' }],
      };
      await refused(() => admin.post(`${base}/import`, permit));
      await refused(() => admin.post(`${base}/import`, { version: 1, remove: { cedar: ['tickets'] } }));
      const entities = [{ uid: { type: 'user', id: demoId(2) }, parents: [{ type: 'Role', id: 'agent' }] }];
      await refused(() => admin.post(`${base}/import`, { version: 1, cedar: [{ id: 'more', entities }] }));
    });

    it('attack: a type is handed to Cedar, taken from it, or made for it', async () => {
      await publishTickets();
      await refused(() => admin.patch(`${typesPath}/order`, { evaluator: 'cedar' }));
      await refused(() => admin.patch(`${typesPath}/ticket`, { evaluator: 'casl' }));
      await refused(() => admin.patch(`${typesPath}/ticket`, { actions: ['read', 'close', 'open'] }));
      await refused(() => admin.post(typesPath, { ...ticket, type: fresh('t') }));
      await refused(() => admin.delete(`${typesPath}/ticket`));
      ok(await admin.patch(`${typesPath}/ticket`, { description: 'A ticket' }));
    });

    it('attack: a role that only Cedar knows is given to somebody, or inherited', async () => {
      await publishTickets();
      const { id } = await person(gateway, { roles: [] });
      await refused(() => admin.put(`${usersPath}/${id}/roles/agent`));
      const other = await addRole(root);
      await refused(() => admin.patch(`${rolesPath}/${other}`, { inherits: ['agent'] }));
      ok(await root.put(`${usersPath}/${id}/roles/agent`), 204);
      await refused(() =>
        admin.put(`${usersPath}/${id}/password`, { newPassword: 'an-unguessable-9-phrase' }),
      );
      await refused(() => admin.delete(`${usersPath}/${id}/roles/agent`));
    });

    it('attack: a policy asks about an account by its name, or by what is stored, and is taken for one about all', async () => {
      const { id } = await person(gateway, { roles: [] });
      const uid = { type: 'ticket', id: '1' };
      const owner = [{ uid, attrs: { owner: { __entity: { type: 'user', id } } } }];
      const parent = [{ uid, parents: [{ type: 'user', id }] }];
      const ways: [when: string, entities: object[]][] = [
        [`user::"${id}" in Role::"agent"`, []],
        ['resource has owner && resource.owner in Role::"agent"', owner],
        ['resource in Role::"agent"', parent],
      ];
      for (const [when, entities] of ways) {
        const asking = `permit(principal, action, resource is ticket) when { ${when} };`;
        const cedar = [{ id: 'tickets', policies: asking, entities }];
        ok(await root.post(`${base}/import`, { ...document, cedar }));
        await refused(() => admin.put(`${usersPath}/${id}/roles/agent`));
      }
    });

    const uidOf = (id: string) => ({ type: 'user', id });
    const ticketOf = (id: string) => ({
      uid: { type: 'ticket', id: '1' },
      attrs: { owner: { __entity: uidOf(id) } },
    });
    const taken: [how: string, asking: string, entities: (id: string) => object[]][] = [
      [
        'what the account has',
        'permit(principal, action, resource is ticket) when { principal has email && principal.email like "*@example.org" };',
        () => [],
      ],
      [
        'what somebody has that a stored resource names',
        'permit(principal, action, resource is ticket) when { resource has owner && resource.owner has department };',
        (id) => [ticketOf(id)],
      ],
      [
        'whom a stored resource lies within, in its head',
        'permit(principal, action, resource in Role::"agent");',
        (id) => [{ ...ticketOf(id), parents: [uidOf(id)] }],
      ],
      [
        'a group that stored entities put the account in',
        'permit(principal in Team::"red", action, resource is ticket);',
        (id) => [{ uid: uidOf(id), parents: [{ type: 'Team', id: 'red' }] }],
      ],
      [
        'a role that stored entities give to the account',
        'permit(principal in Role::"agent", action, resource is ticket);',
        (id) => [{ uid: uidOf(id), parents: [{ type: 'Role', id: 'agent' }] }],
      ],
      [
        'its name, which it lies within itself',
        'permit(principal in user::"<id>", action, resource is ticket);',
        () => [],
      ],
      [
        'whether it is not who takes it',
        'permit(principal, action, resource is ticket); forbid(principal in Role::"admin", action, resource is ticket);',
        () => [],
      ],
    ];
    for (const [how, asking, entities] of taken)
      it(`attack: an account is taken over that Cedar permits more, by ${how}`, async () => {
        const { id } = await person(gateway, { roles: [] });
        const cedar = [{ id: 'tickets', policies: asking.replace('<id>', id), entities: entities(id) }];
        ok(await root.post(`${base}/import`, { ...document, cedar }));
        await refused(() =>
          admin.put(`${usersPath}/${id}/password`, { newPassword: 'an-unguessable-9-phrase' }),
        );
      });

    it('what Cedar permits to all alike stands in nobody’s way', async () => {
      await publishTickets();
      const { id } = await person(gateway);
      ok(await admin.patch(`${usersPath}/${id}`, { firstName: 'Ada' }));
    });

    it('the type of rules stays with casl: who can still change the policy is told from rules', async () => {
      const answer = await root.patch(`${typesPath}/castellan.rule`, { evaluator: 'cedar' });
      assertProblem(answer, 422, 'policy_invalid', '/evaluator');
      assert.match(answer.body.errors[0].message, /must stay casl/);
    });
  });
});
