/** Redirects to places that a request names. */
import assert from 'node:assert/strict';
import { fresh } from '../../http/admin/staff.ts';
import { rawRequest, sendRaw, statusOf } from '../../http/gateway/upstream.ts';
import { as, field } from './field.ts';

describe('open redirect', () => {
  before(field);

  it('nothing that is asked for is answered with a redirect, and nothing that is named is told as a place', async () => {
    const { gateway, fronts, user } = await field();
    const evil = [
      '//evil.test',
      '/\\evil.test',
      '/%5cevil.test',
      '/%2f%2fevil.test',
      '/.evil.test',
      '//evil.test/%2e%2e',
      '/http:%2f%2fevil.test',
      '/@evil.test',
      '/%09/evil.test',
    ];
    const own = [
      '/docs',
      '/docs/',
      '/console',
      '/console/',
      '/api/v1/auth/login',
      '/api/v1/me',
      '/.well-known/',
      '/openapi.json/',
      '/livez/',
      '/access',
      '/forward-auth/nginx',
      '/',
    ];
    const targets = [
      ...evil,
      ...own.flatMap((path) => [
        path,
        `${path}?next=https://evil.test`,
        `${path}?redirect_uri=//evil.test`,
        `${path}//evil.test`,
      ]),
    ];
    const headers = [
      'X-Forwarded-Host: evil.test',
      'Referer: https://evil.test/',
      'X-Forwarded-Prefix: //evil.test',
      'X-Original-URL: //evil.test',
      as(user.client),
    ];
    const ways = [gateway, ...fronts.all].map(({ url }) => url);
    for (const [target, way] of targets.flatMap((one) => ways.map((url) => [one, url] as const))) {
      const answer = await sendRaw(way, rawRequest(target, { headers: [...headers, 'Accept: text/html'] }));
      const [head = ''] = answer.split('\r\n\r\n');
      assert.ok(statusOf(answer) < 300 || statusOf(answer) >= 400, `${target} was answered ${head}`);
      assert.doesNotMatch(head, /\r\n(location|refresh|content-location|link):/i, target);
      assert.doesNotMatch(head, /evil/, target);
    }
  });

  it('where a thing that was made is, is told without the host that the request names', async () => {
    const { gateway, fronts, root } = await field();
    for (const { url } of [gateway, ...fronts.all]) {
      const body = JSON.stringify({ key: fresh('role') });
      const headers = [
        'Host: evil.test',
        'X-Forwarded-Host: evil.test',
        as(root),
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
      ];
      const answer = await sendRaw(url, rawRequest('/api/v1/admin/roles', { method: 'POST', headers, body }));
      assert.equal(statusOf(answer), 201, answer);
      assert.match(answer, /\r\nLocation: \/api\/v1\/admin\/roles\/role-[0-9a-f]+\r\n/);
      assert.doesNotMatch(answer, /evil/);
    }
  });
});
