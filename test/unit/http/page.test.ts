import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AppError } from '../../../src/errors.ts';
import { decodeCursor, encodeCursor, toPage } from '../../../src/http/page.ts';

const isRefusedCursor = (cause: unknown) =>
  cause instanceof AppError &&
  cause.code === 'invalid_request' &&
  cause.errors?.[0]?.pointer === '/query/cursor';

describe('a cursor', () => {
  it('gives back the place it was made of, whatever its text', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 3 }), (key) => {
        assert.deepEqual(decodeCursor(encodeCursor(key), key.length), key);
      }),
    );
  });

  for (const [what, cursor] of [
    ['text', 'nonsense'],
    ['another number of parts', encodeCursor(['a', 'b'])],
    ['no list', Buffer.from('{"0":"a"}').toString('base64url')],
    ['a number', Buffer.from('[1]').toString('base64url')],
    ['an object', Buffer.from('[{"toString":"a"}]').toString('base64url')],
    ['U+0000, on which Postgres would fail', encodeCursor(['a\0'])],
  ] as const)
    it(`that was made up of ${what} is refused`, () => {
      assert.throws(() => decodeCursor(cursor, 1), isRefusedCursor);
    });
});

describe('a page', () => {
  const page = (rows: string[]) =>
    toPage(
      rows,
      2,
      (row) => [row],
      (row) => row.toUpperCase(),
    );

  it('ends without a cursor when nothing follows', () => {
    assert.deepEqual(page(['a', 'b']), { items: ['A', 'B'], nextCursor: null });
    assert.deepEqual(page([]), { items: [], nextCursor: null });
  });

  it('ends with the place of its last item, not of the row looked at beyond it', () => {
    assert.deepEqual(page(['a', 'b', 'c']), { items: ['A', 'B'], nextCursor: encodeCursor(['b']) });
  });
});
