/** Dot segments: what is let in under one path is served as another. */
import { rawRequest } from '../../http/gateway/upstream.ts';
import { assertArrived, assertRefused } from './arrived.ts';
import { as, field } from './field.ts';

/** Each leads from a path that is open to one that is not, for some server. */
const ways = [
  ...[
    '..',
    '.',
    '%2e%2e',
    '%2E%2E',
    '.%2e',
    '%2e.',
    '%2e',
    '%252e%252e',
    '%25%32%65%25%32%65',
    '%%32%65%%32%65',
  ],
  ...[
    '...',
    '..%20',
    '..%09',
    '..%00',
    '..%0d%0a',
    '..;',
    '..;x=1',
    '..%3b',
    '..%3Bx',
    '.%3f',
    '..%23',
    ';',
    '%3b/..',
  ],
  ...[
    '..%c0%af',
    '%c0%ae%c0%ae',
    '..%5c..',
    '..\\..',
    '%u002e%u002e',
    '%uff0e%uff0e',
    '..%2f..',
    '..%252f..',
    '%ef%bc%8e%ef%bc%8e',
    '%e2%80%a5',
    '.%ef%bc%8e',
    '..%ef%bc%8f..',
    '..%ef%bc%bc..',
  ],
];

describe('dot segments (GHSA-p224-6x5r-fjpm)', () => {
  before(field);

  it('however they are written, nothing is sent on under a path that was not decided on', async () => {
    const { attack, user } = await field();
    for (const way of ways)
      for (const target of [
        `/open/${way}/admin`,
        `/open/a/${way}/${way}/admin`,
        `/files/x/${way}/private/a`,
        `/open/${way}`,
      ])
        assertRefused(await attack(rawRequest(target, { headers: [as(user.client)] })), target);
  });

  it('in a path of Castellan itself, none leads to an upstream or round a guard', async () => {
    const { attack } = await field();
    for (const way of ways)
      for (const target of [
        `/api/v1/admin/${way}/${way}/${way}/open/a`,
        `/${way}/api/v1/admin/users`,
        `/livez/${way}/open/a`,
      ]) {
        const { status, arrived } = await attack(rawRequest(target));
        if (arrived.length > 0 || (status !== 400 && status !== 401 && status !== 404))
          throw new Error(`${target} was answered ${status}`);
      }
  });

  it('dots that are no segments pass as they are', async () => {
    const { attack } = await field();
    for (const target of ['/open/.hidden', '/open/a..b', '/open/..a', '/open/Wait%E2%80%A6'])
      assertArrived(await attack(rawRequest(target)), target);
    assertArrived(await attack(rawRequest('/open/%2ehidden')), '/open/.hidden');
  });
});
