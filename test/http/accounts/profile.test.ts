/** GET and PATCH /api/v1/me */
import assert from 'node:assert/strict';
import { anonymousClient, type Client, registerAndLogIn, type TestGateway } from '../../harness.ts';
import { accountRow, assertProblem, auditOf, form, login, startDeafGateway } from './people.ts';

const path = '/api/v1/me';

describe('GET /me', () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await startDeafGateway();
  });
  after(() => gateway.close());

  it('200: answers the account, in exactly the fields of the contract', async () => {
    const { client, id, email } = await registerAndLogIn(gateway);
    await gateway.services
      .db('accounts')
      .where({ id })
      .update({ attributes: JSON.stringify({ department: 'sales' }) });
    const answer = await client.get(path);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    assert.deepEqual(Object.keys(answer.body), ['user']);
    const { createdAt, updatedAt, ...user } = answer.body.user;
    for (const date of [createdAt, updatedAt]) assert.equal(new Date(date).toISOString(), date);
    assert.deepEqual(user, {
      id,
      email,
      firstName: 'Test',
      lastName: 'Person',
      patronymic: null,
      isActive: true,
      roles: ['user'],
      attributes: { department: 'sales' },
    });
  });

  it('401: nobody is identified', async () => {
    const answer = await anonymousClient(gateway).get(path);
    assertProblem(answer, 401, 'unauthenticated');
    assert.match(answer.headers.get('www-authenticate') ?? '', /^Bearer/);
  });

  it('401: the account was deactivated', async () => {
    const { client, id } = await registerAndLogIn(gateway);
    await gateway.services.db('accounts').where({ id }).update({ is_active: false });
    gateway.services.feed.announce([{ kind: 'principal', subject: id }]);
    assertProblem(await client.get(path), 401, 'unauthenticated');
  });
});

describe('PATCH /me', () => {
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

  it('200: changes what is given and nothing else, in force in the next request', async () => {
    const before = (await client.get(path)).body.user;
    const answer = await client.patch(path, { firstName: ' Ren\u0065\u0301e ', patronymic: 'Petrovna' });
    assert.equal(answer.status, 200);
    const { updatedAt, ...user } = answer.body.user;
    const { updatedAt: updatedBefore, ...unchanged } = before;
    assert.deepEqual(user, { ...unchanged, firstName: 'Ren\u00e9e', patronymic: 'Petrovna' });
    assert.ok(updatedAt > updatedBefore);
    assert.deepEqual((await client.get(path)).body, answer.body);
    assert.equal((await client.patch(path, { patronymic: null })).body.user.patronymic, null);
  });

  it('the principal that rules see has the new name at once', async () => {
    const { sessions } = gateway.services;
    const name = async () => (await sessions.find(client.token ?? ''))?.account.firstName;
    assert.equal(await name(), 'Test');
    await client.patch(path, { firstName: 'Renamed' });
    assert.equal(await name(), 'Renamed');
  });

  it('writes what changed into the audit trail, and nothing when nothing did', async () => {
    await client.patch(path, { firstName: 'Ada', lastName: 'Person' }, { 'x-request-id': 'patch-1' });
    await client.patch(path, { firstName: 'Ada' });
    const [registered, updated, ...more] = await auditOf(gateway, me.id);
    assert.deepEqual(more, []);
    assert.equal(registered?.action, 'user.register');
    assert.deepEqual(updated, {
      action: 'user.update',
      actor: me.email,
      actorId: me.id,
      address: '127.0.0.1',
      requestId: 'patch-1',
      before: { firstName: 'Test' },
      after: { firstName: 'Ada' },
    });
  });

  it('200: a new e-mail with the current password; the old one is free, the new one logs in', async () => {
    const { email: newEmail } = form();
    const answer = await client.patch(path, { email: newEmail, currentPassword: me.password });
    assert.equal(answer.status, 200);
    assert.equal(answer.body.user.email, newEmail);
    const stranger = anonymousClient(gateway);
    assert.equal((await login(stranger, me)).status, 401);
    assert.equal((await login(stranger, { ...me, email: newEmail.toUpperCase() })).status, 200);
    assert.equal((await stranger.post('/api/v1/auth/register', form({ email: me.email }))).status, 201);
    const [, entry] = await auditOf(gateway, me.id);
    assert.deepEqual(
      [entry?.action, entry?.before, entry?.after],
      ['user.change-email', { email: me.email }, { email: newEmail }],
    );
  });

  it("200: one's own e-mail in other case needs the password too; as it is, it is no change", async () => {
    assert.equal((await client.patch(path, { email: me.email })).status, 200);
    const email = me.email.toUpperCase();
    assertProblem(await client.patch(path, { email }), 400, 'invalid_request', '/currentPassword');
    const answer = await client.patch(path, { email, currentPassword: me.password });
    assert.equal(answer.body.user.email, email);
  });

  it('400: a new e-mail without the current password; then nothing is changed', async () => {
    const answer = await client.patch(path, { email: form().email, firstName: 'Thief' });
    assertProblem(answer, 400, 'invalid_request', '/currentPassword');
    const { email, firstName } = await accountRow(gateway, me.id);
    assert.deepEqual([email, firstName], [me.email, 'Test']);
  });

  it('401: a new e-mail with a wrong password; then nothing is changed', async () => {
    const answer = await client.patch(path, {
      email: form().email,
      firstName: 'Thief',
      currentPassword: 'not this',
    });
    assertProblem(answer, 401, 'invalid_credentials');
    const { email, firstName } = await accountRow(gateway, me.id);
    assert.deepEqual([email, firstName], [me.email, 'Test']);
  });

  it('409: the new e-mail is taken, by an active account or a deactivated one', async () => {
    for (const email of ['Admin@example.com', 'suspended@example.com'])
      assertProblem(
        await client.patch(path, { email, currentPassword: me.password }),
        409,
        'email_taken',
        '/email',
      );
  });

  it('409: of two who take one e-mail at once, one gets it', async () => {
    const other = await registerAndLogIn(gateway);
    const { email } = form();
    const answers = await Promise.all([
      client.patch(path, { email, currentPassword: me.password }),
      other.client.patch(path, { email: email.toUpperCase(), currentPassword: other.password }),
    ]);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409]);
  });

  for (const [what, body, ...pointers] of [
    ['nothing', {}, ''],
    ['nothing but the password', { currentPassword: 'x' }, ''],
    ['an empty name', { firstName: '' }, '/firstName'],
    ['null for a name', { lastName: null }, '/lastName'],
    ['a bad e-mail', { email: 'x@', currentPassword: 'x' }, '/email'],
    [
      'a password that is too long',
      { email: 'x@example.org', currentPassword: 'x'.repeat(257) },
      '/currentPassword',
    ],
  ] as [string, object, ...string[]][])
    it(`400: ${what}`, async () =>
      assertProblem(await client.patch(path, body), 400, 'invalid_request', ...pointers));

  it('mass assignment: roles, attributes, isActive, id and the like are refused, each by its name', async () => {
    const extra = {
      id: '00000000-0000-4000-8000-000000000001',
      roles: ['superadmin'],
      attributes: { approvalLimit: 1_000_000 },
      isActive: false,
      passwordHash: 'x',
      password: 'x',
      emailKey: 'x',
      accessVersion: 1,
      createdAt: '2020-01-01T00:00:00Z',
    };
    const pointers = Object.keys(extra).map((key) => `/${key}`);
    assertProblem(
      await client.patch(path, { firstName: 'Ada', ...extra }),
      400,
      'invalid_request',
      ...pointers,
    );
    assert.equal((await client.get(path)).body.user.firstName, 'Test');
  });

  it('401: nobody is identified', async () => {
    assertProblem(await anonymousClient(gateway).patch(path, { firstName: 'Ada' }), 401, 'unauthenticated');
  });
});
