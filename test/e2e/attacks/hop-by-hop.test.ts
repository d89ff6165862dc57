/** Headers that a client declares to be about its connection, so that a proxy takes them away. */
import assert from 'node:assert/strict';
import { rawRequest } from '../../http/gateway/upstream.ts';
import { assertArrived, assertRefused, valuesOf } from './arrived.ts';
import { as, field } from './field.ts';

const said = [
  ...[
    'x-forwarded-for',
    'x-forwarded-proto',
    'x-forwarded-host',
    'forwarded',
    'x-request-id',
    'castellan-assertion',
  ],
  ...['castellan-principal', 'castellan-roles', 'castellan-email', 'host'],
];
const ofClients = {
  'content-length': '2',
  'content-type': 'text/plain',
  cookie: 'a=1',
  authorization: 'Basic dTpw',
};

describe('hop-by-hop stripping (CVE-2024-45410)', () => {
  before(field);

  it('nothing that the gateway says can be taken away by naming it in Connection', async () => {
    const { attack, user } = await field();
    for (const connection of [
      said.join(', '),
      said.join(',').toUpperCase(),
      ...said,
      `close,\t${said.join('\t,\t')}`,
    ]) {
      const headers = [as(user.client), `Connection: ${connection}`];
      const request = assertArrived(await attack(rawRequest('/files/a', { headers })), '/files/a');
      for (const name of said) assert.equal(valuesOf(request, name).length, 1, `${name} with ${connection}`);
      assert.deepEqual(valuesOf(request, 'x-forwarded-for'), ['127.0.0.1']);
    }
  });

  it('nor what frames a body and says who sent it', async () => {
    const { attack } = await field();
    const headers = Object.entries(ofClients).map(([name, value]) => `${name}: ${value}`);
    const outcome = await attack(
      rawRequest('/open/a', {
        method: 'POST',
        headers: [...headers, `Connection: ${Object.keys(ofClients).join(', ')}`],
        body: '{}',
      }),
    );
    const request = assertArrived(outcome, '/open/a');
    assert.equal(request.body, '{}');
    for (const [name, value] of Object.entries(ofClients)) assert.deepEqual(valuesOf(request, name), [value]);
  });

  it('what is about the connection of the client is not passed on, and what it names neither', async () => {
    const { attack } = await field();
    const hop = [
      'Keep-Alive: 5',
      'TE: trailers',
      'Upgrade: forged',
      'Proxy-Connection: forged',
      'Proxy-Authorization: forged',
      'Proxy-Authenticate: forged',
    ];
    const headers = [...hop, 'X-Mine: forged', 'X-Other: kept', 'Connection: X-Mine, Keep-Alive'];
    const request = assertArrived(await attack(rawRequest('/open/a', { headers })), '/open/a');
    assert.equal(JSON.stringify(request.headers).includes('forged'), false);
    assert.deepEqual(valuesOf(request, 'te'), []);
    assert.deepEqual(valuesOf(request, 'keep-alive'), []);
    assert.deepEqual(valuesOf(request, 'x-other'), ['kept']);
  });

  it('a header that was decided on cannot be kept from the upstream', async () => {
    const { attack, user } = await field();
    const sent = [as(user.client), 'X-Area: shared'];
    const request = assertArrived(await attack(rawRequest('/by-header', { headers: sent })), '/by-header');
    assert.deepEqual(valuesOf(request, 'x-area'), ['shared']);
    for (const connection of ['X-Area', 'keep-alive, x-area', 'x-AREA,close', '\tx-area\t'])
      assertRefused(
        await attack(rawRequest('/by-header', { headers: [...sent, `Connection: ${connection}`] })),
        connection,
      );
  });
});
