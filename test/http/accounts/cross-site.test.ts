/** Cross-site request forgery: a page elsewhere has the browser send the session cookie along. */
import assert from 'node:assert/strict';
import { anonymousClient, type Client, startGateway, type TestGateway } from '../../harness.ts';
import { accountRow, assertProblem, login, register, sessionRows } from './people.ts';

const elsewhere: [string, Record<string, string>][] = [
  ['Origin', { origin: 'https://evil.example' }],
  ['Origin null (a sandboxed frame)', { origin: 'null' }],
  ['Sec-Fetch-Site: cross-site', { 'sec-fetch-site': 'cross-site' }],
  ['Sec-Fetch-Site: same-site (another host of the domain)', { 'sec-fetch-site': 'same-site' }],
];

const changes: [string, string, (password: string) => object | undefined][] = [
  ['POST', '/api/v1/auth/logout', () => undefined],
  ['POST', '/api/v1/auth/login', () => ({ email: 'admin@example.com', password: 'adminpass' })],
  ['PATCH', '/api/v1/me', () => ({ firstName: 'Forged' })],
  [
    'PUT',
    '/api/v1/me/password',
    (currentPassword) => ({
      currentPassword,
      newPassword: 'a forged password',
      newPasswordRepeat: 'a forged password',
    }),
  ],
  ['DELETE', '/api/v1/me', (currentPassword) => ({ currentPassword })],
  ['DELETE', '/api/v1/me/sessions', () => undefined],
];

describe('cross-site request forgery', () => {
  let gateway: TestGateway;
  let client: Client;
  before(async () => {
    gateway = await startGateway({ env: { ALLOWED_ORIGINS: 'https://console.example' } });
    client = anonymousClient(gateway);
  });
  after(() => gateway.close());

  const somebody = async () => {
    const person = await register(client);
    const { token } = (await login(client, person)).body;
    return { person, token, cookie: `castellan=${token}` };
  };

  for (const [method, path, body] of changes)
    it(`403: ${method} ${path} with the cookie, from another site`, async () => {
      const { person, cookie } = await somebody();
      for (const [what, headers] of elsewhere) {
        const answer = await client.send(method, path, body(person.password), { cookie, ...headers });
        assert.equal(answer.status, 403, what);
        assertProblem(answer, 403, 'cross_site_request');
      }
      const { isActive, firstName } = await accountRow(gateway, person.id);
      assert.deepEqual([isActive, firstName], [true, 'Nadia']);
      assert.deepEqual(
        (await sessionRows(gateway, person.id)).map(({ endedAt }) => endedAt),
        [null],
      );
      assert.equal((await login(client, person)).status, 200);
    });

  it('from our own pages and allowed ones the cookie is enough', async () => {
    const { cookie } = await somebody();
    const ours: Record<string, string>[] = [
      { 'sec-fetch-site': 'same-origin' },
      { origin: gateway.url },
      { origin: 'https://console.example', 'sec-fetch-site': 'cross-site' },
    ];
    for (const headers of ours)
      assert.equal(
        (await client.patch('/api/v1/me', { firstName: 'Mine' }, { cookie, ...headers })).status,
        200,
      );
  });

  it('a bearer token needs no such check: no page can have a browser send it', async () => {
    const { token } = await somebody();
    const headers = { authorization: `Bearer ${token}`, origin: 'https://evil.example' };
    assert.equal((await client.patch('/api/v1/me', { firstName: 'Mine' }, headers)).status, 200);
  });

  it('login forgery: a form of another site cannot send JSON', async () => {
    const person = await register(client);
    const body = JSON.stringify({ email: person.email, password: person.password });
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data'])
      assertProblem(
        await client.send('POST', '/api/v1/auth/login', body, { 'content-type': type }),
        415,
        'unsupported_media_type',
      );
  });
});
