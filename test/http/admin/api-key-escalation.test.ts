/** An API key is no way to more than one holds (design 4.7, 4.8): every side door by name. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Policy } from '../../../src/policy/policy.ts';
import { type Answer, type Client, eventually, startGateway, type TestGateway } from '../../harness.ts';
import { keysPath, mint } from './keys.ts';
import {
  addRole,
  addRule,
  assertProblem,
  fresh,
  ok,
  type Person,
  person,
  restorePolicy,
  rolesPath,
  rulesPath,
  stateOf,
  usersPath,
} from './staff.ts';

const later = '2999-01-01T00:00:00.000Z';
const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();

describe('an API key is no way to more', () => {
  let gateway: TestGateway;
  let root: Client;
  let policy: Policy;
  /** Keeps keys, rules and roles; holds reading orders, and reading documents only for a time. */
  let keeper: Person;
  const role = 'key-keeper';
  /** What the keeper holds, and less than that. */
  const weak = 'weak';
  const strong = 'strong';

  before(async () => {
    gateway = await startGateway();
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    for (const key of [role, weak, strong]) ok(await root.post(rolesPath, { key }), 201);
    const crud = ['read', 'create', 'update', 'delete'];
    for (const rule of [
      { action: [...crud, 'rotate'], subject: 'castellan.api-key' },
      { action: crud, subject: ['castellan.rule', 'castellan.role'] },
      { action: 'assign', subject: 'castellan.role' },
      { action: 'read', subject: 'order' },
      { action: 'read', subject: 'document', validUntil: later },
    ])
      await addRule(root, { role, ...rule });
    await addRule(root, { role: weak, action: 'read', subject: 'order', conditions: { region: 'EU' } });
    await addRule(root, { role: strong, action: ['read', 'approve'], subject: 'order' });
    policy = gateway.services.live.snapshot.policy;
  });
  beforeEach(async () => {
    keeper = await person(gateway, { roles: [role] });
  });
  afterEach(async () => {
    await gateway.services.db('api_keys').delete();
    await restorePolicy(gateway, policy);
    root = (await person(gateway, { roles: ['superadmin'] })).client;
  });
  after(() => gateway.close());

  const keysNow = async () => {
    const { db } = gateway.services;
    const [keys, roles] = [db('api_keys').orderBy('id'), db('api_key_roles').orderBy(['key_id', 'role_key'])];
    // When it was last used is written beside the requests.
    return { keys: (await keys).map(({ lastUsedAt: _at, ...key }) => key), roles: await roles };
  };

  /** Refused as more than is held, and nothing is other than it was. */
  async function refused(request: () => Promise<Answer>, code = 'privilege_escalation'): Promise<void> {
    const before = [await stateOf(gateway), await keysNow()];
    assertProblem(await request(), 403, code);
    assert.deepEqual([await stateOf(gateway), await keysNow()], before);
  }

  describe('minting', () => {
    const minting = (rest: object) => () => keeper.client.post(keysPath, { name: fresh('k'), ...rest });

    it('a key that is stronger: a role with more, also beside one that denies it', async () => {
      await refused(minting({ roles: [strong] }));
      const denying = await addRole(root);
      await addRule(root, { role: denying, action: 'approve', subject: 'order', inverted: true });
      await refused(minting({ roles: [weak, strong, denying] }));
    });

    it('a key that is stronger by what its role inherits, or by a rule that begins later', async () => {
      const heir = await addRole(root, { inherits: [strong] });
      await refused(minting({ roles: [heir] }));
      const coming = await addRole(root);
      await addRule(root, { role: coming, action: 'approve', subject: 'order', validFrom: later });
      await refused(minting({ roles: [coming] }));
    });

    it('a key that is stronger because it is a key', async () => {
      const when = { 'principal.type': 'api-key' };
      await addRule(root, { role: 'authenticated', action: 'approve', subject: 'order', when });
      await refused(minting({ roles: [] }));
    });

    it('a key that goes free of what is denied to people like the keeper', async () => {
      const when = { 'principal.type': 'user' };
      const deny = { action: 'read', subject: 'order', inverted: true, when };
      await addRule(root, { role: 'authenticated', ...deny });
      await refused(minting({ roles: [weak] }));
    });

    it('a key with a role that may not be assigned', async () => {
      const conditions = { id: weak };
      await addRule(root, { role, action: 'assign', subject: 'castellan.role', conditions, inverted: true });
      await refused(minting({ roles: [weak] }), 'access_denied');
    });

    it('a key that keeps what is held for a time: by a rule, or by a role that ends', async () => {
      const documents = await addRole(root);
      await addRule(root, { role: documents, action: 'read', subject: 'document' });
      await refused(minting({ roles: [documents] }));
      const { id, client } = await person(gateway, { roles: [] });
      ok(await root.put(`${usersPath}/${id}/roles/${role}`, { expiresAt: inSeconds(60) }), 204);
      const asked = (rest: object) => () =>
        client.post(keysPath, { name: fresh('k'), roles: [weak], ...rest });
      await refused(asked({}));
      await refused(asked({ expiresAt: inSeconds(120) }));
      const { body } = ok(await asked({ expiresAt: inSeconds(30) })(), 201);
      await refused(() => client.patch(`${keysPath}/${body.apiKey.id}`, { expiresAt: null }));
      await refused(() => client.patch(`${keysPath}/${body.apiKey.id}`, { expiresAt: inSeconds(120) }));
    });

    it('what every principal has of its own with a key: one that was there is taken over by a new secret', async () => {
      await addRule(root, {
        role: 'authenticated',
        action: 'update',
        subject: 'document',
        conditions: { ownerId: `$\{principal.id}` },
      });
      const { id } = await mint(gateway, keeper.client, { roles: [weak] });
      ok(await keeper.client.patch(`${keysPath}/${id}`, { roles: [] }));
      await refused(() => keeper.client.post(`${keysPath}/${id}/rotate`, {}));
      ok(await keeper.client.delete(`${keysPath}/${id}`), 204);
    });
    it('but what is held may be given, changed, rotated and taken back', async () => {
      const { id } = await mint(gateway, keeper.client, { roles: [weak] });
      ok(await keeper.client.patch(`${keysPath}/${id}`, { roles: [], name: fresh('k') }));
      ok(await keeper.client.patch(`${keysPath}/${id}`, { roles: [weak], expiresAt: later }));
      ok(await keeper.client.post(`${keysPath}/${id}/rotate`, { overlapSeconds: 60 }));
      ok(await keeper.client.delete(`${keysPath}/${id}`), 204);
    });

    it('but escalate on the key lets it, and on another one does not', async () => {
      const name = fresh('trusted');
      const conditions = { name };
      await addRule(root, { role, action: 'escalate', subject: 'castellan.api-key', conditions });
      await refused(minting({ roles: [strong] }));
      ok(await keeper.client.post(keysPath, { name, roles: [strong] }), 201);
    });

    it("an administrator's gives all but the superadministrator's roles, and no superadministrator's key is theirs", async () => {
      const admin = (await person(gateway, { roles: ['admin'] })).client;
      for (const key of ['user', 'editor', 'admin']) await mint(gateway, admin, { roles: [key] });
      const asked = () => admin.post(keysPath, { name: fresh('k'), roles: ['superadmin'] });
      await refused(asked);
      const { id } = await mint(gateway, root, { roles: ['superadmin'] });
      await refused(() => admin.post(`${keysPath}/${id}/rotate`));
    });
  });

  describe('a key that is stronger', () => {
    const touches: [string, (id: string) => Promise<Answer>][] = [
      ['other roles', (id) => keeper.client.patch(`${keysPath}/${id}`, { roles: [] })],
      ['one role more', (id) => keeper.client.patch(`${keysPath}/${id}`, { roles: [strong, weak] })],
      ['another name', (id) => keeper.client.patch(`${keysPath}/${id}`, { name: fresh('k') })],
      ['another end', (id) => keeper.client.patch(`${keysPath}/${id}`, { expiresAt: inSeconds(1) })],
      [
        'a new secret: whoever has it is the key',
        (id) => keeper.client.post(`${keysPath}/${id}/rotate`, { overlapSeconds: 60 }),
      ],
      ['its end', (id) => keeper.client.delete(`${keysPath}/${id}`)],
      [
        'a deny that names it',
        (id) =>
          keeper.client.post(rulesPath, {
            principal: `api-key:${id}`,
            action: 'read',
            subject: 'order',
            inverted: true,
          }),
      ],
    ];
    for (const [what, touch] of touches)
      it(`is not given ${what}`, async () => {
        const { id } = await mint(gateway, root, { roles: [strong] });
        await refused(() => touch(id));
        const named = await mint(gateway, root, { roles: [] });
        const rule = { action: ['read', 'approve'], subject: 'order' };
        await addRule(root, { principal: `api-key:${named.id}`, ...rule });
        await refused(() => touch(named.id));
      });

    describe('by what it comes to deny it', () => {
      const deny = { action: 'read', subject: 'order', inverted: true };
      /** A role of its own; what makes the key stronger is another one, or a rule that names it. */
      let plain: string;
      beforeEach(async () => {
        plain = await addRole(root);
      });
      const ways: [string, () => Promise<unknown>][] = [
        ['another role', () => mint(gateway, root, { roles: [plain, strong] })],
        [
          'a rule that names it',
          async () => {
            const { id } = await mint(gateway, root, { roles: [plain] });
            await addRule(root, { principal: `api-key:${id}`, action: 'approve', subject: 'order' });
            await addRule(root, { principal: `api-key:${id}`, action: 'read', subject: 'order' });
          },
        ],
        [
          'another role, and has expired: it may be given another end',
          async () => {
            const { id } = await mint(gateway, root, { roles: [plain, strong], expiresAt: inSeconds(60) });
            const past = { created_at: inSeconds(-60), expires_at: inSeconds(-1) };
            await gateway.services.db('api_keys').where({ id }).update(past);
          },
        ],
      ];
      for (const [what, make] of ways)
        it(`is not weakened by a deny in a role that a stronger key has, nor by one that the role inherits: by ${what}`, async () => {
          await addRule(root, { role: plain, action: 'read', subject: 'order', priority: -1 });
          await make();
          await refused(() => keeper.client.post(rulesPath, { ...deny, role: plain }));
          const strict = await addRole(root);
          await addRule(root, { ...deny, role: strict });
          await refused(() => keeper.client.patch(`${rolesPath}/${plain}`, { inherits: [strict] }));
        });

      it('but a role whose keys are no stronger, or were revoked, is denied and re-parented', async () => {
        await mint(gateway, root, { roles: [plain, weak] });
        const { id } = await mint(gateway, root, { roles: [plain, strong] });
        ok(await root.delete(`${keysPath}/${id}`), 204);
        await addRule(keeper.client, { ...deny, role: plain });
        ok(await keeper.client.patch(`${rolesPath}/${plain}`, { inherits: [weak] }));
      });
    });

    it('is not made of a weak one: by a role, or a rule that names it', async () => {
      const { id } = await mint(gateway, keeper.client, { roles: [weak] });
      await refused(() => keeper.client.patch(`${keysPath}/${id}`, { roles: [weak, strong] }));
      const rule = { principal: `api-key:${id}`, action: 'approve', subject: 'order' };
      await refused(() => keeper.client.post(rulesPath, rule));
    });

    it('is not made of a weak one by taking the role that denies', async () => {
      const denying = await addRole(root);
      await addRule(root, { role: denying, action: 'approve', subject: 'order', inverted: true });
      const { id } = await mint(gateway, root, { roles: [weak, denying] });
      await refused(() => keeper.client.patch(`${keysPath}/${id}`, { roles: [weak] }));
    });
  });

  describe('who is a key', () => {
    /** A key with the keeper's role. */
    const keeping = (expiresAt?: string) =>
      mint(gateway, root, { roles: [role], ...(expiresAt && { expiresAt }) });

    it('gives what its roles hold and no more, changes the policy if they can, and is an author like others', async () => {
      const { client } = await keeping();
      await mint(gateway, client, { roles: [weak] });
      await refused(() => client.post(keysPath, { name: fresh('k'), roles: [strong] }));
      await addRule(client, { role: weak, action: 'read', subject: 'order', conditions: { region: 'US' } });
      await refused(() => client.post(rulesPath, { role: weak, action: 'approve', subject: 'order' }));
      const plain = await mint(gateway, client, { roles: [weak] });
      const rule = { role: weak, action: 'read', subject: 'order' };
      await refused(() => plain.client.post(rulesPath, rule), 'access_denied');
    });

    it('and expires outlives itself neither in a key that it mints nor by its own end', async () => {
      const { client, id } = await keeping(inSeconds(60));
      await refused(() => client.post(keysPath, { name: fresh('k'), roles: [role] }));
      const outliving = { name: fresh('k'), roles: [weak], expiresAt: inSeconds(120) };
      await refused(() => client.post(keysPath, outliving));
      await refused(() => client.patch(`${keysPath}/${id}`, { expiresAt: null }));
      await refused(() => client.post(rulesPath, { role: weak, action: 'read', subject: 'order' }));
      await mint(gateway, client, { roles: [weak], expiresAt: inSeconds(30) });
    });

    it('by a stolen secret whose overlap ends makes nothing that lasts, not even a new secret', async () => {
      const { client, id } = await keeping();
      ok(await root.post(`${keysPath}/${id}/rotate`, { overlapSeconds: 60 }));
      await refused(() => client.post(`${keysPath}/${id}/rotate`));
      await refused(() => client.post(keysPath, { name: fresh('k'), roles: [weak] }));
    });

    it('and is revoked, rotated or demoted while waiting for its turn changes nothing any more', async () => {
      const { db } = gateway.services;
      const ways: [(turn: typeof db, id: string) => Promise<unknown>, number, string][] = [
        [
          async (turn, id) => turn('api_keys').where({ id }).update({ revoked_at: new Date() }),
          401,
          'unauthenticated',
        ],
        [
          async (turn, id) =>
            turn('api_keys')
              .where({ id })
              .update({ token_hash: Buffer.alloc(32, id) }),
          401,
          'unauthenticated',
        ],
        [async (turn, id) => turn('api_key_roles').where({ key_id: id }).delete(), 403, 'access_denied'],
      ];
      for (const [change, status, code] of ways) {
        const { client, id } = await keeping();
        const { asked } = await db.transaction(async (turn) => {
          await turn.raw(`SELECT pg_advisory_xact_lock(hashtext('castellan.policy'))`);
          const asked = client.post(keysPath, { name: fresh('late'), roles: [weak] });
          await eventually('it waits for the lock', async () => {
            const { rows } = await db.raw(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`);
            return rows.length > 0;
          });
          await change(turn, id);
          return { asked };
        });
        assertProblem(await asked, status, code);
      }
    });

    it('and may everything keeps nobody from being locked out: only accounts count', async () => {
      const all = await superadmins(gateway);
      const { client } = await mint(gateway, root, { roles: ['superadmin'] });
      const [last, ...others] = all;
      for (const id of others) ok(await client.delete(`${usersPath}/${id}/roles/superadmin`), 204);
      const answer = await client.delete(`${usersPath}/${last}/roles/superadmin`);
      assertProblem(answer, 409, 'policy_locks_out');
      for (const id of others) ok(await client.put(`${usersPath}/${id}/roles/superadmin`), 204);
    });

    it('of an account that was deactivated goes on: whoever takes over revokes it', async () => {
      const { client } = await mint(gateway, keeper.client, { roles: [weak] });
      ok(await root.delete(`${usersPath}/${keeper.id}`), 204);
      await sleep(20);
      ok(await client.get('/api/v1/orders'));
    });
  });
});

/** Accounts that have the role superadmin. */
async function superadmins({ services: { db } }: TestGateway): Promise<string[]> {
  return db('role_assignments').where({ roleKey: 'superadmin' }).pluck('account_id');
}
