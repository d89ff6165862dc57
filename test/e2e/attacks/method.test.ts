/** Methods that the gateway and the upstream could disagree on. */
import assert from 'node:assert/strict';
import { rawRequest } from '../../http/gateway/upstream.ts';
import { assertArrived, assertRefused } from './arrived.ts';
import { field } from './field.ts';

const names = ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override', 'X-Method'];

describe('method override', () => {
  before(field);

  it('by a header is refused, in any spelling and for any method', async () => {
    const { attack } = await field();
    const spelled = names.flatMap((name) => [
      name,
      name.toLowerCase(),
      name.toUpperCase(),
      name.replaceAll('-', '_'),
      name.replaceAll('-', '.'),
    ]);
    for (const header of spelled)
      for (const [method, value] of [
        ['GET', 'DELETE'],
        ['POST', 'PUT'],
        ['POST', ''],
        ['POST', 'POST'],
      ] as const)
        assertRefused(
          await attack(rawRequest('/read-only', { method, headers: [`${header}: ${value}`] })),
          `${header}: ${value}`,
        );
  });

  it('by a parameter of the query is refused, in any spelling', async () => {
    const { attack } = await field();
    for (const query of [
      ...[
        '_method=DELETE',
        '_METHOD=DELETE',
        '%5fmethod=DELETE',
        '_%6dethod=DELETE',
        'a=1&_method=PUT',
        'a=1;_method=PUT',
        '_method',
      ],
      ...[
        '+_method=PUT',
        '%20_method=PUT',
        '.method=PUT',
        '_method[]=PUT',
        '_method%5B%5D=PUT',
        '&&_method=PUT',
        '_method=GET',
      ],
      ...names.flatMap((name) => [
        `${name}=PUT`,
        `${name.toLowerCase()}=PUT`,
        `${name.replaceAll('-', '_')}=PUT`,
      ]),
    ])
      assertRefused(await attack(rawRequest(`/read-only?${query}`, { method: 'POST' })), query);
    assertArrived(
      await attack(rawRequest('/read-only?method=fast&x=_method')),
      '/read-only?method=fast&x=_method',
    );
  });
});

describe('unknown methods', () => {
  before(field);

  it('that no route names have no entry, whether or not there is such a method', async () => {
    const { attack } = await field();
    for (const method of [
      'PUT',
      'DELETE',
      'PATCH',
      'HEAD',
      'OPTIONS',
      'TRACE',
      'PROPFIND',
      'PURGE',
      'QUERY',
      'LOCK',
      'MOVE',
      'SOURCE',
    ])
      assertRefused(await attack(rawRequest('/read-only', { method })), method, 404);
    for (const method of ['TRACE', 'PROPFIND', 'PURGE', 'COPY'])
      assertRefused(await attack(rawRequest('/open/a', { method })), method, 404);
  });

  it('that are not written as methods are end the request', async () => {
    const { attack } = await field();
    for (const method of [
      'GETX',
      'get',
      'Get',
      'G ET',
      'GET\t',
      ' GET',
      'GE\0T',
      'GET:',
      'TRACK',
      'DEBUG',
      'ANY',
      'G%45T',
      'POSTGET',
      '',
    ])
      assertRefused(await attack(rawRequest('/read-only', { method })), JSON.stringify(method));
  });

  it('a tunnel is opened to nowhere', async () => {
    const { attack } = await field();
    for (const target of ['gateway.test:80', '127.0.0.1:22', '/open/a', 'http://127.0.0.1/']) {
      const { answer, arrived } = await attack(
        rawRequest(target, { method: 'CONNECT', body: rawRequest('/open/a') }),
      );
      assert.doesNotMatch(answer, /^HTTP\/1\.1 2/, target);
      assert.deepEqual(arrived, [], target);
    }
  });
});
