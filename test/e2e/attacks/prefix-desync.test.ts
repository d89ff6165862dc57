/** A prefix that is matched in one form and passed on in another. */
import { rawRequest } from '../../http/gateway/upstream.ts';
import { assertArrived, assertRefused } from './arrived.ts';
import { as, field } from './field.ts';

describe('prefix desync (GHSA-6jwx-7vp4-9847)', () => {
  before(field);

  it('a prefix that is encoded is matched decoded, and the upstream gets it decoded', async () => {
    const { attack, user } = await field();
    const headers = [as(user.client)];
    for (const [sent, got] of [
      ['/%6fpen/a', '/open/a'],
      ['/%6F%70%65%6E/a', '/open/a'],
      ['/open/%61%64%6D%69%6E', '/open/admin'],
      ['/files/%70riv', '/files/priv'],
      ['/open/%7Ea', '/open/~a'],
      ['/open/%C3%A9%20', undefined],
      ['/open/%c3%a9', '/open/%C3%A9'],
      ['/open/a%20b', '/open/a%20b'],
      ['/open/%21%27%28%29%2A', "/open/!'()*"],
      ['/open/"<>^`{|}', '/open/%22%3C%3E%5E%60%7B%7C%7D'],
      ['/open/%5B%5D', '/open/%5B%5D'],
      ['/open/100%25', '/open/100%25'],
      ['/open/a%3Bb', '/open/a%3Bb'],
      ['/open/C%23', '/open/C%23'],
      ['/open/what%3F', '/open/what%3F'],
    ] as const) {
      const outcome = await attack(rawRequest(sent, { headers }));
      if (got === undefined) assertRefused(outcome, sent);
      else assertArrived(outcome, got, sent);
    }
  });

  it('a guarded prefix that is encoded is guarded', async () => {
    const { attack, user } = await field();
    for (const target of [
      '/%61dmin',
      '/%61dmin/a',
      '/files/%70rivate/a',
      '/f%69les/privat%65/a',
      '/admin/%61',
    ])
      assertRefused(await attack(rawRequest(target, { headers: [as(user.client)] })), target, 403);
  });

  it('a path that only begins with the letters of a prefix is another one', async () => {
    const { attack } = await field();
    for (const target of [
      '/openx/a',
      '/open',
      '/open/',
      '/open-admin/a',
      '/open.a/b',
      '/open%20x/a',
      '/open:/a',
      '/o/pen/a',
    ])
      assertRefused(await attack(rawRequest(target)), target, 404);
  });
});

describe('path parameters, look-alikes and case', () => {
  before(field);

  it('a spelling that a lax server takes for a guarded path is refused', async () => {
    const { attack, user } = await field();
    for (const target of [
      ...[
        '/files/PRIVATE/a',
        '/files/Private/a',
        '/files/privat%45/a',
        '/files/private%3b/a',
        '/files/private%3Bx=1/a',
      ],
      ...['/files/private%3fx/a', '/files/private%23/a', '/files/%ef%bd%90rivate/a', '/files/pr%c4%b1vate/a'],
      ...[
        '/files/private;/a',
        '/files/private;x=1/a',
        '/files/private./a',
        '/files/private.../a',
        '/files/private%20/a',
      ],
      ...[
        '/files;/private/a',
        '/files/;/private/a',
        '/files/private%2e/a',
        '/files/private%09/a',
        '/files/private%a0/a',
      ],
    ])
      assertRefused(await attack(rawRequest(target, { headers: [as(user.client)] })), target);
  });

  it('a slash at the end makes no other path of a guarded one', async () => {
    const { attack, user } = await field();
    for (const target of ['/admin', '/admin/', '/admin/a/', '/files/private/a/'])
      assertRefused(await attack(rawRequest(target, { headers: [as(user.client)] })), target, 403);
    for (const target of [
      '/admin//',
      '/admin/%20',
      '/admin/.',
      '/admin./',
      '/admin%00',
      '/admin/%00',
      '/admin%0a',
    ])
      assertRefused(await attack(rawRequest(target, { headers: [as(user.client)] })), target);
    for (const target of ['/Admin', '/ADMIN/', '/aDMIN/a'])
      assertRefused(await attack(rawRequest(target, { headers: [as(user.client)] })), target, 404);
  });
});
