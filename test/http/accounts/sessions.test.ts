/** GET and DELETE /api/v1/me/sessions, DELETE /api/v1/me/sessions/:id */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { removeOldSessions } from '../../../src/sessions/remove-old.ts';
import { anonymousClient, Client, registerAndLogIn, startGateway, type TestGateway } from '../../harness.ts';
import { assertProblem, login, sessionRows, setCookie, startDeafGateway } from './people.ts';

const path = '/api/v1/me/sessions';

describe('/me/sessions', () => {
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

  const another = async (headers?: Record<string, string>) => {
    const { token } = (await login(anonymousClient(gateway), me, headers)).body;
    const session = new Client(gateway.url, token);
    const { items } = (await session.get(path)).body;
    return { session, id: String(items.find((item: { current: boolean }) => item.current).id) };
  };
  const idsOf = async () => (await client.get(path)).body.items.map(({ id }: { id: string }) => id);
  const setSession = (id: string, columns: object) =>
    gateway.services.db('sessions').where({ id }).update(columns);

  it("GET 200: one's own live sessions, the newest first, in exactly the fields of the contract", async () => {
    await registerAndLogIn(gateway);
    const { id } = await another({ 'user-agent': 'Lynx' });
    const answer = await client.get(path);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    assert.deepEqual(Object.keys(answer.body), ['items', 'nextCursor']);
    assert.equal(answer.body.nextCursor, null);
    const [newest, first, ...more] = answer.body.items;
    assert.deepEqual(more, []);
    const { createdAt, lastSeenAt, expiresAt, ...rest } = newest;
    for (const date of [createdAt, lastSeenAt, expiresAt]) assert.equal(new Date(date).toISOString(), date);
    assert.deepEqual(rest, { id, address: '127.0.0.1', userAgent: 'Lynx', current: false });
    assert.equal(first.current, true);
  });

  it('GET 200: leaves out sessions that are ended, too old, or unused for too long', async () => {
    const { session } = await another();
    const [old, idle] = [(await another()).id, (await another()).id];
    await session.post('/api/v1/auth/logout');
    await setSession(old, { expires_at: new Date() });
    await setSession(idle, { last_seen_at: new Date(Date.now() - 8 * 86_400_000) });
    assert.equal((await idsOf()).length, 1);
  });

  it('GET 200: page by page, each session once', async () => {
    for (let i = 0; i < 4; i++) await another();
    await gateway.services.db('sessions').where({ account_id: me.id }).update({ created_at: new Date() });
    const seen: string[] = [];
    let cursor: string | null = '';
    do {
      const page: { items: { id: string }[]; nextCursor: string | null } = (
        await client.get(`${path}?limit=2${cursor && `&cursor=${cursor}`}`)
      ).body;
      assert.ok(page.items.length <= 2);
      seen.push(...page.items.map(({ id }) => id));
      cursor = page.nextCursor;
    } while (cursor !== null);
    assert.deepEqual(seen, await idsOf());
    assert.equal(new Set(seen).size, 5);
  });

  it('GET 400: a limit or cursor that cannot be, or a key that is not known', async () => {
    const cursor = (...key: unknown[]) => Buffer.from(JSON.stringify(key)).toString('base64url');
    const id = '00000000-0000-4000-8000-000000000001';
    for (const [query, pointer] of [
      ['limit=0', '/query/limit'],
      ['limit=x', '/query/limit'],
      ['cursor=nonsense', '/query/cursor'],
      [`cursor=${cursor('now', id)}`, '/query/cursor'],
      [`cursor=${cursor(new Date().toISOString(), 'x')}`, '/query/cursor'],
      [`cursor=${cursor(1, 2)}`, '/query/cursor'],
      ['account=1', '/query/account'],
    ])
      assertProblem(await client.get(`${path}?${query}`), 400, 'invalid_request', pointer ?? '');
  });

  it('DELETE :id 204: ends it at once, and no other', async () => {
    const [one, two] = [await another(), await another()];
    const answer = await client.delete(`${path}/${one.id}`);
    assert.deepEqual([answer.status, answer.body, answer.headers.getSetCookie()], [204, '', []]);
    assertProblem(await one.session.get(path), 401, 'unauthenticated');
    assert.equal((await two.session.get(path)).status, 200);
    assert.deepEqual((await idsOf()).includes(one.id), false);
  });

  it("DELETE :id 204: one's own is like logging out", async () => {
    const { session, id } = await another();
    const answer = await session.delete(`${path}/${id}`);
    assert.equal(answer.status, 204);
    assert.equal(setCookie(answer).value, '');
    assertProblem(await session.get(path), 401, 'unauthenticated');
  });

  it("DELETE :id 404: somebody else's, which goes on", async () => {
    const victim = await registerAndLogIn(gateway);
    const [session] = await sessionRows(gateway, victim.id);
    assertProblem(await client.delete(`${path}/${session?.id}`), 404, 'not_found');
    assert.equal((await victim.client.get(path)).status, 200);
  });

  it('DELETE :id 404: ended, too old, unused for too long, or no id at all', async () => {
    const [ended, old, idle] = [(await another()).id, (await another()).id, (await another()).id];
    assert.equal((await client.delete(`${path}/${ended}`)).status, 204);
    await setSession(old, { expires_at: new Date() });
    await setSession(idle, { last_seen_at: new Date(Date.now() - 8 * 86_400_000) });
    for (const id of [ended, old, idle, '00000000-0000-4000-8000-000000000001', 'x', "'"])
      assertProblem(await client.delete(`${path}/${id}`), 404, 'not_found');
  });

  it('DELETE 204: ends all others at once, this one goes on', async () => {
    const others = [await another(), await another()];
    const stranger = await registerAndLogIn(gateway);
    const answer = await client.delete(path);
    assert.deepEqual([answer.status, answer.body], [204, '']);
    for (const { session } of others) assertProblem(await session.get(path), 401, 'unauthenticated');
    assert.equal((await idsOf()).length, 1);
    assert.equal((await stranger.client.get(path)).status, 200);
  });

  for (const [method, where] of [
    ['GET', path],
    ['DELETE', path],
    ['DELETE', `${path}/00000000-0000-4000-8000-000000000001`],
  ] as const)
    it(`401: ${method} ${where} when nobody is identified`, async () =>
      assertProblem(await anonymousClient(gateway).send(method, where), 401, 'unauthenticated'));
});

describe('/me/sessions under short timeouts', () => {
  it('a session that is unused for too long, or too old, is over and not listed', async () => {
    const gateway = await startGateway({ env: { SESSION_IDLE_SECONDS: '1', SESSION_ABSOLUTE_SECONDS: '3' } });
    try {
      const { client, ...me } = await registerAndLogIn(gateway);
      const begun = Date.now();
      const idle = new Client(gateway.url, (await login(anonymousClient(gateway), me)).body.token);
      while (Date.now() - begun < 1600) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        assert.equal((await client.get('/api/v1/me')).status, 200);
      }
      assertProblem(await idle.get('/api/v1/me'), 401, 'unauthenticated');
      assert.equal((await client.get(path)).body.items.length, 1);
      while (Date.now() - begun < 3200) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        await client.get('/api/v1/me');
      }
      assertProblem(await client.get('/api/v1/me'), 401, 'unauthenticated');
    } finally {
      await gateway.close();
    }
  });
});

describe('sessions that are over for long', () => {
  let gateway: TestGateway;

  before(async () => {
    gateway = await startGateway();
  });
  after(() => gateway.close());

  it('are removed; live ones and those that tell a known address stay', async () => {
    const { db } = gateway.services;
    const session = (days: number, ended: boolean) => ({
      account_id: '00000000-0000-4000-8000-000000000003',
      token_hash: randomBytes(32),
      created_at: db.raw(`now() - make_interval(days => ?)`, [days]),
      expires_at: db.raw(`now() - make_interval(days => ?)`, [ended ? days - 1 : -30]),
      ended_at: ended ? db.raw(`now() - make_interval(days => ?)`, [days - 1]) : null,
    });
    await db('sessions').insert([session(40, true), session(40, false), session(20, true)]);
    assert.equal(await removeOldSessions(db), 1);
    assert.equal(await removeOldSessions(db), 0);
  });
});
