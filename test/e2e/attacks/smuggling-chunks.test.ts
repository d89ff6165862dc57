/** Request smuggling in chunks and trailers, and by what follows a body. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { withClaims } from '../../claims.ts';
import { rawRequest } from '../../http/gateway/upstream.ts';
import { assertArrived, assertRefused, type Outcome } from './arrived.ts';
import { type Field, field } from './field.ts';
import { hidden, keeping, TE } from './smuggled.ts';
import { everyWay } from './ways.ts';

/** Both arrived, each as one request with a body of one meaning: whoever reads the bytes strictly or laxly finds two. */
async function assertTwo({ attack }: Field, bytes: Buffer, body: string): Promise<Outcome> {
  const outcome = await attack(bytes);
  assert.deepEqual(
    outcome.arrived.map(({ url, body: got }) => [url, got]),
    [
      ['/open/a', body],
      ['/open/hidden', ''],
    ],
    outcome.answer,
  );
  const heads = outcome.heard.replace(`\r\n\r\n${body}`, '').match(/ HTTP\/1\.1\r\n/g);
  assert.equal(heads?.length, 2);
  return outcome;
}

describe('request smuggling in chunks', () => {
  before(field);

  it('chunks whose size or end could be read in two ways are refused, with all that follows them', async () => {
    const { attack } = await field();
    for (const chunks of [
      ...[
        '2;a\n{}\r\n0\r\n\r\n',
        '2;a\rb\r\n{}\r\n0\r\n\r\n',
        '2\n{}\n0\n\n',
        '2\r\n{}\n0\r\n\r\n',
        '2\r\n{}0\r\n\r\n',
        '2\r\n{}xx\r\n0\r\n\r\n',
      ],
      ...[
        '0x2\r\n{}\r\n0\r\n\r\n',
        '+2\r\n{}\r\n0\r\n\r\n',
        '-2\r\n{}\r\n0\r\n\r\n',
        '2 \r\n{}\r\n0\r\n\r\n',
        ' 2\r\n{}\r\n0\r\n\r\n',
        '2_0\r\n{}\r\n0\r\n\r\n',
      ],
      ...[
        '10000000000000002\r\n{}\r\n0\r\n\r\n',
        '\r\n{}\r\n0\r\n\r\n',
        '2;a="\r\n{}\r\n0\r\n\r\n',
        '2\r\r\n{}\r\n0\r\n\r\n',
        ';\r\n0\r\n\r\n',
      ],
    ]) {
      // A body is sent on while it comes: of one that breaks off, the beginning may have been.
      const { answer, heard } = await attack(keeping([TE], chunks + hidden), { mayBegin: true });
      assert.match(answer, /^HTTP\/1\.1 400 /, JSON.stringify(chunks));
      assert.doesNotMatch(
        withClaims(heard),
        /hidden|\r\n0\r\n\r\n/,
        `${JSON.stringify(chunks)} was sent on as whole`,
      );
    }
  });

  it('a body that breaks off, or goes on as no chunk, is never a whole one for the upstream', async () => {
    const { upstream } = await field();
    for (const { name, url } of await everyWay())
      for (const rest of ['0x2\r\n{}\r\n0\r\n\r\n', '\n0\n\n', undefined]) {
        const count = upstream.seen.length;
        const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {});
        const closed = new Promise((resolve) => socket.once('close', resolve));
        const arriving = once(upstream.server, 'request');
        socket.write(keeping([TE], '2\r\n{}\r\n'));
        const [request] = (await arriving) as [IncomingMessage];
        const over = new Promise((resolve) => request.once('close', resolve));
        if (rest === undefined) socket.destroy();
        else socket.resume().write(rest + hidden);
        await over;
        assert.equal(request.complete, false, `${name}: ${JSON.stringify(rest)}`);
        await closed;
        assert.equal(upstream.seen.length, count, `${name}: ${JSON.stringify(rest)} hid another`);
      }
  });

  it('what follows a body is a request of its own, and chunks are sent on anew, without their extensions', async () => {
    const all = await field();
    const chunked = await assertTwo(all, keeping([TE], `2;a=b;c="d"\r\n{}\r\n000\r\n\r\n${hidden}`), '{}');
    assert.doesNotMatch(chunked.heard, /a=b|\r\n000\r\n/);
    await assertTwo(all, keeping(['Content-Length: 2'], `{}${hidden}`), '{}');
    await assertTwo(all, keeping([`Content-Length: ${hidden.length}`], hidden + hidden), hidden);
  });

  it('a body on a method that has none is framed for the upstream as well', async () => {
    const { attack } = await field();
    for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS'])
      for (const [header, body] of [
        [`Content-Length: ${hidden.length}`, hidden],
        [TE, `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`],
      ] as const) {
        const request = assertArrived(
          await attack(rawRequest('/open/a', { method, headers: [header], body })),
          '/open/a',
        );
        assert.equal(request.body, hidden, `${method} ${header}`);
      }
  });

  it('versions that are none, and chunks in a version without them, are refused', async () => {
    const { attack } = await field();
    for (const version of ['2.0', '1.2', '1.10', '0.9', '3.0', '1.1x', '1', '11']) {
      assertRefused(await attack(keeping([TE], `0\r\n\r\n${hidden}`, version)), version);
      const alone = rawRequest('/open/a').replace('HTTP/1.1', `HTTP/${version}`);
      assertRefused(await attack(alone), `${version} without a body`);
    }
    assertRefused(await attack(keeping([TE], `0\r\n\r\n${hidden}`, '1.0')), 'chunks in 1.0');
    assertRefused(
      await attack(keeping([TE], '1\r\na\r\n0\r\n\r\n', '1.0')),
      'chunks in 1.0 and nothing else',
    );
    assertRefused(await attack(`GET /open/a\r\n\r\n${hidden}`), 'no version');
  });

  it('a trailer is passed on where it is no header that somebody would believe', async () => {
    const { attack } = await field();
    const forged = [
      'Castellan-Roles',
      'castellan_principal',
      'X-Forwarded-For',
      'Host',
      'Authorization',
      'Cookie',
      'Content-Type',
      'X-HTTP-Method-Override',
    ];
    const trailers = ['X-Sum: kept', ...forged.map((name) => `${name}: forged`)].join('\r\n');
    const headers = [TE, 'Trailer: X-Sum'];
    const { heard, arrived } = await attack(
      rawRequest('/open/a', { method: 'POST', headers, body: `2\r\n{}\r\n0\r\n${trailers}\r\n\r\n` }),
    );
    assert.equal(arrived.length, 1);
    assert.match(heard, /\r\n0\r\nx-sum: kept\r\n\r\n$/i);
    assert.doesNotMatch(withClaims(heard), /forged/);
  });
});
