/** Slashes that are encoded, or written as backslashes: a path of other segments for some servers. */

import { field } from './field.ts';
import { refuses } from './slashes.ts';

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
