/** Patterns of RE2 as patterns of PostgreSQL: what is translated matches the same texts in both, the rest is refused. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Knex } from 'knex';
import { RE2JS } from 're2js';
import { postgresPattern } from '../../../src/enforcement/sql/pattern.ts';
import { openPool } from '../../../src/storage/postgres.ts';
import { makeDatabase } from '../../harness.ts';

describe('a pattern in SQL', () => {
  let db: Knex;
  before(async () => {
    db = openPool({ url: await makeDatabase(), poolMax: 1 });
  });
  after(() => db.destroy());

  /** Holds both engines against each other, on each pattern and each text. */
  async function assertAgreement(patterns: readonly string[], texts: readonly string[]): Promise<void> {
    const translated = patterns.map(
      (pattern) => postgresPattern(pattern) ?? assert.fail(`${pattern} is refused`),
    );
    const { rows } = await db.raw<{ rows: { pattern: number; found: string[] }[] }>(
      `SELECT p.at::int AS pattern, coalesce(array_agg(t.text ORDER BY t.at) FILTER (WHERE t.text ~ p.pattern), '{}') AS found
       FROM unnest(?::text[]) WITH ORDINALITY AS p(pattern, at), unnest(?::text[]) WITH ORDINALITY AS t(text, at)
       GROUP BY p.at ORDER BY p.at`,
      [translated, [...texts]],
    );
    for (const [index, pattern] of patterns.entries()) {
      const re2 = RE2JS.compile(pattern);
      assert.deepEqual(
        rows[index]?.found,
        texts.filter((text) => re2.test(text)),
        `${JSON.stringify(pattern)} as ${JSON.stringify(translated[index])}`,
      );
    }
  }

  const nasty = [
    ...[
      '',
      'a',
      'A',
      'b',
      'ab',
      'ba',
      'aab',
      'a\nb',
      '\na',
      'a\n',
      '\n',
      '\t',
      '\v',
      '\f',
      '\r',
      ' ',
      '\u00a0',
    ],
    ...[
      '\u0085',
      '\u2028',
      '0',
      '9',
      '٣',
      '_',
      '-',
      '^',
      '$',
      '.',
      '*',
      '+',
      '?',
      '(',
      ')',
      '[',
      ']',
      '{',
      '}',
    ],
    ...[
      '|',
      '\\',
      '/',
      '%',
      '&&',
      '[:alpha:]',
      'a-z',
      'é',
      'É',
      'e\u0301',
      'ß',
      'İ',
      'ſ',
      '\ud7ff',
      '\ue000',
    ],
    ...[
      '\uffff',
      '😀',
      '😁',
      '\u{10ffff}',
      '\u0001',
      '\u007f',
      'ab12_',
      'a{2}',
      'aa',
      'aaa',
      '***=a',
      '(?i)a',
      'z',
    ],
  ];

  const translated = [
    ...[
      '',
      '^',
      '$',
      '^$',
      'a',
      '.',
      '^.$',
      '^..$',
      'a.b',
      'a*',
      'a+b',
      'a?b',
      'a*?b',
      'a+?',
      'a??',
      'a{2}',
      'a{2}?',
    ],
    ...[
      'a{0}',
      'a{0,1}',
      'a{1,}',
      '^a{2,3}$',
      '|',
      'a|',
      '|b',
      'a||b',
      '(|a)b',
      '()',
      '()*',
      '(?:)',
      '(?:)+',
      '(a*)*',
    ],
    ...[
      '(a|)*b',
      '(^a)*b',
      '(^)*',
      '($)+',
      '(^|a)b',
      '(?:^a|b){2}',
      'a$|b',
      'a$b',
      'a^b',
      '((a)(b))',
      '(?:(?:a))',
    ],
    ...[
      '\\d',
      '\\D',
      '\\w',
      '\\W',
      '\\s',
      '\\S',
      '^\\w+$',
      '\\t',
      '\\n',
      '\\r',
      '\\f',
      '\\v',
      '\\.',
      '\\\\',
      '\\-',
      '\\/',
    ],
    ...[
      '\\^',
      '\\$',
      '\\|',
      '\\{',
      '\\}',
      '\\[',
      '\\]',
      '\\(',
      '\\)',
      '\\%',
      '\\<',
      '[abc]',
      '[^abc]',
      '[a-c]',
    ],
    ...['[a-z0-9]', '[é-ü]', '[^a-z]', '[\\d]', '[^\\d]', '[\\w]', '[^\\s]', '[\\]]', '[\\[]', '[\\^]'],
    ...[
      '[a^]',
      '[a\\-z]',
      '[.*+?|(){}$]',
      '[%&]',
      '[\\t\\n]',
      '[\\\\]',
      '[😀-😁]',
      '[^😀]',
      '😀',
      '😀+',
      'é',
      'e\u0301',
    ],
    ...['%', '_', '"', "'", '/', '-', '^[\\w%]*$', '[A-Z]', '\u0001', '\n', ' '],
  ];
  it('matches the same texts in both engines, for each construct that is translated', async () => {
    await assertAgreement(translated, nasty);
  });

  const refused: Record<string, string[]> = {
    'flags, and what begins with a question mark': [
      '(?i)a',
      '(?s).',
      '(?i:a)',
      '(?m)^',
      '(?U)a+',
      '(?P<n>a)',
      '(?<n>a)',
    ],
    'the directors of PostgreSQL': ['***=a', '***:a', '(?x)a'],
    'word boundaries and other anchors': ['\\ba', 'a\\B', '\\A', '\\z', '\\Z', '\\y', '\\m', '\\M'],
    'classes of Unicode and POSIX': [
      '\\pL',
      '\\p{Greek}',
      '\\PN',
      '[[:alpha:]]',
      '[\\pL]',
      '[[.a.]]',
      '[[=a=]]',
      '[a[b]',
    ],
    'escapes that one of them reads otherwise': [
      '\\x41',
      '\\u0041',
      '\\101',
      '\\1',
      '\\0',
      '\\Qa.b\\E',
      '\\a',
      '\\e',
      '\\C',
    ],
    'an escape of a letter, a digit, an underscore': ['\\_', '\\g', '\\8', '\\é', '[\\b]', '[\\_]'],
    'bounds that one of them does not have': ['a{256}', 'a{0,256}', 'a{256,}', 'a{1000}'],
    'braces and brackets that stand for themselves': [
      'a{',
      'a}',
      '{',
      '}',
      'a{,3}',
      'a{x}',
      ']',
      'a]',
      '{2}',
      'a{2',
    ],
    'repetitions of nothing, and of repetitions': [
      '*a',
      '+',
      '?',
      '^*',
      '$+',
      '(*a)',
      '(|*)',
      'a**',
      'a+*',
      'a{2}{3}',
      'a*??',
      '|*',
    ],
    'classes that are odd': [
      '[]a]',
      '[^]a]',
      '[]',
      '[^]',
      '[',
      '[a',
      '[\\D]',
      '[^\\W]',
      '[\\S]',
      '[a-\\d]',
      '[\\d-z]',
      '[-a]',
      '[a-]',
    ],
    'ranges that end in punctuation': ['[+--]', '[a-\\]]', '[\\--z]', '[ --]', '[%--]', '[!-\\/]'],
    'what no text of PostgreSQL has': ['\0', 'a\0', '[\0]'],
    'what is not whole': ['\\', 'a\\', '(', '(a', ')', 'a)', '(a))(', '(?:a'],
  };
  for (const [what, patterns] of Object.entries(refused))
    it(`refuses ${what}`, () => {
      assert.deepEqual(
        patterns.filter((pattern) => postgresPattern(pattern) !== undefined),
        [],
      );
    });

  it('denial of service: a pattern that PostgreSQL reads for seconds, or not at all, is refused', async () => {
    const nested = [
      '(?:(?:\\w?){31}){31}',
      '(?:(?:(?:a?){10}){10}){10}',
      '(?:.?){255}(?:.?){255}',
      '(?:.{0,255}){3}',
    ];
    assert.deepEqual(
      nested.filter((pattern) => postgresPattern(pattern) !== undefined),
      [],
    );
    assert.ok(postgresPattern('^\\w{1,64}@\\w{1,255}$'), 'usual bounds are taken');
    assert.ok(postgresPattern('.{200}.{200}'), '400 pieces are taken');
    assert.equal(postgresPattern('.{200}.{201}'), undefined);
    assert.equal(postgresPattern('(?:a{0,100}b{1,99}){2}c'), undefined);
    // Groups that capture, and lazy ones, are read again at each level.
    await assertAgreement(
      [`${'('.repeat(60)}a${')+'.repeat(60)}`, `${'('.repeat(40)}a${')+?'.repeat(40)}`],
      ['a', 'b'],
    );
  });

  const literals = fc.constantFrom(
    ...('abzA09é_%😀 -"\n'.match(/./gsu) ?? []),
    ...['\\.', '\\*', '\\\\', '\\]', '\\{', '\\t', '\\n', '\\-'],
  );
  const classMembers = fc.constantFrom(
    'a',
    'b',
    'z',
    '9',
    'é',
    '😀',
    '^',
    '.',
    '$',
    '*',
    'a-c',
    '0-5',
    'A-Z',
    'é-ü',
    '\\d',
    '\\w',
    '\\s',
    '\\]',
    '\\-',
    '\\\\',
    '\\n',
    ' ',
  );
  const bracketed = fc
    .tuple(fc.boolean(), fc.array(classMembers, { minLength: 1, maxLength: 4 }))
    .map(([negated, members]) => `[${negated ? '^' : ''}${members.join('')}]`);
  const { alternatives } = fc.letrec<{ alternatives: string; branch: string; piece: string; atom: string }>(
    (tie) => ({
      alternatives: fc
        .array(tie('branch'), { minLength: 1, maxLength: 3 })
        .map((branches) => branches.join('|')),
      branch: fc.array(tie('piece'), { maxLength: 4 }).map((all) => all.join('')),
      piece: fc.oneof(
        { weight: 1, arbitrary: fc.constantFrom('^', '$') },
        {
          weight: 6,
          arbitrary: fc
            .tuple(
              tie('atom'),
              fc.constantFrom(
                '',
                '',
                '',
                '*',
                '+',
                '?',
                '*?',
                '+?',
                '??',
                '{2}',
                '{0}',
                '{0,2}',
                '{1,}',
                '{1,3}?',
                '{2,}?',
              ),
            )
            .map((both) => both.join('')),
        },
      ),
      atom: fc.oneof(
        { maxDepth: 3 },
        { weight: 4, arbitrary: literals },
        { weight: 2, arbitrary: fc.constantFrom('.', '\\d', '\\D', '\\w', '\\W', '\\s', '\\S') },
        { weight: 2, arbitrary: bracketed },
        { weight: 2, arbitrary: tie('alternatives').map((inner) => `(${inner})`) },
        { weight: 1, arbitrary: tie('alternatives').map((inner) => `(?:${inner})`) },
      ),
    }),
  );
  const texts = fc.array(
    fc.oneof(
      fc.constantFrom(...nasty),
      fc
        .array(
          fc.constantFrom(
            'a',
            'b',
            'z',
            'A',
            '0',
            '9',
            'é',
            'ü',
            '_',
            '%',
            '😀',
            ' ',
            '-',
            '"',
            '\n',
            '.',
            '*',
            ']',
            '\\',
            '\t',
            '^',
            '$',
          ),
          {
            maxLength: 6,
          },
        )
        .map((characters) => characters.join('')),
    ),
    { minLength: 8, maxLength: 24, size: 'max' },
  );

  const TOGETHER = 20;
  const several = <T>(of: fc.Arbitrary<T>, count = TOGETHER) =>
    fc.array(of, { minLength: count, maxLength: count });

  it('matches the same texts in both engines, for random patterns of what is translated', async function () {
    this.timeout(60_000);
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(several(alternatives), texts, async (patterns, list) => {
        const translatable = patterns.filter((pattern) => postgresPattern(pattern) !== undefined);
        taken += translatable.length;
        await assertAgreement(translatable, list);
      }),
      { numRuns: 25 },
    );
    assert.ok(taken > 450, `only ${taken} patterns were translated`);
  });

  it('is either refused or read alike, for any text that is a pattern of RE2', async function () {
    this.timeout(60_000);
    const anything = fc.string({
      unit: fc.constantFrom(...('ab09\\\\\\^$.|?*+()[[]]{}-,:=_dDwWsSbBxtné😀<>!i&~'.match(/./gu) ?? [])),
      maxLength: 12,
    });
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(several(anything, 10 * TOGETHER), texts, async (patterns, list) => {
        const translatable = patterns.filter(
          (pattern) => isRe2(pattern) && postgresPattern(pattern) !== undefined,
        );
        taken += translatable.length;
        await assertAgreement(translatable, list);
      }),
      { numRuns: 25 },
    );
    assert.ok(taken > 50, `only ${taken} patterns were translated`);
  });
});

function isRe2(pattern: string): boolean {
  try {
    RE2JS.compile(pattern);
    return true;
  } catch {
    return false;
  }
}
