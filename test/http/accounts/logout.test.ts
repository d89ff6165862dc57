/** POST /api/v1/auth/logout */
import assert from 'node:assert/strict';
import {
  anonymousClient,
  Client,
  eventually,
  registerAndLogIn,
  startGateway,
  type TestGateway,
} from '../../harness.ts';
import { assertProblem, login, register, sessionRows, setCookie, startDeafGateway } from './people.ts';

const path = '/api/v1/auth/logout';

describe('POST /auth/logout', () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await startDeafGateway();
  });
  after(() => gateway.close());

  it('204: the session is dead in the next request, and the cookie is cleared', async () => {
    const { client } = await registerAndLogIn(gateway);
    assert.equal((await client.get('/api/v1/me')).status, 200);
    const answer = await client.post(path);
    assert.equal(answer.status, 204);
    assert.equal(answer.body, '');
    const { name, value, attributes } = setCookie(answer);
    assert.deepEqual([name, value], ['castellan', '']);
    assert.deepEqual(attributes, {
      path: '/',
      expires: new Date(0).toUTCString(),
      httponly: '',
      samesite: 'Lax',
    });
    assertProblem(await client.get('/api/v1/me'), 401, 'unauthenticated');
    assertProblem(await client.post(path), 401, 'unauthenticated');
  });

  it('ends the session in the table, and only this one', async () => {
    const client = anonymousClient(gateway);
    const person = await register(client);
    const [one, two] = [(await login(client, person)).body.token, (await login(client, person)).body.token];
    await client.post(path, undefined, { cookie: `castellan=${one}` });
    assert.deepEqual(
      (await sessionRows(gateway, person.id)).map(({ endedAt }) => endedAt !== null),
      [true, false],
    );
    assert.equal((await new Client(gateway.url, two).get('/api/v1/me')).status, 200);
  });

  it('the session is dead on the other nodes within a second', async () => {
    const other = await startGateway({ databaseUrl: gateway.databaseUrl });
    try {
      const { client } = await registerAndLogIn(gateway);
      const there = new Client(other.url, client.token);
      assert.equal((await there.get('/api/v1/me')).status, 200);
      await client.post(path);
      await eventually('dead there too', async () => (await there.get('/api/v1/me')).status === 401, 1000);
    } finally {
      await other.close();
    }
  });

  it('401: nobody is identified', async () => {
    const client = anonymousClient(gateway);
    assertProblem(await client.post(path), 401, 'unauthenticated');
    assertProblem(
      await client.post(path, undefined, { authorization: `Bearer cst_${'x'.repeat(43)}` }),
      401,
      'unauthenticated',
    );
  });
});
