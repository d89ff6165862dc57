/** PUT /api/v1/me/password */
import assert from 'node:assert/strict';
import {
  anonymousClient,
  Client,
  eventually,
  registerAndLogIn,
  startGateway,
  type TestGateway,
} from '../../harness.ts';
import { accountRow, assertProblem, auditOf, login, startDeafGateway } from './people.ts';

const path = '/api/v1/me/password';
const next = 'a quiet garden gate';

describe('PUT /me/password', () => {
  let gateway: TestGateway;
  let client: Client;
  let me: { id: string; email: string; password: string };
  before(async () => {
    gateway = await startDeafGateway();
  });
  after(() => gateway.close());
  beforeEach(async () => {
    ({ client, ...me } = await registerAndLogIn(gateway));
  });

  const change = (over: Record<string, unknown> = {}) =>
    client.put(path, { currentPassword: me.password, newPassword: next, newPasswordRepeat: next, ...over });
  const isUnchanged = async () => (await login(anonymousClient(gateway), me)).status === 200;

  it('204: the new password logs in, the old one does not', async () => {
    const answer = await change();
    assert.deepEqual([answer.status, answer.body], [204, '']);
    const stranger = anonymousClient(gateway);
    assert.equal((await login(stranger, me)).status, 401);
    assert.equal((await login(stranger, { ...me, password: next })).status, 200);
  });

  it('204: every other session ends at once, this one stays', async () => {
    const { token } = (await login(anonymousClient(gateway), me)).body;
    const stolen = new Client(gateway.url, token);
    assert.equal((await stolen.get('/api/v1/me')).status, 200);
    await change();
    assertProblem(await stolen.get('/api/v1/me'), 401, 'unauthenticated');
    assert.equal((await client.get('/api/v1/me')).status, 200);
  });

  it('the other sessions end on other nodes within a second', async () => {
    const other = await startGateway({ databaseUrl: gateway.databaseUrl });
    try {
      const { token } = (await login(anonymousClient(other), me)).body;
      const there = new Client(other.url, token);
      assert.equal((await there.get('/api/v1/me')).status, 200);
      await change();
      await eventually('ended there', async () => (await there.get('/api/v1/me')).status === 401, 1000);
    } finally {
      await other.close();
    }
  });

  it('writes an audit entry that holds no password and no hash', async () => {
    await change();
    const [, entry] = await auditOf(gateway, me.id);
    assert.deepEqual(
      [entry?.action, entry?.actorId, entry?.before, entry?.after],
      ['user.change-password', me.id, null, null],
    );
  });

  it('400: the repetition differs', async () => {
    assertProblem(
      await change({ newPasswordRepeat: 'something else' }),
      400,
      'invalid_request',
      '/newPasswordRepeat',
    );
    assert.ok(await isUnchanged());
  });

  for (const [what, newPassword] of [
    ['too short', 'short'],
    ['too long', '🦔'.repeat(257)],
    ['common', 'Baseball1'],
    ['made of the own name', 'TestPerson2024'],
    ['made of the name of the product', 'castellan-castellan'],
  ])
    it(`400: the new password is ${what}`, async () => {
      const answer = await change({ newPassword, newPasswordRepeat: newPassword });
      assertProblem(answer, 400, 'invalid_request', '/newPassword');
      assert.ok(await isUnchanged());
    });

  it('400: something is missing, or not known', async () => {
    assertProblem(
      await client.put(path, {}),
      400,
      'invalid_request',
      '/currentPassword',
      '/newPassword',
      '/newPasswordRepeat',
    );
    assertProblem(await change({ email: 'x@example.org' }), 400, 'invalid_request', '/email');
  });

  it('401: the current password is wrong', async () => {
    assertProblem(await change({ currentPassword: 'not this one' }), 401, 'invalid_credentials');
    assert.ok(await isUnchanged());
  });

  it('401: nobody is identified', async () => {
    const body = { currentPassword: me.password, newPassword: next, newPasswordRepeat: next };
    assertProblem(await anonymousClient(gateway).put(path, body), 401, 'unauthenticated');
  });

  it('409: of two changes at once one wins, and the password is that of the winner', async () => {
    const passwords = ['a quiet garden gate', 'a loud kitchen door'];
    const answers = await Promise.all(
      passwords.map((newPassword) => change({ newPassword, newPasswordRepeat: newPassword })),
    );
    const statuses = answers.map(({ status }) => status);
    // One that came after the other was done finds its current password wrong.
    assert.equal(statuses.filter((status) => status === 204).length, 1, statuses.join());
    assert.ok(
      statuses.every((status) => [204, 401, 409].includes(status)),
      statuses.join(),
    );
    const winner = passwords[statuses.indexOf(204)] ?? '';
    assert.equal((await login(anonymousClient(gateway), { ...me, password: winner })).status, 200);
    assert.match((await accountRow(gateway, me.id)).passwordHash, /^\$argon2id\$/);
  });
});
