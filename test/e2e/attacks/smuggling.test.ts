/** Request smuggling: bytes that one server takes for a body and the next for a request. */
import assert from 'node:assert/strict';
import { rawRequest } from '../../http/gateway/upstream.ts';
import { assertRefused } from './arrived.ts';
import { field } from './field.ts';
import { hidden, keeping, TE } from './smuggled.ts';

async function refuse(cases: readonly (readonly string[])[], after: string): Promise<void> {
  const { attack } = await field();
  for (const headers of cases) {
    const outcome = await attack(keeping(headers, after));
    assertRefused(outcome, JSON.stringify(headers));
    assert.equal(outcome.answer.match(/HTTP\/1\.1 /g)?.length, 1, `what follows ${headers} was answered`);
  }
}

describe('request smuggling', () => {
  before(field);

  it('CL.TE and TE.CL: a length beside chunks is refused', () =>
    refuse(
      [
        ['Content-Length: 6', TE],
        [TE, 'Content-Length: 4'],
        [TE, 'Content-Length: 0'],
        ['content-length: 6', 'TRANSFER-ENCODING: chunked'],
      ],
      `0\r\n\r\nG${hidden}`,
    ));

  it('TE.TE: a coding that is not chunked, once and plainly, is refused', async () => {
    const codings = [
      ...[
        'xchunked',
        'chunked, identity',
        'identity, chunked',
        'identity',
        'gzip, chunked',
        'cow, chunked',
        'chunked, chunked',
        '"chunked"',
      ],
      ...[
        'chunked;x=1',
        'chunked,',
        ',chunked',
        '\x0bchunked',
        'chunked\x0b',
        'chunked\0',
        'chunk\xe9d',
        'chun ked',
        '',
        'chunked\r\n x',
        '\r\n chunked',
      ],
    ];
    await refuse(
      codings.map((coding) => [`Transfer-Encoding: ${coding}`]),
      `0\r\n\r\n${hidden}`,
    );
    await refuse(
      [
        [TE, 'Transfer-Encoding: identity'],
        ['Transfer-Encoding: identity', TE],
        [TE, TE],
        [TE, 'transfer-encoding: x'],
        ['Transfer-Encoding: gzip', TE],
      ],
      `0\r\n\r\n${hidden}`,
    );
  });

  it('two lengths, and a length that is no number, are refused', () =>
    refuse(
      [
        ['Content-Length: 2', 'Content-Length: 0'],
        ['Content-Length: 2', 'Content-Length: 2'],
        ['Content-Length: 0', 'content-LENGTH: 2'],
        ...[
          '2, 2',
          '2, 0',
          '+2',
          '-1',
          '0x2',
          '2_0',
          '1e1',
          '2;',
          '2 2',
          '',
          '\xb2',
          '2\x0b',
          '\x002',
          '99999999999999999999',
          '\r\n 2',
        ].map((length) => [`Content-Length: ${length}`]),
      ],
      `{}${hidden}`,
    ));

  it('obsolete folding, bare line ends and a space before a colon hide no framing', () =>
    refuse(
      [
        ...[
          'X: y\r\n Transfer-Encoding: chunked',
          'X: y\r\n\tContent-Length: 2',
          ' Content-Length: 2',
          '\tTransfer-Encoding: chunked',
        ],
        ...[
          'X: y\nTransfer-Encoding: chunked',
          'X: y\rTransfer-Encoding: chunked',
          'X: y\nContent-Length: 2',
          '\nContent-Length: 2',
        ],
        ...[
          'Transfer-Encoding : chunked',
          'Transfer-Encoding\t: chunked',
          'Content-Length : 2',
          'Content-Length\x0b: 2',
          'X: y\r\r\nContent-Length: 2',
        ],
      ].map((header) => [header]),
      `0\r\n\r\n${hidden}`,
    ));

  it('line ends without a carriage return end neither a head nor a chunk', async () => {
    const { attack } = await field();
    assertRefused(await attack(rawRequest('/open/a').replaceAll('\r\n', '\n')), 'a head of bare LF');
    assertRefused(
      await attack(`GET /open/a HTTP/1.1\r\nHost: gateway.test\r\n\n${hidden}`),
      'an end of bare LF',
    );
  });
});
