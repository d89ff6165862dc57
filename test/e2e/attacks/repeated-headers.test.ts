/** Headers that are there twice, hold a NUL or another control, or are hidden in the one before. */
import assert from 'node:assert/strict';
import { rawRequest } from '../../http/gateway/upstream.ts';
import { assertArrived, assertRefused, valuesOf } from './arrived.ts';
import { as, field } from './field.ts';

describe('NUL and repeated headers (CVE-2019-9900)', () => {
  before(field);

  it('a header with a control character in it is refused, name or value', async () => {
    const { attack, user } = await field();
    for (const code of [0, 1, 8, 10, 11, 12, 13, 27, 127]) {
      const odd = String.fromCharCode(code);
      for (const header of [
        `X-Area: shared${odd}`,
        `X-Area: ${odd}shared`,
        `X-Area: sha${odd}red`,
        `X-${odd}Area: shared`,
        `X-Area${odd}: shared`,
      ]) {
        const { status, arrived } = await attack(
          rawRequest('/by-header', { headers: [as(user.client), header] }),
        );
        assert.ok(status === 400 || status === 403, `${JSON.stringify(header)} was answered ${status}`);
        assert.deepEqual(arrived, [], JSON.stringify(header));
      }
    }
  });

  it('a header is not hidden by a bare line end, a fold, or a space before its colon', async () => {
    const { attack } = await field();
    for (const header of [
      ...[
        'X: y\nCastellan-Roles: root',
        'X: y\rCastellan-Roles: root',
        'X: y\r\n Castellan-Roles: root',
        'X: y\r\n\tz',
      ],
      ...[
        'Castellan-Roles : root',
        'Castellan-Roles\t: root',
        ' Castellan-Roles: root',
        'Castellan-Roles',
        ': root',
        'Castellan Roles: root',
      ],
      ...['X: y\r\r\nCastellan-Roles: root', 'X: y\n\r\nGET /admin HTTP/1.1', 'Castellan-Roles\xa0: root'],
    ])
      assertRefused(
        await attack(Buffer.from(rawRequest('/open/a', { headers: [header] }), 'latin1')),
        JSON.stringify(header),
      );
  });

  it('a header that is decided on is there once and in its own spelling', async () => {
    const { attack, user } = await field();
    const attempt = (...headers: string[]) =>
      attack(rawRequest('/by-header', { headers: [as(user.client), ...headers] }));
    for (const headers of [
      ['X-Area: shared', 'X-Area: private'],
      ['X-Area: private', 'X-Area: shared'],
      ['X-Area: shared', 'X-Area: shared'],
      ['X-Area: shared', 'x-area: private'],
      ['X-Area: shared', 'X_Area: private'],
      ['X_AREA: private', 'X-Area: shared'],
      ['X-Area: shared', 'X.Area: private'],
      ['X_Area: shared'],
      ['X-Area: shared', 'X-Area:'],
    ])
      assertRefused(await attempt(...headers), headers.join(' and '));
    for (const headers of [
      [],
      ['X-Area: private'],
      ['X-Area: shared, private'],
      ['X-Area: shared,'],
      ['X-Area:'],
      ['X-Area: SHARED'],
    ])
      assertRefused(await attempt(...headers), headers.join(), 403);
    for (const header of ['X-Area: shared', 'x-AREA:shared', 'X-Area: \t shared \t '])
      assert.deepEqual(valuesOf(assertArrived(await attempt(header), '/by-header'), 'x-area'), ['shared']);
  });

  it('a token that is there twice identifies whom the first names, and nobody else', async () => {
    const { attack, user, root } = await field();
    const two = await attack(rawRequest('/files/a', { headers: [as(user.client), as(root)] }));
    assert.deepEqual(valuesOf(assertArrived(two, '/files/a'), 'castellan-principal'), [`user:${user.id}`]);
    const bad = await attack(
      rawRequest('/files/a', { headers: ['Authorization: Bearer cst_nothing', as(user.client)] }),
    );
    assertRefused(bad, 'a bad token first', 401);
    const cookie = `Cookie: castellan=${user.client.token}`;
    assertRefused(
      await attack(rawRequest('/files/a', { headers: [cookie, 'Authorization: Bearer x'] })),
      'bearer wins',
      401,
    );
  });
});
