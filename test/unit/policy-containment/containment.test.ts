/** Whether what is held covers what is given. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Condition } from '../../../src/policy/condition.ts';
import { asGiven, asLifted, gapIn, implies } from '../../../src/policy/containment.ts';
import { compileCondition } from '../../../src/policy/matcher.ts';
import type { Rule } from '../../../src/policy/policy.ts';
import {
  account,
  asked,
  conditions,
  gift,
  holderOf,
  nobody,
  noteAttributes,
  receivedBy,
  ruleOf,
  snapshotOf,
  somebody,
  touchable,
} from './gifts.ts';

/** The gap when somebody of `department` who holds `held` gives `given` to others. */
function gap(held: Partial<Rule>[], given: Partial<Rule>, department?: string): string | undefined {
  const rules = held.map((rule, index) => ruleOf({ id: `held-${index}`, ...rule }));
  const before = snapshotOf(rules);
  const after = snapshotOf([...rules, ruleOf({ role: 'gift', ...given, id: 'given' })]);
  const rule = after.rules.get('given');
  assert.ok(rule);
  const holder = holderOf(before, { id: 'holder', ...(department !== undefined && { department }) });
  return gapIn(holder, rule.effect === 'deny' ? asLifted(rule) : asGiven(rule), before);
}

const covered = (held: Partial<Rule>[], given: Partial<Rule>, department?: string) =>
  assert.equal(gap(held, given, department), undefined);
const lacking = (held: Partial<Rule>[], given: Partial<Rule>, why = /you do not hold/, department?: string) =>
  assert.match(gap(held, given, department) ?? 'covered', why);

describe('what is held covers what is given', () => {
  it('property: when it is said to be covered, the holder may do whatever the receiver then may', async () => {
    let telling = 0;
    await fc.assert(
      fc.asyncProperty(
        gift,
        somebody('holder'),
        fc.array(somebody('receiver'), { minLength: 2, maxLength: 4 }),
        fc.array(asked, { minLength: 4, maxLength: 12 }),
        async ({ rules, given }, who, receivers, questions) => {
          const before = snapshotOf(rules);
          const after = snapshotOf([...rules, given]);
          const rule = after.rules.get('given');
          assert.ok(rule);
          const held = holderOf(before, who);
          if (gapIn(held, given.inverted ? asLifted(rule) : asGiven(rule), before)) return;
          const accounts =
            given.role === 'anonymous' ? [] : receivers.map((receiver) => account(receiver, []));
          const reached = given.role === 'gift' ? accounts : [...accounts, nobody];
          for (const question of questions) {
            const mine = await touchable(before, account(who, ['held']), held, question);
            for (const receiver of reached) {
              const theirs = await touchable(after, receiver, receivedBy(after, receiver), question);
              if (theirs.length > 0) telling++;
              for (const part of theirs)
                assert.ok(
                  mine.includes(part),
                  `${question.action} of "${part}" was not the holder's to give`,
                );
            }
          }
        },
      ),
      { numRuns: 800 },
    );
    assert.ok(telling > 300, `only ${telling} requests told anything`);
  }).timeout(60_000);

  it('property: what is implied holds for whatever the narrower condition lets through', () => {
    let telling = 0;
    const pair = fc
      .tuple(conditions, conditions, fc.boolean())
      .map(([a, b, joined]) => [joined ? { $and: [a, b] } : a, b]);
    fc.assert(
      fc.property(pair, fc.array(noteAttributes, { minLength: 5, maxLength: 20 }), ([a, b], notes) => {
        const snapshot = snapshotOf([
          ruleOf({ id: 'narrow', ...(a && { conditions: a }) }),
          ruleOf({ id: 'wide', ...(b && { conditions: b }) }),
        ]);
        const ability = holderOf(snapshot, { id: 'holder', department: 'a' });
        const [narrow, wide] = ['narrow', 'wide'].map(
          (id) => ability.rules.find((rule) => rule.id === id)?.condition,
        );
        if (!narrow || !wide || !implies(narrow, wide)) return;
        for (const note of notes) {
          if (!compileCondition(narrow)(note)) continue;
          telling++;
          assert.ok(compileCondition(wide)(note), JSON.stringify({ narrow, wide, note }));
        }
      }),
      { numRuns: 3000 },
    );
    assert.ok(telling > 500, `only ${telling} notes told anything`);
  }).timeout(60_000);

  describe('actions and types', () => {
    it('of the same rule', () => covered([{}], {}));
    it('of one of several', () =>
      covered([{ action: ['read', 'update'], subject: ['note', 'draft'] }], { subject: 'draft' }));
    it('of each, each from a rule of its own', () =>
      covered([{ action: 'read' }, { action: 'update' }], { action: ['read', 'update'] }));
    it('of manage and all, everything', () =>
      covered([{ action: 'manage', subject: 'all' }], { action: 'manage', subject: 'all' }));
    it('of nothing, nothing', () => lacking([], {}));
    it('not of another action or type', () => {
      lacking([{ action: 'update' }], {});
      lacking([{ subject: 'draft' }], {});
      lacking([{}], { action: ['read', 'update'] }, /update on note/);
      lacking([{}], { subject: ['note', 'draft'] }, /read on draft/);
    });
    it('manage is more than each of the actions there are today, all is more than each of the types', () => {
      lacking([{ action: ['read', 'update'] }], { action: 'manage' });
      lacking([{ subject: ['note', 'draft'] }], { subject: 'all' });
    });
  });

  describe('conditions', () => {
    const cases: [string, Rule['conditions'], Rule['conditions'], boolean][] = [
      ['none covers any', undefined, { status: 'a' }, true],
      ['any does not cover none', { status: 'a' }, undefined, false],
      ['the same', { status: 'a', pages: { $lt: 3 } }, { pages: { $lt: 3 }, status: 'a' }, true],
      ['a demand more', { status: 'a' }, { status: 'a', pages: 1 }, true],
      ['a demand less', { status: 'a', pages: 1 }, { status: 'a' }, false],
      ['a value of a list', { status: { $in: ['a', 'b'] } }, { status: 'a' }, true],
      ['a list of one for its value', { status: 'a' }, { status: { $in: ['a'] } }, true],
      ['a longer list', { status: { $in: ['a', 'b'] } }, { status: { $in: ['a', 'c'] } }, false],
      ['an order that ends earlier', { pages: { $lte: 3 } }, { pages: { $lt: 3 } }, true],
      ['an order that ends later', { pages: { $lt: 3 } }, { pages: { $lte: 3 } }, false],
      ['an order the other way', { pages: { $lt: 3 } }, { pages: { $gt: 1 } }, false],
      ['one of alternatives', { $or: [{ status: 'a' }, { status: 'b' }] }, { status: 'b' }, true],
      [
        'alternatives, one of them not held',
        { status: 'a' },
        { $or: [{ status: 'a' }, { status: 'b' }] },
        false,
      ],
      ['another attribute', { status: 'a' }, { department: 'a' }, false],
      ['a negation', { status: { $ne: 'a' } }, { status: 'b' }, false],
    ];
    for (const [what, held, given, isCovered] of cases)
      it(`${what}: ${isCovered ? 'covered' : 'not covered'}`, () => {
        const rules: [Partial<Rule>[], Partial<Rule>] = [
          [held ? { conditions: held } : {}],
          given ? { conditions: given } : {},
        ];
        if (isCovered) covered(...rules);
        else lacking(...rules);
      });

    it('"one\'s own" does not cover the own of others: a template stands for any value', () => {
      const own = { conditions: { ownerId: '$' + '{principal.id}' } };
      lacking([own], own);
      covered([{}], own);
      covered([{ conditions: { status: 'a' } }], {
        conditions: { ownerId: '$' + '{principal.id}', status: 'a' },
      });
    });

    it('when must be as narrow', () => {
      const inside = { 'context.ip': { $cidr: '10.0.0.0/8' } };
      lacking([{ when: inside }], {});
      covered([{ when: inside }], { when: inside });
      covered([{ when: inside }], { when: { ...inside, 'context.mfa': true } });
    });

    it('a when on the principal that the holder meets is met', () =>
      covered([{ when: { 'principal.department': 'a' } }], {}, 'a'));
    it('a when on the principal that the holder does not meet is nothing held', () =>
      lacking([{ when: { 'principal.department': 'a' } }], {}, /you do not hold/, 'b'));
  });

  describe('fields', () => {
    it('all of them cover some', () => covered([{}], { fields: ['title'] }));
    it('some do not cover all', () => lacking([{ fields: ['title'] }], {}));
    it('each must be held', () => lacking([{ fields: ['title'] }], { fields: ['title', 'status'] }));
    it('a field covers what lies below it, not the other way round', () => {
      covered([{ fields: ['meta'] }], { fields: ['meta.a'] });
      lacking([{ fields: ['meta.a'] }], { fields: ['meta'] });
      lacking([{ fields: ['meta'] }], { fields: ['title'] });
    });
  });

  describe('time', () => {
    const until = { validUntil: '2999-01-01T00:00:00.000Z' };
    it('what is held for a time is not passed on, not even for a shorter time', () => {
      lacking([until], {});
      lacking([until], { validUntil: '2998-01-01T00:00:00.000Z' });
    });
    it('what is held for good may be given for a time', () => covered([{}], until));
    it('what is not held yet or no more, or is switched off, is not held', () => {
      lacking([{ validFrom: '2999-01-01T00:00:00.000Z' }], {});
      lacking([{ validUntil: '2000-01-01T00:00:00.000Z' }], {});
      lacking([{ enabled: false }], {});
    });
  });

  describe('denies', () => {
    const deny = (rest: Partial<Rule> = {}): Partial<Rule> => ({
      inverted: true,
      conditions: { status: 'a' },
      ...rest,
    });
    it('a part that the holder is denied is not theirs to give', () =>
      lacking([{}, deny()], {}, /rule held-1 denies you/));
    it('one that what is held outranks does not count', () => covered([{ priority: 1 }, deny()], {}));
    it('one on another action or type does not count', () =>
      covered([{}, deny({ action: 'update' }), deny({ subject: 'draft' })], {}));
    it('one on everyone binds the receiver as well', () => covered([{}, deny({ role: 'everyone' })], {}));
    it('one on everyone that the given rule outranks binds nobody', () =>
      lacking([{}, deny({ role: 'everyone' })], { priority: 1 }, /denies you/));
    it('one on the authenticated binds accounts, not those whom nobody identified', () => {
      const denied = deny({ role: 'authenticated' });
      covered([{}, denied], {});
      lacking([{}, denied], { role: 'anonymous' }, /denies you/);
      lacking([{}, denied], { role: 'everyone' }, /denies you/);
    });
    it('one on everyone who is like the holder does not bind a receiver who is not', () => {
      const when = { 'principal.department': 'a' };
      lacking([{}, deny({ role: 'everyone', when })], {}, /denies you/, 'a');
      covered([{}, deny({ role: 'everyone', when })], {}, 'b');
      const own = { department: '$' + '{principal.department}' };
      lacking([{}, deny({ role: 'everyone', conditions: own })], {}, /denies you/, 'a');
      lacking(
        [
          {},
          deny({
            role: 'everyone',
            conditions: { $nor: [{ status: { $in: ['$' + '{principal.department}'] } }] },
          }),
        ],
        {},
        /denies you/,
        'a',
      );
    });
    it('"not on one\'s own" on everyone binds each to theirs', () =>
      covered([{}, deny({ role: 'everyone', conditions: { ownerId: '$' + '{principal.id}' } })], {}));
    it('lifting a deny is giving what it denied', () => {
      lacking([], deny());
      covered([{}], deny());
      lacking([{ conditions: { status: 'b' } }], deny());
    });
    it('whoever is bound by a deny does not lift it, not even one on everyone', () => {
      const rules = [ruleOf(), ruleOf(deny({ id: 'given', role: 'everyone' }) as Partial<Rule>)];
      const snapshot = snapshotOf(rules);
      const rule = snapshot.rules.get('given');
      assert.ok(rule);
      assert.match(gapIn(holderOf(snapshot, { id: 'holder' }), asLifted(rule), snapshot) ?? '', /denies you/);
    });
    it('a deny gives nothing', () => {
      const snapshot = snapshotOf([ruleOf(deny({ id: 'given' }) as Partial<Rule>)]);
      const rule = snapshot.rules.get('given');
      assert.ok(rule);
      assert.equal(gapIn({ revision: 1, rules: [] }, asGiven(rule), snapshot), undefined);
    });
  });

  it('what cannot be compared is not covered', () => {
    const test = (value: string): Condition => ({ kind: 'test', path: 'title', operator: '$regex', value });
    assert.equal(implies(test('^ab'), test('^a')), false);
    assert.equal(implies(test('^a'), test('^a')), true);
    const element = (of: Condition): Condition => ({ kind: 'element', path: 'tags', of });
    assert.equal(implies(element(test('a')), element({ kind: 'fixed', value: true })), false);
    assert.equal(implies({ kind: 'not', of: test('a') }, test('a')), false);
  });
});
