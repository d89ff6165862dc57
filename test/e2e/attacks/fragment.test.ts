/** Fragments, which some servers take for a part of the path and others for its end. */
import { rawRequest } from '../../http/gateway/upstream.ts';
import { assertRefused } from './arrived.ts';
import { as, field } from './field.ts';

describe('a fragment (GHSA-pxq7-h93f-9jrg)', () => {
  before(field);

  it('is refused wherever it stands', async () => {
    const { attack, user } = await field();
    for (const target of [
      ...[
        '/open/a#',
        '/open/a#/../admin',
        '/admin#/open/a',
        '/admin#?/open/a',
        '/#/open/a',
        '#/open/a',
        '/open/#/admin',
      ],
      ...['/open/a?x#y', '/files/private#/a', '/files/private/a#x', '/open#/a', '/admin%23/../#'],
    ])
      assertRefused(await attack(rawRequest(target, { headers: [as(user.client)] })), target);
  });
});
