import assert from 'node:assert/strict';
import { hashToken } from '../../../src/sessions/token.ts';
import { type Answer, anonymousClient, Client, startGateway, type TestGateway } from '../../harness.ts';
import { failWritesTo } from './failing-database.ts';

const form = { firstName: 'Ilse', lastName: 'Grün', email: 'ilse@example.org' };

describe('the logs of a full run', () => {
  let gateway: TestGateway;
  let anonymous: Client;
  /** What must never be logged, by what it is. */
  const secrets = new Map<string, string>();
  const answers: Answer[] = [];

  const secret = (what: string, value: string) => {
    secrets.set(value, what);
    return value;
  };
  const keep = (answer: Answer) => {
    answers.push(answer);
    return answer;
  };
  /** Every form in which a token or its hash could be written. */
  const keepToken = (what: string, token: string) => {
    const hash = hashToken(token);
    secret(what, token);
    secret(`${what}, without prefix`, token.slice(4));
    secret(`hash of the ${what}, hex`, hash.toString('hex'));
    secret(`hash of the ${what}, hex in capitals`, hash.toString('hex').toUpperCase());
    secret(`hash of the ${what}, base64`, hash.toString('base64'));
    secret(`hash of the ${what}, base64url`, hash.toString('base64url'));
    secret(`hash of the ${what}, as a buffer in JSON`, JSON.stringify([...hash]));
    return token;
  };
  const keepPasswordHashes = async () => {
    const hashes: string[] = await gateway.services.db('accounts').pluck('password_hash');
    for (const hash of hashes) {
      secret('a password hash', hash);
      const [digest = '', salt = ''] = hash.split('$').reverse();
      secret('the digest of a password hash', digest);
      secret('the salt of a password hash', salt);
    }
  };
  const logIn = async (email: string, password: string) => {
    const answer = keep(
      await anonymous.post('/api/v1/auth/login', { email, password: secret('a password', password) }),
    );
    assert.equal(answer.status, 200);
    return new Client(gateway.url, keepToken('a session token', answer.body.token));
  };
  const register = async (over: Record<string, unknown>) =>
    keep(await anonymous.post('/api/v1/auth/register', { ...form, ...over }));

  before(async () => {
    gateway = await startGateway({ logLevel: 'trace' });
    anonymous = anonymousClient(gateway);
    await registrations();
    await sessionsAndPasswords();
    await administration();
    await refusals();
    await failures();
    await keepPasswordHashes();
  });
  after(() => gateway.close());

  async function registrations() {
    const password = secret('a password', 'lantern-quarry-77');
    const other = secret('a mistyped password', 'lantern-quarry-78');
    assert.equal((await register({ password, passwordRepeat: other })).status, 400);
    const weak = secret('a weak password', 'IlseGrun2024');
    assert.equal(
      (await register({ password: weak, passwordRepeat: weak, firstName: 'IlseGrun2024' })).status,
      400,
    );
    assert.equal((await register({ password, passwordRepeat: password })).status, 201);
    assert.equal((await register({ password, passwordRepeat: password })).status, 409);
    await keepPasswordHashes();
  }

  async function sessionsAndPasswords() {
    const { email } = form;
    const wrong = secret('a wrong password', 'lantern-quarry-99');
    const unknown = {
      email: 'nobody@example.org',
      password: secret('a password of nobody', 'harbour-violet-31'),
    };
    assert.equal(keep(await anonymous.post('/api/v1/auth/login', { email, password: wrong })).status, 401);
    assert.equal(keep(await anonymous.post('/api/v1/auth/login', unknown)).status, 401);
    const ilse = await logIn(email, 'lantern-quarry-77');
    const cookie = { cookie: `castellan=${ilse.token}` };
    assert.equal(keep(await anonymous.get('/api/v1/me', cookie)).status, 200);
    const lured = { ...cookie, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' };
    assert.equal(keep(await anonymous.patch('/api/v1/me', { firstName: 'Eve' }, lured)).status, 403);
    const [currentPassword, newPassword] = [
      'lantern-quarry-77',
      secret('a new password', 'meadow-copper-12'),
    ];
    const change = { currentPassword, newPassword, newPasswordRepeat: newPassword };
    assert.notEqual(
      keep(await ilse.put('/api/v1/me/password', { ...change, currentPassword: wrong })).status,
      204,
    );
    assert.equal(keep(await ilse.put('/api/v1/me/password', change)).status, 204);
    await keepPasswordHashes();
    const moved = { email: 'ilse.gruen@example.org', currentPassword: newPassword };
    assert.equal(keep(await ilse.patch('/api/v1/me', moved)).status, 200);
    const second = await logIn(moved.email, newPassword);
    assert.equal(keep(await second.get('/api/v1/me/sessions')).status, 200);
    assert.equal(keep(await second.post('/api/v1/auth/logout')).status, 204);
    assert.equal(keep(await second.get('/api/v1/me')).status, 401);
    const made = new Client(gateway.url, keepToken('a made-up token', `cst_${'Zz'.repeat(21)}z`));
    assert.equal(keep(await made.get('/api/v1/me')).status, 401);
    assert.equal(keep(await ilse.delete('/api/v1/me', { currentPassword: newPassword })).status, 204);
  }

  async function administration() {
    const admin = await logIn('superadmin@example.com', 'superpass');
    const rule = { id: 'watched', role: 'everyone', action: 'read', subject: 'document' };
    assert.equal(keep(await admin.post('/api/v1/admin/rules', rule)).status, 201);
    assert.equal(keep(await admin.post('/api/v1/admin/rules', { ...rule, subject: 'dokument' })).status, 422);
    assert.equal(keep(await admin.patch('/api/v1/admin/rules/watched', { enabled: false })).status, 200);
    assert.equal(keep(await admin.delete('/api/v1/admin/rules/watched')).status, 204);
    const password = secret('a password given by an administrator', 'pebble-orchid-55');
    const made = keep(
      await admin.post('/api/v1/admin/users', { ...form, email: 'made@example.org', password }),
    );
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const user = `/api/v1/admin/users/${made.body.user.id}`;
    const newPassword = secret('a password reset by an administrator', 'granite-willow-08');
    await keepPasswordHashes();
    assert.equal(keep(await admin.put(`${user}/password`, { newPassword })).status, 204);
    await keepPasswordHashes();
    assert.equal(keep(await admin.get('/api/v1/admin/users')).status, 200);
    assert.equal(keep(await admin.put(`${user}/roles/editor`)).status, 204);
    assert.equal(keep(await admin.delete(user)).status, 204);
  }

  async function refusals() {
    const password = secret('a password in a body that is not JSON', 'timber-falcon-64');
    const login = '/api/v1/auth/login';
    assert.equal(keep(await anonymous.post(login, `{"password":"${password}" oops}`)).status, 400);
    assert.equal(keep(await anonymous.post(login, `{"password":"${password}","password":"x"}`)).status, 400);
    assert.equal(keep(await anonymous.post(login, { email: 1, password })).status, 400);
    const typed = { 'content-type': 'text/plain' };
    assert.equal(keep(await anonymous.post(login, `password=${password}`, typed)).status, 415);
    const query = `?password=${secret('a password in a query', 'saffron-anchor-20')}`;
    assert.equal(keep(await anonymous.post(login + query, { email: form.email, password })).status, 400);
    const basic = secret('a basic credential', Buffer.from(`a:${password}`).toString('base64'));
    assert.equal(keep(await anonymous.get('/api/v1/me', { authorization: `Basic ${basic}` })).status, 401);
  }

  /** A query that fails takes what it was to write along in its message. */
  async function failures() {
    const password = secret('a password when the database fails', 'cobalt-thistle-93');
    const { db } = gateway.services;
    const repair = await failWritesTo(db, 'accounts');
    const email = 'failing@example.org';
    assert.equal((await register({ email, password, passwordRepeat: password })).status, 500);
    await repair();
    assert.equal((await register({ email, password, passwordRepeat: password })).status, 201);
    const repairSessions = await failWritesTo(db, 'sessions');
    assert.equal(keep(await anonymous.post('/api/v1/auth/login', { email, password })).status, 500);
    await repairSessions();
  }

  it('hold lines of every kind of request that was made, those that failed with their stack', () => {
    const log = gateway.logged();
    for (const part of ['/api/v1/auth/login', '/api/v1/admin/rules', 'no space left on device', '"stack"'])
      assert.ok(log.includes(part), part);
  });

  it('hold no password, no token, no hash of either and no cookie', () => {
    const log = gateway.logged();
    const found = [...secrets].filter(([value]) => log.includes(value)).map(([, what]) => what);
    assert.ok(secrets.size > 50);
    assert.deepEqual(found, []);
    assert.doesNotMatch(log, /\$argon2|cst_[\w-]{20}|\\\\x[0-9a-f]{32}|X'[0-9a-f]{32}/i);
  });

  it('and no answer either, but for the token that a login answers', () => {
    for (const { body } of answers) {
      const text = JSON.stringify(body?.token ? { ...body, token: '' } : body);
      const found = [...secrets].filter(([value]) => text.includes(value)).map(([, what]) => what);
      assert.deepEqual(found, []);
    }
  });

  it('and no entry of the audit trail, the revisions or the change feed', async () => {
    for (const table of ['audit_entries', 'revisions', 'changes']) {
      const text = JSON.stringify(await gateway.services.db(table).select('*'));
      const found = [...secrets].filter(([value]) => text.includes(value)).map(([, what]) => what);
      assert.deepEqual(found, [], table);
      assert.ok(text.length > 2, `${table} is empty`);
    }
  });
});
