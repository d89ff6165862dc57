/** POST /api/v1/auth/register */
import assert from 'node:assert/strict';
import { mock } from 'node:test';
import argon2 from 'argon2';
import { anonymousClient, type Client, logIn, startGateway, type TestGateway } from '../../harness.ts';
import {
  accountRow,
  assertProblem,
  auditOf,
  form,
  hashParameters,
  login,
  register,
  sessionRows,
} from './people.ts';

const path = '/api/v1/auth/register';

describe('POST /auth/register', () => {
  let gateway: TestGateway;
  let client: Client;
  before(async () => {
    gateway = await startGateway();
    client = anonymousClient(gateway);
  });
  after(() => gateway.close());

  it('201: answers the account, in exactly the fields of the contract', async () => {
    const answer = await client.post(path, form({ email: '  Nadia@Example.ORG ', firstName: ' Nadia ' }));
    assert.equal(answer.status, 201);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    const { id, createdAt, updatedAt, ...user } = answer.body.user;
    assert.deepEqual(Object.keys(answer.body), ['user']);
    assert.match(id, /^[0-9a-f-]{36}$/);
    assert.equal(new Date(createdAt).toISOString(), createdAt);
    assert.equal(updatedAt, createdAt);
    assert.deepEqual(user, {
      email: 'Nadia@Example.ORG',
      firstName: 'Nadia',
      lastName: 'Brook',
      patronymic: null,
      isActive: true,
      roles: ['user'],
      attributes: {},
    });
  });

  it('does not log in', async () => {
    const answer = await client.post(path, form());
    assert.deepEqual(answer.headers.getSetCookie(), []);
    assert.deepEqual(await sessionRows(gateway, answer.body.user.id), []);
  });

  it('stores the password as argon2id with at least the parameters of OWASP, and nowhere else', async () => {
    const person = await register(client);
    const { passwordHash: hash } = await accountRow(gateway, person.id);
    assert.equal(hashParameters(hash), 'argon2id v=19 m=19456 p=1 t=2');
    assert.ok(await argon2.verify(hash, person.password));
    assert.ok(!gateway.logged().includes(person.password));
    assert.ok(!JSON.stringify(await auditOf(gateway, person.id)).includes(person.password));
  });

  it('writes an audit entry with actor, address and request id', async () => {
    const answer = await client.post(path, form({ patronymic: 'Ivanovna' }), { 'x-request-id': 'reg-1' });
    const { user } = answer.body;
    const [entry, ...more] = await auditOf(gateway, user.id);
    assert.deepEqual(more, []);
    const { after, ...who } = entry ?? {};
    assert.deepEqual(who, {
      action: 'user.register',
      actor: user.email,
      actorId: user.id,
      address: '127.0.0.1',
      requestId: 'reg-1',
      before: null,
    });
    assert.deepEqual(after, {
      email: user.email,
      firstName: 'Nadia',
      lastName: 'Brook',
      patronymic: 'Ivanovna',
      roles: ['user'],
    });
  });

  const names = [
    'Ö',
    '李小龍',
    'محمد',
    'नरेन्द्र',
    "O'Brien-Núñez",
    'Jean Luc',
    '𝒥'.repeat(100),
    '👩‍🚀',
    'می‌خواهم',
  ];
  for (const name of names)
    it(`takes names in any script: ${name.slice(0, 20)}`, async () => {
      const { body } = await client.post(path, form({ firstName: name, lastName: name, patronymic: name }));
      assert.deepEqual(
        [body.user?.firstName, body.user?.lastName, body.user?.patronymic],
        [name, name, name],
      );
    });

  it('keeps names in NFC', async () => {
    const { body } = await client.post(path, form({ firstName: 'Zoe\u0308' }));
    assert.equal(body.user.firstName, 'Zo\u00eb');
  });

  const wrong: [string, Record<string, unknown>, ...string[]][] = [
    ['a name of nothing but space', { firstName: ' \u3000 ' }, '/firstName'],
    ['an invisible name', { firstName: '\u200b\u200b' }, '/firstName'],
    ['a name of 101 code points', { lastName: '𝒥'.repeat(101) }, '/lastName'],
    ['a control character in a name', { lastName: 'a\u0007b' }, '/lastName'],
    ['a line break in a name', { lastName: 'a\nb' }, '/lastName'],
    ['a name that turns the text around it', { patronymic: '\u202Egnp.exe' }, '/patronymic'],
    ['an empty patronymic', { patronymic: '' }, '/patronymic'],
    ['a name that is no text', { firstName: 7 }, '/firstName'],
    ['no e-mail', { email: undefined }, '/email'],
    ['an e-mail without a domain', { email: 'nadia' }, '/email'],
    ['an e-mail of 255 characters', { email: `${'a'.repeat(64)}@${'b.'.repeat(93)}shop` }, '/email'],
    ['an e-mail with an invisible character', { email: 'na\u200bdia@example.org' }, '/email'],
    ['a line break in an e-mail', { email: 'a@example.org\nbcc: b@example.org' }, '/email'],
    ['an object for an e-mail', { email: { $ne: null } }, '/email'],
    ['a password of 7 code points', { password: '😀'.repeat(7) }, '/password'],
    ['a password of 257 code points', { password: '😀'.repeat(257) }, '/password'],
    ['a repetition that differs', { passwordRepeat: 'something else' }, '/passwordRepeat'],
    ['no repetition', { passwordRepeat: undefined }, '/passwordRepeat'],
    ['a common password', { password: 'baseball1' }, '/password'],
    ['a common password in other case', { password: 'PassWord1' }, '/password'],
    ['a password of the own name', { password: 'Nadia-Brook-1990' }, '/password'],
    [
      'a password of the own e-mail',
      { email: 'qvist.r@example.org', password: 'qvist.r@example.org' },
      '/password',
    ],
    ['a password of the name of the product', { password: 'C@ste11an2024' }, '/password'],
    [
      'everything at once',
      { email: 1, password: 'a', passwordRepeat: 'b', firstName: '', lastName: null },
      '/email',
      '/password',
      '/passwordRepeat',
      '/firstName',
      '/lastName',
    ],
  ];
  for (const [what, over, ...pointers] of wrong)
    it(`400: ${what}`, async () =>
      assertProblem(await client.post(path, form(over)), 400, 'invalid_request', ...pointers));

  it('400: says why a password is refused', async () => {
    const reason = async (password: string) =>
      (await client.post(path, form({ password }))).body.errors[0].message;
    assert.match(await reason('baseball1'), /common/);
    assert.match(await reason('nadia12345'), /your own name/);
    assert.match(await reason('castellan!!'), /name of this product/);
    assert.match(await reason('short'), /at least 8/);
  });

  for (const body of ['[]', 'null', '"text"', '7'])
    it(`400: a body that is ${body}`, async () =>
      assertProblem(
        await client.post(path, body),
        400,
        'invalid_request',
        ...(body === 'null' ? ['/email', '/password', '/passwordRepeat', '/firstName', '/lastName'] : ['']),
      ));

  it('counts an emoji as one character: 8 and 256 of them are enough and not too many', async () => {
    for (const count of [8, 256])
      assert.equal((await client.post(path, form({ password: '🦔'.repeat(count) }))).status, 201);
  });

  it('mass assignment: id, isActive, roles, attributes and the like are refused, each by its name', async () => {
    const extra = {
      id: '00000000-0000-4000-8000-000000000001',
      isActive: true,
      roles: ['superadmin'],
      attributes: { department: 'editorial' },
      emailKey: 'x',
      passwordHash: 'x',
      accessVersion: 9,
    };
    const sent = form(extra);
    const pointers = Object.keys(extra).map((key) => `/${key}`);
    assertProblem(await client.post(path, sent), 400, 'invalid_request', ...pointers);
    assert.equal((await login(client, sent)).status, 401);
  });

  it('409: the e-mail is taken, without regard to case, composition and space', async () => {
    await register(client, { email: 'taken.\u00e9@example.org' });
    for (const email of ['taken.\u00e9@example.org', ' TAKEN.e\u0301@Example.Org '])
      assertProblem(await client.post(path, form({ email })), 409, 'email_taken', '/email');
  });

  it('409: of registrations of one e-mail at once, exactly one succeeds', async () => {
    const sent = form({ email: 'race@example.org' });
    const answers = await Promise.all(
      ['race@example.org', 'RACE@example.org', 'Race@Example.org', 'racE@example.org'].map((email) =>
        client.post(path, { ...sent, email }),
      ),
    );
    const taken = answers.filter(({ status }) => status !== 201);
    assert.equal(taken.length, 3);
    for (const answer of taken) assertProblem(answer, 409, 'email_taken', '/email');
    const rows = await gateway.services.db('accounts').where({ email_key: 'race@example.org' });
    assert.equal(rows.length, 1);
  });

  it('texts that the database cannot hold are refused as such', async () => {
    for (const text of ['a\u0000bcdefgh', 'abcdefgh\udc00'])
      for (const field of ['firstName', 'email', 'password'])
        assert.equal((await client.post(path, form({ [field]: text }))).status, 400);
  });

  it('409: hashes nothing for an e-mail that is taken', async () => {
    const { email } = await register(client);
    const hash = mock.method(argon2, 'hash');
    try {
      await client.post(path, form({ email }));
      assert.equal(hash.mock.callCount(), 0);
    } finally {
      hash.mock.restore();
    }
  });

  it('is answered at once for texts that would take a minute to normalise', async () => {
    const marks = `a${'\u0301\u0323'.repeat(50_000)}`;
    const begun = Date.now();
    const answer = await client.post(path, form({ email: marks, password: marks, firstName: marks }));
    assert.equal(answer.status, 400);
    assert.ok(Date.now() - begun < 2000, `${Date.now() - begun} ms`);
  });
});

describe('POST /auth/register under other settings', () => {
  it('429: an address that looks for taken e-mails is stopped (user enumeration by registration)', async () => {
    const gateway = await startGateway({ env: { LOGIN_FAILURES_PER_ADDRESS: '3' } });
    try {
      const client = anonymousClient(gateway);
      for (let i = 0; i < 5; i++) await register(client); // what succeeds does not count
      const probe = () => client.post(path, form({ email: 'admin@example.com' }));
      for (let i = 0; i < 3; i++) assert.equal((await probe()).status, 409);
      const answer = await probe();
      assertProblem(answer, 429, 'too_many_attempts');
      assert.ok(Number(answer.headers.get('retry-after')) > 0);
    } finally {
      await gateway.close();
    }
  });

  it('gives the roles that the settings name', async () => {
    const gateway = await startGateway({ env: { REGISTRATION_ROLES: 'user,author,user' } });
    try {
      const { body } = await anonymousClient(gateway).post(path, form());
      assert.deepEqual(body.user.roles, ['author', 'user']);
    } finally {
      await gateway.close();
    }
  });

  it('500: a setting that names a role which is not there makes no accounts', async () => {
    const gateway = await startGateway({ env: { REGISTRATION_ROLES: 'user,no-such-role' } });
    try {
      const sent = form();
      const answer = await anonymousClient(gateway).post(path, sent);
      assertProblem(answer, 500, 'internal_error');
      assert.ok(!JSON.stringify(answer.body).includes('no-such-role'));
      assert.match(gateway.logged(), /REGISTRATION_ROLES names no-such-role/);
      assert.equal((await gateway.services.db('accounts').where({ email: sent.email })).length, 0);
      await logIn(gateway, 'admin');
    } finally {
      await gateway.close();
    }
  });
});
