import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import Joi from 'joi';
import { AppError } from '../../../src/errors.ts';
import { parseStrictJson } from '../../../src/http/strict-json.ts';
import { wholeBody } from '../../../src/http/whole-body.ts';
import { type SmallApp, startSmallApp } from './small-app.ts';

function refusal(text: string): string {
  try {
    parseStrictJson(text);
  } catch (cause) {
    if (cause instanceof AppError && cause.code === 'malformed_json') return cause.publicMessage ?? '';
    throw cause;
  }
  throw new Error(`accepted: ${text.slice(0, 80)}`);
}

describe('strict JSON', () => {
  it('reads what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) => {
        fc.pre(!/"(__proto__|constructor|prototype)":/.test(text));
        assert.deepEqual(parseStrictJson(text), JSON.parse(text));
      }),
    );
  });

  it('refuses a key that is there twice: another reader would take the other one', () => {
    for (const text of ['{"a":1,"a":2}', '{"a":1,"\\u0061":1}', '[{"b":{"a":1,"c":[],"a":1}}]'])
      assert.equal(refusal(text), 'the key "a" is there twice');
  });

  it('says where it is: the pointer of the value or key that is refused', () => {
    const pointerOf = (text: string) => {
      try {
        parseStrictJson(text);
      } catch (cause) {
        return cause instanceof AppError ? cause.errors?.[0]?.pointer : undefined;
      }
    };
    assert.equal(pointerOf('{"a":[1,{"b/c":1,"b/c":2}]}'), '/a/1/b~1c');
    assert.equal(pointerOf('{"a":[0,"\\ud800"]}'), '/a/1');
    assert.equal(pointerOf('{"a":{"__proto__":1}}'), '/a/__proto__');
    assert.equal(pointerOf(`{"a":${'['.repeat(64)}${']'.repeat(64)}}`), `/a${'/0'.repeat(63)}`);
  });

  it('knows the same key in two objects from a duplicate', () => {
    assert.deepEqual(parseStrictJson('{"a":{"a":1},"b":[{"a":1},{"a":2}]}'), {
      a: { a: 1 },
      b: [{ a: 1 }, { a: 2 }],
    });
  });

  for (const key of ['__proto__', 'constructor', 'prototype']) {
    it(`refuses the key ${key}, which pollutes prototypes, at any depth and however it is escaped`, () => {
      const escaped = `\\u${key.charCodeAt(0).toString(16).padStart(4, '0')}${key.slice(1)}`;
      const fullyEscaped = [...key]
        .map((character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0').toUpperCase()}`)
        .join('');
      for (const written of [key, escaped, fullyEscaped])
        for (const text of [`{"${written}":{}}`, `[1,{"a":[{"${written}":null}]}]`])
          assert.equal(refusal(text), `the key "${key}" is not accepted`, text);
    });

    it(`takes ${key} as a value`, () => {
      assert.deepEqual(parseStrictJson(`{"name":"${key}"}`), { name: key });
    });
  }

  it('reads 64 levels and refuses the next', () => {
    const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
    assert.doesNotThrow(() => parseStrictJson(nested(64)));
    assert.equal(refusal(nested(65)), 'it is nested deeper than 64');
    assert.equal(refusal(`${'{"a":'.repeat(65)}1${'}'.repeat(65)}`), 'it is nested deeper than 64');
  });

  it('survives nesting that would overflow the stack, closed or not', () => {
    const deep = 100_000;
    assert.equal(refusal('['.repeat(deep) + ']'.repeat(deep)), 'it is nested deeper than 64');
    assert.equal(refusal('['.repeat(deep)), 'it is nested deeper than 64');
    assert.equal(refusal('{"a":'.repeat(deep)), 'it is nested deeper than 64');
  });

  it('takes 1000 keys in an object and refuses the next: each unknown one would cost', () => {
    const object = (count: number) =>
      `[{${Array.from({ length: count }, (_, index) => `"k${index}":1`).join(',')}}]`;
    assert.doesNotThrow(() => parseStrictJson(object(1000)));
    assert.equal(refusal(object(1001)), 'an object has more than 1000 keys');
  });

  it('refuses U+0000, which Postgres cannot hold, in values and keys', () => {
    for (const text of ['"a\\u0000b"', '{"a":["\\u0000"]}', '{"\\u0000":1}'])
      assert.equal(refusal(text), 'a text contains U+0000');
  });

  it('refuses half of a surrogate pair, and takes a whole one', () => {
    for (const text of ['"\\ud800"', '["\\udc00\\ud800"]', '{"\\ud83d":1}'])
      assert.equal(refusal(text), 'a text contains half of a surrogate pair');
    assert.equal(parseStrictJson('"\\ud83c\\udff0 🏰"'), '🏰 🏰');
  });

  it('refuses a number that would become Infinity', () => {
    assert.equal(refusal('{"amount":1e400}'), 'a number is too large');
    assert.equal(refusal('[-1e400]'), 'a number is too large');
  });

  it('says where it stops being JSON without quoting it: it may hold a password', () => {
    const message = refusal('{"email":"a@example.com",\n "password":"correct horse" x}');
    assert.match(message, /^it is not JSON: \w+ at line 2, column \d+$/);
    assert.doesNotMatch(message, /horse/);
  });

  for (const text of [
    '',
    ' ',
    '{',
    '{"a":1,}',
    '[1,]',
    "{'a':1}",
    '{a:1}',
    '// x\n1',
    'NaN',
    '01',
    '"\t"',
    '1 2',
  ])
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.match(refusal(text), /^it is not JSON/);
    });
});

describe('a JSON body', () => {
  const path = '/echo';
  const limit = 10_000;
  let app: SmallApp;

  before(async () => {
    const handle = ({ body }: { body: unknown }) => ({ status: 200, body: { body: body ?? 'nothing' } });
    const bodyShape = Joi.any();
    const reply = { status: 200, description: 'What was sent' };
    const echo = { path, summary: 'Echo', access: 'public' as const, bodyShape, reply, handle };
    app = await startSmallApp({ bodyLimitBytes: limit, endpoints: [{ ...echo, method: 'post' }] });
  });
  after(() => app.close());

  const post = async (body: RequestInit['body'], headers: Record<string, string> = {}) => {
    const init: RequestInit = {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...headers },
    };
    if (body instanceof ReadableStream) Object.assign(init, { duplex: 'half' });
    const response = await fetch(app.url + path, init);
    const answer: { code?: string; detail?: string; body?: unknown } = JSON.parse(await response.text());
    return { status: response.status, ...answer };
  };
  const sizedJson = (bytes: number) => JSON.stringify('a'.repeat(bytes - 2));

  it('is read up to the limit and refused one byte beyond, with 413', async () => {
    assert.equal((await post(sizedJson(limit))).status, 200);
    const { status, code } = await post(sizedJson(limit + 1));
    assert.deepEqual({ status, code }, { status: 413, code: 'body_too_large' });
  });

  it('is refused beyond the limit when it comes in chunks that do not say how many', async () => {
    const { status, code } = await post(new Blob([sizedJson(limit + 1)]).stream());
    assert.deepEqual({ status, code }, { status: 413, code: 'body_too_large' });
  });

  it('is refused when it grows beyond the limit by unpacking (a zip bomb)', async () => {
    const bomb = gzipSync(sizedJson(5_000_000));
    assert.ok(bomb.length < limit);
    const { status, code } = await post(bomb, { 'content-encoding': 'gzip' });
    assert.deepEqual({ status, code }, { status: 413, code: 'body_too_large' });
  });

  it('is refused when it is packed in an unknown or broken way', async () => {
    const { status, detail } = await post('{}', { 'content-encoding': 'x-own' });
    assert.equal(status, 415);
    // Not that JSON is wanted: it is JSON.
    assert.equal(detail, 'send the body unpacked, or packed as gzip, deflate or br');
    assert.equal((await post('{}', { 'content-encoding': 'gzip' })).status, 400);
  });

  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'text/plain; x=application/json',
    'application/json, text/plain',
  ])
    it(`is refused as ${type}, with 415: a form of another site can send that`, async () => {
      const { status, code } = await post('{}', { 'content-type': type });
      assert.deepEqual({ status, code }, { status: 415, code: 'unsupported_media_type' });
    });

  for (const type of ['application/json', 'Application/JSON; charset=utf-8', 'application/merge-patch+json'])
    it(`is read as ${type}`, async () => {
      assert.deepEqual(await post('{"a":"ž"}', { 'content-type': type }), { status: 200, body: { a: 'ž' } });
    });

  it('is refused when it is not UTF-8, whatever charset it claims', async () => {
    const broken = Buffer.concat([
      Buffer.from('{"a":"'),
      Buffer.from([0xff, 0xfe, 0xc0, 0x80]),
      Buffer.from('"}'),
    ]);
    for (const type of ['application/json', 'application/json; charset=latin1']) {
      const { status, code, detail } = await post(broken, { 'content-type': type });
      assert.deepEqual(
        { status, code, detail },
        { status: 400, code: 'malformed_json', detail: 'it is not UTF-8' },
      );
    }
    const wide = Buffer.from('{"a":1}', 'utf16le');
    assert.equal((await post(wide, { 'content-type': 'application/json; charset=utf-16le' })).status, 400);
  });

  it('may begin with a byte order mark', async () => {
    assert.deepEqual((await post('\ufeff{"a":1}')).body, { a: 1 });
  });

  it('may be absent', async () => {
    assert.equal((await post('')).body, 'nothing');
    assert.equal((await post('', { 'content-type': 'text/plain' })).body, 'nothing');
  });
});

describe('a body that breaks off', () => {
  it('ends its reader, also one that comes late: nothing is kept for a client that is gone', async () => {
    for (const isLate of [false, true]) {
      let tell: (read: Promise<Buffer>) => void = () => {};
      const reading = new Promise<Buffer>((resolve, reject) => {
        tell = (read) => void read.then(resolve, reject);
      });
      const server = createServer(async (req) => {
        const gone = new Promise((resolve) => req.socket.once('close', resolve));
        if (!isLate) tell(wholeBody(req));
        socket.destroy();
        await gone;
        if (isLate) tell(wholeBody(req));
      });
      await once(server.listen(0, '127.0.0.1'), 'listening');
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
      socket.write('POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\n{"a"');
      await assert.rejects(reading, { code: 'invalid_request', publicMessage: 'the body broke off' });
      server.close();
    }
  });
});
