/** Headers by which a client says which request it is that access is to be decided on. */
import assert from 'node:assert/strict';
import { withClaims } from '../../claims.ts';
import { rawRequest, sendRaw, statusOf } from '../../http/gateway/upstream.ts';
import { assertArrived, assertRefused } from './arrived.ts';
import { asking } from './asking.ts';
import { as, field } from './field.ts';
import { everyWay } from './ways.ts';

/** Every contract's own, and what applications take for the target. */
function said(target: string): string[] {
  return [
    `X-Original-URL: http://gateway.test${target}`,
    'X-Original-Method: GET',
    `X-Original-Uri: ${target}`,
    'X-Original-Host: gateway.test',
    'X-Original-Proto: http',
    `X-Forwarded-Uri: ${target}`,
    'X-Forwarded-Method: GET',
    'X-Forwarded-Host: gateway.test',
    'X-Forwarded-Proto: http',
    `X-Rewrite-URL: ${target}`,
    `X_Forwarded_Uri: ${target}`,
    `X_Original_URL: ${target}`,
  ];
}

/** What a trusted proxy is asked about by each contract, but for the part that says so itself. */
const own: Record<string, RegExp> = {
  nginx: /^X-Original-(URL|Method):/,
  haproxy: /^X-Original-(Method|Host|Uri|Proto):/,
  traefik: /^X-Forwarded-/,
  caddy: /^X-Forwarded-/,
  envoy: /^X-Forwarded-Proto:/,
};
const pathOf = (name: string, target: string) => `/forward-auth/${name}${name === 'envoy' ? target : ''}`;

describe('forwarded-URI spoof (CVE-2026-40575)', () => {
  before(field);

  it('what is decided on is the request itself, and the upstream is not told of another', async () => {
    const { attack, user } = await field();
    assertRefused(
      await attack(rawRequest('/admin', { headers: [as(user.client), ...said('/open/a')] })),
      '/admin',
      403,
    );
    const { headers } = assertArrived(
      await attack(rawRequest('/open/a', { headers: said('/admin') })),
      '/open/a',
    );
    assert.doesNotMatch(withClaims(JSON.stringify(headers)), /admin/);
  });

  it('the same where nginx and Caddy ask, and let through on their own', async () => {
    const { user } = await field();
    for (const { name, attack } of await asking()) {
      const denied = await attack(rawRequest('/admin', { headers: [as(user.client), ...said('/open/a')] }));
      assert.equal(denied.status, 403, `${name}: ${denied.answer}`);
      assert.deepEqual(denied.arrived, []);
      const open = await attack(rawRequest('/open/a', { headers: said('/admin') }));
      assert.deepEqual([open.status, open.arrived.map(({ url }) => url)], [200, ['/open/a']], name);
      assert.doesNotMatch(withClaims(JSON.stringify(open.arrived)), /admin/, name);
    }
  });

  // Here and below the bytes are those of a proxy itself: a real one writes these headers anew, as the case above tries.
  it('each contract reads its own headers, and none of the others nor the query', async () => {
    const { fronts, user } = await field();
    for (const [name, mine] of Object.entries(own)) {
      const headers = [
        ...said('/admin').filter((line) => mine.test(line)),
        ...said('/open/a').filter((line) => !mine.test(line)),
      ];
      for (const query of ['', '?rd=/open/a&uri=/open/a&X-Forwarded-Uri=/open/a']) {
        const target = `${pathOf(name, '/admin')}${query}`;
        const answer = await sendRaw(
          fronts.node.url,
          rawRequest(target, { headers: [as(user.client), ...headers] }),
        );
        assert.equal(statusOf(answer), 403, `${target}: ${answer}`);
        assert.doesNotMatch(answer, /^castellan-assertion: e/im, target);
      }
    }
  });

  it('a header of the contract that is there twice is refused, whichever of them leads to what is open', async () => {
    const { fronts, user } = await field();
    for (const [name, mine] of Object.entries(own).filter(([name]) => name !== 'envoy'))
      for (const targets of [
        ['/open/a', '/admin'],
        ['/admin', '/open/a'],
      ]) {
        const headers = targets.flatMap((target) => said(target).filter((line) => mine.test(line)));
        // Of the others one is enough: the target alone is there twice.
        const once = [...new Set(headers)];
        const answer = await sendRaw(
          fronts.node.url,
          rawRequest(pathOf(name, ''), { headers: [as(user.client), ...once] }),
        );
        assert.equal(statusOf(answer), name === 'nginx' ? 403 : 400, `${name}: ${answer}`);
        assert.doesNotMatch(answer, /^castellan-assertion: e/im, name);
      }
  });

  it('nobody but a trusted proxy is answered, whatever it says, nor whoever speaks through one', async () => {
    const { user } = await field();
    for (const { name: way, send } of await everyWay())
      for (const name of Object.keys(own)) {
        const headers = [as(user.client), 'X-Forwarded-For: 127.0.0.1', ...said('/open/a')];
        const { status, answer, arrived } = await send(rawRequest(pathOf(name, '/open/a'), { headers }));
        if (way === 'alone') assert.match(answer, /untrusted_proxy/, name);
        else assert.equal(status, 404, `${way} ${name}`);
        assert.deepEqual(arrived, [], `${way} ${name}`);
        assert.doesNotMatch(answer, /^castellan-assertion: e/im, `${way} ${name}`);
      }
  });
});
