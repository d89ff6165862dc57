import assert from 'node:assert/strict';
import fc from 'fast-check';
import { anonymous } from '../../../src/decision/access-request.ts';
import { effectiveRoles, makeAbility, type Principal, principalFacts } from '../../../src/policy/ability.ts';
import type { Rule } from '../../../src/policy/policy.ts';
import {
  ALICE,
  abilityOf,
  BOB,
  compiled,
  NOON_MS,
  policyOf,
  principalWith,
  roleOf,
  snapshotOf,
} from './sample-policy.ts';

function idsFor(principal: Principal, ...rules: Partial<Rule>[]): string[] {
  return abilityOf(snapshotOf(...rules), principal).rules.map(({ id }) => id);
}

const anyRule = fc.record({
  role: fc.constantFrom('everyone', 'authenticated', 'reader', 'editor'),
  action: fc.constantFrom('read', 'update', 'manage'),
  inverted: fc.boolean(),
  priority: fc.integer({ min: -2, max: 2 }),
  conditions: fc.constantFrom({}, { title: 'x' }, { ownerId: `$\{principal.id}` }),
});
const anyRules = fc
  .array(anyRule, { maxLength: 12 })
  .map((rules) => rules.map((rule, index): Partial<Rule> => ({ id: `r${index}`, ...rule })));

describe('who a rule is for', () => {
  const rules: Partial<Rule>[] = [
    { id: 'all', role: 'everyone' },
    { id: 'known', role: 'authenticated' },
    { id: 'nobody', role: 'anonymous' },
    { id: 'readers', role: 'reader' },
    { id: 'editors', role: 'editor' },
    { id: 'chiefs', role: 'chief' },
    { id: 'alice', principal: `user:${ALICE}` },
    { id: 'robot-alice', principal: `robot:${ALICE}` },
  ];
  const cases: [who: string, principal: Principal, ids: string[]][] = [
    ['nobody in particular', anonymous, ['all', 'nobody']],
    ['somebody without roles', principalWith({ id: BOB }), ['all', 'known']],
    ['an account by its id', principalWith(), ['alice', 'all', 'known']],
    [
      'another type of principal of the same id',
      principalWith({ type: 'robot' }),
      ['all', 'known', 'robot-alice'],
    ],
    ['a reader', principalWith({ id: BOB, roles: ['reader'] }), ['all', 'known', 'readers']],
    [
      'an editor, who inherits from readers',
      principalWith({ id: BOB, roles: ['editor'] }),
      ['all', 'editors', 'known', 'readers'],
    ],
    [
      'a chief, who inherits from editors and so from readers',
      principalWith({ id: BOB, roles: ['chief'] }),
      ['all', 'chiefs', 'editors', 'known', 'readers'],
    ],
    [
      'somebody with a role and what it inherits: nothing twice',
      principalWith({ id: BOB, roles: ['editor', 'reader', 'editor'] }),
      ['all', 'editors', 'known', 'readers'],
    ],
    [
      'somebody with a role that the policy does not know',
      principalWith({ id: BOB, roles: ['superadmin'] }),
      ['all', 'known'],
    ],
  ];
  for (const [who, principal, ids] of cases) {
    it(`holds for ${who}`, () => assert.deepEqual(idsFor(principal, ...rules), ids));
  }

  it('cannot be chosen by claiming a built-in role: who is identified is not anonymous, and the other way round', () => {
    const claims = ['anonymous', 'authenticated', 'everyone'];
    assert.deepEqual(idsFor(principalWith({ id: BOB, roles: claims }), ...rules), ['all', 'known']);
    assert.deepEqual(idsFor(principalWith({ type: 'anonymous', id: 'x', roles: claims }), ...rules), [
      'all',
      'nobody',
    ]);
  });

  it('finds an account whatever the case of its id, as the database does', () => {
    assert.deepEqual(
      idsFor(principalWith({ id: ALICE.toUpperCase() }), { id: 'a', principal: `user:${ALICE}` }),
      ['a'],
    );
    assert.deepEqual(idsFor(principalWith(), { id: 'a', principal: `user:${ALICE.toUpperCase()}` }), ['a']);
  });

  it('includes what is inherited in a diamond, once', () => {
    const roles = [
      roleOf('top', ['left', 'right']),
      roleOf('left', ['base']),
      roleOf('right', ['base']),
      roleOf('base'),
    ];
    const snapshot = compiled(policyOf([{ id: 'x', role: 'base' }], { roles }));
    assert.deepEqual([...effectiveRoles(snapshot, ['top'])].sort(), ['base', 'left', 'right', 'top']);
    assert.deepEqual(
      abilityOf(snapshot, principalWith({ roles: ['top'] })).rules.map(({ id }) => id),
      ['x'],
    );
  });

  it('knows no role by a name that objects inherit', () => {
    assert.deepEqual([...effectiveRoles(snapshotOf(), ['constructor', '__proto__', 'toString'])], []);
  });
});

describe('when a rule is there', () => {
  const at = (iso: string) => Date.parse(iso);
  const window = { validFrom: '2026-06-01T12:00:00Z', validUntil: '2026-06-02T14:00:00+02:00' };
  const idsAt = (rule: Partial<Rule>, nowMs: number) =>
    makeAbility(snapshotOf({ id: 'x', ...rule }), principalWith(), nowMs).rules.map(({ id }) => id);

  for (const inverted of [false, true]) {
    const effect = inverted ? 'deny' : 'allow';
    it(`${effect}: from the first millisecond of its window, and until before the last`, () => {
      const rule = { ...window, inverted };
      assert.deepEqual(idsAt(rule, at('2026-06-01T11:59:59.999Z')), []);
      assert.deepEqual(idsAt(rule, at('2026-06-01T12:00:00.000Z')), ['x']);
      assert.deepEqual(idsAt(rule, at('2026-06-02T11:59:59.999Z')), ['x']);
      assert.deepEqual(idsAt(rule, at('2026-06-02T12:00:00.000Z')), []);
    });

    it(`${effect}: a window may be open at either end`, () => {
      assert.deepEqual(idsAt({ validFrom: window.validFrom, inverted }, at('2999-01-01')), ['x']);
      assert.deepEqual(idsAt({ validUntil: window.validUntil, inverted }, at('1970-01-01')), ['x']);
      assert.deepEqual(idsAt({ inverted }, at('1970-01-01')), ['x']);
    });

    it(`${effect}: not while it is disabled`, () => {
      assert.deepEqual(idsAt({ enabled: false, inverted }, NOON_MS), []);
    });
  }
});

describe('the order of rules', () => {
  it('puts higher priority last, and at one priority denies after allows: the last rule that matches decides', () => {
    assert.deepEqual(
      idsFor(
        principalWith(),
        { id: 'a', priority: 1 },
        { id: 'b', inverted: true },
        { id: 'c' },
        { id: 'd', priority: 1, inverted: true },
        { id: 'e', priority: -1, inverted: true },
        { id: 'f' },
      ),
      ['e', 'c', 'f', 'b', 'a', 'd'],
    );
  });

  it('never depends on the order of writing', () => {
    fc.assert(
      fc.property(
        anyRules.chain((rules) =>
          fc.tuple(fc.constant(rules), fc.shuffledSubarray(rules, { minLength: rules.length })),
        ),
        ([rules, shuffled]) => {
          const principal = principalWith({ roles: ['editor'] });
          assert.deepEqual(
            abilityOf(snapshotOf(...shuffled), principal),
            abilityOf(snapshotOf(...rules), principal),
          );
        },
      ),
    );
  });

  it('never depends on the order of the roles of a principal', () => {
    fc.assert(
      fc.property(anyRules, (rules) => {
        const snapshot = snapshotOf(...rules);
        assert.deepEqual(
          abilityOf(snapshot, principalWith({ roles: ['reader', 'auditor', 'editor'] })),
          abilityOf(snapshot, principalWith({ roles: ['editor', 'reader', 'auditor'] })),
        );
      }),
    );
  });
});

describe('an ability', () => {
  it('holds what a rule says, without what only the policy needs to know', () => {
    const { revision, rules } = abilityOf(
      compiled(
        policyOf([
          {
            id: 'x',
            action: ['read', 'update'],
            subject: 'document',
            fields: ['title'],
            conditions: { ownerId: `$\{principal.id}` },
            when: { 'context.mfa': true },
            reason: 'Own',
            priority: 3,
            inverted: true,
            validUntil: '2027-01-01',
          },
        ]),
        { revision: 7 },
      ),
    );
    assert.equal(revision, 7);
    assert.deepEqual(rules, [
      {
        id: 'x',
        effect: 'deny',
        actions: ['read', 'update'],
        subjects: ['document'],
        fields: ['title'],
        condition: { kind: 'test', path: 'ownerId', operator: '$eq', value: ALICE },
        when: { kind: 'test', path: 'context.mfa', operator: '$eq', value: true },
        reason: 'Own',
        priority: 3,
      },
    ]);
  });

  it('leaves out rules that can never match this principal', () => {
    assert.deepEqual(
      idsFor(
        principalWith({ attributes: { department: 'legal' } }),
        { id: 'a', when: { 'principal.department': 'sales' } },
        { id: 'b', when: { 'principal.department': 'sales' }, inverted: true },
        { id: 'c', conditions: { title: `$\{principal.profile.nick}` } },
        { id: 'd', conditions: { title: `$\{principal.profile.nick}` }, inverted: true },
        { id: 'e', when: { 'principal.department': 'legal' } },
      ),
      ['e', 'd'],
    );
  });

  it('is plain JSON: what a cache gives back is what was put in', () => {
    fc.assert(
      fc.property(anyRules, (rules) => {
        const ability = abilityOf(snapshotOf(...rules), principalWith({ roles: ['editor'] }));
        assert.deepEqual(JSON.parse(JSON.stringify(ability)), ability);
      }),
    );
  });

  it('can be changed without changing the snapshot or the ability of anybody else', () => {
    const snapshot = snapshotOf({ id: 'a' }, { id: 'b', priority: 1 });
    abilityOf(snapshot).rules.length = 0;
    assert.deepEqual(
      abilityOf(snapshot).rules.map(({ id }) => id),
      ['a', 'b'],
    );
  });
});

describe('the facts of a principal', () => {
  it('are its attributes, its id, type, all its roles and its ancestors, on no prototype, frozen', () => {
    const facts = principalFacts(
      snapshotOf(),
      principalWith({
        roles: ['editor'],
        attributes: {
          department: 'legal',
          id: BOB,
          roles: ['chief'],
          type: 'robot',
          ancestorIds: ['group:x'],
        },
      }),
    );
    assert.equal(Object.getPrototypeOf(facts), null);
    assert.deepEqual(
      { ...facts },
      {
        department: 'legal',
        id: ALICE,
        type: 'user',
        roles: ['editor', 'reader'],
        ancestors: [],
        ancestorIds: [],
      },
    );
    assert.throws(() => Object.assign(facts, { department: 'sales' }), TypeError);
  });

  it('name the roles in one order, whichever of them was given', () => {
    const snapshot = compiled(policyOf([], { roles: [roleOf('z', ['a']), roleOf('a')] }));
    assert.deepEqual(principalFacts(snapshot, principalWith({ roles: ['z'] }))['roles'], ['a', 'z']);
  });
});
