import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  canonicalText,
  compile,
  digestOf,
  emptySnapshot,
  order,
  partText,
} from '../../../src/policy/compile.ts';
import { testsOf } from '../../../src/policy/condition.ts';
import { emptyPolicy, type Policy } from '../../../src/policy/policy.ts';
import type { CompiledRule } from '../../../src/policy/snapshot.ts';
import { abilityOf, compiled, policyOf, principalWith, roleOf, sampleTypes } from './sample-policy.ts';

function problemsOf(policy: Policy): string[] {
  return (compile(policy, { revision: 1, evaluators: ['casl'] }).problems ?? []).map(
    ({ pointer, code }) => `${pointer} ${code}`,
  );
}

/** Makes every change anywhere in it throw. */
function deeplyFrozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null)
    for (const part of Object.values(value)) deeplyFrozen(part);
  return Object.freeze(value);
}

function shuffled<T>(list: readonly T[], seed: number[]): T[] {
  return list
    .map((item, index) => ({ item, at: seed[index % seed.length] ?? 0, index }))
    .sort((a, b) => a.at - b.at || b.index - a.index)
    .map(({ item }) => item);
}

/** The same object with its keys written in the opposite order. */
function keysReversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(keysReversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, entry]) => [key, keysReversed(entry)]),
  );
}

const rich = () =>
  policyOf([
    { id: 'b', role: 'editor', conditions: { ownerId: `$\{principal.id}`, status: { $in: ['draft'] } } },
    { id: 'a', role: 'reader', fields: ['title'], when: { 'context.mfa': true } },
    {
      id: 'd',
      principal: 'user:1',
      inverted: true,
      priority: 5,
      validFrom: '2026-01-01',
      validUntil: '2026-03-01',
    },
    {
      id: 'c',
      role: 'reader',
      enabled: false,
      validFrom: '2026-02-01T02:00:00+02:00',
      validUntil: '2026-03-01',
    },
  ]);

describe('compiling a policy', () => {
  it('says every problem of every part at once, and gives no snapshot', () => {
    const outcome = compile(
      policyOf([{ id: 'x', subject: 'documnet' }, { id: 'x' }, { id: 'y', conditions: { ownerId: null } }], {
        roles: [roleOf('a', ['a'])],
        resourceTypes: sampleTypes.filter(({ type }) => type !== 'castellan.rule'),
      }),
      { revision: 1, evaluators: ['casl'] },
    );
    assert.equal(outcome.snapshot, undefined);
    assert.deepEqual(
      outcome.problems?.map(({ pointer, code }) => `${pointer} ${code}`),
      [
        '/rules/1/id duplicate',
        '/resourceTypes built_in',
        '/roles/0/inherits cycle',
        '/rules/0/subject unknown_type',
        '/rules/2/conditions/ownerId value',
      ],
    );
  });

  it('refuses a disabled rule that is wrong: it could be enabled at any time', () => {
    assert.deepEqual(problemsOf(policyOf([{ enabled: false, action: 'fly' }])), [
      '/rules/0/action unknown_action',
    ]);
  });

  it('reads rules into effects, lists and instants', () => {
    const { rules } = compiled(rich());
    const { source, ...deny } = rules.get('d') ?? assert.fail('rule d is in the snapshot');
    assert.deepEqual(deny, {
      id: 'd',
      effect: 'deny',
      actions: ['read'],
      subjects: ['document'],
      fields: undefined,
      condition: { kind: 'fixed', value: true },
      when: { kind: 'fixed', value: true },
      reason: undefined,
      priority: 5,
      validFromMs: Date.UTC(2026, 0, 1),
      validUntilMs: Date.UTC(2026, 2, 1),
    });
    assert.equal(source.id, 'd');
    assert.equal(rules.get('b')?.effect, 'allow');
    assert.equal(rules.get('b')?.validFromMs, Number.NEGATIVE_INFINITY);
    assert.equal(rules.get('b')?.validUntilMs, Number.POSITIVE_INFINITY);
  });

  it('keeps rules by role and by principal, and each role with all that it inherits', () => {
    const { rulesByRole, rulesByPrincipal, lineage } = compiled(rich());
    assert.deepEqual(
      [...rulesByRole].map(([role, rules]) => [role, rules.map(({ id }) => id)]),
      [
        ['editor', ['b']],
        ['reader', ['a', 'c']],
      ],
    );
    assert.deepEqual([...rulesByPrincipal.keys()], ['user:1']);
    assert.deepEqual([...(lineage.get('chief') ?? [])].sort(), ['chief', 'editor', 'reader']);
    assert.deepEqual([...(lineage.get('reader') ?? [])], ['reader']);
  });

  it('lists the instants at which rules begin or cease, once each, in order', () => {
    assert.deepEqual(compiled(rich()).boundariesMs, [
      Date.UTC(2026, 0, 1),
      Date.UTC(2026, 1, 1),
      Date.UTC(2026, 2, 1),
    ]);
  });

  it('is pure: it changes nothing of the policy, and the same policy gives the same snapshot', () => {
    const policy = deeplyFrozen(rich());
    assert.deepEqual(compiled(policy), compiled(deeplyFrozen(rich())));
  });

  it('gives a snapshot whose parts cannot be swapped while requests are decided under it', () => {
    const snapshot = compiled(rich());
    assert.throws(() => Object.assign(snapshot, { revision: 2 }), TypeError);
    assert.throws(() => Object.assign(snapshot, { rulesByRole: new Map() }), TypeError);
  });

  it('reads conditions that say the same into the same tree: a database gives keys back in another order', () => {
    const conditions = {
      department: { $nin: ['sales'], $ne: 'legal', $not: { $gt: 'a', $lt: 'z' } },
      parts: { $elemMatch: { size: 1, name: { $gt: 'a', $lt: 'b' } } },
      $or: [{ pages: { $gte: 1, $lte: 9 }, isPinned: true }, { ownerId: `$\{principal.id}` }],
      $not: { title: 'b', body: 'a' },
    };
    const when = { 'principal.level': { $gt: 1, $lt: 5 }, 'context.mfa': true };
    const policy = policyOf([{ id: 'a', role: 'reader', conditions, when }]);
    const turned = { ...policy, rules: keysReversed(policy.rules) as Policy['rules'] };
    const treesOf = ({ condition, when }: CompiledRule) => JSON.stringify([condition, when]);
    const [one, other] = [policy, turned].map((each) => compiled(each).rules.get('a'));
    assert.ok(one && other);
    assert.equal(treesOf(one), treesOf(other));
  });

  it('carries the revision it was told', () => {
    assert.equal(compiled(rich(), { revision: 42 }).revision, 42);
  });

  it('takes a name that objects inherit for no type, no role and no parent', () => {
    for (const name of ['constructor', 'toString', '__proto__']) {
      assert.deepEqual(problemsOf(policyOf([{ subject: name }])), ['/rules/0/subject unknown_type']);
      assert.deepEqual(problemsOf(policyOf([{ role: name }])), ['/rules/0/role unknown_role']);
      assert.deepEqual(problemsOf(policyOf([], { roles: [roleOf('a', [name])] })), [
        '/roles/0/inherits/0 unknown_role',
      ]);
    }
  });
});

describe('compiling after another revision', () => {
  it('reads only rules that are new, as long as types and roles are the same', () => {
    const before = compiled(rich());
    const [first, ...others] = before.policy.rules;
    assert.ok(first);
    const policy = { ...before.policy, rules: [{ ...first, priority: 9 }, ...others] };
    const after = compiled(policy, { revision: 2, previous: before });
    assert.equal(after.rules.get('a'), before.rules.get('a'));
    assert.notEqual(after.rules.get(first.id), before.rules.get(first.id));
    assert.equal(after.rules.get(first.id)?.priority, 9);
  });

  it('gives the same snapshot as compiling from nothing', () => {
    const before = compiled(rich());
    const policy = { ...before.policy, rules: before.policy.rules.slice(1) };
    assert.deepEqual(compiled(policy, { previous: before }), compiled(policy));
  });

  it('reads every rule again when a type changed: a rule must not outlive the attribute it asks about', () => {
    const before = compiled(rich());
    const resourceTypes = before.policy.resourceTypes.map((type) =>
      type.type === 'document' ? { ...type, attributes: { id: { type: 'string' as const } } } : type,
    );
    const outcome = compile(
      { ...before.policy, resourceTypes },
      { revision: 2, evaluators: ['casl'], previous: before },
    );
    assert.deepEqual(
      outcome.problems?.map(({ pointer, code }) => `${pointer} ${code}`),
      [
        '/rules/0/conditions/ownerId unknown_attribute',
        '/rules/0/conditions/status unknown_attribute',
        '/rules/1/fields/0 unknown_field',
      ],
    );
  });

  it('reads a value again when the type of its attribute changed', () => {
    const before = compiled(policyOf([{ conditions: { department: '2026-01-01' } }]));
    const resourceTypes = before.policy.resourceTypes.map((type) =>
      type.type === 'document'
        ? { ...type, attributes: { ...type.attributes, department: { type: 'date' as const } } }
        : type,
    );
    const after = compiled({ ...before.policy, resourceTypes }, { previous: before });
    const condition = after.rules.get('rule-0')?.condition ?? assert.fail('the rule is in the snapshot');
    assert.deepEqual(
      [...testsOf(condition)].map(({ value }) => value),
      ['2026-01-01T00:00:00.000Z'],
    );
  });

  it('reads every rule again when a role went: a rule must not stay with a role that is not there', () => {
    const before = compiled(rich());
    const outcome = compile(
      { ...before.policy, roles: [roleOf('reader')] },
      { revision: 2, evaluators: ['casl'], previous: before },
    );
    assert.deepEqual(
      outcome.problems?.map(({ pointer, code }) => `${pointer} ${code}`),
      ['/rules/0/role unknown_role'],
    );
  });
});

describe('compiling one policy and another in turn', () => {
  const both = (one: () => unknown, other: () => unknown) => [one(), other(), one(), other()];

  it('finds in types and roles what is wrong with these, whatever was found of them beside others', () => {
    const { resourceTypes, roles } = rich();
    const heirs = [...roles, { ...roleOf('heir'), inherits: ['nobody'] }];
    const wrong = (list: Policy['roles']) => problemsOf({ ...emptyPolicy(), resourceTypes, roles: list });
    assert.deepEqual(
      both(
        () => wrong(roles),
        () => wrong(heirs),
      ),
      [
        [],
        [`/roles/${roles.length}/inherits/0 unknown_role`],
        [],
        [`/roles/${roles.length}/inherits/0 unknown_role`],
      ],
    );
    const policy = { ...emptyPolicy(), resourceTypes, roles };
    const knowing = (...evaluators: string[]) =>
      compile(policy, { revision: 1, evaluators }).problems?.length;
    assert.deepEqual(
      both(
        () => knowing('casl'),
        () => knowing('cedar'),
      ),
      [undefined, resourceTypes.length, undefined, resourceTypes.length],
    );
  });

  it('gives each its own digest', () => {
    const [policy, empty] = [rich(), emptyPolicy()];
    const digests = both(
      () => digestOf(policy),
      () => digestOf(empty),
    );
    assert.deepEqual(digests, [
      digestOf(rich()),
      digestOf(emptyPolicy()),
      digestOf(rich()),
      digestOf(emptyPolicy()),
    ]);
    assert.notEqual(digests[0], digests[1]);
  });
});

describe('the snapshot before the first revision', () => {
  it('knows no type, and gives nobody a rule', () => {
    const snapshot = emptySnapshot();
    assert.deepEqual([snapshot.revision, snapshot.types.size, snapshot.boundariesMs], [0, 0, []]);
    assert.deepEqual(abilityOf(snapshot, principalWith({ roles: ['editor'] })), { revision: 0, rules: [] });
    assert.equal(snapshot.digest, digestOf(emptyPolicy()));
    assert.ok(Object.isFrozen(snapshot));
  });
});

describe('the digest of a policy', () => {
  it('does not depend on the order of parts or of keys', () => {
    const expected = digestOf(rich());
    fc.assert(
      fc.property(fc.array(fc.nat(100), { minLength: 1 }), (seed) => {
        const { resourceTypes, roles, rules } = keysReversed(rich()) as Policy;
        assert.equal(
          digestOf({
            rules: shuffled(rules, seed),
            roles: shuffled(roles, seed),
            resourceTypes: shuffled(resourceTypes, seed),
            cases: [],
            routes: [],
            cedar: [],
          }),
          expected,
        );
      }),
    );
  });

  const changes: [string, (policy: Policy) => unknown][] = [
    ['an effect', ({ rules }) => Object.assign(rules[0] ?? {}, { inverted: true })],
    [
      'a value in a condition',
      ({ rules }) => Object.assign(rules[0] ?? {}, { conditions: { status: 'review' } }),
    ],
    ['a priority', ({ rules }) => Object.assign(rules[0] ?? {}, { priority: 1 })],
    ['the actions', ({ rules }) => Object.assign(rules[0] ?? {}, { action: ['read', 'update'] })],
    ['a window', ({ rules }) => Object.assign(rules[0] ?? {}, { validUntil: '2027-01-01' })],
    ['a rule that went', ({ rules }) => rules.pop()],
    ['a parent of a role', ({ roles }) => Object.assign(roles[0] ?? {}, { inherits: ['auditor'] })],
    ['a type', ({ resourceTypes }) => resourceTypes.pop()],
  ];
  for (const [what, change] of changes) {
    it(`changes with ${what}`, () => {
      const policy = structuredClone(rich());
      change(policy);
      assert.notEqual(digestOf(policy), digestOf(rich()));
    });
  }

  it('is SHA-256 of text that any machine writes alike', () => {
    assert.match(digestOf(rich()), /^[0-9a-f]{64}$/);
    assert.equal(
      canonicalText({ ...emptyPolicy(), roles: [roleOf('b'), roleOf('a')] }),
      '{"resourceTypes":[],"roles":[{"description":"","inherits":[],"key":"a","name":"a"},{"description":"","inherits":[],"key":"b","name":"b"}],"rules":[],"cases":[]}',
    );
  });

  it('is the digest in the snapshot', () => {
    assert.equal(compiled(rich()).digest, digestOf(rich()));
  });

  it('orders by code unit, not by the language of the machine', () => {
    assert.deepEqual(['ä', 'z', 'Z', 'a', 'Ä'].sort(order), ['Z', 'a', 'z', 'Ä', 'ä']);
    assert.deepEqual([order('a', 'a'), order('a', 'b'), order('b', 'a')], [0, -1, 1]);
  });

  it('writes a part with sorted keys at every depth, keeping the order of lists', () => {
    assert.equal(partText({ b: { d: 1, c: [2, 1] }, a: null }), '{"a":null,"b":{"c":[2,1],"d":1}}');
  });
});
