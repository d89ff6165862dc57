/** The host in spellings that only some servers take for the same, and hosts that are named in two places. */
import assert from 'node:assert/strict';
import { rawRequest } from '../../http/gateway/upstream.ts';
import { assertArrived, assertRefused, valuesOf } from './arrived.ts';
import { as, field } from './field.ts';

const to = (...hosts: string[]) => ({ headers: hosts.map((host) => `Host: ${host}`) });

describe('host case (CVE-2026-48794)', () => {
  before(field);

  it('however the host of a route is written, its route is the one that counts', async () => {
    const { attack, user } = await field();
    for (const host of [
      'inner.test',
      'INNER.test',
      'Inner.Test',
      'inner.test:80',
      'INNER.TEST:8080',
      'inner.test:00080',
    ])
      assertRefused(
        await attack(rawRequest('/open/a', { headers: [`Host: ${host}`, as(user.client)] })),
        host,
        403,
      );
  });

  it('what is no plain host name is refused', async () => {
    const { attack } = await field();
    for (const host of [
      ...[
        'inner.test.',
        'inner..test',
        '.inner.test',
        'inner.test:',
        'inner.test:x',
        'inner.test:80:80',
        'inner.test:999999',
      ],
      ...[
        'inner%2etest',
        'inner.test%00',
        'inner.test/',
        'inner.test/open',
        'inner.test?',
        'inner.test#',
        'x@inner.test',
        'inner_.test',
      ],
      ...[
        'inner.test,gateway.test',
        'inner.test, gateway.test',
        'inner.test gateway.test',
        'inner\\.test',
        '-inner.test',
        '',
      ],
      ...[
        '[::1',
        '::1',
        '"inner.test"',
        'http://inner.test',
        'inn\xe9r.test',
        'inner.test\x00',
        'inner.test;x',
        '*',
      ],
    ])
      assertRefused(await attack(Buffer.from(rawRequest('/open/a', to(host)), 'latin1')), `Host: ${host}`);
  });
});

describe('duplicate hosts', () => {
  before(field);

  it('are refused, whichever of them is which, and in whatever spelling', async () => {
    const { attack } = await field();
    assertRefused(await attack(rawRequest('/open/a', to('gateway.test', 'inner.test'))), 'two');
    assertRefused(
      await attack(rawRequest('/open/a', to('inner.test', 'gateway.test'))),
      'two, the other way',
    );
    assertRefused(
      await attack(rawRequest('/open/a', to('gateway.test', 'gateway.test'))),
      'two that are the same',
    );
    const headers = ['Host: gateway.test', 'hOST: inner.test'];
    assertRefused(await attack(rawRequest('/open/a', { headers })), 'two cases');
    for (const more of [
      ' Host: inner.test',
      'Host : inner.test',
      'X: y\r\n Host: inner.test',
      'Host:\r\n inner.test',
    ])
      assertRefused(await attack(rawRequest('/open/a', { headers: ['Host: gateway.test', more] })), more);
    assertRefused(await attack('GET /open/a HTTP/1.1\r\nConnection: close\r\n\r\n'), 'no host');
    assertRefused(await attack('GET /open/a HTTP/1.0\r\n\r\n'), 'no host in HTTP/1.0');
  });

  it('headers that name another host are not passed on', async () => {
    const { attack } = await field();
    const headers = [
      'X-Forwarded-Host: inner.test',
      'X_Forwarded_Host: inner.test',
      'Forwarded: host=inner.test',
    ];
    const more = ['X-Forwarded-Server: inner.test', 'X-Original-Host: inner.test'];
    const request = assertArrived(
      await attack(rawRequest('/open/a', { headers: [...headers, ...more] })),
      '/open/a',
    );
    assert.deepEqual(valuesOf(request, 'host'), ['gateway.test']);
    assert.deepEqual(valuesOf(request, 'x-forwarded-host'), ['gateway.test']);
    assert.equal(JSON.stringify(request.headers).includes('inner.test'), false);
  });
});

describe('absolute-form and other targets', () => {
  before(field);

  it('are refused: their host and path would stand beside those of the request', async () => {
    const { attack } = await field();
    for (const target of [
      ...[
        'http://gateway.test/open/a',
        'http://inner.test/open/a',
        'HTTP://gateway.test/open/a',
        'https://gateway.test/open/a',
      ],
      ...[
        'http://user@gateway.test/open/a',
        'http:/open/a',
        'http:open/a',
        'http:///open/a',
        'http://gateway.test/livez',
      ],
      ...[
        'ws://gateway.test/open/a',
        'file:///open/a',
        '*',
        'gateway.test:80',
        'open/a',
        '?/open/a',
        '@inner.test/open/a',
      ],
    ])
      assertRefused(await attack(rawRequest(target)), target);
    assertRefused(await attack(rawRequest('*', { method: 'OPTIONS' })), 'OPTIONS *');
  });
});
