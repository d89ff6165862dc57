/** Slashes that are there twice: a path of other segments for some servers. */

import { field } from './field.ts';
import { refuses } from './slashes.ts';

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
