import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Resource } from '../../../src/decision/access-request.ts';
import type { Verdict } from '../../../src/decision/evaluator.ts';
import { caslEvaluator } from '../../../src/evaluators/casl.ts';
import { requestFacts } from '../../../src/evaluators/rule-index.ts';
import { type Ability, type AbilityRule, makeAbility, type Principal } from '../../../src/policy/ability.ts';
import { compileCondition } from '../../../src/policy/matcher.ts';
import type { ResourceType, Rule } from '../../../src/policy/policy.ts';
import type { Snapshot } from '../../../src/policy/snapshot.ts';
import {
  ALICE,
  abilityOf,
  BOB,
  compiled,
  NOON_MS,
  policyOf,
  principalWith,
  type RequestParts,
  requestOf,
  sampleTypes,
  snapshotOf,
  typeOf,
} from '../policy/sample-policy.ts';

const evaluator = caslEvaluator({
  abilityOf: (snapshot, principal) => makeAbility(snapshot, principal, NOON_MS),
});

async function verdictOn(snapshot: Snapshot, parts: RequestParts): Promise<Verdict> {
  return evaluator.evaluate(snapshot, requestOf(parts));
}

/** Whether Alice, by these rules, may do what is asked. */
async function allows(rules: Partial<Rule>[], parts: RequestParts = {}): Promise<boolean> {
  return (await verdictOn(snapshotOf(...rules), parts)).allow;
}

async function permitted(
  rules: Partial<Rule>[],
  fields: string[],
  parts: RequestParts = {},
): Promise<string[]> {
  return [...(await evaluator.permittedFields(snapshotOf(...rules), requestOf(parts), fields))];
}

async function possible(
  rules: Partial<Rule>[],
  action = 'read',
  type = 'document',
  principal?: Principal,
): Promise<boolean> {
  return evaluator.possible(snapshotOf(...rules), principal ?? principalWith(), action, type);
}

describe('a decision', () => {
  it('denies where there is no rule', async () => {
    assert.deepEqual(await verdictOn(snapshotOf(), {}), { allow: false, ruleId: null });
  });

  it('names the rule that settled it and gives its reason', async () => {
    const snapshot = snapshotOf(
      { id: 'open', reason: 'Everybody reads' },
      { id: 'shut', inverted: true, conditions: { status: 'draft' }, reason: 'Not yet' },
    );
    assert.deepEqual(await verdictOn(snapshot, {}), {
      allow: true,
      ruleId: 'open',
      reason: 'Everybody reads',
    });
    assert.deepEqual(await verdictOn(snapshot, { resource: { status: 'draft' } }), {
      allow: false,
      ruleId: 'shut',
      reason: 'Not yet',
    });
  });

  it('is about the action and the type that were asked', async () => {
    assert.equal(await allows([{}], { action: 'update' }), false);
    assert.equal(await allows([{}], { type: 'order' }), false);
    assert.equal(await allows([{ action: 'manage' }], { action: 'update' }), true);
    assert.equal(await allows([{ subject: 'all' }], { type: 'order' }), true);
    const listed: Partial<Rule> = { action: ['create', 'read'], subject: ['document', 'order'] };
    assert.equal(await allows([listed], { action: 'create', type: 'order' }), true);
    assert.equal(await allows([listed], { action: 'read', type: 'document' }), true);
  });

  it('lets a deny on all types and actions beat an allow on one', async () => {
    const rules: Partial<Rule>[] = [{}, { action: 'manage', subject: 'all', inverted: true }];
    assert.equal(await allows(rules), false);
    assert.equal(await allows([{ priority: 1 }, { action: 'manage', subject: 'all', inverted: true }]), true);
  });

  it('asks the context, each time anew', async () => {
    const snapshot = snapshotOf({ when: { 'context.mfa': true } });
    for (const mfa of [true, false, true])
      assert.equal((await verdictOn(snapshot, { context: { mfa } })).allow, mfa);
    assert.equal((await verdictOn(snapshot, {})).allow, false);
  });

  it('asks about the action: its name cannot be replaced by a property of that name', async () => {
    const rules: Partial<Rule>[] = [{ action: ['read', 'update'], when: { 'action.name': 'update' } }];
    assert.equal(await allows(rules, { action: 'update' }), true);
    assert.equal(await allows(rules, { action: 'read', properties: { name: 'update' } }), false);
    assert.equal(await allows([{ when: { 'action.soft': true } }], { properties: { soft: true } }), true);
    assert.equal(await allows([{ when: { 'action.soft': true } }]), false);
  });

  it('waits for an ability that is still being fetched', async () => {
    const slow = caslEvaluator({
      abilityOf: async (snapshot, principal) => makeAbility(snapshot, principal, NOON_MS),
    });
    const snapshot = snapshotOf({});
    assert.equal((await slow.evaluate(snapshot, requestOf())).allow, true);
    assert.deepEqual([...(await slow.permittedFields(snapshot, requestOf(), ['title']))], ['title']);
    assert.equal(await slow.possible(snapshot, principalWith(), 'read', 'document'), true);
  });

  it('fails when the ability cannot be had: that must not look like an answer', async () => {
    const failing = caslEvaluator({ abilityOf: () => Promise.reject(new Error('no ability')) });
    await assert.rejects(async () => failing.evaluate(snapshotOf({}), requestOf()), /no ability/);
  });

  it('is the same by an ability that was put in a cache and taken out', async () => {
    const cached = caslEvaluator({
      abilityOf: (snapshot, principal) =>
        JSON.parse(JSON.stringify(makeAbility(snapshot, principal, NOON_MS))),
    });
    const snapshot = snapshotOf(
      { id: 'a' },
      { id: 'b', inverted: true, conditions: { tags: { $elemMatch: { $regex: '^x' } } } },
    );
    for (const resource of [{}, { tags: ['xy'] }])
      assert.deepEqual(
        await cached.evaluate(snapshot, requestOf({ resource })),
        await verdictOn(snapshot, { resource }),
      );
  });
});

describe('precedence', () => {
  /** What section 3 of the design says, in the plainest words: of the rules that match, the highest priority, and there a deny. */
  function expected(
    ability: Ability,
    parts: RequestParts,
    field?: string,
  ): { allow: boolean; winners: string[] } {
    const request = requestOf(parts);
    const applies = (rule: AbilityRule) =>
      [request.action.name, 'manage'].some((action) => rule.actions.includes(action)) &&
      [request.resource.type, 'all'].some((type) => rule.subjects.includes(type)) &&
      (!rule.fields ||
        (field === undefined
          ? rule.effect === 'allow'
          : rule.fields.some((name) => field === name || field.startsWith(`${name}.`)))) &&
      compileCondition(rule.condition)(request.resource.attributes) &&
      compileCondition(rule.when)(requestFacts(request));
    const matching = ability.rules.filter(applies);
    const highest = Math.max(...matching.map(({ priority }) => priority));
    const winners = matching.filter(({ priority }) => priority === highest);
    const denies = winners.filter(({ effect }) => effect === 'deny');
    return {
      allow: winners.length > 0 && denies.length === 0,
      winners: (denies.length > 0 ? denies : winners).map(({ id }) => id),
    };
  }

  const anyRule = fc.record({
    role: fc.constantFrom('everyone', 'authenticated', 'reader', 'chief'),
    action: fc.constantFrom<string | string[]>('read', 'manage', ['read', 'create']),
    subject: fc.constantFrom<string | string[]>('document', 'all', ['document', 'order']),
    inverted: fc.boolean(),
    priority: fc.integer({ min: -1, max: 1 }),
    conditions: fc.constantFrom(
      {},
      { id: '1' },
      { id: { $ne: '1' } },
      { id: { $in: ['2', '3'] } },
      { id: { $exists: true } },
    ),
    when: fc.constantFrom(
      {},
      { 'context.mfa': true },
      { 'principal.level': { $gte: 3 } },
      { 'action.name': 'read' },
    ),
    fields: fc.constantFrom<string[] | undefined>(undefined, undefined, ['id']),
  });
  const anyRules = fc.array(anyRule, { maxLength: 14 }).map((rules) =>
    rules.map(
      ({ fields, ...rule }, index): Partial<Rule> => ({
        id: `r${index}`,
        ...rule,
        ...(fields && { fields }),
      }),
    ),
  );
  const anyRequest = fc.record({
    action: fc.constantFrom('read', 'create'),
    type: fc.constantFrom('document', 'order'),
    resource: fc.constantFrom({}, { id: '1' }, { id: '2' }),
    context: fc.constantFrom({}, { mfa: true }),
  });
  const principal = principalWith({ roles: ['editor'], attributes: { level: 3 } });

  it('is: the highest priority that matches, a deny before every allow, no rule no access', async () => {
    await fc.assert(
      fc.asyncProperty(anyRules, anyRequest, async (rules, parts) => {
        const snapshot = snapshotOf(...rules);
        const { allow, winners } = expected(abilityOf(snapshot, principal), parts);
        const verdict = await verdictOn(snapshot, { ...parts, principal });
        assert.equal(verdict.allow, allow);
        if (winners.length === 0) assert.equal(verdict.ruleId, null);
        else
          assert.ok(
            winners.includes(verdict.ruleId ?? ''),
            `${verdict.ruleId} settled it, not one of ${winners}`,
          );
      }),
      { numRuns: 1000 },
    );
  });

  it('is the same for each field', async () => {
    await fc.assert(
      fc.asyncProperty(anyRules, anyRequest, async (rules, parts) => {
        const snapshot = snapshotOf(...rules);
        const fields = ['id', 'id.part', 'ident', 'title'];
        const ability = abilityOf(snapshot, principal);
        assert.deepEqual(
          [...(await evaluator.permittedFields(snapshot, requestOf({ ...parts, principal }), fields))],
          fields.filter((field) => expected(ability, parts, field).allow),
        );
      }),
      { numRuns: 1000 },
    );
  });

  it('never depends on the order of writing, not even for the rule that is named', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyRules.chain((rules) =>
          fc.tuple(fc.constant(rules), fc.shuffledSubarray(rules, { minLength: rules.length })),
        ),
        anyRequest,
        async ([rules, shuffled], parts) => {
          assert.deepEqual(
            await verdictOn(snapshotOf(...shuffled), parts),
            await verdictOn(snapshotOf(...rules), parts),
          );
        },
      ),
    );
  });
});

describe('the traps of CASL', () => {
  const orders: Partial<Rule>[] = [{ subject: 'order' }];
  const claims: [string, object][] = [
    ['__caslSubjectType__', { __caslSubjectType__: 'order' }],
    ['__typename', { __typename: 'order' }],
    ['kind', { kind: 'order' }],
    ['type', { type: 'order' }],
    ['constructor.name', { constructor: { name: 'order' } }],
    ['constructor.modelName', { constructor: { modelName: 'order' } }],
    ['its class', new (class order {})()],
    [
      'the JSON key __proto__',
      JSON.parse('{"__proto__": {"constructor": {"name": "order"}, "__caslSubjectType__": "order"}}'),
    ],
  ];
  for (const [how, resource] of claims) {
    it(`1: a body must not choose its own type by ${how}: neither to be allowed, nor to leave a deny behind`, async () => {
      assert.equal(await allows(orders, { resource }), false);
      assert.equal(
        await allows([{ subject: 'all' }, { subject: 'document', inverted: true }], { resource }),
        false,
      );
    });
  }

  it('1: an attribute that the policy itself calls __caslSubjectType__ is only an attribute', async () => {
    const sly: ResourceType = typeOf('sly', { attributes: { __caslSubjectType__: { type: 'string' } } });
    const snapshot = compiled(policyOf([{ subject: 'order' }], { resourceTypes: [...sampleTypes, sly] }));
    const resource: Resource = { type: 'sly', attributes: { __caslSubjectType__: 'order' }, misfits: [] };
    assert.equal((await evaluator.evaluate(snapshot, { ...requestOf(), resource })).allow, false);
  });

  it('1: a body that brings its own prototype brings no attributes', async () => {
    const owned: Partial<Rule>[] = [{ conditions: { ownerId: `$\{principal.id}` } }];
    assert.equal(await allows(owned, { resource: { ownerId: ALICE } }), true);
    assert.equal(
      await allows(owned, { resource: JSON.parse(`{"__proto__": {"ownerId": "${ALICE}"}}`) }),
      false,
    );
    assert.equal(await allows(owned, { resource: Object.create({ ownerId: ALICE }) }), false);
  });

  it('1: a body that brings an accessor answers every rule alike', async () => {
    let asked = 0;
    const resource = Object.defineProperty({}, 'status', {
      enumerable: true,
      get: () => (asked++ % 2 === 0 ? 'published' : 'draft'),
    });
    const rules: Partial<Rule>[] = [
      { conditions: { status: 'published' } },
      { conditions: { status: 'draft' }, inverted: true, priority: 1 },
      { conditions: { status: { $ne: 'published' } }, inverted: true, priority: 1 },
    ];
    assert.equal(await allows(rules, { resource }), true);
    assert.equal(asked, 1);
  });

  it('2: conditions are never skipped as for a bare type: a resource without attributes meets none', async () => {
    assert.equal(await allows([{ conditions: { ownerId: `$\{principal.id}` } }]), false);
    assert.equal(await allows([{ conditions: { status: 'published' } }], { resource: {} }), false);
    assert.deepEqual(await permitted([{ conditions: { status: 'published' } }], ['title']), []);
  });

  it('2: a deny with a condition does not fire on what was not given, and fires on what was', async () => {
    const rules: Partial<Rule>[] = [{}, { inverted: true, conditions: { status: 'draft' } }];
    assert.equal(await allows(rules), true);
    assert.equal(await allows(rules, { resource: { status: 'draft' } }), false);
  });

  it('3: an operator nobody knows, in an ability from a cache, is an error and no answer: its deny would never fire', async () => {
    const rule = {
      id: 'x',
      actions: ['read'],
      subjects: ['document'],
      priority: 0,
      when: { kind: 'fixed', value: true },
    };
    const poisoned = (effect: string): Ability =>
      JSON.parse(
        JSON.stringify({
          revision: 1,
          rules: [
            { ...rule, effect, condition: { kind: 'test', path: 'title', operator: '$like', value: 'x' } },
          ],
        }),
      );
    for (const effect of ['allow', 'deny']) {
      const poisonous = caslEvaluator({ abilityOf: () => poisoned(effect) });
      await assert.rejects(async () =>
        poisonous.evaluate(snapshotOf({}), requestOf({ resource: { title: 'x' } })),
      );
    }
  });

  it('4: a template that cannot be resolved does not match what is absent', async () => {
    const template = { department: `$\{principal.department}` };
    assert.equal(await allows([{ conditions: template }], { resource: {} }), false);
    assert.equal(await allows([{ conditions: template }], { resource: { department: null } }), false);
    assert.equal(
      await allows([{}, { conditions: template, inverted: true }], { resource: { department: 'x' } }),
      false,
    );
  });

  it('4: null in a resource is absent: it equals nothing', async () => {
    assert.equal(await allows([{ conditions: { body: '' } }], { resource: { body: null } }), false);
    assert.equal(
      await allows([{ conditions: { body: { $exists: false } } }], { resource: { body: null } }),
      true,
    );
  });

  it('5: a field name cannot reach into prototypes', async () => {
    const names = [
      '__proto__',
      '__proto__.polluted',
      'constructor',
      'constructor.prototype.polluted',
      'prototype',
      'toString',
    ];
    assert.deepEqual(await permitted([{ fields: ['title'] }], names), []);
    assert.deepEqual(
      await permitted(
        [{ fields: ['meta'] }],
        names.map((name) => `meta.${name}`),
      ),
      [],
    );
    assert.deepEqual(await permitted([{}], names), []);
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  });

  it('5: an empty field name is not "no field": CASL would grant it by any rule with fields', async () => {
    assert.deepEqual(await permitted([{ fields: ['title'] }], ['', 'title']), ['title']);
  });

  it('a missing attribute is not less than anything: plain CASL would approve an order without an amount', async () => {
    for (const operator of ['$lt', '$lte', '$gt', '$gte'])
      for (const value of [-1, 0, 1])
        assert.equal(
          await allows([{ subject: 'order', conditions: { amount: { [operator]: value } } }], {
            type: 'order',
          }),
          false,
        );
  });

  it('a pattern that runs for ever in a backtracking engine is answered at once', async () => {
    const startedMs = performance.now();
    const rules: Partial<Rule>[] = [
      {},
      { inverted: true, conditions: { title: { $regex: '^(([a-z])+.)+[A-Z]([a-z])+$' } } },
    ];
    assert.equal(await allows(rules, { resource: { title: 'a'.repeat(20_000) } }), true);
    assert.ok(performance.now() - startedMs < 3000);
  });
});

describe('decisions about fields', () => {
  const fields = ['title', 'notes', 'meta', 'meta.colour', 'meta.colour.hue', 'meta.secret', 'metadata'];

  it('grant every field where the rule names none', async () => {
    assert.deepEqual(await permitted([{}], fields), fields);
  });

  it('grant none where there is no rule', async () => {
    assert.deepEqual(await permitted([], fields), []);
  });

  it('grant only the fields of an allow rule, with what lies below them', async () => {
    assert.deepEqual(await permitted([{ fields: ['title', 'meta'] }], fields), [
      'title',
      'meta',
      'meta.colour',
      'meta.colour.hue',
      'meta.secret',
    ]);
  });

  it('grant a part without granting the whole, or another field that begins alike', async () => {
    assert.deepEqual(await permitted([{ fields: ['meta.colour'] }], fields), [
      'meta.colour',
      'meta.colour.hue',
    ]);
  });

  it('take away the fields of a deny rule, with what lies below them', async () => {
    assert.deepEqual(
      await permitted(
        [{}, { fields: ['notes', 'meta.secret'], inverted: true }],
        ['title', 'notes', 'meta.colour', 'meta.secret', 'meta.secret.x'],
      ),
      ['title', 'meta.colour'],
    );
  });

  it('follow the conditions of each rule', async () => {
    const rules: Partial<Rule>[] = [
      { fields: ['title'] },
      { fields: ['notes'], conditions: { ownerId: `$\{principal.id}` } },
    ];
    assert.deepEqual(await permitted(rules, fields, { resource: { ownerId: ALICE } }), ['title', 'notes']);
    assert.deepEqual(await permitted(rules, fields, { resource: { ownerId: BOB } }), ['title']);
  });

  it('follow priority: a field may be given back', async () => {
    const rules: Partial<Rule>[] = [
      {},
      { fields: ['notes'], inverted: true },
      { fields: ['notes'], priority: 1 },
    ];
    assert.deepEqual(await permitted(rules, ['title', 'notes']), ['title', 'notes']);
  });

  it('an allow with fields opens the resource itself; a deny with fields does not close it', async () => {
    assert.equal(await allows([{ fields: ['title'] }]), true);
    assert.equal(await allows([{}, { fields: ['title'], inverted: true }]), true);
  });

  it('are about the action that was asked', async () => {
    assert.deepEqual(await permitted([{ action: 'update', fields: ['title'] }], fields), []);
    assert.deepEqual(
      await permitted([{ action: 'update', fields: ['title'] }], fields, { action: 'update' }),
      ['title'],
    );
  });
});

describe('"could this principal ever"', () => {
  it('is yes where some resource could be allowed', async () => {
    assert.equal(await possible([{ conditions: { ownerId: `$\{principal.id}` } }]), true);
    assert.equal(await possible([{ fields: ['title'] }]), true);
    assert.equal(await possible([{ when: { 'context.mfa': true } }]), true);
    assert.equal(await possible([{}, { inverted: true, conditions: { status: 'draft' } }]), true);
    assert.equal(await possible([{}, { inverted: true, fields: ['title'] }]), true);
    assert.equal(await possible([{}, { inverted: true, when: { 'context.mfa': false } }]), true);
    assert.equal(await possible([{ priority: 1 }, { inverted: true }]), true);
    assert.equal(await possible([{ action: 'manage', subject: 'all' }]), true);
  });

  it('is no where nothing could be', async () => {
    assert.equal(await possible([]), false);
    assert.equal(await possible([{ action: 'update' }]), false);
    assert.equal(await possible([{ subject: 'order' }]), false);
    assert.equal(await possible([{}, { inverted: true }]), false);
    assert.equal(
      await possible([{}, { inverted: true, conditions: { status: 'draft' } }, { inverted: true }]),
      false,
    );
    assert.equal(await possible([{}, { inverted: true, action: 'manage', subject: 'all' }]), false);
    assert.equal(await possible([{ when: { 'principal.department': 'legal' } }]), false);
    assert.equal(await possible([{ conditions: { department: `$\{principal.department}` } }]), false);
    assert.equal(
      await possible([{}, { inverted: true, conditions: { department: `$\{principal.department}` } }]),
      false,
    );
    assert.equal(await possible([{ enabled: false }]), false);
  });

  it('is never no for what is then allowed', async () => {
    const anyRules = fc.array(
      fc.record({
        inverted: fc.boolean(),
        priority: fc.integer({ min: 0, max: 2 }),
        conditions: fc.constantFrom(
          {},
          { id: '1' },
          { department: `$\{principal.department}` },
          { $not: { id: '1' } },
        ),
        when: fc.constantFrom({}, { 'context.mfa': true }),
      }),
      { maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(
        anyRules,
        fc.constantFrom({}, { id: '1' }),
        fc.boolean(),
        async (rules, resource, mfa) => {
          if (await allows(rules, { resource, context: { mfa } })) assert.equal(await possible(rules), true);
        },
      ),
    );
  });
});
