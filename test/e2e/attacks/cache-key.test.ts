/** Answers of one caller, or of one resource, given to another, since they were kept under a key that both have. */
import assert from 'node:assert/strict';
import { claimsOf } from '../../claims.ts';
import { fresh } from '../../http/admin/staff.ts';
import { addRoutes, rawRequest, sendRaw, statusOf } from '../../http/gateway/upstream.ts';
import { assertArrived, assertRefused, valuesOf } from './arrived.ts';
import { as, field } from './field.ts';

describe('cache-key confusion (GHSA-4mq7-pvjg-xp2r)', () => {
  before(field);

  it('callers who ask at once for the same each get the answer that is theirs', async () => {
    const { gateway, fronts, user, keeper } = await field();
    const asked = [
      { headers: [as(user.client)], target: '/admin', status: 403 },
      { headers: [as(keeper.client)], target: '/admin', status: 200 },
      { headers: [], target: '/admin', status: 401 },
      { headers: [as(user.client)], target: '/files/a', status: 200 },
      { headers: [as(keeper.client)], target: '/files/a', status: 200 },
      { headers: [`Cookie: castellan=${user.client.token}`], target: '/admin', status: 403 },
      { headers: [`Cookie: castellan=${keeper.client.token}`], target: '/files/private/a', status: 200 },
    ];
    const all = Array.from({ length: 8 }, () => asked).flat();
    for (const { url } of [gateway, ...fronts.all]) {
      const answers = await Promise.all(
        all.map(({ target, headers }) => sendRaw(url, rawRequest(target, { headers }))),
      );
      assert.deepEqual(
        answers.map(statusOf),
        all.map(({ status }) => status),
      );
      for (const [at, answer] of answers.entries()) {
        const [token] = all[at]?.headers ?? [];
        const id = token?.includes(user.client.token ?? '') ? user.id : keeper.id;
        if (answer.includes('castellan-principal')) assert.ok(answer.includes(`user:${id}`), answer);
      }
    }
  });

  it('a token that is nearly one that was just accepted is nobody', async () => {
    const { attack, keeper } = await field();
    const token = keeper.client.token ?? '';
    assertArrived(await attack(rawRequest('/admin', { headers: [as(keeper.client)] })), '/admin');
    for (const near of [
      ...[
        token.slice(0, -1),
        `${token}A`,
        token.toUpperCase(),
        token.toLowerCase(),
        token.slice(4),
        `cst_${token}`,
        `x${token}`,
      ],
      ...[
        `${token},`,
        `"${token}"`,
        `${token};x`,
        `${token}%00`,
        `${token}=`,
        `${token} x`,
        `x ${token}`,
        `${token} ${token}`,
      ],
    ])
      assertRefused(
        await attack(rawRequest('/admin', { headers: [`Authorization: Bearer ${near}`] })),
        near,
        401,
      );
  });

  it('what was decided on one resource is not the answer for another that is written alike', async () => {
    const { attack, user } = await field();
    const headers = [as(user.client)];
    for (const area of [
      'shared%22',
      'shared%20',
      '%20shared',
      'shared,',
      '%5B%22shared%22%5D',
      'Shared',
      'shared%7C',
      'shared%0a',
      "shared'",
      'share%64%61',
      '%EF%BD%93hared',
    ]) {
      assertArrived(await attack(rawRequest('/by-query?area=shared', { headers })), '/by-query?area=shared');
      assertRefused(await attack(rawRequest(`/by-query?area=${area}`, { headers })), area, 403);
    }
  });

  it('an assertion for one upstream is not given to another', async () => {
    const { attack, root, upstream, user } = await field();
    const id = fresh('other');
    const other = upstream.url.replace('127.0.0.1', 'localhost');
    await addRoutes(root, [{ id, path: `/${id}`, public: true, upstream: other }]);
    const audience = async (target: string) => {
      const request = assertArrived(await attack(rawRequest(target, { headers: [as(user.client)] })), target);
      return claimsOf(valuesOf(request, 'castellan-assertion')[0])['aud'];
    };
    assert.equal(await audience('/files/a'), upstream.url);
    assert.equal(await audience(`/${id}`), other);
    assert.equal(await audience('/files/a'), upstream.url);
  });
});
