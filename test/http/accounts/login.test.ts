/** POST /api/v1/auth/login */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mock } from 'node:test';
import argon2 from 'argon2';
import { anonymousClient, Client, startGateway, type TestGateway } from '../../harness.ts';
import {
  accountRow,
  assertProblem,
  hashParameters,
  login,
  register,
  sessionRows,
  setCookie,
  startDeafGateway,
} from './people.ts';

const path = '/api/v1/auth/login';

describe('POST /auth/login', () => {
  let gateway: TestGateway;
  let client: Client;
  before(async () => {
    gateway = await startDeafGateway();
    client = anonymousClient(gateway);
  });
  after(() => gateway.close());

  it('200: answers token, expiry and account, and a cookie with the same token', async () => {
    const person = await register(client);
    const answer = await login(client, person);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    assert.deepEqual(Object.keys(answer.body), ['token', 'expiresAt', 'user']);
    assert.equal(answer.body.user.id, person.id);
    assert.deepEqual(answer.body.user.roles, ['user']);
    assert.match(answer.body.token, /^cst_[A-Za-z0-9_-]{43}$/);
    const lifetime = new Date(answer.body.expiresAt).getTime() - Date.now();
    assert.ok(Math.abs(lifetime - 30 * 24 * 3600 * 1000) < 60_000);
    const { name, value, attributes } = setCookie(answer);
    assert.equal(name, 'castellan');
    assert.equal(value, answer.body.token);
    const { expires = '', ...others } = attributes;
    assert.deepEqual(others, { httponly: '', samesite: 'Lax', path: '/' });
    assert.ok(Math.abs(new Date(expires).getTime() - new Date(answer.body.expiresAt).getTime()) < 1000);
  });

  it('either the token or the cookie identifies', async () => {
    const person = await register(client);
    const { body } = await login(client, person);
    const byToken = await new Client(gateway.url, body.token).get('/api/v1/me');
    const byCookie = await client.get('/api/v1/me', { cookie: `castellan=${body.token}` });
    assert.equal(byToken.body.user.id, person.id);
    assert.equal(byCookie.body.user.id, person.id);
  });

  it('stores the hash of the token, never the token', async () => {
    const person = await register(client);
    const { token } = (await login(client, person)).body;
    const [row, ...more] = await sessionRows(gateway, person.id);
    assert.deepEqual(more, []);
    assert.deepEqual(row?.tokenHash, createHash('sha256').update(token).digest());
    assert.ok(!JSON.stringify(row).includes(token));
    assert.ok(!gateway.logged().includes(token.slice(4)));
  });

  it('finds the account without regard to the case of the e-mail', async () => {
    const person = await register(client, { email: 'Case.\u00c9@Example.org' });
    assert.equal((await login(client, { ...person, email: ' case.e\u0301@EXAMPLE.ORG ' })).status, 200);
  });

  it('takes a password however its letters were composed (NFC, NFD)', async () => {
    const password = 'Ünïcödé pässwörd';
    const person = await register(client, { password: password.normalize('NFD') });
    for (const form of ['NFC', 'NFD'])
      assert.equal((await login(client, { ...person, password: password.normalize(form) })).status, 200);
    assert.equal((await login(client, { ...person, password: 'Unicode password' })).status, 401);
  });

  it('does not take the password with space around it, in other case, or cut off', async () => {
    const person = await register(client);
    for (const password of [
      ` ${person.password}`,
      person.password.toUpperCase(),
      person.password.slice(0, -1),
    ])
      assert.equal((await login(client, { ...person, password })).status, 401);
  });

  it('distinguishes long passwords to the last of their 256 code points', async () => {
    const password = `${'🦔'.repeat(255)}x`;
    const person = await register(client, { password });
    assert.equal((await login(client, person)).status, 200);
    assert.equal((await login(client, { ...person, password: `${'🦔'.repeat(255)}y` })).status, 401);
  });

  for (const [what, body, ...pointers] of [
    ['no password', { email: 'a@example.org' }, '/password'],
    ['a list for a password', { email: 'a@example.org', password: ['x'] }, '/password'],
    ['a key that is not known', { email: 'a@example.org', password: 'x', remember: true }, '/remember'],
    ['nothing', {}, '/email', '/password'],
  ] as [string, object, ...string[]][])
    it(`400: ${what}`, async () =>
      assertProblem(await client.post(path, body), 400, 'invalid_request', ...pointers));

  it('400: what is longer than any password or e-mail is not hashed', async () => {
    const verify = mock.method(argon2, 'verify');
    try {
      const long = 'x'.repeat(257);
      assertProblem(
        await login(client, { email: 'a@example.org', password: long }),
        400,
        'invalid_request',
        '/password',
      );
      assertProblem(await login(client, { email: long, password: 'x' }), 400, 'invalid_request', '/email');
      const begun = Date.now();
      const marks = '\u0301\u0323'.repeat(50_000);
      const answer = await login(client, { email: marks, password: marks });
      assertProblem(answer, 400, 'invalid_request', '/email', '/password');
      assert.ok(Date.now() - begun < 2000);
      assert.equal(verify.mock.callCount(), 0);
    } finally {
      verify.mock.restore();
    }
  });

  it('401: a wrong password', async () => {
    const person = await register(client);
    const answer = await login(client, { ...person, password: 'not this one' });
    assertProblem(answer, 401, 'invalid_credentials');
    assert.deepEqual(answer.headers.getSetCookie(), []);
  });

  it('session fixation: the session that is sent along ends, whoever it belongs to', async () => {
    const [attacker, victim] = [await register(client), await register(client)];
    const planted: string = (await login(client, attacker)).body.token;
    const stale: string = (await login(client, victim)).body.token;
    const byCookie = await login(client, victim, { cookie: `castellan=${planted}` });
    const byBearer = await login(client, victim, { authorization: `Bearer ${stale}` });
    assert.notEqual(byCookie.body.token, planted);
    assert.notEqual(byBearer.body.token, stale);
    for (const token of [planted, stale])
      assert.equal((await new Client(gateway.url, token).get('/api/v1/me')).status, 401);
    for (const { body } of [byCookie, byBearer])
      assert.equal((await new Client(gateway.url, body.token).get('/api/v1/me')).body.user.id, victim.id);
  });

  it('a login that fails ends nothing', async () => {
    const person = await register(client);
    const { token } = (await login(client, person)).body;
    await login(client, { ...person, password: 'not this one' }, { authorization: `Bearer ${token}` });
    assert.equal((await new Client(gateway.url, token).get('/api/v1/me')).status, 200);
  });

  it('writes down address and user agent of the session, bounded', async () => {
    const person = await register(client);
    await login(client, person, { 'user-agent': 'a'.repeat(2000) });
    const [row] = await sessionRows(gateway, person.id);
    assert.equal(row?.address, '127.0.0.1');
    assert.equal(row?.userAgent, 'a'.repeat(512));
  });

  it('an account deactivated while its password is being verified is not logged in', async () => {
    const person = await register(client);
    const end = () => gateway.services.db('accounts').where({ id: person.id }).update({ is_active: false });
    assertProblem(await whileVerifying(end, () => login(client, person)), 401, 'invalid_credentials');
  });

  it('a password changed while the old one is being verified is the one that counts', async () => {
    const person = await register(client);
    const other = await register(client);
    const { passwordHash } = await accountRow(gateway, other.id);
    const change = () =>
      gateway.services.db('accounts').where({ id: person.id }).update({ password_hash: passwordHash });
    assertProblem(await whileVerifying(change, () => login(client, person)), 401, 'invalid_credentials');
  });

  it('counts logins by outcome', async () => {
    const count = async (outcome: string) =>
      (await gateway.services.metrics.logins.get()).values.find((v) => v.labels.outcome === outcome)?.value ??
      0;
    const person = await register(client);
    const [ok, refused] = [await count('ok'), await count('refused')];
    await login(client, person);
    await login(client, { ...person, password: 'not this one' });
    await client.post(path, {});
    assert.deepEqual([await count('ok'), await count('refused')], [ok + 1, refused + 1]);
  });
});

describe('POST /auth/login, over TLS', () => {
  let gateway: TestGateway;
  let client: Client;
  before(async () => {
    gateway = await startGateway({ env: { PUBLIC_URL: 'https://castellan.example' } });
    client = anonymousClient(gateway);
  });
  after(() => gateway.close());

  it('sets a cookie that no plain connection and no other host can set or see', async () => {
    const person = await register(client);
    const answer = await login(client, person);
    const { name, value, attributes } = setCookie(answer);
    const { expires: _, ...others } = attributes;
    assert.equal(name, '__Host-castellan');
    assert.deepEqual(others, { httponly: '', secure: '', samesite: 'Lax', path: '/' });
    const me = await client.get('/api/v1/me', { cookie: `__Host-castellan=${value}` });
    assert.equal(me.body.user.id, person.id);
  });

  it('does not take a cookie of the name that plain connections use', async () => {
    const { token } = (await login(client, await register(client))).body;
    assert.equal((await client.get('/api/v1/me', { cookie: `castellan=${token}` })).status, 401);
  });
});

describe('POST /auth/login, when the parameters of argon2 grow', () => {
  const gateways: TestGateway[] = [];
  after(() => Promise.all(gateways.map((gateway) => gateway.close())));

  it('hashes anew at login, and never with less', async () => {
    const before = await start();
    const grown = await start({ PASSWORD_TIME_COST: '3', PASSWORD_MEMORY_KIB: '20480' }, before.databaseUrl);
    const person = await register(anonymousClient(before));
    const stored = async () => (await accountRow(before, person.id)).passwordHash;
    const first = await stored();
    assert.equal((await login(anonymousClient(before), person)).status, 200);
    assert.equal(await stored(), first);
    await login(anonymousClient(grown), { ...person, password: 'not this one' });
    assert.equal(await stored(), first);
    assert.equal((await login(anonymousClient(grown), person)).status, 200);
    const second = await stored();
    assert.equal(hashParameters(second), 'argon2id v=19 m=20480 p=1 t=3');
    for (const gateway of [before, grown, before])
      assert.equal((await login(anonymousClient(gateway), person)).status, 200);
    assert.equal(await stored(), second);
  });

  it('logins of one account at once all succeed while it is hashed anew', async () => {
    const before = await start();
    const grown = await start({ PASSWORD_TIME_COST: '3' }, before.databaseUrl);
    const person = await register(anonymousClient(before));
    const answers = await Promise.all(Array.from({ length: 6 }, () => login(anonymousClient(grown), person)));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  });

  async function start(env: Record<string, string> = {}, databaseUrl?: string): Promise<TestGateway> {
    const gateway = await startGateway({ env, ...(databaseUrl && { databaseUrl }) });
    gateways.push(gateway);
    return gateway;
  }
});

/** Does something once, after a password was verified and before its outcome is known to the gateway. */
async function whileVerifying<T>(act: () => Promise<unknown>, run: () => Promise<T>): Promise<T> {
  const original = argon2.verify;
  let done: Promise<unknown> | undefined;
  const verify = mock.method(argon2, 'verify', async (hash: string, password: string) => {
    const fits = await original(hash, password);
    done ??= act();
    await done;
    return fits;
  });
  try {
    return await run();
  } finally {
    verify.mock.restore();
    assert.ok(done, 'nothing was verified');
  }
}
