/** Patterns of rules: what may be written, how large they are, and that each is compiled once. */
import assert from 'node:assert/strict';
import { RE2JS } from 're2js';
import { operators, valueProblem } from '../../../src/policy/operators.ts';
import { compilePattern, MOST_PIECES, patternSize } from '../../../src/policy/rule-pattern.ts';

describe('the pattern of a rule', () => {
  const problemOf = (pattern: unknown) => valueProblem('$regex', pattern, { type: 'string' });

  it('denial of service: one that is small as text and large as a program is refused before it is compiled', () => {
    const large = [
      '(?:[ab]{0,30}a){33}c',
      '(?:(?:(?:a?){10}){10}){10}',
      '.{200}.{201}',
      '(?i:(?P<n>[a-z]{20}){20})x',
      '(?:\\Q()\\E){201}',
      `(?:${'\\x{41}'.repeat(5)}){81}`,
      '(?:[])a]{20}){21}',
      '(?:[[:alpha:])]{20}){21}',
      '\\pL'.repeat(66),
      '(?:[ab]?[ab]?[ab]?[ab]?a){30}(?i){33}c',
      'a{21}\\Q\\E{20}',
      `[${'\\p{Greek}'.repeat(20)}]`,
    ];
    for (const pattern of large) {
      assert.ok(patternSize(pattern) > MOST_PIECES, `${pattern} counts ${patternSize(pattern)}`);
      assert.match(
        String(problemOf(pattern)),
        new RegExp(`^must be at most ${MOST_PIECES} pieces with its bounds multiplied out, not \\d+$`),
      );
    }
  });

  it('is counted as RE2 reads it, be it known to PostgreSQL or not', () => {
    const sizes: [string, number][] = [
      ['^oak-[0-9]+$', 7],
      ['.{200}.{200}', 400],
      ['(a|b){3}', 12],
      ['(?i)abc', 3],
      ['(?i:a)', 2],
      ['(?P<name>a)', 2],
      ['(?<name>a)', 2],
      ['\\Q()[\\E', 3],
      ['\\Qab\\E{3}', 4],
      ['[]a]{3}', 3],
      ['[^]a]', 1],
      ['[[:alpha:]\\]]', 1],
      ['\\x{41}\\x41\\101', 3],
      ['\\bword\\b', 6],
      ['a{,3}', 5],
      ['^\\pL{1,64}$', 86],
    ];
    assert.deepEqual(
      sizes.map(([pattern]) => [pattern, patternSize(pattern)]),
      sizes,
    );
    for (const [pattern] of sizes) {
      RE2JS.compile(pattern);
      assert.equal(problemOf(pattern), undefined, pattern);
    }
  });

  it('that is none is refused for that', () => {
    for (const pattern of ['(a', 'a)', '[a', '(a)\\1', 'a**', '(?=a)'])
      assert.match(String(problemOf(pattern)), /^is not a pattern that runs in linear time/, pattern);
    assert.equal(problemOf('x'.repeat(201)), 'must be at most 200 characters');
    assert.equal(problemOf(7), 'must be a pattern (a string)');
  });

  it('is compiled once, by whatever rule and test it is asked for', () => {
    assert.equal(compilePattern('^once$'), compilePattern('^once$'));
    const [one, other] = [operators.$regex.test('^a+$'), operators.$regex.test('^a+$')];
    assert.deepEqual(
      ['aa', 'ab', 'aa'].map((text) => [one(text), other(text)]),
      [
        [true, true],
        [false, false],
        [true, true],
      ],
    );
  });
});
