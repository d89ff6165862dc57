/** Sessions that somebody else chose, or holds on to. */
import assert from 'node:assert/strict';
import { fresh, sessionOf } from '../../http/admin/staff.ts';
import {
  addRoutes,
  rawRequest,
  sendRaw,
  startUpstream,
  statusOf,
  type Upstream,
} from '../../http/gateway/upstream.ts';
import { assertRefused } from './arrived.ts';
import { as, field } from './field.ts';

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
    const { gateway, attack, user } = await field();
    const body = JSON.stringify({ email: 'author@example.com', password: 'authorpass' });
    const login = async (headers: string[]) => {
      const all = [...headers, 'Content-Type: application/json', `Content-Length: ${body.length}`];
      const answer = await sendRaw(
        gateway.url,
        rawRequest('/api/v1/auth/login', { method: 'POST', headers: all, body }),
      );
      assert.equal(statusOf(answer), 200, answer);
      const [, token = ''] = /set-cookie: castellan=(cst_[\w-]{43});/i.exec(answer) ?? [];
      assert.ok(token, answer);
      return token;
    };
    const chosen = `cst_${'A'.repeat(43)}`;
    const first = await login([`Cookie: castellan=${chosen}`]);
    assert.notEqual(first, chosen);
    assertRefused(
      await attack(rawRequest('/files/a', { headers: [`Cookie: castellan=${chosen}`] })),
      'a token that was chosen',
      401,
    );
    const second = await login([`Cookie: castellan=${first}`]);
    assert.notEqual(second, first);
    assertRefused(
      await attack(rawRequest('/files/a', { headers: [`Cookie: castellan=${first}`] })),
      'the session before',
      401,
    );
    const third = await sessionOf(gateway, user.id);
    assert.notEqual(await login([as(third)]), third.token);
    assert.equal(
      (await attack(rawRequest('/files/a', { headers: [`Cookie: castellan=${second}`] }))).status,
      200,
    );
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
    assert.doesNotMatch(await sendRaw(gateway.url, rawRequest(path)), /set-cookie/i);
  });

  it('a session is not handed on to an upstream, which could use it elsewhere; other cookies are, byte by byte', async () => {
    const { attack, user } = await field();
    const { token } = user.client;
    const cookie = `a="q=1"; b=x==; castellan=${token}; c=%41; __Host-castellan=${token}; castellan2=d`;
    for (const target of ['/open/a', '/files/a']) {
      const { arrived, heard } = await attack(rawRequest(target, { headers: [`Cookie: ${cookie}`] }));
      assert.equal(arrived.length, 1);
      assert.match(heard, /\r\ncookie: a="q=1"; b=x==; c=%41; castellan2=d\r\n/i);
      assert.equal(heard.includes(token ?? ''), false);
    }
    const { heard } = await attack(rawRequest('/open/a', { headers: [as(user.client)] }));
    assert.equal(heard.includes(token ?? ''), false);
  });

  it('a session that was ended stays ended when its cookie is sent again', async () => {
    const { gateway, attack } = await field();
    const body = JSON.stringify({ email: 'author@example.com', password: 'authorpass' });
    const headers = ['Content-Type: application/json', `Content-Length: ${body.length}`];
    const answer = await sendRaw(
      gateway.url,
      rawRequest('/api/v1/auth/login', { method: 'POST', headers, body }),
    );
    const [, token = ''] = /set-cookie: castellan=([^;]+);/i.exec(answer) ?? [];
    const cookie = `Cookie: castellan=${token}`;
    assert.equal((await attack(rawRequest('/files/a', { headers: [cookie] }))).status, 200);
    const out = await sendRaw(
      gateway.url,
      rawRequest('/api/v1/auth/logout', { method: 'POST', headers: [cookie] }),
    );
    assert.equal(statusOf(out), 204);
    assert.match(out, /set-cookie: castellan=;/i);
    assertRefused(await attack(rawRequest('/files/a', { headers: [cookie] })), 'a session that is over', 401);
  });
});
