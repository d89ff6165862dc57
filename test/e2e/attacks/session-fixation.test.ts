/** Sessions that somebody else chose, or holds on to. */
import assert from 'node:assert/strict';
import { fresh, sessionOf } from '../../http/admin/staff.ts';
import { addRoutes, rawRequest, sendRaw, startUpstream, type Upstream } from '../../http/gateway/upstream.ts';
import { assertRefused } from './arrived.ts';
import { as, field } from './field.ts';
import { everyWay, type Way } from './ways.ts';

describe('session fixation (GHSA-f24x-5g9q-753f)', () => {
  let upstream: Upstream;
  let told: string[];
  let path: string;
  before(async () => {
    const { root } = await field();
    upstream = await startUpstream((_req, res) => {
      res.setHeader('Set-Cookie', told);
      res.end('{}');
    });
    path = `/${fresh('cookies')}`;
    await addRoutes(root, [{ id: path.slice(1), path, public: true, upstream: upstream.url }]);
  });
  after(() => upstream.close());

  it('a login is a session of its own, whatever token came with it, and the one that came is over', async () => {
    const { user } = await field();
    for (const way of await everyWay()) {
      const login = async (header: string) => {
        const token = await logInBy(way, [header]);
        assert.equal(header.includes(token), false, way.name);
        return token;
      };
      const chosen = `cst_${'A'.repeat(43)}`;
      const first = await login(cookie(chosen));
      await isNobody(way, chosen);
      const second = await login(cookie(first));
      await isNobody(way, first);
      await login(as(await sessionOf(way.gateway, user.id)));
      const { status, arrived } = await way.send(rawRequest('/files/a', { headers: [cookie(second)] }));
      assert.deepEqual([status, arrived.length], [200, 1], way.name);
    }
  });

  it('a token is taken from its header and its cookie, and from no link that somebody could send', async () => {
    const { attack, keeper } = await field();
    const token = keeper.client.token ?? '';
    for (const target of [
      ...['castellan', 'token', 'access_token', 'session', 'sid', 'authorization', 'Cookie'].map(
        (name) => `/admin?${name}=${token}`,
      ),
      ...[`/admin/${token}`, `/admin?Authorization=Bearer%20${token}`],
    ])
      assertRefused(await attack(rawRequest(target)), target, 401);
    assertRefused(await attack(rawRequest(`/admin;castellan=${token}`)), 'a path parameter');
    for (const header of [
      ...[
        `X-Authorization: Bearer ${token}`,
        `Authorization_: Bearer ${token}`,
        `Authorization: Token ${token}`,
        `Authorization: ${token}`,
      ],
      ...[
        `Cookie: Castellan=${token}`,
        `Cookie: __Host-castellan=${token}`,
        `Cookie: castellan%3D${token}`,
        `Cookie2: castellan=${token}`,
      ],
      ...[
        `Cookie: castellan=x; castellan=${token}`,
        `Cookie: a="; castellan=${token}`.replace('; c', ', c'),
        `X-Session: ${token}`,
      ],
    ])
      assertRefused(await attack(rawRequest('/admin', { headers: [header] })), header, 401);
  });

  it('no upstream chooses whose session a browser is in; other cookies of it pass', async () => {
    const { gateway, fronts } = await field();
    await fronts.haveCaughtUp();
    const theirs = ['a=1; Path=/', 'castellan2=x', 'xcastellan=y', 'b=castellan=z; HttpOnly'];
    const forged = [
      'castellan=cst_x',
      'castellan=; Max-Age=0',
      ' castellan = x',
      '=castellan=x',
      '= castellan=x',
      '__Host-castellan=x; Secure; Path=/',
      'castellan',
      'castellan=x; Domain=test',
    ];
    told = [...theirs.slice(0, 2), ...forged, ...theirs.slice(2)];
    for (const { url } of [gateway, ...fronts.all]) {
      const answer = await sendRaw(url, rawRequest(path));
      assert.deepEqual(
        [...answer.matchAll(/\r\nset-cookie: ([^\r]*)/gi)].map(([, cookie]) => cookie),
        theirs,
      );
    }
    told = ['castellan=cst_x'];
    for (const { url } of [gateway, ...fronts.all])
      assert.doesNotMatch(await sendRaw(url, rawRequest(path)), /set-cookie/i);
  });

  it('a session is not handed on to an upstream, which could use it elsewhere; other cookies are, byte by byte', async () => {
    const { attack, user } = await field();
    const { token } = user.client;
    const cookies = `a="q=1"; b=x==; castellan=${token}; c=%41; __Host-castellan=${token}; castellan2=d`;
    for (const target of ['/open/a', '/files/a']) {
      const { arrived, heard } = await attack(rawRequest(target, { headers: [`Cookie: ${cookies}`] }));
      assert.equal(arrived.length, 1);
      assert.match(heard, /\r\ncookie: a="q=1"; b=x==; c=%41; castellan2=d\r\n/i);
      assert.equal(heard.includes(token ?? ''), false);
    }
    const { heard } = await attack(rawRequest('/open/a', { headers: [as(user.client)] }));
    assert.equal(heard.includes(token ?? ''), false);
  });

  it('a session that was ended stays ended when its cookie is sent again', async () => {
    for (const way of await everyWay()) {
      const token = await logInBy(way);
      const request = rawRequest('/files/a', { headers: [cookie(token)] });
      const { status, arrived } = await way.send(request);
      assert.deepEqual([status, arrived.length], [200, 1], way.name);
      const out = await way.send(
        rawRequest('/api/v1/auth/logout', { method: 'POST', headers: [cookie(token)] }),
      );
      assert.deepEqual([out.status, out.arrived], [204, []], way.name);
      assert.match(out.answer, /set-cookie: castellan=;/i);
      await isNobody(way, token);
    }
  });
});

const cookie = (token: string) => `Cookie: castellan=${token}`;

/** The token of a new session, asked for with these headers. */
async function logInBy({ name, send }: Way, headers: readonly string[] = []): Promise<string> {
  const body = JSON.stringify({ email: 'author@example.com', password: 'authorpass' });
  const all = [...headers, 'Content-Type: application/json', `Content-Length: ${body.length}`];
  const { status, answer, arrived } = await send(
    rawRequest('/api/v1/auth/login', { method: 'POST', headers: all, body }),
  );
  assert.deepEqual([status, arrived], [200, []], `${name}: ${answer}`);
  const [, token = ''] = /set-cookie: castellan=(cst_[\w-]{43});/i.exec(answer) ?? [];
  assert.ok(token, answer);
  return token;
}

/** Whoever sends this token is told so, and the upstream hears nothing of it. */
async function isNobody({ name, send }: Way, token: string): Promise<void> {
  const { status, answer, arrived } = await send(rawRequest('/files/a', { headers: [cookie(token)] }));
  assert.deepEqual([status, arrived], [401, []], `${name}: ${answer}`);
}
