import assert from 'node:assert/strict';
import fc from 'fast-check';
import { canonical, cleanCopy, misfit } from '../../../src/policy/attributes.ts';
import type { AttributeSpec, AttributeType } from '../../../src/policy/policy.ts';

const UUID = '3F2B8C1E-0000-4000-8000-00000000000A';

/** What the body does as if the machine stood in another time zone. */
function inTimeZone<T>(zone: string, body: () => T): T {
  const before = process.env['TZ'];
  process.env['TZ'] = zone;
  try {
    return body();
  } finally {
    if (before === undefined) delete process.env['TZ'];
    else process.env['TZ'] = before;
  }
}

describe('a value of a declared type', () => {
  const fitting: Record<AttributeType, unknown[]> = {
    string: ['', 'x'],
    number: [0, -1.5, 3],
    integer: [0, -3],
    boolean: [true, false],
    date: [
      '2026-01-31',
      '2026-01-31T12:00Z',
      '2026-01-31T12:00:00.123456Z',
      '2026-01-31T12:00:00+02:00',
      '2026-01-31 12:00:00Z',
      new Date(0),
    ],
    uuid: [UUID, UUID.toLowerCase()],
    array: [[], ['x', 1]],
    object: [{}, { a: 1 }],
  };
  const misfitting: Record<AttributeType, unknown[]> = {
    string: [1, true, [], {}, new String('x'), new Date(0)],
    number: ['1', Number.NaN, Number.POSITIVE_INFINITY, true, 1n],
    integer: [1.5, '1', Number.NaN],
    boolean: ['true', 0, 1],
    date: [
      'yesterday',
      '2026',
      '2026-13-01',
      '2026-02-30',
      '2025-02-29',
      '2026-01-31T25:00Z',
      '31.01.2026',
      0,
      '9999-12-31T23:59:59-01:00', // in UTC it is of the year 10000, whose text sorts before every other
      new Date(8.64e15),
      new Date(Number.NaN),
      '',
    ],
    uuid: ['x', `${UUID}0`, UUID.replaceAll('-', ''), 1, `${UUID}\n`],
    array: ['x', { length: 0 }, { 0: 'x' }],
    object: [[], 'x', 1, () => 1],
  };
  for (const [type, values] of Object.entries(fitting) as [AttributeType, unknown[]][])
    for (const value of values)
      it(`fits ${type}: ${JSON.stringify(value)}`, () => assert.equal(misfit(value, { type }), undefined));

  for (const [type, values] of Object.entries(misfitting) as [AttributeType, unknown[]][])
    for (const value of values)
      it(`does not fit ${type}: ${String(value)} (${typeof value})`, () =>
        assert.match(misfit(value, { type }) ?? '', /^must be /));

  it('may be null only where that is declared', () => {
    assert.equal(misfit(null, { type: 'string', nullable: true }), undefined);
    assert.match(misfit(null, { type: 'string' }) ?? '', /not null/);
  });

  it('is one of the enum', () => {
    const spec: AttributeSpec = { type: 'string', enum: ['draft', 'review'] };
    assert.equal(misfit('draft', spec), undefined);
    assert.equal(misfit('gone', spec), 'must be one of "draft", "review"');
  });

  it('fits item by item', () => {
    const spec: AttributeSpec = { type: 'array', items: 'integer' };
    assert.equal(misfit([1, 2], spec), undefined);
    assert.match(misfit([1, 'x'], spec) ?? '', /each item an integer/);
    assert.match(misfit([1, null], spec) ?? '', /each item/);
  });
});

describe('the canonical form of a value', () => {
  it('of a date is the same instant in UTC, whatever its offset', () => {
    const forms = [
      '2026-01-31T12:00:00Z',
      '2026-01-31T14:00:00+02:00',
      '2026-01-31T04:00:00.000-0800',
      '2026-01-31 12:00Z',
    ];
    for (const form of forms) assert.equal(canonical(form, 'date'), '2026-01-31T12:00:00.000Z');
    assert.equal(canonical(new Date('2026-01-31T12:00:00Z'), 'date'), '2026-01-31T12:00:00.000Z');
    assert.equal(canonical('2026-01-31', 'date'), '2026-01-31T00:00:00.000Z');
  });

  it('of a date without an offset does not depend on where the machine stands: two nodes must decide alike', () => {
    const inZone = (zone: string) => inTimeZone(zone, () => canonical('2026-01-31T12:00:00', 'date'));
    assert.equal(inZone('Asia/Tokyo'), inZone('America/New_York'));
  });

  it('of dates keeps their order', () => {
    const date = fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true });
    const offset = fc.integer({ min: -14 * 60, max: 14 * 60 });
    const written = (instant: Date, minutes: number) => {
      const shifted = new Date(instant.getTime() + minutes * 60_000).toISOString().slice(0, -1);
      const [hh, mm] = [Math.trunc(Math.abs(minutes) / 60), Math.abs(minutes) % 60].map((n) =>
        String(n).padStart(2, '0'),
      );
      return `${shifted}${minutes < 0 ? '-' : '+'}${hh}:${mm}`;
    };
    fc.assert(
      fc.property(date, offset, date, offset, (a, offsetA, b, offsetB) => {
        const [first, second] = [
          canonical(written(a, offsetA), 'date'),
          canonical(written(b, offsetB), 'date'),
        ];
        assert.equal(String(first) < String(second), a.getTime() < b.getTime());
        assert.equal(first === second, a.getTime() === b.getTime());
      }),
    );
  });

  it('of a UUID is lower case, and nothing else is', () => {
    assert.equal(canonical(UUID, 'uuid'), UUID.toLowerCase());
    assert.equal(canonical(UUID, 'string'), UUID);
    assert.equal(canonical(UUID, undefined), UUID);
  });

  it('of other values is the value', () => {
    for (const value of ['x', 0, -1.5, true, false]) assert.equal(canonical(value, undefined), value);
  });
});

describe('a clean copy', () => {
  it('holds the same data, deep, on null prototypes', () => {
    const copy = cleanCopy({ a: [{ b: 1 }], c: 'x' }) as Record<string, unknown>;
    assert.equal(JSON.stringify(copy), '{"a":[{"b":1}],"c":"x"}');
    assert.equal(Object.getPrototypeOf(copy), null);
    assert.equal(Object.getPrototypeOf((copy['a'] as object[])[0]), null);
  });

  it('shares nothing with the original: a later change of the body must not change what was decided about', () => {
    const original = { list: ['a'], inner: { x: 1 } };
    const copy = cleanCopy(original) as typeof original;
    original.list.push('b');
    original.inner.x = 2;
    assert.equal(JSON.stringify(copy), '{"list":["a"],"inner":{"x":1}}');
  });

  it('drops __proto__ and constructor at every depth', () => {
    const copy = cleanCopy(
      JSON.parse('{"a":{"__proto__":{"isAdmin":true},"constructor":{"name":"x"},"b":1}}'),
    ) as {
      a: Record<string, unknown>;
    };
    assert.deepEqual(Reflect.ownKeys(copy.a), ['b']);
    assert.equal(copy.a['isAdmin'], undefined);
    assert.equal(({} as Record<string, unknown>)['isAdmin'], undefined);
  });

  it('has no nulls, functions or symbols: absent is absent', () => {
    const copy = cleanCopy({ a: null, b: undefined, c: () => 1, [Symbol('d')]: 1, e: 0 }) as object;
    assert.deepEqual(
      Reflect.ownKeys(copy).filter((key) => Reflect.get(copy, key) !== undefined),
      ['e'],
    );
  });

  it('holds plain data where the original had accessors, each asked once', () => {
    let asked = 0;
    const sly = { inner: Object.defineProperty({}, 'x', { enumerable: true, get: () => ++asked }) };
    const copy = cleanCopy(sly) as { inner: { x: number } };
    assert.deepEqual([copy.inner.x, copy.inner.x, asked], [1, 1, 1]);
  });

  it('takes dates as text', () => assert.equal(cleanCopy(new Date(0)), '1970-01-01T00:00:00.000Z'));
});
