import assert from 'node:assert/strict';
import fc from 'fast-check';
import { resourceOf } from '../../../src/decision/access-request.ts';
import { checkRule } from '../../../src/policy/check-rule.ts';
import type { Condition } from '../../../src/policy/condition.ts';
import { compileCondition, read } from '../../../src/policy/matcher.ts';
import type { Query } from '../../../src/policy/policy.ts';
import { ALICE, BOB, ruleOf, sampleTypes } from './sample-policy.ts';

const types = new Map(sampleTypes.map((type) => [type.type, type]));
const documentType = types.get('document') ?? assert.fail('the sample policy has documents');

/** Whether a document with these attributes meets the conditions, read and asked as in a rule. */
function matches(conditions: Query, resource: object): boolean {
  const { condition, problems } = checkRule(ruleOf({ conditions }), { types, roles: new Set() });
  assert.deepEqual(problems, []);
  const { attributes, misfits } = resourceOf(documentType, resource);
  assert.deepEqual(misfits, [], 'the resource of the test fits its type');
  return compileCondition(condition)(attributes);
}

/** Whether the context of a request meets `when`. */
function meets(when: Query, context: object): boolean {
  const checked = checkRule(ruleOf({ when }), { types, roles: new Set() });
  assert.deepEqual(checked.problems, []);
  return compileCondition(checked.when)({ context });
}

type Cases = [conditions: Query, yes: object[], no: object[]][];

function decides(cases: Cases): void {
  for (const [conditions, yes, no] of cases) {
    const text = JSON.stringify(conditions);
    for (const resource of yes)
      it(`${text} matches ${JSON.stringify(resource)}`, () =>
        assert.equal(matches(conditions, resource), true));
    for (const resource of no)
      it(`${text} does not match ${JSON.stringify(resource)}`, () =>
        assert.equal(matches(conditions, resource), false));
  }
}

const upper = (uuid: string) => uuid.toUpperCase();
const absent = {};

describe('equality', () => {
  decides([
    [{ title: 'a' }, [{ title: 'a' }], [{ title: 'A' }, { title: '' }, absent, { title: null }]],
    [{ body: { $eq: '' } }, [{ body: '' }], [{ body: null }, absent, { body: 'x' }]],
    [{ pages: 0 }, [{ pages: 0 }, { pages: -0 }], [absent, { pages: 1 }]],
    [{ isPinned: false }, [{ isPinned: false }], [absent, { isPinned: true }]],
    [{ tags: 'a' }, [{ tags: ['a'] }, { tags: ['b', 'a'] }], [{ tags: [] }, { tags: ['b'] }, absent]],
    [{ ownerId: ALICE }, [{ ownerId: ALICE }, { ownerId: upper(ALICE) }], [{ ownerId: BOB }, absent]],
    [{ ownerId: upper(ALICE) }, [{ ownerId: ALICE }, { ownerId: upper(ALICE) }], [{ ownerId: BOB }]],
    [
      { reviewers: ALICE },
      [{ reviewers: [ALICE] }, { reviewers: [BOB, upper(ALICE)] }],
      [{ reviewers: [BOB] }],
    ],
    [
      { publishedAt: '2026-01-31T12:00:00Z' },
      [{ publishedAt: '2026-01-31T14:00:00+02:00' }, { publishedAt: new Date('2026-01-31T12:00:00Z') }],
      [{ publishedAt: '2026-01-31T12:00:00+02:00' }, absent],
    ],
    [
      { deadlines: '2026-01-31' },
      [{ deadlines: ['2026-01-31T01:00:00+01:00'] }],
      [{ deadlines: ['2026-02-01'] }],
    ],
    [{ title: 'a', pages: 1 }, [{ title: 'a', pages: 1 }], [{ title: 'a' }, { pages: 1 }, absent]],
  ]);
});

describe('inequality is the plain opposite of equality, so it matches what is absent', () => {
  decides([
    [{ title: { $ne: 'a' } }, [{ title: 'b' }, absent, { title: null }], [{ title: 'a' }]],
    [{ tags: { $ne: 'a' } }, [{ tags: [] }, { tags: ['b'] }, absent], [{ tags: ['b', 'a'] }]],
    [
      { ownerId: { $ne: ALICE } },
      [{ ownerId: BOB }, absent],
      [{ ownerId: ALICE }, { ownerId: upper(ALICE) }],
    ],
    [{ title: { $nin: ['a', 'b'] } }, [{ title: 'c' }, absent], [{ title: 'a' }, { title: 'b' }]],
    [{ title: { $nin: [] } }, [{ title: 'c' }, absent], []],
    [{ reviewers: { $nin: [ALICE] } }, [{ reviewers: [BOB] }, absent], [{ reviewers: [upper(ALICE)] }]],
    [{ deadlines: { $nin: ['2026-01-31'] } }, [absent], [{ deadlines: ['2026-01-31T02:00:00+02:00'] }]],
  ]);
});

describe('order', () => {
  decides([
    [
      { pages: { $lt: 3 } },
      [{ pages: 2 }, { pages: -9 }],
      [{ pages: 3 }, { pages: 4 }, absent, { pages: null }],
    ],
    [{ pages: { $lte: 3 } }, [{ pages: 3 }, { pages: 2 }], [{ pages: 4 }, absent]],
    [{ pages: { $gt: 3 } }, [{ pages: 4 }], [{ pages: 3 }, { pages: 2 }, absent]],
    [{ pages: { $gte: 3 } }, [{ pages: 3 }, { pages: 4 }], [{ pages: 2 }, absent]],
    [{ pages: { $gt: 1, $lt: 5 } }, [{ pages: 3 }], [{ pages: 1 }, { pages: 5 }, absent]],
    [{ pages: { $gte: -1 } }, [{ pages: 0 }], [absent]],
    [{ title: { $lt: 'b' } }, [{ title: 'a' }, { title: 'B' }, { title: '' }], [{ title: 'b' }, absent]],
    [{ title: { $gte: '' } }, [{ title: '' }], [absent]],
    [{ scores: { $gt: 3 } }, [{ scores: [1, 4] }], [{ scores: [1, 3] }, { scores: [] }, absent]],
    [
      { publishedAt: { $lt: '2026-01-31T12:00:00Z' } },
      [{ publishedAt: '2026-01-31T13:59:59+02:00' }, { publishedAt: '2026-01-31' }],
      [{ publishedAt: '2026-01-31T14:00:00+02:00' }, { publishedAt: '2026-01-31T11:00:00-02:00' }, absent],
    ],
    [
      { publishedAt: { $gte: '2026-01-31T14:00:00+02:00' } },
      [{ publishedAt: '2026-01-31T12:00:00Z' }],
      [{ publishedAt: '2026-01-31T11:59:59.999Z' }, absent],
    ],
    [
      { deadlines: { $lt: '2026-01-01' } },
      [{ deadlines: ['2027-01-01', '2026-01-01T01:00:00+02:00'] }],
      [{ deadlines: [] }],
    ],
    [
      { 'meta.n': { $lt: 3 } },
      [{ meta: { n: 2 } }],
      [{ meta: { n: '2' } }, { meta: { n: null } }, { meta: {} }, { meta: { n: true } }, absent],
    ],
    [{ 'meta.n': { $gt: '' } }, [{ meta: { n: 'x' } }], [{ meta: { n: 7 } }, { meta: { n: {} } }]],
  ]);

  it('of two values is exactly one of less, equal and more', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer(), (pages, value) => {
        const answers = ['$lt', '$eq', '$gt'].map((operator) =>
          matches({ pages: { [operator]: value } }, { pages }),
        );
        assert.equal(answers.filter(Boolean).length, 1);
        assert.equal(matches({ pages: { $lte: value } }, { pages }), answers[0] || answers[1]);
        assert.equal(matches({ pages: { $gte: value } }, { pages }), answers[2] || answers[1]);
      }),
    );
  });
});

describe('lists', () => {
  decides([
    [
      { title: { $in: ['a', 'b'] } },
      [{ title: 'a' }, { title: 'b' }],
      [{ title: 'c' }, absent, { title: null }],
    ],
    [{ title: { $in: [] } }, [], [{ title: 'a' }, absent]],
    [
      { ownerId: { $in: [upper(ALICE)] } },
      [{ ownerId: ALICE }, { ownerId: upper(ALICE) }],
      [{ ownerId: BOB }],
    ],
    [{ tags: { $in: ['a', 'b'] } }, [{ tags: ['x', 'b'] }], [{ tags: ['x'] }, { tags: [] }, absent]],
    [{ tags: { $all: ['a', 'b'] } }, [{ tags: ['b', 'x', 'a'] }], [{ tags: ['a'] }, { tags: [] }, absent]],
    [{ tags: { $size: 2 } }, [{ tags: ['a', 'a'] }], [{ tags: ['a'] }, { tags: [] }, absent]],
    [{ tags: { $size: 0 } }, [{ tags: [] }], [{ tags: ['a'] }, absent]],
    [
      { tags: { $elemMatch: { $regex: '^a', $ne: 'ab' } } },
      [{ tags: ['ab', 'ac'] }],
      [{ tags: ['ab'] }, { tags: [] }, absent],
    ],
    [{ scores: { $elemMatch: { $gt: 1, $lt: 3 } } }, [{ scores: [0, 2] }], [{ scores: [0, 4] }, absent]],
    [
      { scores: { $elemMatch: { $not: { $gt: 1 } } } },
      [{ scores: [0, 4] }],
      [{ scores: [4] }, { scores: [] }],
    ],
    [
      { parts: { $elemMatch: { kind: 'a', 'size.width': { $gt: 1 } } } },
      [{ parts: [{ kind: 'b' }, { kind: 'a', size: { width: 2 } }] }],
      [{ parts: [{ kind: 'a' }, { kind: 'b', size: { width: 2 } }] }, { parts: [] }, absent],
    ],
    [
      { parts: { $elemMatch: { $or: [{ kind: 'a' }, { kind: { $exists: false } }] } } },
      [{ parts: [{ kind: 'a' }] }, { parts: [{}] }],
      [{ parts: [{ kind: 'b' }] }, { parts: [] }],
    ],
    [
      { parts: { $elemMatch: { list: { $elemMatch: { $gt: 1 } } } } },
      [{ parts: [{ list: [0, 2] }] }],
      [{ parts: [{ list: [0] }] }],
    ],
  ]);
});

describe('presence', () => {
  decides([
    [{ title: { $exists: true } }, [{ title: '' }], [absent, { body: 'x' }]],
    [{ title: { $exists: false } }, [absent], [{ title: '' }]],
    [{ body: { $exists: false } }, [{ body: null }, absent], [{ body: '' }]],
    [{ tags: { $exists: true } }, [{ tags: [] }], [absent]],
    [
      { 'meta.a.b': { $exists: true } },
      [{ meta: { a: { b: 0 } } }],
      [{ meta: { a: 1 } }, { meta: {} }, absent],
    ],
    [
      { 'parts.kind': { $exists: true } },
      [{ parts: [{}, { kind: 'a' }] }],
      [{ parts: [{}] }, { parts: [] }, absent],
    ],
    [{ 'parts.kind': { $exists: false } }, [{ parts: [{}] }, absent], [{ parts: [{}, { kind: 'a' }] }]],
    [{ 'parts.list': { $exists: true } }, [{ parts: [{ list: [] }] }], [{ parts: [{}] }]],
  ]);
});

describe('patterns', () => {
  decides([
    [{ title: { $regex: 'raf' } }, [{ title: 'draft' }], [{ title: 'DRAFT' }, { title: 'RAF' }, absent]],
    [
      { title: { $regex: '^draft$' } },
      [{ title: 'draft' }],
      [{ title: 'drafts' }, { title: 'a draft' }, { title: 'draft\n' }],
    ],
    [{ title: { $regex: '(?i)^draft' } }, [{ title: 'DRAFTS' }], [{ title: 'a draft' }]],
    [{ title: { $regex: '' } }, [{ title: '' }], [absent]],
    [{ tags: { $regex: '^a' } }, [{ tags: ['b', 'ab'] }], [{ tags: ['ba'] }, { tags: [] }, absent]],
    [
      { 'meta.x': { $regex: 'o' } },
      [{ meta: { x: 'foo' } }],
      [{ meta: { x: { toString: 'o' } } }, { meta: { x: true } }],
    ],
  ]);

  it('take linear time: a title that makes a backtracking engine run for ever is answered at once', () => {
    const title = `${'a'.repeat(50_000)}!`;
    const startedMs = performance.now();
    assert.equal(matches({ title: { $regex: '^(a+)+$' } }, { title }), false);
    assert.equal(matches({ title: { $regex: '(x+x+)+y' } }, { title: 'x'.repeat(50_000) }), false);
    assert.ok(performance.now() - startedMs < 3000);
  });

  it('carry no state from one request to the next', () => {
    const { condition } = checkRule(ruleOf({ conditions: { title: { $regex: 'a' } } }), {
      types,
      roles: new Set(),
    });
    const match = compileCondition(condition);
    assert.deepEqual(
      [1, 2, 3].map(() => match({ title: 'a' })),
      [true, true, true],
    );
  });
});

describe('groups and negations', () => {
  decides([
    [{ $and: [{ title: 'a' }, { pages: 1 }] }, [{ title: 'a', pages: 1 }], [{ title: 'a' }, { pages: 1 }]],
    [
      { $or: [{ title: 'a' }, { pages: 1 }] },
      [{ title: 'a' }, { pages: 1 }],
      [{ title: 'b', pages: 2 }, absent],
    ],
    [
      { $nor: [{ title: 'a' }, { pages: 1 }] },
      [{ title: 'b' }, absent],
      [{ title: 'a' }, { title: 'b', pages: 1 }],
    ],
    [{ $not: { title: 'a', pages: 1 } }, [{ title: 'a' }, { pages: 1 }, absent], [{ title: 'a', pages: 1 }]],
    [{ pages: { $not: { $gt: 1 } } }, [{ pages: 1 }, absent], [{ pages: 2 }]],
    [{ pages: { $not: { $gt: 1, $lt: 5 } } }, [{ pages: 1 }, { pages: 5 }, absent], [{ pages: 2 }]],
    [{ title: { $not: { $not: { $eq: 'a' } } } }, [{ title: 'a' }], [{ title: 'b' }, absent]],
    [
      { title: 'a', $or: [{ pages: 1 }, { pages: 2 }] },
      [{ title: 'a', pages: 2 }],
      [{ title: 'a' }, { pages: 2 }],
    ],
    [
      { $or: [{ $and: [{ title: 'a' }, { $nor: [{ pages: 1 }] }] }, { isPinned: true }] },
      [{ title: 'a' }, { isPinned: true, pages: 1 }],
      [{ title: 'a', pages: 1 }],
    ],
    [{}, [absent, { title: 'a' }], []],
    [{ $not: {} }, [], [absent, { title: 'a' }]],
  ]);
});

describe('dotted paths', () => {
  decides([
    [
      { 'meta.a.b': 1 },
      [{ meta: { a: { b: 1 } } }],
      [{ meta: { a: { b: 2 } } }, { meta: { a: 1 } }, { meta: {} }, absent],
    ],
    [
      { 'parts.kind': 'a' },
      [{ parts: [{ kind: 'b' }, { kind: 'a' }] }],
      [{ parts: [{ kind: 'b' }, {}] }, { parts: [] }, absent],
    ],
    [{ 'parts.list': 2 }, [{ parts: [{ list: [1] }, { list: [2] }] }], [{ parts: [{ list: [1] }] }]],
    [
      { 'parts.inner.kind': 'a' },
      [{ parts: [{ inner: [{ kind: 'a' }] }, {}] }],
      [{ parts: [{ inner: [] }] }],
    ],
    [
      { 'parts.kind': { $ne: 'a' } },
      [{ parts: [{ kind: 'b' }] }, { parts: [] }, absent],
      [{ parts: [{ kind: 'b' }, { kind: 'a' }] }],
    ],
    [
      { 'parts.kind': { $all: ['a', 'b'] } },
      [{ parts: [{ kind: 'b' }, { kind: 'a' }] }],
      [{ parts: [{ kind: 'a' }] }, { parts: [] }],
    ],
    [
      { 'parts.list': { $size: 2 } },
      [{ parts: [{ list: [1] }, { list: [1, 2] }] }],
      [
        { parts: [{ list: [1] }, { list: [2] }] },
        { parts: [{ list: 1 }, { list: 2 }] },
        { parts: [] },
        absent,
      ],
    ],
    [
      { 'meta.list.x': 1 },
      [{ meta: { list: [{ x: 1 }] } }],
      [{ meta: { list: [] } }, { meta: { list: ['x'] } }, { meta: { list: [[{ x: 1 }]] } }],
    ],
    [
      { 'meta.list.length': 2 },
      [],
      [{ meta: { list: [1, 2] } }, { meta: { list: 'ab' } }, { meta: { list: ['ab'] } }],
    ],
  ]);

  it('read nothing that an object inherits', () => {
    for (const path of ['constructor', '__proto__', 'toString', 'hasOwnProperty'])
      assert.equal(read({ meta: {} }, ['meta', path]), undefined);
    assert.equal(read('text', ['length']), undefined);
    assert.equal(read(undefined, ['a']), undefined);
    assert.equal(read({ a: null }, ['a', 'b']), undefined);
  });

  it('read nothing that an element inherits', () => {
    const condition: Condition = {
      kind: 'element',
      path: 'parts',
      of: { kind: 'test', path: 'toString', operator: '$exists', value: true },
    };
    assert.equal(compileCondition(condition)({ parts: [{}] }), false);
  });
});

describe('networks', () => {
  const networks: [string | string[], yes: string[], no: string[]][] = [
    [
      '10.0.0.0/8',
      ['10.0.0.1', '10.255.255.255', '::ffff:10.1.2.3'],
      ['11.0.0.1', '9.255.255.255', '::1', '::a00:1'],
    ],
    ['192.168.1.17/32', ['192.168.1.17'], ['192.168.1.18']],
    ['0.0.0.0/0', ['1.2.3.4', '::ffff:1.2.3.4'], ['2001:db8::1']],
    ['2001:db8::/32', ['2001:db8::1', '2001:0DB8:0:0::1'], ['2001:db9::1', '10.0.0.1']],
    [['10.0.0.0/8', '2001:db8::/32'], ['10.0.0.1', '2001:db8::1'], ['11.0.0.1']],
    ['::ffff:10.0.0.0/104', ['10.1.2.3', '::ffff:10.1.2.3'], ['11.0.0.1']],
    [
      '10.0.0.0/8',
      [],
      ['', 'office', '10.0.0.1 ', '10.0.0.1/8', '10.0.0.256', '10', '0x0a000001', '012.0.0.1', '10.1'],
    ],
  ];
  for (const [network, yes, no] of networks) {
    const when = { 'context.ip': { $cidr: network } };
    for (const ip of yes) it(`${network} holds ${ip}`, () => assert.equal(meets(when, { ip }), true));
    for (const ip of no)
      it(`${network} does not hold "${ip}"`, () => assert.equal(meets(when, { ip }), false));
  }

  it('hold nothing that is no address', () => {
    for (const ip of [undefined, 7, ['10.0.0.1'], {}])
      assert.equal(meets({ 'context.ip': { $cidr: '0.0.0.0/0' } }, { ip }), false);
  });

  it('can be excluded', () => {
    const outside = { $not: { 'context.ip': { $cidr: '10.0.0.0/8' } } };
    assert.equal(meets(outside, { ip: '10.0.0.1' }), false);
    assert.equal(meets(outside, { ip: '11.0.0.1' }), true);
    assert.equal(meets(outside, {}), true);
  });
});

describe('a condition made into a function', () => {
  it('refuses a template that was not settled: taken for a value it would open or close a rule at random', () => {
    const test: Condition = { kind: 'test', path: 'ownerId', operator: '$ne', value: { template: 'id' } };
    assert.throws(() => compileCondition(test), /principal\.id was not settled/);
  });

  it('takes a fixed condition as it is', () => {
    assert.equal(compileCondition({ kind: 'fixed', value: true })({}), true);
    assert.equal(compileCondition({ kind: 'fixed', value: false })({}), false);
  });
});
