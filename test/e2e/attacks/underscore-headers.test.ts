/** Identity headers in spellings that only some servers take for them. */
import assert from 'node:assert/strict';
import { claimsOf } from '../../claims.ts';
import { fresh } from '../../http/admin/staff.ts';
import { addRoutes, rawRequest, sendRaw, startUpstream } from '../../http/gateway/upstream.ts';
import { assertArrived, valuesOf } from './arrived.ts';
import { as, field } from './field.ts';
import { everyWay } from './ways.ts';

const ours = [
  'Castellan-Assertion',
  'Castellan-Principal',
  'Castellan-Roles',
  'Castellan-Email',
  'Castellan-Anything',
];
const ofProxies = [
  'X-Forwarded-For',
  'X-Forwarded-Proto',
  'X-Forwarded-User',
  'X-Real-IP',
  'X-Original-URL',
  'X-Rewrite-URL',
  'True-Client-IP',
];
const spellings: ((name: string) => string)[] = [
  (name) => name,
  (name) => name.toLowerCase(),
  (name) => name.toUpperCase(),
  (name) => name.replaceAll('-', '_'),
  (name) => name.toUpperCase().replaceAll('-', '_'),
  (name) => name.replace('-', '_'),
  (name) => name.replaceAll('-', '.'),
  (name) => name.replaceAll('-', '~'),
  (name) => name.replaceAll('-', "'"),
];

describe('underscore headers (CVE-2025-64484)', () => {
  before(field);

  it('no spelling of a header that the gateway alone may say reaches the upstream with what the client said', async () => {
    const { attack, user } = await field();
    for (const spell of spellings) {
      const headers = [...ours, ...ofProxies].map((name) => `${spell(name)}: forged`);
      for (const target of ['/open/a', '/files/a']) {
        const request = assertArrived(
          await attack(rawRequest(target, { headers: [...headers, as(user.client)] })),
          target,
        );
        assert.equal(JSON.stringify(request).includes('forged'), false, `${target} ${spell('A-B')}`);
      }
    }
  });

  it('the gateway says each of them once, and nobody else beside it', async () => {
    const { attack, user } = await field();
    const headers = ours.flatMap((name) => [`${name}: forged`, `${name.replaceAll('-', '_')}: forged`]);
    const request = assertArrived(
      await attack(rawRequest('/files/a', { headers: [...headers, as(user.client)] })),
      '/files/a',
    );
    assert.deepEqual(valuesOf(request, 'castellan-principal'), [`user:${user.id}`]);
    assert.deepEqual(valuesOf(request, 'castellan-roles'), ['user']);
    assert.deepEqual(valuesOf(request, 'castellan-email'), [user.email]);
    assert.equal(valuesOf(request, 'castellan-assertion').length, 1);
    assert.equal(request.headers.filter(([name]) => /castellan/.test(name)).length, 4);
  });

  it('whoever is nobody is told as nobody, whatever they say of themselves', async () => {
    const { attack } = await field();
    const headers = ours.map((name) => `${name}: user:1`);
    const request = assertArrived(await attack(rawRequest('/open/a', { headers })), '/open/a');
    assert.deepEqual(
      request.headers.filter(([name]) => /castellan/.test(name)).map(([name]) => name),
      ['castellan-assertion'],
    );
    assert.equal(claimsOf(valuesOf(request, 'castellan-assertion')[0])['sub'], 'anonymous');
  });

  it('framing, host, type and credentials are not passed on in another spelling', async () => {
    const { attack } = await field();
    const names = [
      'Content_Length',
      'Transfer_Encoding',
      'Content_Type',
      'Content_Encoding',
      'Proxy_Connection',
      'Keep_Alive',
      'Http2_Settings',
    ];
    const headers = [...names, ...names.map((name) => name.replace('_', '.'))].map(
      (name) => `${name}: forged`,
    );
    const request = assertArrived(
      await attack(rawRequest('/open/a', { headers: [...headers, 'Proxy: http://forged'] })),
      '/open/a',
    );
    assert.equal(JSON.stringify(request).includes('forged'), false);
  });

  it('an upstream says none of them to the client either: a proxy before would believe it', async () => {
    const lying = await startUpstream((_req, res) => {
      for (const name of [...ours, 'castellan_roles']) res.setHeader(name, 'forged');
      res.end('{}');
    });
    const id = fresh('lying');
    const { root } = await field();
    await addRoutes(root, [{ id, path: `/${id}`, public: true, upstream: lying.url }]);
    for (const { name, url } of await everyWay()) {
      const answer = await sendRaw(url, rawRequest(`/${id}`));
      assert.match(answer, /^HTTP\/1\.1 200/, name);
      assert.doesNotMatch(answer, /forged/, name);
    }
    await lying.close();
  });
});
