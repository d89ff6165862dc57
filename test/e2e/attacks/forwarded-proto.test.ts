/** A client that says it came over TLS, or from elsewhere, of itself. */
import assert from 'node:assert/strict';
import { withClaims } from '../../claims.ts';
import { rawRequest } from '../../http/gateway/upstream.ts';
import { assertArrived, assertRefused } from './arrived.ts';
import { asking } from './asking.ts';
import { as, field } from './field.ts';

const forged = [
  'X-Forwarded-Proto: https',
  'x_forwarded_proto: https',
  'X-Forwarded-Ssl: on',
  'X-Forwarded-Port: 443',
  'X-Forwarded-Scheme: https',
  'X-Real-IP: 203.0.113.66',
  'Forwarded: for=203.0.113.66;proto=https;host=evil.test',
  'X-Forwarded-For: 203.0.113.66',
  'X-Forwarded-Host: evil.test',
];

describe('forwarded-proto trust (GHSA-vhr5-ggp3-qq85)', () => {
  before(field);

  it('the cookie of a secure connection is none on a plain one, whatever is said of it', async () => {
    const { attack, keeper } = await field();
    const cookie = `Cookie: __Host-castellan=${keeper.client.token}`;
    const bytes = rawRequest('/admin', { headers: [cookie, ...forged] });
    assertRefused(await attack(bytes), 'a secure cookie', 401);
    for (const { name, attack: ask } of await asking()) {
      const { status, answer, arrived } = await ask(bytes);
      assert.deepEqual([status, arrived], [401, []], `${name}: ${answer}`);
    }
  });

  it('a page of another origin does not become one of the same by what the request says of itself', async () => {
    const { attack, user } = await field();
    const headers = [`Cookie: castellan=${user.client.token}`, 'Origin: https://gateway.test', ...forged];
    const bytes = rawRequest('/files/a', { method: 'POST', headers });
    assertRefused(await attack(bytes), 'a change', 403);
    for (const { name, attack: ask } of await asking()) {
      const { status, answer, arrived } = await ask(bytes);
      assert.deepEqual([status, arrived], [403, []], `${name}: ${answer}`);
    }
  });

  it('the upstream is told the scheme, the host and the address that are so', async () => {
    const { attack, user } = await field();
    const bytes = rawRequest('/files/a', { headers: [as(user.client), ...forged] });
    const came = [assertArrived(await attack(bytes), '/files/a')];
    for (const { attack: ask } of await asking()) came.push(...(await ask(bytes)).arrived);
    assert.equal(came.length, 1 + (await asking()).length);
    for (const { headers } of came) {
      const all = Object.fromEntries(headers);
      assert.deepEqual(
        [all['x-forwarded-proto'], all['x-forwarded-for'], all['x-forwarded-host']],
        ['http', '127.0.0.1', 'gateway.test'],
      );
      assert.doesNotMatch(withClaims(JSON.stringify(all)), /evil|203\.0\.113|x_forwarded|-(ssl|scheme|port)/);
    }
  });
});
