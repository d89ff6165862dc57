/** Brute force against passwords, and what it must not do to the people whose passwords they are. */
import assert from 'node:assert/strict';
import { mock } from 'node:test';
import argon2 from 'argon2';
import { Redis } from 'ioredis';
import { anonymousClient, Client, startGateway, type TestGateway } from '../../harness.ts';
import { type RedisServer, startRedis } from '../../redis-server.ts';
import { assertProblem, type Form, login, loginFrom, register } from './people.ts';

const wrong = 'certainly not the password';
const home = '198.51.100.7';

/** Limits apart from each other, so that each test meets the one it is about. */
const limits = {
  LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS: '3',
  LOGIN_FAILURES_PER_ACCOUNT: '6',
  LOGIN_FAILURES_PER_ADDRESS: '9',
  TRUSTED_PROXIES: '127.0.0.1',
};

describe('the login throttle', () => {
  let gateway: TestGateway;
  let client: Client;
  let person: Form;
  let guess: { email: string; password: string };
  let strangers = 0;

  /** An address that nobody has used. */
  const stranger = () => `203.0.${++strangers >> 8}.${strangers & 255}`;
  const fail = async (address: string, times: number, who = guess) => {
    for (let i = 0; i < times; i++) assert.equal((await loginFrom(client, address, who)).status, 401);
  };

  before(async () => {
    gateway = await startGateway({ env: limits });
    client = anonymousClient(gateway);
  });
  after(() => gateway.close());
  beforeEach(async () => {
    person = await register(client);
    guess = { email: person.email, password: wrong };
  });

  it('brute force from one address at one account is stopped, even with the right password', async () => {
    const address = stranger();
    await fail(address, 3);
    for (const who of [guess, person]) {
      const answer = await loginFrom(client, address, who);
      assertProblem(answer, 429, 'too_many_attempts');
      const retryAfter = Number(answer.headers.get('retry-after'));
      assert.ok(retryAfter > 0 && retryAfter <= 900);
    }
  });

  it('brute force does not gain by the case of the e-mail', async () => {
    const address = stranger();
    for (const email of [person.email, person.email.toUpperCase(), ` ${person.email}`])
      await fail(address, 1, { email, password: wrong });
    assert.equal((await loginFrom(client, address, guess)).status, 429);
  });

  it('brute force side by side gets as many guesses as one after the other', async () => {
    const address = stranger();
    const verify = mock.method(argon2, 'verify');
    try {
      const answers = await Promise.all(Array.from({ length: 20 }, () => loginFrom(client, address, guess)));
      assert.equal(answers.filter(({ status }) => status === 401).length, 3);
      assert.equal(answers.filter(({ status }) => status === 429).length, 17);
      assert.equal(verify.mock.callCount(), 3);
    } finally {
      verify.mock.restore();
    }
  });

  it('one address that tries many accounts (password spraying) is stopped', async () => {
    const address = stranger();
    for (let i = 0; i < 9; i++) await fail(address, 1, { email: `spray${i}@example.org`, password: wrong });
    assert.equal((await loginFrom(client, address, person)).status, 429);
    assert.equal((await loginFrom(client, stranger(), person)).status, 200);
  });

  it('many addresses that try one account are stopped', async () => {
    for (let i = 0; i < 6; i++) await fail(stranger(), 1);
    for (const who of [guess, person])
      assertProblem(await loginFrom(client, stranger(), who), 429, 'too_many_attempts');
  });

  it('a stranger cannot lock somebody out: where they have logged in from before, they still can', async () => {
    assert.equal((await loginFrom(client, home, person)).status, 200);
    for (let i = 0; i < 6; i++) await fail(stranger(), 1);
    assert.equal((await loginFrom(client, stranger(), person)).status, 429);
    assert.equal((await loginFrom(client, home, person)).status, 200);
  });

  it('a stranger cannot lock somebody out by failing on and on: refused attempts do not count', async () => {
    assert.equal((await loginFrom(client, home, person)).status, 200);
    const address = stranger();
    await fail(address, 3);
    for (let i = 0; i < 12; i++) await loginFrom(client, address, guess);
    await fail(address, 6, { email: 'another@example.org', password: wrong }).catch(() => {});
    assert.equal((await loginFrom(client, stranger(), person)).status, 200);
    assert.equal((await loginFrom(client, home, person)).status, 200);
  });

  it('an address that the account logged in from is still bound by the limit of account and address', async () => {
    assert.equal((await loginFrom(client, home, person)).status, 200);
    await fail(home, 3);
    assert.equal((await loginFrom(client, home, person)).status, 429);
  });

  it('an address known only from long ago, or to another account, is a stranger', async () => {
    const other = await register(client);
    const [old, others] = [stranger(), stranger()];
    assert.equal((await loginFrom(client, old, person)).status, 200);
    assert.equal((await loginFrom(client, others, other)).status, 200);
    await gateway.services
      .db('sessions')
      .where({ address: old })
      .update({ created_at: new Date(Date.now() - 31 * 86_400_000) });
    for (let i = 0; i < 6; i++) await fail(stranger(), 1);
    for (const address of [old, others]) assert.equal((await loginFrom(client, address, person)).status, 429);
  });

  it('all of an IPv6 /64 is one address, to the throttle and to what it knows', async () => {
    await fail('2001:db8:1:2::1', 1);
    await fail('2001:db8:1:2:ffff::2', 1);
    await fail('2001:0DB8:0001:0002:0:0:0:3', 1);
    assert.equal((await loginFrom(client, '2001:db8:1:2:aaaa:bbbb:cccc:dddd', guess)).status, 429);
    assert.equal((await loginFrom(client, '2001:db8:1:3::1', person)).status, 200);
    for (let i = 0; i < 3; i++) await fail(stranger(), 1);
    assert.equal((await loginFrom(client, stranger(), person)).status, 429);
    assert.equal((await loginFrom(client, '2001:db8:1:3:9::9', person)).status, 200);
  });

  it('an IPv4 address is the same however it is written', async () => {
    await fail('192.0.2.1', 2);
    await fail('::ffff:192.0.2.1', 1);
    assert.equal((await loginFrom(client, '::ffff:c000:201', guess)).status, 429);
  });

  it('logins that succeed do not count', async () => {
    const address = stranger();
    for (let i = 0; i < 12; i++) assert.equal((await loginFrom(client, address, person)).status, 200);
    await fail(address, 3);
    assert.equal((await loginFrom(client, address, guess)).status, 429);
  });

  it('counts what was throttled', async () => {
    const address = stranger();
    await fail(address, 3);
    const throttled = async () =>
      (await gateway.services.metrics.logins.get()).values.find((v) => v.labels.outcome === 'throttled')
        ?.value ?? 0;
    const before = await throttled();
    await loginFrom(client, address, guess);
    assert.equal(await throttled(), before + 1);
  });

  const guarded: [string, string, (currentPassword: string) => object][] = [
    ['PATCH', '/api/v1/me', (currentPassword) => ({ email: 'new@example.org', currentPassword })],
    [
      'PUT',
      '/api/v1/me/password',
      (currentPassword) => ({
        currentPassword,
        newPassword: 'a quiet garden gate',
        newPasswordRepeat: 'a quiet garden gate',
      }),
    ],
    ['DELETE', '/api/v1/me', (currentPassword) => ({ currentPassword })],
  ];
  for (const [method, path, body] of guarded)
    it(`brute force of the current password with a stolen session is stopped at ${method} ${path}`, async () => {
      const { token } = (await loginFrom(client, home, person)).body;
      const thief = new Client(gateway.url, token);
      const from = { 'x-forwarded-for': stranger() };
      for (let i = 0; i < 3; i++)
        assertProblem(await thief.send(method, path, body(wrong), from), 401, 'invalid_credentials');
      assertProblem(await thief.send(method, path, body(person.password), from), 429, 'too_many_attempts');
      assert.equal((await loginFrom(client, from['x-forwarded-for'], guess)).status, 429);
      assert.equal((await loginFrom(client, home, person)).status, 200);
    });

  it('does not believe X-Forwarded-For from just anybody', async () => {
    const open = await startGateway({
      env: { ...limits, TRUSTED_PROXIES: '' },
      databaseUrl: gateway.databaseUrl,
    });
    try {
      const direct = anonymousClient(open);
      for (let i = 0; i < 3; i++) await loginFrom(direct, stranger(), guess);
      assert.equal((await loginFrom(direct, stranger(), person)).status, 429);
    } finally {
      await open.close();
    }
  });
});

describe('the login throttle on Redis', () => {
  let redis: RedisServer | undefined;
  let nodes: TestGateway[] = [];

  before(async function () {
    redis = await startRedis();
    if (!redis) return this.skip();
    const env = { ...limits, REDIS_URL: redis.url };
    const first = await startGateway({ env });
    nodes = [first, await startGateway({ env, databaseUrl: first.databaseUrl })];
  });
  after(async () => {
    for (const node of nodes) await node.close();
    await redis?.stop();
  });

  it('counts the failures of all nodes together', async () => {
    const [one, two] = nodes.map(anonymousClient) as [Client, Client];
    const person = await register(one);
    const guess = { ...person, password: wrong };
    for (const client of [one, two, one]) assert.equal((await login(client, guess)).status, 401);
    for (const client of [one, two]) assert.equal((await login(client, person)).status, 429);
  });

  it('keeps no e-mail in its keys', async () => {
    const client = anonymousClient({ url: nodes[0]?.url ?? '' });
    await loginFrom(client, '192.0.2.99', { email: 'Secret.Person@example.org', password: wrong });
    const inspector = new Redis(redis?.url ?? '');
    const keys = (await inspector.keys('*')).filter((key) => key.includes('login'));
    await inspector.quit();
    assert.ok(keys.length >= 3, keys.join());
    for (const key of keys) assert.doesNotMatch(key, /secret|example\.org|@/i);
  });

  it('goes on counting, node by node, while Redis is gone', async () => {
    await redis?.stop();
    const client = anonymousClient({ url: nodes[0]?.url ?? '' });
    const person = await register(client);
    for (let i = 0; i < 3; i++)
      assert.equal((await loginFrom(client, home, { ...person, password: wrong })).status, 401);
    assert.equal((await loginFrom(client, home, person)).status, 429);
    assert.equal((await loginFrom(client, '192.0.2.50', person)).status, 200);
  });
});
