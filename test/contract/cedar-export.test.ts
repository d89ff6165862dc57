/** Rules exported as Cedar decide as the rules do: on random requests, for all that Cedar can say. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type AccessRequest, principalOf, resourceOf } from '../../src/decision/access-request.ts';
import { caslEvaluator } from '../../src/evaluators/casl.ts';
import { cedarEvaluator } from '../../src/evaluators/cedar.ts';
import { makeAbility } from '../../src/policy/ability.ts';
import { ACCOUNT_TYPE, builtInTypes } from '../../src/policy/built-in.ts';
import { exportRules } from '../../src/policy/cedar/export-rules.ts';
import { compile } from '../../src/policy/compile.ts';
import type { AttributeSpec, Policy, ResourceType, Role, Rule } from '../../src/policy/policy.ts';

const attributes: Record<string, AttributeSpec> = {
  name: { type: 'string' },
  whole: { type: 'integer' },
  amount: { type: 'number' },
  flag: { type: 'boolean' },
  at: { type: 'date' },
  tags: { type: 'array', items: 'string' },
};
const thing: ResourceType = {
  type: 'thing',
  description: '',
  actions: ['read', 'write'],
  attributes,
  source: null,
  evaluator: 'casl',
};
const user = builtInTypes.find(({ type }) => type === ACCOUNT_TYPE) ?? assert.fail();
const types = [
  ...builtInTypes.filter((type) => type !== user),
  {
    ...user,
    attributes: {
      ...user.attributes,
      word: { type: 'string' },
      limit: { type: 'integer' },
      words: { type: 'array', items: 'string' },
    },
  } as ResourceType,
  thing,
];
const role = (key: string, inherits: string[] = []): Role => ({ key, name: key, description: '', inherits });
const roles = [role('low'), role('high', ['low']), role('other')];

const words = ['', 'a', 'b', 'a"\\\n'];
const values: Record<string, fc.Arbitrary<unknown>> = {
  name: fc.constantFrom(...words),
  whole: fc.constantFrom(-1, 0, 1, 2),
  amount: fc.constantFrom(0, 0.5, 1, 1.5),
  flag: fc.boolean(),
  at: fc.constantFrom(
    '2026-01-01T00:00:00Z',
    '2026-01-01T01:00:00+01:00',
    // Of these forms Cedar takes none as it is written.
    '2026-01-01 00:00',
    '2025-12-31T24:00Z',
    '2026-01-01T01:30:00.000999+01:30',
    '0000-01-01',
    '9999-12-31T23:59:59.999Z',
  ),
  tags: fc.constantFrom(...words),
};
const given = { ...values, tags: fc.array(fc.constantFrom(...words), { maxLength: 2 }) };
const template = (name: string) => `$\{principal.${name}}`;
const templates: Record<string, [one: string[], list: string[]]> = {
  name: [
    [template('word'), template('id'), template('type')],
    [template('words'), template('roles')],
  ],
  tags: [[template('word')], [template('words'), template('roles')]],
  whole: [[template('limit')], []],
};

function testOn(name: string): fc.Arbitrary<Record<string, unknown>> {
  const [ones = [], lists = []] = templates[name] ?? [];
  const plain = values[name] ?? fc.constant(0);
  const one = ones.length > 0 ? fc.oneof(plain, fc.constantFrom<unknown>(...ones)) : plain;
  const written = fc.array(one, { maxLength: 2 });
  const list = lists.length > 0 ? fc.oneof(written, fc.constantFrom<unknown>(...lists)) : written;
  const isOrdered = ['whole', 'amount', 'at'].includes(name);
  const operators: fc.Arbitrary<unknown>[] = [
    fc.boolean().map((value) => ({ $exists: value })),
    ...['$eq', '$ne', ...(isOrdered ? ['$lt', '$gte', '$lte', '$gt'] : [])].map((operator) =>
      one.map((value) => ({ [operator]: value })),
    ),
    ...['$in', '$nin', ...(name === 'tags' ? ['$all'] : [])].map((operator) =>
      list.map((value) => ({ [operator]: value })),
    ),
  ];
  return fc.oneof(...operators).map((value) => ({ [name]: value }));
}

const test = fc.constantFrom(...Object.keys(attributes)).chain(testOn);
const query: fc.Arbitrary<Record<string, unknown>> = fc.letrec<{ query: Record<string, unknown> }>((tie) => ({
  query: fc.oneof(
    { maxDepth: 2 },
    test,
    fc
      .array(tie('query'), { minLength: 1, maxLength: 2 })
      .chain((of) => fc.constantFrom('$and', '$or', '$nor').map((group) => ({ [group]: of }))),
    tie('query').map((of) => ({ $not: of })),
  ),
})).query;
const when = fc.constantFrom<Record<string, unknown>>(
  { 'principal.word': 'a' },
  { 'principal.word': { $ne: 'a' } },
  { 'principal.roles': 'low' },
  { $not: { 'principal.limit': { $gt: 1 } } },
  { 'action.name': { $nin: ['write'] } },
  { 'context.mfa': true },
  { 'context.ip': { $cidr: ['10.0.0.0/8', '::1/128'] } },
);
const rule: fc.Arbitrary<Partial<Rule>> = fc.record(
  {
    role: fc.constantFrom('low', 'high', 'other', 'everyone', 'authenticated', 'anonymous'),
    action: fc.constantFrom<string | string[]>('read', 'manage', ['read', 'write']),
    conditions: query,
    when,
    inverted: fc.oneof(fc.constant(false), fc.constant(false), fc.constant(true)),
    priority: fc.constantFrom(0, 0, 0, 1),
  },
  { requiredKeys: ['role', 'action', 'inverted', 'priority'] },
);
const asked = fc.record({
  roles: fc.subarray(['low', 'high', 'other']),
  facts: fc.record(
    { word: fc.constantFrom(...words), limit: fc.constantFrom(0, 1, 2), words: given.tags },
    { requiredKeys: [] },
  ),
  action: fc.constantFrom('read', 'write'),
  resource: fc.record(given, { requiredKeys: [] }),
  context: fc.record(
    { mfa: fc.boolean(), ip: fc.constantFrom('10.1.2.3', '::ffff:10.0.0.1', '192.168.0.1', '::1') },
    { requiredKeys: [] },
  ),
});

const RUNS = 60;

describe('rules exported as Cedar', () => {
  it(`decide as the rules do, over ${RUNS} random policies and eight requests each`, () => {
    const casl = caslEvaluator({
      abilityOf: (snapshot, principal) => makeAbility(snapshot, principal, Date.now()),
    });
    const cedar = cedarEvaluator();
    const seen = { allow: 0, deny: 0 };
    const property = fc.property(
      fc.array(rule, { minLength: 1, maxLength: 4 }),
      fc.array(asked, { minLength: 8, maxLength: 8 }),
      (written, questions) => {
        const rules = written.map((rest, index) => ({
          id: `r${index}`,
          subject: 'thing',
          enabled: true,
          validFrom: null,
          validUntil: null,
          ...rest,
        })) as Rule[];
        const policy: Policy = { resourceTypes: types, roles, rules, cases: [], routes: [], cedar: [] };
        const ruled = compile(policy, { revision: 1, evaluators: ['casl', 'cedar'] });
        assert.ok(ruled.snapshot, JSON.stringify(ruled.problems));
        const { text, omitted } = exportRules(ruled.snapshot);
        assert.deepEqual(omitted, []);
        const said = compile(
          { ...policy, cedar: [{ id: 'rules', policies: text }] },
          { revision: 1, evaluators: ['casl', 'cedar'] },
        );
        assert.ok(said.snapshot, `${JSON.stringify(said.problems)}\n${text}`);
        for (const { facts, context, action, ...question } of questions) {
          const principal = principalOf(
            { type: 'user', id: 'a', roles: question.roles, attributes: facts, accessVersion: 0 },
            types.find(({ type }) => type === 'user'),
          );
          const request: AccessRequest = {
            principal,
            action: { name: action },
            resource: resourceOf(thing, question.resource),
            context,
          };
          const one = casl.evaluate(ruled.snapshot, request);
          const other = cedar.evaluate(said.snapshot, request);
          assert.ok(!(one instanceof Promise) && !(other instanceof Promise));
          seen[one.allow ? 'allow' : 'deny']++;
          assert.equal(
            other.allow,
            one.allow,
            `${text}\n${JSON.stringify({ facts, ...question, action, context })}`,
          );
        }
      },
    );
    fc.assert(property, { numRuns: RUNS });
    assert.ok(seen.allow > 20 && seen.deny > 20, JSON.stringify(seen));
  });
});
