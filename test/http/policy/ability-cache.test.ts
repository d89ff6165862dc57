/** A wrong hit in the cache of abilities is impossible (design 4.6): not by a race, not by what lies in Redis. */
import assert from 'node:assert/strict';
import { Redis } from 'ioredis';
import { type Client, eventually, startGateway, type TestGateway } from '../../harness.ts';
import { type RedisServer, startRedis } from '../../redis-server.ts';
import {
  addRole,
  addRule,
  fresh,
  ok,
  type Person,
  person,
  rolesPath,
  rulesPath,
  sessionOf,
  usersPath,
} from '../admin/staff.ts';

const documents = '/api/v1/documents';

/** Every state there was, when the change to it began and when it was answered. */
interface State {
  allowed: boolean;
  begunMs: number;
  answeredMs: number;
}

/**
 * Asks without pause, as often as `askers` at once, while `changes` are made one after the other; fails when an answer
 * is that of a state which was over before the request was sent, or which began after it was answered.
 */
async function askThroughout(
  ask: () => Promise<boolean>,
  changes: { allowed: boolean; make: () => Promise<unknown> }[],
  initially: boolean,
  askers = 6,
): Promise<number> {
  const states: State[] = [{ allowed: initially, begunMs: 0, answeredMs: 0 }];
  let isOver = false;
  let asked = 0;
  const asker = async () => {
    while (!isOver) {
      const sentMs = performance.now();
      const allowed = await ask();
      const gotMs = performance.now();
      asked++;
      const possible = states.filter(
        ({ begunMs }, index) =>
          begunMs <= gotMs && (states[index + 1]?.answeredMs ?? Number.POSITIVE_INFINITY) >= sentMs,
      );
      assert.ok(
        possible.some((state) => state.allowed === allowed),
        `answered ${allowed} when that was not in force`,
      );
    }
  };
  const running = Promise.all(Array.from({ length: askers }, asker));
  const changing = (async () => {
    for (const { allowed, make } of changes) {
      const state = { allowed, begunMs: performance.now(), answeredMs: Number.POSITIVE_INFINITY };
      states.push(state);
      await make();
      state.answeredMs = performance.now();
    }
  })();
  await Promise.race([changing, running]).finally(() => {
    isOver = true;
  });
  await Promise.all([changing, running]);
  return asked;
}

describe('decisions while what they are made from changes', () => {
  let redis: RedisServer | undefined;
  let gateway: TestGateway;
  let root: Client;
  let draft: string;
  before(async function () {
    redis = await startRedis();
    if (!redis) this.skip();
    gateway = await startGateway({ env: { REDIS_URL: redis.url, REDIS_PREFIX: `${fresh('race')}:` } });
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    draft = (await gateway.services.db('documents').where({ status: 'draft', department: 'sales' }).first())
      .id;
  });
  after(async () => {
    await gateway?.close();
    await redis?.stop();
  });

  const reading = { action: 'read', subject: 'document', conditions: { status: 'draft' } };
  const asks =
    ({ client }: Person) =>
    async () =>
      (await client.get(`${documents}/${draft}`)).status === 200;
  const rounds = Array.from({ length: 15 }, (_, index) => index % 2 === 0);

  it('attributes: no decision uses those that the account no longer has', async () => {
    const role = await addRole(root);
    await addRule(root, { role, ...reading, conditions: { department: '$' + '{principal.department}' } });
    const somebody = await person(gateway, { roles: [role] });
    const changes = rounds.map((allowed) => ({
      allowed,
      make: async () =>
        ok(
          await root.patch(`${usersPath}/${somebody.id}`, {
            attributes: { department: allowed ? 'sales' : 'ops' },
          }),
        ),
    }));
    assert.ok((await askThroughout(asks(somebody), changes, false)) > 50);
  });

  it('roles: no decision uses those that the account no longer has', async () => {
    const role = await addRole(root);
    await addRule(root, { role, ...reading });
    const somebody = await person(gateway);
    const changes = rounds.map((allowed) => ({
      allowed,
      make: async () =>
        ok(await root.send(allowed ? 'PUT' : 'DELETE', `${usersPath}/${somebody.id}/roles/${role}`), 204),
    }));
    assert.ok((await askThroughout(asks(somebody), changes, false)) > 50);
  });

  it('the policy: no decision uses a rule that is no longer there', async () => {
    const role = await addRole(root);
    const { id } = await addRule(root, { role, ...reading, enabled: false });
    const somebody = await person(gateway, { roles: [role] });
    const changes = rounds.map((allowed) => ({
      allowed,
      make: async () => ok(await root.patch(`${rulesPath}/${id}`, { enabled: allowed })),
    }));
    assert.ok((await askThroughout(asks(somebody), changes, false)) > 50);
  });

  it('inheritance: no decision uses what a role no longer inherits', async () => {
    const [parent, role] = [await addRole(root), await addRole(root)];
    await addRule(root, { role: parent, ...reading });
    const somebody = await person(gateway, { roles: [role] });
    const changes = rounds.map((allowed) => ({
      allowed,
      make: async () => ok(await root.patch(`${rolesPath}/${role}`, { inherits: allowed ? [parent] : [] })),
    }));
    assert.ok((await askThroughout(asks(somebody), changes, false)) > 50);
  });

  it('two who differ in one attribute never share an ability', async () => {
    const role = await addRole(root);
    await addRule(root, { role, ...reading, conditions: { department: '$' + '{principal.department}' } });
    const people = await Promise.all(
      ['sales', 'ops', 'sales', 'Sales', 'sales '].map(async (department) => ({
        department,
        ...(await person(gateway, { roles: [role], attributes: { department } })),
      })),
    );
    for (let round = 0; round < 3; round++)
      await Promise.all(
        people.map(async (somebody) => assert.equal(await asks(somebody)(), somebody.department === 'sales')),
      );
  });
});

/** What may lie under a key instead of what was put there. */
const poisons: [string, (key: string, own: string, mightier: string) => string][] = [
  ['nothing that is JSON', () => 'manage all'],
  ['an empty text', () => ''],
  ['null', () => 'null'],
  ['a list', () => '[{"effect":"allow"}]'],
  ['half of the entry', (_key, own) => own.slice(0, own.length / 2)],
  ["a mightier principal's entry", (_key, _own, mightier) => mightier],
  [
    "a mightier principal's ability without a key",
    (_key, _own, mightier) => JSON.stringify({ ability: JSON.parse(mightier).ability }),
  ],
  ['an ability alone', (_key, _own, mightier) => JSON.stringify(JSON.parse(mightier).ability)],
  ['a key in a list', (key, _own, mightier) => JSON.stringify({ ...JSON.parse(mightier), key: [key] })],
  ['no ability', (key) => JSON.stringify({ key })],
  ['an ability that is none', (key) => JSON.stringify({ key, ability: 'manage all' })],
  [
    'rules that are no list',
    (key) => JSON.stringify({ key, ability: { revision: 1, rules: { '0': { effect: 'allow' } } } }),
  ],
  [
    'rules that are none',
    (key) => JSON.stringify({ key, ability: { revision: 1, rules: [null, 'manage', 7] } }),
  ],
  [
    'rules without conditions',
    (key) =>
      JSON.stringify({
        key,
        ability: {
          revision: 1,
          rules: [{ id: 'x', effect: 'allow', actions: ['read'], subjects: ['document'], priority: 0 }],
        },
      }),
  ],
];

/** Read and written as others who share the cache could. */
interface Shared {
  entries(): Promise<Map<string, string>>;
  put(key: string, value: string): Promise<void>;
  /** The key as the node knows it. */
  keyOf(name: string): string;
}

/** Two nodes share what is poisoned between a decision of the one and of the other: nobody is let in by it. */
function itNeverGrants(nodes: () => { one: TestGateway; other: TestGateway; shared: Shared }): void {
  for (const [what, poison] of poisons)
    it(`poisoned with ${what}: nobody may more`, async () => {
      const { one, other, shared } = nodes();
      const { id } = await one.services.db('documents').where({ status: 'draft' }).first();
      const mighty = (await person(one, { roles: ['superadmin'] })).client;
      ok(await mighty.get(`${documents}/${id}`));
      const cachedNow = async (known: Map<string, string>) =>
        [...(await shared.entries())].filter(([name]) => !known.has(name));
      const mightier = await eventually('the superadmin is cached', async () =>
        [...(await shared.entries()).values()].find((text) => text.includes('superadmin-everything')),
      );
      const before = await shared.entries();

      const victim = await person(one);
      assert.equal((await victim.client.get(`${documents}/${id}`)).status, 403);
      const [entry] = await eventually('the victim is cached', async () => {
        const added = await cachedNow(before);
        return added.length > 0 ? added : undefined;
      });
      assert.ok(entry);
      const [name, own] = entry;
      await shared.put(name, poison(shared.keyOf(name), own, mightier));
      const client = await sessionOf(other, victim.id);
      assert.equal((await client.get(`${documents}/${id}`)).status, 403);
      assert.equal((await client.get(rulesPath)).status, 403);
      assert.equal((await client.delete(`${documents}/${id}`)).status, 403);
    });
}

describe('what lies in Redis', () => {
  const prefix = `${fresh('poison')}:`;
  let redis: RedisServer | undefined;
  let direct: Redis;
  let one: TestGateway;
  let other: TestGateway;
  before(async function () {
    redis = await startRedis();
    if (!redis) this.skip();
    direct = new Redis(redis.url);
    const env = { REDIS_URL: redis.url, REDIS_PREFIX: prefix };
    one = await startGateway({ env });
    other = await startGateway({ databaseUrl: one.databaseUrl, env });
  });
  after(async () => {
    await other?.close();
    await one?.close();
    const keys = (await direct?.keys(`${prefix}*`)) ?? [];
    if (keys.length > 0) await direct.del(keys);
    direct?.disconnect();
    await redis?.stop();
  });
  const shared: Shared = {
    entries: async () => {
      const found = new Map<string, string>();
      for (const key of await direct.keys(`${prefix}ability:*`))
        found.set(key, (await direct.get(key)) ?? '');
      return found;
    },
    put: async (key, value) => void (await direct.set(key, value)),
    keyOf: (name) => name.slice(prefix.length),
  };
  itNeverGrants(() => ({ one, other, shared }));

  it('no principal is readable in a key, and every key expires', async () => {
    const before = await shared.entries();
    const { client, id, email } = await person(one);
    ok(await client.get(documents));
    const key = await eventually('the ability is cached', async () =>
      [...(await shared.entries()).keys()].find((name) => !before.has(name)),
    );
    assert.ok(!key.includes(id) && !key.includes(email));
    const seconds = await direct.ttl(key);
    assert.ok(seconds > 0 && seconds <= 3600);
  });
});

describe('what lies in the stand-in for Redis', () => {
  let one: TestGateway;
  let other: TestGateway;
  const entries = new Map<string, string>();
  const put = async (key: string, value: string) => void entries.set(key, value);
  before(async () => {
    one = await startGateway();
    other = await startGateway({ databaseUrl: one.databaseUrl });
    for (const { services } of [one, other])
      Object.assign(services.shared, { get: async (key: string) => entries.get(key), set: put });
  });
  after(async () => {
    await other.close();
    await one.close();
  });
  const shared: Shared = { entries: async () => new Map(entries), put, keyOf: (name) => name };
  itNeverGrants(() => ({ one, other, shared }));
});
