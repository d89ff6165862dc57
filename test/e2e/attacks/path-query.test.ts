/** Queries that are taken for a part of the path, and queries that are read in two ways. */
import { rawRequest } from '../../http/gateway/upstream.ts';
import { assertArrived, assertRefused } from './arrived.ts';
import { as, field } from './field.ts';

describe('a query in a path rule (GHSA-7rh7-c77v-6434)', () => {
  before(field);

  it('makes no other path of a guarded one, and is passed on as it was', async () => {
    const { attack, user } = await field();
    for (const target of [
      '/admin?/open/a',
      '/admin?x=/open/',
      '/admin/?../open/a',
      '/admin?',
      '/admin/a?/open/%61',
      '/admin??/open/',
    ])
      assertRefused(await attack(rawRequest(target, { headers: [as(user.client)] })), target, 403);
    for (const target of [
      '/open/a?/../admin',
      '/open/a?x=/admin&y=..',
      '/open/a??',
      '/open/a?',
      '/open/a?x=1&x=2&%61=%2F',
    ])
      assertArrived(await attack(rawRequest(target)), target);
  });

  it('cannot hide behind an encoded question mark', async () => {
    const { attack, user } = await field();
    const headers = [as(user.client)];
    for (const target of ['/admin%3f/open/a', '/files/private%3f/a', '/open/%3f/../admin', '/open/%3f'])
      assertRefused(
        await attack(rawRequest(target, { headers })),
        target,
        target.startsWith('/admin') ? 404 : 400,
      );
  });
});

describe('duplicate query keys', () => {
  before(field);

  it('what a decision reads is there once and in its own spelling, or the request is refused', async () => {
    const { attack, user } = await field();
    const headers = [as(user.client)];
    for (const query of [
      ...[
        'area=shared&area=private',
        'area=private&area=shared',
        'area=shared&area=shared',
        'area=shared&area',
      ],
      ...[
        'area=shared&Area=private',
        'AREA=shared',
        'area=shared&area[]=private',
        'area[]=shared',
        'area[0]=shared',
      ],
      ...[
        'area=shared&%61rea=private',
        'area=shared&are%61=private',
        'area=shared&area%5B%5D=private',
        'area%00=private&area=shared',
      ],
      ...[
        'area=shared;area=private',
        'area=shared&x=1;area=private',
        'area=shared&+area=private',
        'area=shared&area+=private',
      ],
      ...[
        'area=shared&area%20=private',
        'area=shared&%0aarea=private',
        'area=shared&area[x][y]=private',
        '&area=shared&&area=private',
      ],
    ]) {
      const target = `/by-query?${query}`;
      assertRefused(await attack(rawRequest(target, { headers })), target);
    }
    for (const query of [
      '',
      'area=private',
      'area',
      'area=',
      'area=Shared',
      'area=shared+',
      'x=area=shared',
      'area=shared,private',
    ])
      assertRefused(await attack(rawRequest(`/by-query?${query}`, { headers })), query, 403);
    for (const query of ['area=shared', 'x=1&area=shared&x=2', '%61rea=sh%61red'])
      assertArrived(await attack(rawRequest(`/by-query?${query}`, { headers })), `/by-query?${query}`);
  });
});
