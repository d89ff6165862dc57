import assert from 'node:assert/strict';
import fc from 'fast-check';
import { resourceOf } from '../../../src/decision/access-request.ts';
import { principalFacts, settleRule } from '../../../src/policy/ability.ts';
import type { Condition } from '../../../src/policy/condition.ts';
import { compileCondition } from '../../../src/policy/matcher.ts';
import type { Query, ResourceType, Rule } from '../../../src/policy/policy.ts';
import { settle } from '../../../src/policy/settle.ts';
import { ALICE, BOB, compiled, policyOf, principalWith, sampleTypes, typeOf } from './sample-policy.ts';

const documentType =
  sampleTypes.find(({ type }) => type === 'document') ?? assert.fail('there are documents');

/** The rule settled for a principal with these attributes; undefined: it can never match. */
function settled(rule: Partial<Rule>, attributes: object, roles: string[] = []) {
  const snapshot = compiled(policyOf([rule]));
  const [read] = [...snapshot.rules.values()];
  assert.ok(read);
  return settleRule(read, principalFacts(snapshot, principalWith({ attributes, roles })))[0];
}

/** Whether a rule of this effect matches the document, for a principal with these attributes. */
function matches(effect: 'allow' | 'deny', conditions: Query, attributes: object, document: object): boolean {
  const rule = settled({ conditions, inverted: effect === 'deny' }, attributes);
  return (
    rule !== undefined && compileCondition(rule.condition)(resourceOf(documentType, document).attributes)
  );
}

const my = (path: string) => `$\{principal.${path}}`;
const nobody = {};
const documents = [
  {},
  { department: 'legal', title: 'x', tags: ['legal'], scores: [1], ownerId: ALICE, reviewers: [ALICE] },
];

describe('a template that can be resolved', () => {
  const cases: [conditions: Query, attributes: object, yes: object[], no: object[]][] = [
    [
      { department: my('department') },
      { department: 'legal' },
      [{ department: 'legal' }],
      [{ department: 'sales' }, {}],
    ],
    [
      { ownerId: my('id') },
      {},
      [{ ownerId: ALICE }, { ownerId: ALICE.toUpperCase() }],
      [{ ownerId: BOB }, {}],
    ],
    [
      { ownerId: my('managerId') },
      { managerId: BOB.toUpperCase() },
      [{ ownerId: BOB }],
      [{ ownerId: ALICE }],
    ],
    [{ pages: { $lte: my('level') } }, { level: 3 }, [{ pages: 3 }], [{ pages: 4 }, {}]],
    [{ isPinned: my('isTrusted') }, { isTrusted: false }, [{ isPinned: false }], [{ isPinned: true }, {}]],
    [
      { publishedAt: { $gt: my('hiredAt') } },
      { hiredAt: '2026-01-01T02:00:00+02:00' },
      [{ publishedAt: '2026-01-01T00:00:01Z' }],
      [{ publishedAt: '2026-01-01T01:00:00+01:00' }],
    ],
    [
      { department: { $in: my('teams') } },
      { teams: ['legal', 'sales'] },
      [{ department: 'sales' }],
      [{ department: 'it' }, {}],
    ],
    [{ department: { $in: my('teams') } }, { teams: [] }, [], [{ department: 'it' }, {}]],
    [
      { department: { $nin: my('teams') } },
      { teams: ['legal'] },
      [{ department: 'it' }, {}],
      [{ department: 'legal' }],
    ],
    [{ tags: { $all: my('teams') } }, { teams: ['a', 'b'] }, [{ tags: ['b', 'a', 'c'] }], [{ tags: ['a'] }]],
    [
      { department: { $in: ['it', my('department')] } },
      { department: 'legal' },
      [{ department: 'it' }, { department: 'legal' }],
      [{ department: 'sales' }],
    ],
    [
      { reviewers: { $elemMatch: { $eq: my('id') } } },
      {},
      [{ reviewers: [BOB, ALICE] }],
      [{ reviewers: [BOB] }],
    ],
    [
      { reviewers: { $in: my('deputies') } },
      { deputies: [BOB.toUpperCase()] },
      [{ reviewers: [BOB] }],
      [{ reviewers: [ALICE] }],
    ],
    [{ title: my('profile.nick') }, { profile: { nick: 'al' } }, [{ title: 'al' }], [{ title: 'x' }]],
  ];
  for (const [conditions, attributes, yes, no] of cases) {
    for (const effect of ['allow', 'deny'] as const) {
      it(`stands for the principal's value: ${effect} ${JSON.stringify(conditions)} for ${JSON.stringify(attributes)}`, () => {
        for (const document of yes) assert.equal(matches(effect, conditions, attributes, document), true);
        for (const document of no) assert.equal(matches(effect, conditions, attributes, document), false);
      });
    }
  }

  it('keeps the type of its value: a number is not its text, a list is not a value', () => {
    const values = (conditions: Query, attributes: object) => {
      const condition = settled({ conditions }, attributes)?.condition;
      return condition?.kind === 'test' ? condition.value : undefined;
    };
    assert.equal(values({ 'meta.n': my('level') }, { level: 3 }), 3);
    assert.equal(values({ 'meta.n': my('isTrusted') }, { isTrusted: false }), false);
    assert.deepEqual(values({ department: { $in: my('teams') } }, { teams: ['3'] }), ['3']);
    assert.equal(values({ title: my('department') }, { department: '3' }), '3');
  });

  it('is a value, never read as an operator, a template or a pattern: a department cannot be called an attack', () => {
    for (const department of ['$ne', '{"$ne":null}', my('id'), '.*', '__proto__']) {
      assert.equal(
        matches('allow', { department: my('department') }, { department }, { department: 'x' }),
        false,
      );
      assert.equal(matches('allow', { department: my('department') }, { department }, { department }), true);
    }
  });

  it('sees the roles that are inherited too', () => {
    const rule = settled({ conditions: { department: { $in: my('roles') } } }, {}, ['editor']);
    assert.deepEqual(rule?.condition, {
      kind: 'test',
      path: 'department',
      operator: '$in',
      value: ['editor', 'reader'],
    });
  });

  it('takes id, type and roles from who asks, not from attributes of those names: an account must not name itself', () => {
    const rule = settled(
      {
        conditions: {
          $or: [{ ownerId: my('id') }, { title: my('type') }, { department: { $in: my('roles') } }],
        },
      },
      { id: BOB, type: 'robot', roles: ['chief'] },
    );
    assert.doesNotMatch(JSON.stringify(rule?.condition), /00b|robot|chief/);
    assert.match(JSON.stringify(rule?.condition), /00a.*user/);
  });
});

describe('a template that cannot be resolved never widens access', () => {
  const missing: [what: string, conditions: Query, attributes?: object][] = [
    ['in an equality', { department: my('department') }],
    ['in an inequality, which would match everything', { department: { $ne: my('department') } }],
    ['in an order', { pages: { $lt: my('level') } }],
    ['for a list', { department: { $in: my('teams') } }],
    ['for an excluded list', { department: { $nin: my('teams') } }],
    ['for the list of $all', { tags: { $all: my('teams') } }],
    ['inside a list whose other values match', { department: { $in: ['legal', my('department')] } }],
    ['inside an excluded list', { department: { $nin: ['it', my('department')] } }],
    ['under $not', { $not: { department: my('department') } }],
    ['under $not of an operator', { department: { $not: { $eq: my('department') } } }],
    ['under $nor', { $nor: [{ department: my('department') }] }],
    ['under two negations', { $not: { $not: { department: my('department') } } }],
    ['under $nor in $nor', { $nor: [{ $nor: [{ department: my('department') }] }] }],
    ['as all of an $or', { $or: [{ department: my('department') }, { pages: my('level') }] }],
    ['beside a test that matches', { department: my('department'), title: { $ne: 'y' } }],
    ['on elements', { tags: { $elemMatch: { $eq: my('department') } } }],
    ['on elements, excluded', { tags: { $elemMatch: { $ne: my('department') } } }],
    ['on elements, under $not', { $not: { tags: { $elemMatch: { $eq: my('department') } } } }],
    ['because the value is of the wrong type', { department: my('department') }, { department: 7 }],
    ['because the value is null', { department: my('department') }, { department: null }],
    ['because the value is an object', { title: my('profile.nick') }, { profile: { nick: { $ne: 1 } } }],
    ['because nothing lies at its path', { title: my('profile.nick.first') }, { profile: { nick: 'x' } }],
    [
      'because a list stands where a value is wanted',
      { title: my('profile.nick') },
      { profile: { nick: ['x'] } },
    ],
    [
      'because a list stands where a value is wanted, under $ne',
      { title: { $ne: my('profile.nick') } },
      { profile: { nick: ['x'] } },
    ],
    [
      'because a value stands where a list is wanted',
      { title: { $in: my('profile.nick') } },
      { profile: { nick: 'x' } },
    ],
    [
      'because a value stands where an excluded list is wanted',
      { title: { $nin: my('profile.nick') } },
      { profile: { nick: 'y' } },
    ],
    [
      'because a list stands inside a list',
      { title: { $nin: ['y', my('profile.nick')] } },
      { profile: { nick: ['x'] } },
    ],
  ];
  for (const [what, conditions, attributes] of missing) {
    it(`${what}: an allow rule never matches`, () => {
      for (const document of documents)
        assert.equal(matches('allow', conditions, attributes ?? nobody, document), false);
    });
  }

  // Beside a test of its own, a deny asks for that test too.
  for (const [what, conditions, attributes] of missing.filter(
    ([, query]) => !('title' in query && 'department' in query),
  )) {
    it(`${what}: a deny rule always matches`, () => {
      for (const document of documents)
        assert.equal(matches('deny', conditions, attributes ?? nobody, document), true);
    });
  }

  it('leaves the rest of a deny rule in force', () => {
    const conditions = { department: my('department'), title: 'x' };
    assert.equal(matches('deny', conditions, nobody, { title: 'x' }), true);
    assert.equal(matches('deny', conditions, nobody, { title: 'y' }), false);
  });

  it('leaves the other ways of an allow rule open', () => {
    const conditions = { $or: [{ department: my('department') }, { title: 'x' }] };
    assert.equal(matches('allow', conditions, nobody, { title: 'x' }), true);
    assert.equal(matches('allow', conditions, nobody, { department: 'legal' }), false);
  });

  it('in when too', () => {
    const when = { 'context.tenant': my('department') };
    assert.equal(settled({ when }, nobody), undefined);
    assert.deepEqual(settled({ when, inverted: true }, nobody)?.when, { kind: 'fixed', value: true });
  });

  it('leaves no template behind: plain CASL would compare with the text, or with null', () => {
    const condition = fc.letrec<{ query: Query }>((tie) => ({
      query: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom<Query>(
          { department: my('department') },
          { department: { $nin: my('teams') } },
          { title: { $in: ['x', my('profile.nick')] } },
          { title: 'x' },
        ),
        fc.array(tie('query'), { minLength: 1, maxLength: 3 }).map((of): Query => ({ $or: of })),
        fc.array(tie('query'), { minLength: 1, maxLength: 3 }).map((of): Query => ({ $nor: of })),
        tie('query').map((of): Query => ({ $not: of })),
      ),
    })).query;
    fc.assert(
      fc.property(
        condition,
        fc.boolean(),
        fc.constantFrom({}, { department: 'x' }, { teams: ['x'] }),
        (conditions, inverted, attributes) => {
          const rule = settled({ conditions, inverted }, attributes);
          assert.doesNotMatch(JSON.stringify(rule?.condition ?? null), /template|principal/);
        },
      ),
    );
  });

  it('under any nesting: knowing less of the principal never gives an allow rule more, nor a deny rule less', () => {
    const condition = fc.letrec<{ query: Query }>((tie) => ({
      query: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom<Query>(
          { department: my('department') },
          { department: { $ne: my('department') } },
          { department: { $in: my('teams') } },
          { department: { $nin: ['it', my('department')] } },
          { tags: { $elemMatch: { $ne: my('department') } } },
          { title: 'x' },
          { title: { $exists: false } },
        ),
        fc.array(tie('query'), { minLength: 1, maxLength: 3 }).map((of): Query => ({ $and: of })),
        fc.array(tie('query'), { minLength: 1, maxLength: 3 }).map((of): Query => ({ $or: of })),
        fc.array(tie('query'), { minLength: 1, maxLength: 3 }).map((of): Query => ({ $nor: of })),
        tie('query').map((of): Query => ({ $not: of })),
      ),
    })).query;
    const known = { department: 'legal', teams: ['legal', 'it'] };
    fc.assert(
      fc.property(
        condition,
        fc.subarray(['department', 'teams'] as const),
        fc.constantFrom(...documents, { title: 'x' }, { tags: [] }),
        (conditions, lost, document) => {
          const less = Object.fromEntries(
            Object.entries(known).filter(([name]) => !lost.some((gone) => gone === name)),
          );
          if (matches('allow', conditions, less, document))
            assert.equal(matches('allow', conditions, known, document), true);
          if (matches('deny', conditions, known, document))
            assert.equal(matches('deny', conditions, less, document), true);
        },
      ),
    );
  });
});

describe('when, as far as it is about the principal', () => {
  const cases: [when: Query, attributes: object, holds: boolean][] = [
    [{ 'principal.department': 'legal' }, { department: 'legal' }, true],
    [{ 'principal.department': 'legal' }, { department: 'sales' }, false],
    [{ 'principal.department': 'legal' }, {}, false],
    [{ 'principal.department': { $ne: 'legal' } }, {}, true],
    [{ 'principal.department': { $exists: false } }, {}, true],
    [{ 'principal.level': { $gte: 3 } }, { level: 3 }, true],
    [{ 'principal.level': { $lt: 3 } }, {}, false],
    [{ 'principal.hiredAt': { $lt: '2026-01-01' } }, { hiredAt: '2026-01-01T00:30:00+02:00' }, true],
    [{ 'principal.managerId': BOB }, { managerId: BOB.toUpperCase() }, true],
    [{ 'principal.teams': { $all: ['a', 'b'] } }, { teams: ['b', 'a'] }, true],
    [{ 'principal.teams': { $elemMatch: { $regex: '^lead-' } } }, { teams: ['x', 'lead-x'] }, true],
    [{ 'principal.teams': { $elemMatch: { $regex: '^lead-' } } }, { teams: ['x'] }, false],
    [{ 'principal.teams': { $elemMatch: { $regex: '^lead-' } } }, {}, false],
    [
      { 'principal.grants': { $elemMatch: { scope: 'all', level: { $gt: 1 } } } },
      { grants: [{ scope: 'all', level: 2 }] },
      true,
    ],
    [
      { 'principal.grants': { $elemMatch: { scope: 'all', level: { $gt: 1 } } } },
      { grants: [{ scope: 'all' }, { level: 2 }] },
      false,
    ],
    [
      { 'principal.grants': { $elemMatch: { owner: my('department') } } },
      { department: 'x', grants: [{ owner: 'x' }] },
      true,
    ],
    [{ 'principal.profile.level': 3 }, { profile: { level: 3 } }, true],
    [{ 'principal.type': 'user', 'principal.id': ALICE }, {}, true],
    [{ $nor: [{ 'principal.department': 'legal' }, { 'principal.level': 3 }] }, { level: 2 }, true],
    [{ 'principal.department': my('department') }, { department: 'x' }, true],
  ];
  for (const [when, attributes, holds] of cases) {
    for (const inverted of [false, true]) {
      it(`is settled once: ${inverted ? 'deny' : 'allow'} when ${JSON.stringify(when)} ${holds ? 'holds' : 'does not hold'} for ${JSON.stringify(attributes)}`, () => {
        const rule = settled({ when, inverted }, attributes);
        assert.deepEqual(rule?.when, holds ? { kind: 'fixed', value: true } : undefined);
      });
    }
  }

  it('leaves what is about the request to be asked then', () => {
    const rule = settled(
      { when: { 'principal.department': 'legal', 'context.mfa': true } },
      { department: 'legal' },
    );
    assert.deepEqual(rule?.when, { kind: 'test', path: 'context.mfa', operator: '$eq', value: true });
  });

  it('leaves what is about elements of the context to be asked then, with the principal filled in', () => {
    const rule = settled(
      { when: { 'context.approvals': { $elemMatch: { by: my('managerId') } } } },
      { managerId: BOB },
    );
    assert.deepEqual(rule?.when, {
      kind: 'element',
      path: 'context.approvals',
      of: { kind: 'test', path: 'by', operator: '$eq', value: BOB },
    });
  });

  it('does not take an element\'s attribute "principal" for who asks', () => {
    const rule = settled({ when: { 'context.approvals': { $elemMatch: { 'principal.type': 'user' } } } }, {});
    assert.deepEqual(rule?.when, {
      kind: 'element',
      path: 'context.approvals',
      of: { kind: 'test', path: 'principal.type', operator: '$eq', value: 'user' },
    });
  });
});

describe('a condition about the resource', () => {
  const keyType: ResourceType = typeOf('key', {
    attributes: {
      id: { type: 'string' },
      principal: { type: 'object' },
      grants: { type: 'array', items: 'object' },
    },
  });
  const conditionOf = (conditions: Query): Condition | undefined => {
    const snapshot = compiled(
      policyOf([{ subject: 'key', conditions }], { resourceTypes: [...sampleTypes, keyType] }),
    );
    const [rule] = [...snapshot.rules.values()];
    assert.ok(rule);
    return settleRule(rule, principalFacts(snapshot, principalWith()))[0]?.condition;
  };

  it('is about the resource even where its attribute is called "principal": whoever asks must not be taken for it', () => {
    assert.deepEqual(conditionOf({ 'principal.type': 'user' }), {
      kind: 'test',
      path: 'principal.type',
      operator: '$eq',
      value: 'user',
    });
  });

  it('is about the element even where its attribute is called "principal"', () => {
    assert.deepEqual(conditionOf({ grants: { $elemMatch: { 'principal.id': my('id') } } }), {
      kind: 'element',
      path: 'grants',
      of: { kind: 'test', path: 'principal.id', operator: '$eq', value: ALICE },
    });
  });

  it('that any element meets stays a question about the elements', () => {
    const anyGrant: Query = { grants: { $elemMatch: { $and: [{}] } } };
    const snapshot = compiled(
      policyOf([{ subject: 'key', conditions: anyGrant, inverted: true }], {
        resourceTypes: [...sampleTypes, keyType],
      }),
    );
    const [rule] = [...snapshot.rules.values()].flatMap((read) =>
      settleRule(read, principalFacts(snapshot, principalWith())),
    );
    assert.ok(rule);
    const match = compileCondition(rule.condition);
    assert.equal(match({ grants: [{}] }), true);
    assert.equal(match({ grants: [] }), false);
  });
});

describe('settling', () => {
  it('changes nothing of the condition: it is shared by every principal', () => {
    const leaf: Condition = Object.freeze({
      kind: 'test',
      path: 'a',
      operator: '$eq',
      value: Object.freeze({ template: 'x' }),
    });
    const tree: Condition = Object.freeze({
      kind: 'not',
      of: Object.freeze({ kind: 'all', of: Object.freeze([leaf, leaf]) as Condition[] }),
    });
    assert.deepEqual(settle(tree, { x: 1 }, 'allow'), {
      kind: 'not',
      of: { kind: 'all', of: [1, 1].map((value) => ({ kind: 'test', path: 'a', operator: '$eq', value })) },
    });
    assert.deepEqual(settle(tree, { x: 2 }, 'allow').kind, 'not');
  });

  it('gives plain JSON, so that any cache can keep it', () => {
    const rule = settled(
      {
        conditions: { $or: [{ ownerId: my('id') }, { tags: { $all: my('teams') } }] },
        when: { 'context.mfa': true },
      },
      { teams: ['a'] },
    );
    assert.deepEqual(JSON.parse(JSON.stringify(rule)), rule);
  });
});
