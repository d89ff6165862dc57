/** Slashes that are there twice, encoded, or written as backslashes: a path of other segments for some servers. */
import { rawRequest } from '../../http/gateway/upstream.ts';
import { as, assertRefused, field } from './field.ts';

async function refuses(targets: readonly string[]): Promise<void> {
  const { attack, user } = await field();
  for (const target of targets)
    assertRefused(await attack(rawRequest(target, { headers: [as(user.client)] })), target);
}

describe('double slashes (GHSA-x732-6j76-qmhm)', () => {
  before(field);

  it('lead past no rule, wherever they stand', () =>
    refuses([
      ...[
        '//admin',
        '///admin',
        '//open/a',
        '/open//a',
        '/open/a//',
        '/files//private/a',
        '/files/x//../private/a',
      ],
      ...[
        '//gateway.test/admin',
        '//evil.test/open/a',
        '//api/v1/admin/users',
        '//livez',
        '/open/ /a'.replace(' ', ''),
      ],
    ]));
});

describe('encoded slashes (CVE-2021-29492)', () => {
  before(field);

  it('are no part of a segment, in any case and however often they are encoded', () =>
    refuses([
      ...[
        '/files%2fprivate%2fa',
        '/files/private%2fa',
        '/files/private%2Fa',
        '/files%2Fprivate/a',
        '/open/..%2fadmin',
      ],
      ...[
        '/open/%2fadmin',
        '/open/a%2f',
        '/open/%252fadmin',
        '/open/%25%32%66admin',
        '/open/%%32%66admin',
        '/%2fadmin',
      ],
      ...[
        '/open%2f..%2fadmin',
        '/open/%c0%afadmin',
        '/open/%e0%80%afadmin',
        '/api/v1/admin%2fusers%2f..%2f..',
      ],
    ]));

  it('nor are backslashes, encoded or not', () =>
    refuses([
      ...[
        '/files\\private\\a',
        '/files/private\\a',
        '/files/private%5ca',
        '/files/private%5Ca',
        '/open/..%5cadmin',
      ],
      ...['\\admin', '/\\evil.test/a', '/open/%255cadmin', '/open\\..\\admin', '/open/a\\'],
    ]));
});
