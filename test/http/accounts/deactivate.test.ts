/** DELETE /api/v1/me */
import assert from 'node:assert/strict';
import {
  anonymousClient,
  Client,
  eventually,
  logIn,
  registerAndLogIn,
  startGateway,
  type TestGateway,
} from '../../harness.ts';
import {
  accountRow,
  assertProblem,
  auditOf,
  form,
  login,
  sessionRows,
  setCookie,
  startDeafGateway,
} from './people.ts';

const path = '/api/v1/me';

describe('DELETE /me', () => {
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

  it('204: soft: the row stays, inactive, with the time, and the cookie is cleared', async () => {
    const answer = await client.delete(path, { currentPassword: me.password });
    assert.deepEqual([answer.status, answer.body], [204, '']);
    assert.equal(setCookie(answer).value, '');
    const row = await accountRow(gateway, me.id);
    assert.equal(row.isActive, false);
    assert.ok(row.deactivatedAt && Math.abs(row.deactivatedAt.getTime() - Date.now()) < 10_000);
    assert.equal(row.email, me.email);
  });

  it('every session ends at once', async () => {
    const { token } = (await login(anonymousClient(gateway), me)).body;
    const elsewhere = new Client(gateway.url, token);
    assert.equal((await elsewhere.get(path)).status, 200);
    await client.delete(path, { currentPassword: me.password });
    for (const session of [client, elsewhere]) assertProblem(await session.get(path), 401, 'unauthenticated');
    for (const { endedAt } of await sessionRows(gateway, me.id)) assert.ok(endedAt);
  });

  it('every session ends on other nodes within a second', async () => {
    const other = await startGateway({ databaseUrl: gateway.databaseUrl });
    try {
      const there = new Client(other.url, client.token);
      assert.equal((await there.get(path)).status, 200);
      await client.delete(path, { currentPassword: me.password });
      await eventually('ended there', async () => (await there.get(path)).status === 401, 1000);
    } finally {
      await other.close();
    }
  });

  it('a login afterwards answers like a wrong password', async () => {
    await client.delete(path, { currentPassword: me.password });
    const answer = await login(anonymousClient(gateway), me);
    assertProblem(answer, 401, 'invalid_credentials');
    assert.equal(
      answer.body.detail,
      (await login(anonymousClient(gateway), { ...me, email: 'nobody@example.org' })).body.detail,
    );
  });

  it('an administrator does not bring it back: a login never works again', async () => {
    await client.delete(path, { currentPassword: me.password });
    const root = await logIn(gateway, 'superadmin');
    const answer = await root.patch(`/api/v1/admin/users/${me.id}`, { isActive: true });
    assertProblem(answer, 409, 'conflict');
    assert.equal((await login(anonymousClient(gateway), me)).status, 401);
  });

  it('the e-mail stays taken', async () => {
    await client.delete(path, { currentPassword: me.password });
    const again = form({ email: me.email.toUpperCase() });
    assertProblem(
      await anonymousClient(gateway).post('/api/v1/auth/register', again),
      409,
      'email_taken',
      '/email',
    );
  });

  it('writes an audit entry', async () => {
    await client.delete(path, { currentPassword: me.password });
    const [, entry, ...more] = await auditOf(gateway, me.id);
    assert.deepEqual(more, []);
    assert.deepEqual(
      [entry?.action, entry?.actor, entry?.before, entry?.after],
      ['user.deactivate', me.email, { isActive: true }, { isActive: false }],
    );
  });

  it('400: without the current password', async () => {
    for (const body of [undefined, {}])
      assertProblem(await client.delete(path, body), 400, 'invalid_request', '/currentPassword');
    assertProblem(
      await client.delete(path, { currentPassword: me.password, force: true }),
      400,
      'invalid_request',
      '/force',
    );
    assert.equal((await accountRow(gateway, me.id)).isActive, true);
  });

  it('401: with a wrong password', async () => {
    assertProblem(await client.delete(path, { currentPassword: 'not this one' }), 401, 'invalid_credentials');
    assert.equal((await accountRow(gateway, me.id)).isActive, true);
    assert.equal((await client.get(path)).status, 200);
  });

  it('401: nobody is identified', async () => {
    assertProblem(
      await anonymousClient(gateway).delete(path, { currentPassword: me.password }),
      401,
      'unauthenticated',
    );
  });

  it('409: the last account that can change the policy cannot go; with another one there it can', async () => {
    const own = await startGateway();
    try {
      const superadmin = await logIn(own, 'superadmin');
      const currentPassword = 'superpass';
      assertProblem(await superadmin.delete(path, { currentPassword }), 409, 'policy_locks_out');
      const { user } = (await superadmin.get(path)).body;
      assert.equal(user.isActive, true);
      assert.deepEqual(
        (await auditOf(own, user.id)).map(({ action }) => action),
        [],
      );
      const { id } = await registerAndLogIn(own);
      await own.services.db('role_assignments').insert({ account_id: id, role_key: 'superadmin' });
      assert.equal((await superadmin.delete(path, { currentPassword })).status, 204);
    } finally {
      await own.close();
    }
  });

  it('409: of the last two who can change the policy, both going at once, one stays', async () => {
    const own = await startGateway();
    try {
      const second = await registerAndLogIn(own);
      await own.services.db('role_assignments').insert({ account_id: second.id, role_key: 'superadmin' });
      const first = await logIn(own, 'superadmin');
      const answers = await Promise.all([
        first.delete(path, { currentPassword: 'superpass' }),
        second.client.delete(path, { currentPassword: second.password }),
      ]);
      assert.deepEqual(answers.map(({ status }) => status).sort(), [204, 409]);
    } finally {
      await own.close();
    }
  });
});
