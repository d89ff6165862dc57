/** Random rules, held and given, over one small resource type; and what somebody who got a given rule could do with it. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type AccessRequest,
  anonymous,
  principalOf,
  resourceOf,
} from '../../../src/decision/access-request.ts';
import { caslEvaluator } from '../../../src/evaluators/casl.ts';
import {
  type Ability,
  makeAbility,
  type Principal,
  principalFacts,
  settleRule,
} from '../../../src/policy/ability.ts';
import { ACCOUNT_TYPE, builtInTypes } from '../../../src/policy/built-in.ts';
import { compile } from '../../../src/policy/compile.ts';
import type { ResourceType, Rule } from '../../../src/policy/policy.ts';
import type { Snapshot } from '../../../src/policy/snapshot.ts';

const noteType: ResourceType = {
  type: 'note',
  description: '',
  actions: ['read', 'update'],
  attributes: {
    id: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'string' },
    pages: { type: 'integer' },
    tags: { type: 'array', items: 'string' },
    ownerId: { type: 'string' },
    department: { type: 'string' },
    meta: { type: 'object' },
  },
  source: null,
  evaluator: 'casl',
};

const types = [
  ...builtInTypes.map((type) =>
    type.type === ACCOUNT_TYPE
      ? { ...type, attributes: { ...type.attributes, department: { type: 'string' as const } } }
      : type,
  ),
  noteType,
  { ...noteType, type: 'draft' },
];
const roles = ['held', 'gift'].map((key) => ({ key, name: key, description: '', inherits: [] }));

/** A rule with what is left out filled in: whoever has the role `held` may read notes. */
export function ruleOf(rest: Partial<Rule> = {}): Rule {
  const role = rest.principal === undefined ? { role: 'held' } : {};
  const fixed = { inverted: false, priority: 0, enabled: true, validFrom: null, validUntil: null };
  return { id: 'held-0', ...role, action: 'read', subject: 'note', ...fixed, ...rest };
}

export function snapshotOf(rules: Rule[]): Snapshot {
  const { snapshot, problems } = compile(
    { resourceTypes: types, roles, rules, cases: [], routes: [], cedar: [] },
    { revision: 1, evaluators: ['casl'] },
  );
  assert.ok(snapshot, JSON.stringify(problems));
  return snapshot;
}

export interface Somebody {
  id: string;
  department?: string;
}

export function account(who: Somebody, roleKeys: string[]): Principal {
  const { id, ...attributes } = who;
  const type = types.find((candidate) => candidate.type === ACCOUNT_TYPE);
  return principalOf({ type: ACCOUNT_TYPE, id, roles: roleKeys, attributes, accessVersion: 1 }, type);
}

/** Holds the role `held`, and whatever is everybody's. */
export function holderOf(snapshot: Snapshot, who: Somebody): Ability {
  return makeAbility(snapshot, account(who, ['held']), Date.now());
}

/**
 * What the rule `given` alone comes to in the hands of `receiver`, under the denies that bind everybody; a deny counts
 * as the allow that it amounts to when it is lifted.
 */
export function receivedBy(snapshot: Snapshot, receiver: Principal): Ability {
  const rule = snapshot.rules.get('given');
  assert.ok(rule);
  const got = settleRule(rule, principalFacts(snapshot, receiver)).map((settled) => ({
    ...settled,
    effect: 'allow' as const,
  }));
  const { rules, revision } = makeAbility(snapshot, { ...receiver, roles: [] }, Date.now());
  const others = rules.filter(({ id, effect }) => id !== 'given' && effect === 'deny');
  const all = [...others, ...got].sort(
    (a, b) => a.priority - b.priority || Number(a.effect === 'deny') - Number(b.effect === 'deny'),
  );
  return { revision, rules: all };
}

export interface Asked {
  action: string;
  type: string;
  resource: object;
  context: Record<string, unknown>;
}

const fieldNames = ['title', 'status', 'meta', 'meta.a', 'notes'];

/** The whole (`''`) and the fields that the ability lets the principal touch. */
export async function touchable(
  snapshot: Snapshot,
  principal: Principal,
  ability: Ability,
  asked: Asked,
): Promise<string[]> {
  const evaluator = caslEvaluator({ abilityOf: () => ability });
  const type = snapshot.types.get(asked.type);
  assert.ok(type);
  const request: AccessRequest = {
    principal,
    action: { name: asked.action },
    resource: resourceOf(type, asked.resource),
    context: Object.assign(Object.create(null), asked.context),
  };
  const { allow } = await evaluator.evaluate(snapshot, request);
  return [...(allow ? [''] : []), ...(await evaluator.permittedFields(snapshot, request, fieldNames))];
}

export const nobody: Principal = anonymous;

const word = fc.constantFrom('a', 'b', 'c');
const number = fc.integer({ min: 0, max: 3 });
const template = (name: string) => `\${principal.${name}}`;

/** A query about one attribute. */
const simple: fc.Arbitrary<Record<string, unknown>> = fc.oneof(
  fc.record({ status: word }),
  fc.record({ status: fc.record({ $in: fc.array(word, { maxLength: 3 }) }) }),
  fc.record({ status: fc.record({ $ne: word }) }),
  fc.record({ status: fc.record({ $exists: fc.boolean() }) }),
  fc
    .record({ operator: fc.constantFrom('$lt', '$lte', '$gt', '$gte', '$eq'), value: number })
    .map(({ operator, value }) => ({ pages: { [operator]: value } })),
  fc.record({ tags: word }),
  fc.record({ tags: fc.record({ $in: fc.array(word, { maxLength: 2 }) }) }),
  fc.record({ tags: fc.record({ $all: fc.array(word, { minLength: 1, maxLength: 2 }) }) }),
);

const about = (templated: fc.Arbitrary<Record<string, unknown>>): fc.Arbitrary<Record<string, unknown>> => {
  const leaf = fc.oneof({ arbitrary: simple, weight: 4 }, { arbitrary: templated, weight: 1 });
  const group = fc
    .record({
      operator: fc.constantFrom('$and', '$or', '$nor'),
      of: fc.array(leaf, { minLength: 1, maxLength: 3 }),
    })
    .map(({ operator, of }) => ({ [operator]: of }));
  return fc.oneof({ arbitrary: leaf, weight: 3 }, { arbitrary: group, weight: 1 });
};
const ownDepartment = fc.constant({ department: template('department') });
/** Denies on everybody leave out "one's own": that binds each to something else (see `bindsBoth`). */
const conditionsForEverybody = about(ownDepartment);
export const conditions = about(fc.oneof(ownDepartment, fc.constant({ ownerId: template('id') })));

const when: fc.Arbitrary<Record<string, unknown>> = fc.oneof(
  fc.constant({ 'context.mfa': true }),
  fc.record({ 'context.level': fc.record({ $lte: number }) }),
  fc.record({ 'principal.department': word }),
  fc.constant({ 'context.mfa': true, 'context.level': { $gt: 1 } }),
);

const some = <T>(...items: T[]) => fc.subarray(items, { minLength: 1 });
const optional = <T>(key: string, arbitrary: fc.Arbitrary<T>, freq = 2) =>
  fc
    .option(arbitrary, { freq, nil: undefined })
    .map((value) => (value === undefined ? {} : { [key]: value }));

const rest = (query: fc.Arbitrary<Record<string, unknown>>) =>
  fc
    .tuple(
      fc.record({
        action: fc.oneof(some('read', 'update'), fc.constant(['manage'])),
        subject: fc.oneof(some('note', 'draft'), fc.constant(['all'])),
        priority: fc.constantFrom(0, 0, 1, 2),
      }),
      optional('fields', some('title', 'status', 'meta', 'meta.a'), 2),
      optional('conditions', query, 4),
      optional('when', when, 2),
    )
    .map((parts): Partial<Rule> => Object.assign({}, ...parts))
    // What all types have in common is nothing that these queries ask about.
    .map(({ conditions: asked, fields, ...rule }) =>
      rule.subject?.includes('all')
        ? rule
        : { ...rule, ...(asked && { conditions: asked }), ...(fields && { fields }) },
    );

const heldAllow = rest(conditions).map((rule) => ({ ...rule, role: 'held' }));
const heldDeny = fc
  .oneof(
    rest(conditions).map((rule) => ({ ...rule, role: 'held' })),
    fc
      .tuple(rest(conditionsForEverybody), fc.constantFrom('everyone', 'authenticated'))
      .map(([rule, role]) => ({ ...rule, role })),
  )
  .map((rule) => ({ ...rule, inverted: true }));

/** A held rule made narrower, so that it is often covered; or, with a part of it left out, perhaps wider. */
function narrower(
  held: Partial<Rule>,
  query: Record<string, unknown> | undefined,
  leftOut: 'fields' | 'when' | 'conditions' | undefined,
): Partial<Rule> {
  const both = held.conditions ? { $and: [held.conditions, query] } : query;
  const rule = { ...held, ...(query && !held.subject?.includes('all') && { conditions: both }) };
  if (leftOut) delete rule[leftOut];
  return rule;
}

export interface Gift {
  rules: Rule[];
  given: Rule;
}

/** Rules that are held, and one that is given (or a deny that is lifted). */
export const gift: fc.Arbitrary<Gift> = fc
  .record({
    allows: fc.array(heldAllow, { minLength: 1, maxLength: 3 }),
    denies: fc.array(heldDeny, { maxLength: 2 }),
    other: heldAllow,
    narrowed: fc.option(simple, { nil: undefined }),
    leftOut: fc.constantFrom(undefined, undefined, undefined, 'fields', 'when', 'conditions'),
    isOther: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
    role: fc.constantFrom('gift', 'gift', 'everyone', 'anonymous'),
    inverted: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
    priority: fc.constantFrom(0, 0, 0, 1, 2),
  })
  .map(({ allows, denies, other, narrowed, leftOut, isOther, role, inverted, priority }) => ({
    rules: [...allows, ...denies].map((rule, index) => ruleOf({ ...rule, id: `held-${index}` })),
    given: ruleOf({
      ...(isOther ? other : narrower(allows[0] ?? {}, narrowed, leftOut)),
      id: 'given',
      role,
      inverted,
      priority,
    }),
  }));

export const somebody = (id: string): fc.Arbitrary<Somebody> =>
  fc
    .option(word, { nil: undefined })
    .map((department) => ({ id, ...(department !== undefined && { department }) }));

/** Attributes of a note, any of them missing. */
export const noteAttributes: fc.Arbitrary<Record<string, unknown>> = fc.record(
  {
    status: word,
    pages: number,
    tags: fc.array(word, { maxLength: 2 }),
    ownerId: fc.constantFrom('holder', 'receiver', 'other'),
    department: word,
  },
  { requiredKeys: [] },
);

export const asked: fc.Arbitrary<Asked> = fc.record({
  action: fc.constantFrom('read', 'update'),
  type: fc.constantFrom('note', 'draft'),
  resource: noteAttributes,
  context: fc.record({ mfa: fc.boolean(), level: number }, { requiredKeys: [] }),
});
