import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { AccessRequest } from '../../../src/decision/access-request.ts';
import { groupRules, requestFacts } from '../../../src/evaluators/rule-index.ts';
import type { AbilityRule } from '../../../src/policy/ability.ts';
import { ALWAYS, type Condition } from '../../../src/policy/condition.ts';
import { compileCondition } from '../../../src/policy/matcher.ts';
import { requestOf } from '../policy/sample-policy.ts';

function ruleOf(id: string, condition: Condition, when: Condition = ALWAYS): AbilityRule {
  return { id, effect: 'allow', actions: ['read'], subjects: ['document'], condition, when, priority: 0 };
}

const equals = (path: string, value: string | number | boolean): Condition => ({
  kind: 'test',
  path,
  operator: '$eq',
  value,
});

/** One after the other, as anybody would write it. */
function scan(rules: AbilityRule[], request: AccessRequest): AbilityRule[] {
  return rules.filter(
    ({ condition, when }) =>
      compileCondition(condition)(request.resource.attributes) &&
      compileCondition(when)(requestFacts(request)),
  );
}

const scalar = fc.constantFrom<string | number>('a', 'b', 'c', '1', 1, 0);
const path = fc.constantFrom('title', 'tags', 'meta.x', 'parts.x');
const leaf: fc.Arbitrary<Condition> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(path, scalar).map(([at, value]) => equals(at, value)) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(path, scalar)
      .map(([at, value]): Condition => ({ kind: 'test', path: at, operator: '$ne', value })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(path, fc.array(scalar, { maxLength: 2 }))
      .map(([at, value]): Condition => ({ kind: 'test', path: at, operator: '$in', value })),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(path, fc.boolean())
      .map(([at, value]): Condition => ({ kind: 'test', path: at, operator: '$exists', value })),
  },
);
const condition = fc.letrec<{ tree: Condition }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.array(leaf, { minLength: 1, maxLength: 3 }).map((of): Condition => ({ kind: 'all', of })),
    fc.array(tie('tree'), { minLength: 1, maxLength: 3 }).map((of): Condition => ({ kind: 'any', of })),
    tie('tree').map((of): Condition => ({ kind: 'not', of })),
    leaf.map(
      (of): Condition => ({
        kind: 'element',
        path: 'parts',
        of: of.kind === 'test' ? { ...of, path: 'x' } : of,
      }),
    ),
  ),
})).tree;
const when = fc.constantFrom(ALWAYS, ALWAYS, ALWAYS, equals('context.mfa', true));
const rules = fc
  .array(fc.tuple(condition, when), { maxLength: 40 })
  .map((list) => list.map(([tree, request], index) => ruleOf(`r${index}`, tree, request)));
const text = fc.constantFrom('a', 'b', 'c', '1');
const request = fc
  .record({
    resource: fc.record(
      {
        title: text,
        tags: fc.array(text, { maxLength: 3 }),
        meta: fc.record({ x: fc.oneof(scalar, fc.array(scalar, { maxLength: 2 })) }, { requiredKeys: [] }),
        parts: fc.array(
          fc.record({ x: fc.oneof(scalar, fc.array(scalar, { maxLength: 2 })) }, { requiredKeys: [] }),
          { maxLength: 3 },
        ),
      },
      { requiredKeys: [] },
    ),
    context: fc.constantFrom({}, { mfa: true }),
  })
  .map(requestOf);

describe('a group of rules found by the value of an attribute', () => {
  it('finds a rule exactly when a scan of all of them does, and one that matches', () => {
    fc.assert(
      fc.property(rules, request, (group, asked) => {
        const found = groupRules(group)(asked);
        const matching = scan(group, asked);
        assert.equal(found !== undefined, matching.length > 0);
        if (found) assert.ok(matching.includes(found));
      }),
      { numRuns: 3000 },
    );
  });

  it('finds each of a thousand rules by its value, and none for another', () => {
    const many = Array.from({ length: 1000 }, (_, n) => ruleOf(`r${n}`, equals('title', `t${n}`)));
    const find = groupRules(many);
    for (const n of [0, 1, 500, 999])
      assert.equal(find(requestOf({ resource: { title: `t${n}` } }))?.id, `r${n}`);
    assert.equal(find(requestOf({ resource: { title: 't1000' } })), undefined);
    assert.equal(find(requestOf()), undefined);
  });

  it('does not ask all of them: a thousand rules for a thousand owners take a few tests, not a thousand', () => {
    let asked = 0;
    const counted = Array.from({ length: 1000 }, (_, n) => ({
      ...ruleOf(`r${n}`, { kind: 'all', of: [equals('title', `t${n}`), equals('notes', 'x')] }),
    }));
    const find = groupRules(counted);
    const { resource, ...rest } = requestOf();
    const attributes = new Proxy(
      { title: 't5', notes: 'y' },
      {
        get: (target, key) => {
          asked++;
          return Reflect.get(target, key);
        },
      },
    );
    assert.equal(find({ ...rest, resource: { ...resource, attributes } }), undefined);
    assert.ok(asked < 20, `${asked} attributes were read`);
  });

  it('does not take a number for its text, nor the text of an operator for one', () => {
    const many = Array.from({ length: 20 }, (_, n) => ruleOf(`r${n}`, equals('meta.x', n)));
    const find = groupRules(many);
    assert.equal(find(requestOf({ resource: { meta: { x: '5' } } })), undefined);
    assert.equal(find(requestOf({ resource: { meta: { x: 5 } } }))?.id, 'r5');
    assert.equal(find(requestOf({ resource: { meta: { x: { $ne: 1 } } } })), undefined);
  });

  it('still asks the rest of a rule that was found by its value', () => {
    const many = Array.from({ length: 20 }, (_, n) =>
      ruleOf(
        `r${n}`,
        { kind: 'all', of: [equals('title', `t${n}`), equals('notes', 'x')] },
        equals('context.mfa', true),
      ),
    );
    const find = groupRules(many);
    const resource = { title: 't3', notes: 'x' };
    assert.equal(find(requestOf({ resource, context: { mfa: true } }))?.id, 'r3');
    assert.equal(find(requestOf({ resource, context: { mfa: false } })), undefined);
    assert.equal(find(requestOf({ resource: { title: 't3' }, context: { mfa: true } })), undefined);
  });

  it('does not find by a value that an $or or a $not loosens', () => {
    const loose = Array.from({ length: 20 }, (_, n) =>
      ruleOf(`r${n}`, { kind: 'any', of: [equals('title', `t${n}`), equals('notes', `n${n}`)] }),
    );
    assert.equal(groupRules(loose)(requestOf({ resource: { title: 'other', notes: 'n7' } }))?.id, 'r7');
  });

  it('of a rule without conditions needs no question', () => {
    const open = ruleOf('open', ALWAYS);
    const many = Array.from({ length: 20 }, (_, n) => ruleOf(`r${n}`, equals('title', `t${n}`)));
    assert.equal(groupRules([...many, open])(requestOf())?.id, 'open');
  });

  it('of no rules finds none', () => assert.equal(groupRules([])(requestOf()), undefined));
});

describe('the facts of a request', () => {
  it('are the action, its properties and the context; a property cannot rename the action', () => {
    assert.deepEqual(
      requestFacts({
        action: { name: 'read', properties: { name: 'delete', soft: true } },
        context: { ip: '1.2.3.4' },
      }),
      {
        action: { name: 'read', soft: true },
        context: { ip: '1.2.3.4' },
      },
    );
  });
});
