/** Identity headers that the gateway has nothing to say in, so that what the client sent under their name is left. */
import assert from 'node:assert/strict';
import { rawRequest, sendRaw, statusOf } from '../../http/gateway/upstream.ts';
import { assertArrived, valuesOf } from './arrived.ts';
import { asking } from './asking.ts';
import { as, field } from './field.ts';

const names = ['Castellan-Assertion', 'Castellan-Principal', 'Castellan-Roles', 'Castellan-Email'];
const forged = names.map((name) => `${name}: forged`);

describe('missing identity header (CVE-2026-30851)', () => {
  before(field);

  it('an upstream sees none of those that were not said, by whomever', async () => {
    const { attack, user } = await field();
    // `/open` chooses no plain header; `/files` does.
    for (const headers of [forged, [as(user.client), ...forged]]) {
      const bytes = rawRequest('/open/a', { headers });
      const came = [assertArrived(await attack(bytes), '/open/a')];
      for (const { attack: ask } of await asking()) came.push(...(await ask(bytes)).arrived);
      assert.equal(came.length, 1 + (await asking()).length);
      for (const request of came) {
        assert.match(valuesOf(request, 'castellan-assertion').join(), /^ey[^,]*$/);
        for (const name of names.slice(1))
          assert.equal(valuesOf(request, name.toLowerCase()).join(), '', `${name} of ${headers.length}`);
      }
    }
  });

  // What is answered to a real proxy, nobody sees but that proxy: what it makes of it for the upstream is the case above.
  it('every answer to a proxy has each of them once, empty where there is nothing to say', async () => {
    const { fronts, user } = await field();
    for (const [target, headers, status] of [
      ['/open/a', [], 200],
      ['/open/a', [as(user.client)], 200],
      ['/admin', [as(user.client)], 403],
      ['/admin', [], 401],
      ['/nothing', [], 404],
      ['/open/%2e', [], 400],
    ] as const) {
      const asked = ['GET', 'http', 'gateway.test', target];
      const contract = ['Method', 'Proto', 'Host', 'Uri'].map(
        (name, at) => `X-Forwarded-${name}: ${asked[at]}`,
      );
      const answer = await sendRaw(
        fronts.node.url,
        rawRequest('/forward-auth/caddy', { headers: [...contract, ...headers, ...forged] }),
      );
      assert.equal(statusOf(answer), status, answer);
      const [head = ''] = answer.split('\r\n\r\n');
      for (const name of names) {
        const said = [...head.matchAll(new RegExp(`^${name}: ?(.*)\r?$`, 'gim'))].map(([, value]) => value);
        assert.equal(said.length, 1, `${name} for ${target}: ${head}`);
        assert.match(
          said[0] ?? '',
          name === names[0] && status === 200 ? /^ey/ : /^\r?$/,
          `${name} ${target}`,
        );
      }
    }
  });
});
