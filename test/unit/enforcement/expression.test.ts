/** Boolean SQL as a tree: what is alike is asked once. */
import assert from 'node:assert/strict';
import {
  all,
  any,
  bind,
  type Expression,
  equalsOneOf,
  not,
  raw,
  render,
  sql,
  test,
} from '../../../src/enforcement/sql/expression.ts';

const is = (column: string, ...values: string[]) => equalsOneOf(raw(column), 'text', values);
const below = (column: string, value: number) => test(sql`${raw(column)} < ${bind(value, 'bigint')}`);

function assertSql(expression: Expression, text: string, ...bindings: unknown[]): void {
  assert.deepEqual(render(expression), { text, bindings });
}

describe('an "or" of tests that differ in one value', () => {
  it('is a list of values, each once', () => {
    assertSql(any([is('a', 'x'), is('a', 'y'), is('a', 'x')]), 'a = ANY (?::text[])', ['x', 'y']);
    const many = Array.from({ length: 20_000 }, (_, n) => is('a', String(n)));
    assert.deepEqual(
      render(any(many)).bindings[0],
      Array.from({ length: 20_000 }, (_, n) => String(n)),
    );
  });

  it('is one also where the same is asked beside it, by what most have alike', () => {
    assertSql(
      any([
        all([is('a', 'x'), is('b', '1')]),
        all([is('a', 'y'), is('b', '1')]),
        all([is('a', 'y'), is('b', '2')]),
        all([is('a', 'z'), is('b', '1')]),
        below('n', 3),
      ]),
      '((a = ANY (?::text[]) AND b = ?::text) OR (a = ?::text AND b = ?::text) OR n < ?::bigint)',
      ['x', 'y', 'z'],
      '1',
      'y',
      '2',
      3,
    );
    assertSql(
      any(['1', '2'].flatMap((b) => ['x', 'y'].map((a) => all([is('a', a), is('b', b)])))),
      '(b = ANY (?::text[]) AND a = ANY (?::text[]))',
      ['1', '2'],
      ['x', 'y'],
    );
  });

  it('is not where what is asked beside it differs, or is the opposite', () => {
    const text = '((a = ?::text AND n < ?::bigint) OR (a = ?::text AND n < ?::bigint))';
    assertSql(
      any([all([is('a', 'x'), below('n', 3)]), all([is('a', 'y'), below('n', 4)])]),
      text,
      'x',
      3,
      'y',
      4,
    );
    assertSql(
      any([not(is('a', 'x')), is('a', 'y')]),
      '(a IS DISTINCT FROM ?::text OR a = ?::text)',
      'x',
      'y',
    );
    assertSql(
      any([all([is('a', 'x'), is('b', '1')]), all([is('a', 'y'), not(is('b', '1'))])]),
      '((a = ?::text AND b = ?::text) OR (a = ?::text AND b IS DISTINCT FROM ?::text))',
      'x',
      '1',
      'y',
      '1',
    );
  });

  it('is left out as a list, too', () => {
    assertSql(not(any([is('a', 'x'), is('a', 'y')])), '(a = ANY (?::text[])) IS NOT TRUE', ['x', 'y']);
  });
});
