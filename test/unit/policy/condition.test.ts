import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  ALWAYS,
  allOf,
  anyOf,
  type Condition,
  isSafePath,
  isTemplate,
  NEVER,
  notOf,
  templateIn,
  testsOf,
} from '../../../src/policy/condition.ts';
import { compileCondition } from '../../../src/policy/matcher.ts';

const isX: Condition = { kind: 'test', path: 'x', operator: '$eq', value: true };
const isY: Condition = { kind: 'test', path: 'y', operator: '$eq', value: true };

describe('a safe path', () => {
  for (const path of ['a', '_', 'ownerId', 'meta.colour.hue', '_a9.b_', 'constructors', 'proto', '__proto'])
    it(`may be ${path}`, () => assert.equal(isSafePath(path), true));

  const polluting = [...Object.getOwnPropertyNames(Object.prototype), 'prototype'];
  for (const name of polluting) {
    it(`never names ${name}, first, last or in between: it would reach what every object inherits`, () => {
      for (const path of [name, `${name}.a`, `a.${name}`, `a.${name}.b`])
        assert.equal(isSafePath(path), false);
    });
  }

  for (const path of [
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    'a b',
    'a-b',
    '1a',
    'a.1',
    'a[0]',
    '$a',
    'a.$b',
    'ä',
    'a\n',
    '*',
    'a.**',
  ])
    it(`is not ${JSON.stringify(path)}`, () => assert.equal(isSafePath(path), false));
});

describe('a template', () => {
  it('X', () => {
    assert.deepEqual(templateIn(`$\{principal.profile.nick}`), { template: 'profile.nick' });
  });

  for (const text of [
    'principal.id',
    `a$\{principal.id}`,
    `$\{principal.id}b`,
    `$\{principal.}`,
    `$\{principal}`,
    `$\{context.ip}`,
    `$\{principal.id}\n`,
  ])
    it(`is not ${JSON.stringify(text)}`, () => assert.equal(templateIn(text), undefined));

  it('is no string, however it looks, and no list', () => {
    assert.equal(isTemplate(`$\{principal.id}`), false);
    assert.equal(isTemplate({ template: 'id' }), true);
    assert.equal(templateIn({ template: 'id' }), undefined);
    assert.equal(templateIn([`$\{principal.id}`]), undefined);
  });
});

describe('putting conditions together', () => {
  const condition = fc.letrec<{ tree: Condition }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<Condition>(isX, isY, ALWAYS, NEVER),
      fc.array(tie('tree'), { maxLength: 3 }).map((of): Condition => ({ kind: 'all', of })),
      fc.array(tie('tree'), { maxLength: 3 }).map((of): Condition => ({ kind: 'any', of })),
      tie('tree').map((of): Condition => ({ kind: 'not', of })),
    ),
  })).tree;
  const cases = [true, false].flatMap((x) => [true, false].map((y) => ({ x, y })));
  const same = (a: Condition, b: Condition) => {
    for (const facts of cases) assert.equal(compileCondition(a)(facts), compileCondition(b)(facts));
  };

  it('folds what is fixed away without changing what it means', () => {
    fc.assert(
      fc.property(fc.array(condition, { maxLength: 4 }), condition, (list, one) => {
        same(allOf(list), { kind: 'all', of: list });
        same(anyOf(list), { kind: 'any', of: list });
        same(notOf(one), { kind: 'not', of: one });
      }),
    );
  });

  it('is fixed when all that is left is fixed, so that nothing is asked in vain', () => {
    assert.deepEqual(allOf([ALWAYS, ALWAYS]), ALWAYS);
    assert.deepEqual(allOf([isX, NEVER]), NEVER);
    assert.deepEqual(anyOf([NEVER, NEVER]), NEVER);
    assert.deepEqual(anyOf([isX, ALWAYS]), ALWAYS);
    assert.deepEqual(notOf(ALWAYS), NEVER);
    assert.deepEqual(notOf(NEVER), ALWAYS);
    assert.deepEqual(allOf([ALWAYS, isX]), isX);
    assert.deepEqual(anyOf([NEVER, isX]), isX);
    assert.deepEqual(notOf(notOf(isX)), isX);
  });

  it('of nothing is always met by all, never by any', () => {
    assert.deepEqual(allOf([]), ALWAYS);
    assert.deepEqual(anyOf([]), NEVER);
  });

  it('keeps shared constants that nobody can change: one write would open or close every rule', () => {
    assert.throws(() => Object.assign(ALWAYS, { value: false }), TypeError);
    assert.throws(() => Object.assign(NEVER, { value: true }), TypeError);
  });

  it('finds every test in a tree, those on elements included', () => {
    const tree: Condition = {
      kind: 'all',
      of: [
        isX,
        { kind: 'not', of: { kind: 'any', of: [isY, { kind: 'element', path: 'z', of: isX }] } },
        ALWAYS,
      ],
    };
    assert.deepEqual([...testsOf(tree)], [isX, isY, isX]);
  });
});
