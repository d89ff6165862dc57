/** Who asks, and about what, said in a body. */
import assert from 'node:assert/strict';
import { claimsOf } from '../../claims.ts';
import { Client } from '../../harness.ts';
import { keysPath } from '../../http/admin/keys.ts';
import { ok, usersPath } from '../../http/admin/staff.ts';
import { rawRequest } from '../../http/gateway/upstream.ts';
import { assertArrived, assertRefused, valuesOf } from './arrived.ts';
import { as, field } from './field.ts';
import { everyWay } from './ways.ts';

const forged = (id: string) => ({
  ...{
    userId: id,
    user: { id, roles: ['superadmin'] },
    principal: `user:${id}`,
    subject: { type: 'user', id },
    sub: id,
  },
  ...{
    accountId: id,
    createdBy: id,
    role: 'keeper',
    isAdmin: true,
    castellan: { principal: `user:${id}` },
    token: 'cst_x',
  },
});

describe('identity in the body (CVE-2025-61928)', () => {
  before(field);

  it('makes nobody of somebody: without a token a body is not even read on to the upstream', async () => {
    const { attack, keeper } = await field();
    const body = JSON.stringify({ area: 'shared', ...forged(keeper.id) });
    const headers = ['Content-Type: application/json', `Content-Length: ${body.length}`];
    for (const target of [
      '/by-body',
      '/files/a',
      `/by-body?userId=${keeper.id}`,
      `/files/a?principal=user:${keeper.id}`,
    ])
      assertRefused(await attack(rawRequest(target, { method: 'POST', headers, body })), target, 401);
  });

  it('makes nobody else of whoever is known', async () => {
    const { attack, user, keeper } = await field();
    for (const target of ['/by-body', '/files/a']) {
      const body = JSON.stringify({ area: 'shared', ...forged(keeper.id) });
      const headers = [as(user.client), 'Content-Type: application/json', `Content-Length: ${body.length}`];
      const request = assertArrived(
        await attack(rawRequest(target, { method: 'POST', headers, body })),
        target,
      );
      assert.equal(request.body, body);
      const { sub, roles } = claimsOf(valuesOf(request, 'castellan-assertion')[0]);
      assert.deepEqual({ sub, roles }, { sub: `user:${user.id}`, roles: ['user'] });
    }
  });

  it('a body that could be read as of another resource is refused', async () => {
    const { attack, user } = await field();
    for (const [body, status, type = 'application/json'] of [
      ['{"area":"private"}', 403],
      ['{"area":"shared","area":"private"}', 400],
      ['{"area":"private","area":"shared"}', 400],
      ['{"area":"shared","\\u0061rea":"private"}', 400],
      ['{"__proto__":{"area":"shared"}}', 400],
      ['{"area":"private","constructor":{"prototype":{"area":"shared"}}}', 400],
      ['[{"area":"shared"}]', 403],
      ['{"area":["shared"]}', 400],
      ['{"area":{"$ne":"private"}}', 400],
      ['{"area":null}', 400],
      ['{"area":"shared"}{"area":"private"}', 400],
      ['{"area":"shared",}', 400],
      ['{"area":"shared"/* x */}', 400],
      ['{"area":"sh\\ud800ared"}', 400],
      ['area=shared', 415, 'application/x-www-form-urlencoded'],
      ['{"area":"shared"}', 415, 'text/plain'],
      ['{"area":"shared"}', 415, 'application/json2'],
      ['', 403],
    ] as const) {
      const headers = [as(user.client), `Content-Type: ${type}`, `Content-Length: ${body.length}`];
      const outcome = await attack(rawRequest('/by-body', { method: 'POST', headers, body }));
      assertRefused(outcome, `${type} ${body}`, status);
    }
  });

  it('a body that is packed, or says so in a spelling of some servers, is not decided on', async () => {
    const { attack, user } = await field();
    const body = '{"area":"shared"}';
    const headers = [as(user.client), 'Content-Type: application/json', `Content-Length: ${body.length}`];
    for (const coding of ['gzip', 'GZIP', 'identity, gzip', 'br', 'x'])
      assertRefused(
        await attack(
          rawRequest('/by-body', {
            method: 'POST',
            headers: [...headers, `Content-Encoding: ${coding}`],
            body,
          }),
        ),
        coding,
        415,
      );
    const request = assertArrived(
      await attack(
        rawRequest('/by-body', { method: 'POST', headers: [...headers, 'Content_Encoding: gzip'], body }),
      ),
      '/by-body',
    );
    assert.deepEqual(valuesOf(request, 'content_encoding'), []);
  });

  it('at the endpoints of Castellan it makes no key, no session and no change for anybody else', async () => {
    const { user, keeper } = await field();
    const body = JSON.stringify({
      name: 'mine',
      roles: ['keeper'],
      firstName: 'Eve',
      ...forged(keeper.id),
    });
    for (const { name, gateway, root, send } of await everyWay()) {
      const sent = async (target: string, method: string, headers: string[]) => {
        const all = [...headers, 'Content-Type: application/json', `Content-Length: ${body.length}`];
        const { status, arrived } = await send(rawRequest(target, { method, headers: all, body }));
        assert.deepEqual(arrived, [], `${name} ${target}`);
        return status;
      };
      const stateNow = async () => [
        ok(await root.get(`${usersPath}/${keeper.id}`)).body,
        ok(await root.get(keysPath)).body,
        ok(await new Client(gateway.url, keeper.client.token).get('/api/v1/me/sessions')).body.items.length,
      ];
      const before = await stateNow();
      for (const [target, method] of [
        [keysPath, 'POST'],
        ['/api/v1/me', 'PATCH'],
        ['/api/v1/me/sessions', 'DELETE'],
        ['/api/v1/auth/logout', 'POST'],
      ] as const)
        assert.equal(await sent(target, method, []), 401, `${name} ${target}`);
      assert.equal(await sent(keysPath, 'POST', [as(user.client)]), 403, name);
      assert.equal(await sent('/api/v1/me', 'PATCH', [as(user.client)]), 400, name);
      assert.deepEqual(await stateNow(), before, name);
    }
  });
});
