/** The evaluator cedar: what Cedar is asked, and what is made of its answer. */
import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { anonymous, principalOf } from '../../../src/decision/access-request.ts';
import { decisionPoint } from '../../../src/decision/decide.ts';
import { cedarEvaluator } from '../../../src/evaluators/cedar.ts';
import { cedarPoliciesOf, slotsInUse } from '../../../src/evaluators/cedar-policies.ts';
import type { Principal } from '../../../src/policy/ability.ts';
import { CedarBrokeError, withCedar } from '../../../src/policy/cedar/engine.ts';
import type { CedarPart, ResourceType } from '../../../src/policy/policy.ts';
import type { Snapshot } from '../../../src/policy/snapshot.ts';
import { eventually } from '../../harness.ts';
import {
  ALICE,
  compiled,
  policyOf,
  principalWith,
  requestOf,
  sampleTypes,
  typeOf,
} from '../policy/sample-policy.ts';

const cedar = cedarEvaluator();
const point = decisionPoint({ evaluators: new Map([['cedar', cedar]]), record: () => undefined });

const types: ResourceType[] = [
  ...sampleTypes.map((type) => (type.type === 'document' ? { ...type, evaluator: 'cedar' } : type)),
  typeOf('role', { evaluator: 'cedar' }),
  typeOf('x.1b', { evaluator: 'cedar' }),
];

function snapshotWith(policies: string, rest: Partial<CedarPart> = {}): Snapshot {
  return compiled(policyOf([], { resourceTypes: types, cedar: [{ id: 'c', policies, ...rest }] }));
}

const decide = (snapshot: Snapshot, parts: Parameters<typeof requestOf>[0] = {}) =>
  point.decide(snapshot, requestOf(parts));

async function allows(policies: string, parts: Parameters<typeof requestOf>[0] = {}): Promise<boolean> {
  return (await decide(snapshotWith(policies), parts)).allow;
}

const when = (condition: string) => `permit(principal, action, resource) when { ${condition} };`;
const editor = principalWith({ roles: ['editor'], attributes: { createdAt: '2026-01-01' } });

describe('the evaluator cedar', () => {
  it('no policy, no access; and the first determining policy and its reason are told', async () => {
    assert.equal((await decide(snapshotWith(''))).allow, false);
    const snapshot = snapshotWith(
      '@id("b") permit(principal, action, resource); @id("a") @reason("Because") permit(principal, action == Action::"read", resource is document);',
    );
    assert.deepEqual(await decide(snapshot), { allow: true, reason: 'Because', ruleId: 'a', revision: 1 });
    assert.equal((await decide(snapshot, { action: 'update' })).ruleId, 'b');
  });

  it('the rule and the reason that are told are of one policy, where several determine it', async () => {
    const snapshot = snapshotWith(
      '@id("a") forbid(principal, action, resource); @id("b") @reason("Sealed") forbid(principal, action, resource);',
    );
    const { ruleId, reason } = await decide(snapshot);
    assert.deepEqual([ruleId, reason], ['b', 'Sealed']);
  });

  it('a forbid beats every permit', async () => {
    const snapshot = snapshotWith(
      'permit(principal, action, resource); @id("no") forbid(principal, action, resource);',
    );
    const { allow, ruleId } = await decide(snapshot);
    assert.deepEqual([allow, ruleId], [false, 'no']);
  });

  for (const id of ['__proto__', 'constructor'])
    it(`a forbid with the id ${id} is one like any other`, async () => {
      const snapshot = snapshotWith(
        `permit(principal, action, resource); @id("${id}") forbid(principal, action, resource);`,
      );
      const { allow, ruleId } = await decide(snapshot);
      assert.deepEqual([allow, ruleId], [false, id]);
    });

  for (const [what, condition, parts] of [
    [
      'roles, those inherited and built in',
      'principal in Role::"reader" && principal in Role::"authenticated"',
      { principal: editor },
    ],
    ['roles as strings', 'principal.roles == ["reader", "editor"]', { principal: editor }],
    ['principal attributes', 'principal.createdAt < datetime("2026-02-01")', { principal: editor }],
    [
      'whoever is not identified',
      'principal is anonymous && principal in Role::"anonymous"',
      { principal: anonymous },
    ],
    ['strings', 'resource.title == "a"', { resource: { title: 'a' } }],
    ['integers', 'resource.pages + 1 == 4', { resource: { pages: 3 } }],
    [
      'numbers',
      'resource.rating.lessThan(decimal("1.6")) && resource.rating == decimal("1.5")',
      { resource: { rating: 1.5 } },
    ],
    ['whole numbers of a number', 'resource.rating == decimal("2.0")', { resource: { rating: 2 } }],
    ['booleans', 'resource.isPinned', { resource: { isPinned: true } }],
    [
      'dates',
      'resource.publishedAt == datetime("2026-01-31T12:00:00.000Z")',
      { resource: { publishedAt: '2026-01-31T13:00:00+01:00' } },
    ],
    [
      'lists of dates',
      'resource.deadlines.contains(datetime("2026-01-31"))',
      { resource: { deadlines: ['2026-01-31'] } },
    ],
    [
      'objects',
      'resource.meta.a.b == 1 && resource.meta.c == decimal("1.5")',
      { resource: { meta: { a: { b: 1 }, c: 1.5 } } },
    ],
    ['ids', 'resource == document::"7" && resource.id == "7"', { resource: { id: '7' } }],
    ['what has no id yet', 'resource == document::""', {}],
    ['what is missing', '!(resource has title)', {}],
    ['addresses', 'context.ip.isInRange(ip("10.0.0.0/8"))', { context: { ip: '::ffff:10.1.2.3' } }],
    ['instants', 'context.time > datetime("2026-01-01")', { context: { time: '2026-06-01T12:00:00.000Z' } }],
    [
      'facts of the action',
      'context.action.name == "read" && context.action.why == "x"',
      { properties: { why: 'x' } },
    ],
  ] as const) {
    it(`${what} are there as the mapping says`, async () => {
      assert.equal(await allows(when(condition), parts), true);
      assert.equal(await allows(when(`!(${condition})`), parts), false);
    });
  }

  it('any error denies, though Cedar itself would allow: a forbid that failed may have been meant', async () => {
    const policies = `permit(principal, action, resource); forbid(principal, action, resource) when { resource.title == "x" };`;
    const { allow, reason } = await decide(snapshotWith(policies));
    assert.deepEqual([allow, reason], [false, 'The decision is in doubt, so it is denied']);
    assert.equal(await allows(policies, { resource: { title: 'y' } }), true);
  });

  it('what cannot be said exactly denies', async () => {
    const all = 'permit(principal, action, resource);';
    for (const resource of [
      { rating: 0.12345 },
      { rating: 1e15 },
      { pages: 2 ** 53 },
      { title: '\ud800' },
      { meta: { a: [undefined, 1e300] } },
    ])
      assert.equal(await allows(all, { resource }), false, JSON.stringify(resource));
    assert.equal(await allows(all, { context: { ip: 'nonsense' } }), false);
  });

  it('attack: an object that says it is a role, or nests without end, is no value', async () => {
    const all = 'permit(principal, action, resource);';
    const entity = { __entity: { type: 'Role', id: 'chief' } };
    assert.equal(await allows(all, { resource: { meta: { a: entity } } }), false);
    assert.equal(await allows(all, { resource: { meta: entity } }), false);
    assert.equal(await allows(all, { context: entity }), false);
    assert.equal(await allows(all, { context: { a: [{ __extn: { fn: 'ip', arg: '::1' } }] } }), false);
    const deep = JSON.parse(`${'{"a":'.repeat(90)}1${'}'.repeat(90)}`);
    assert.equal(await allows(all, { resource: { meta: deep } }), false);
  });

  it('attack: a principal whose type or id spells a role is not in it', async () => {
    const policies = 'permit(principal in Role::"chief", action, resource);';
    const claim = (type: string, id: string): Principal =>
      principalOf({ type, id, roles: [], attributes: {}, accessVersion: 0 }, undefined);
    for (const principal of [claim('role', 'chief'), claim('user', 'chief'), claim('Role', 'chief')])
      assert.equal(await allows(policies, { principal }), false);
    assert.equal(await allows(policies, { principal: principalWith({ roles: ['chief'] }) }), true);
  });

  it('attack: a principal of an unknown type does not pass for a known one that is spelled alike in Cedar', async () => {
    const claim = (type: string) =>
      principalOf({ type, id: 'a', roles: [], attributes: {}, accessVersion: 0 }, undefined);
    const policies = 'permit(principal is x::_1b, action, resource);';
    assert.equal(await allows(policies, { principal: claim('x.1b') }), true);
    assert.equal(await allows(policies, { principal: claim('x.-1b') }), false);
  });

  it('what is stored stands where the request says nothing, with its parents', async () => {
    const entities = [
      {
        uid: { type: 'document', id: '1' },
        attrs: { title: 'stored', body: 'b' },
        parents: [{ type: 'Folder', id: 'f' }],
      },
      { uid: { type: 'Folder', id: 'f' }, attrs: {}, parents: [{ type: 'Folder', id: 'top' }] },
    ];
    const snapshot = snapshotWith(
      'permit(principal, action, resource in Folder::"top") when { resource.title == "asked" && resource.body == "b" };',
      { entities },
    );
    assert.equal((await decide(snapshot, { resource: { id: '1', title: 'asked' } })).allow, true);
    assert.equal((await decide(snapshot, { resource: { id: '2', title: 'asked', body: 'b' } })).allow, false);
  });

  it('under a schema it is asked only what the schema declares, and what does not fit it is denied', async () => {
    const schema = `entity Role; entity user in [Role] { email: String }; entity role; namespace x { entity _1b; }
      entity document { title?: String }; action read, create, update, delete, publish appliesTo
      { principal: [user], resource: [document, role, x::_1b], context: { mfa: Bool, ip?: String } };`;
    const snapshot = snapshotWith(
      'permit(principal in Role::"reader", action, resource) when { context.mfa };',
      {
        schema,
      },
    );
    const reader = principalWith({ roles: ['editor'], attributes: { email: 'a@example.com' } });
    const parts = {
      principal: reader,
      resource: { title: 'a', pages: 3 },
      context: { mfa: true, ip: 'any' },
    };
    assert.equal((await decide(snapshot, parts)).allow, true);
    for (const odd of [{ context: {} }, { principal: editor }, { principal: anonymous }])
      assert.equal((await decide(snapshot, { ...parts, ...odd })).allow, false);
  });

  it('fields: all that are asked about, or none', async () => {
    const snapshot = snapshotWith('permit(principal, action == Action::"read", resource);');
    const fields = (action: string) =>
      cedar.permittedFields(snapshot, requestOf({ action }), ['title', 'body', '__proto__']);
    assert.deepEqual([...(await fields('read'))], ['title', 'body']);
    assert.deepEqual([...(await fields('update'))], []);
  });

  it('could ever: true unless no permit could apply by its head', async () => {
    const possible = (policies: string, principal = principalWith(), action = 'read') =>
      cedar.possible(snapshotWith(policies), principal, action, 'document');
    assert.equal(await possible(when('resource.title == "x"')), true);
    assert.equal(await possible('permit(principal, action in [Action::"update"], resource);'), true);
    for (const policies of [
      '',
      'forbid(principal, action, resource);',
      'permit(principal, action == Action::"update", resource);',
      'permit(principal, action, resource is order);',
      'permit(principal is api_key, action, resource);',
      'permit(principal in Role::"chief", action, resource);',
      'permit(principal == user::"b", action, resource);',
    ])
      assert.equal(await possible(policies), false, policies);
    assert.equal(await possible(`permit(principal == user::"${ALICE}", action, resource);`), true);
  });

  it('an engine that broke is replaced, and is given the policies anew', async () => {
    const snapshot = snapshotWith('permit(principal, action, resource);');
    assert.equal((await decide(snapshot)).allow, true);
    const deep = `permit(principal, action, resource) when { ${'('.repeat(3000)}true${')'.repeat(3000)} };`;
    assert.throws(() => withCedar((engine) => engine.policySetTextToParts(deep)), CedarBrokeError);
    assert.equal((await decide(snapshot)).allow, true);
  });

  it('an engine that broke is let go of: policies that break it again and again do not fill the memory', async () => {
    const deep = `permit(principal, action, resource) when { ${'('.repeat(3000)}true${')'.repeat(3000)} };`;
    const broken = withCedar((engine) => new WeakRef(engine));
    assert.throws(() => withCedar((engine) => engine.policySetTextToParts(deep)), CedarBrokeError);
    withCedar(() => {});
    setFlagsFromString('--expose-gc');
    const collect: () => void = runInNewContext('gc');
    await eventually('it is collected', () => {
      collect();
      return broken.deref() === undefined;
    });
  });

  it('policies are parsed once as long as nothing in them changes', () => {
    const first = snapshotWith('permit(principal, action, resource);');
    const next = compiled({ ...first.policy, rules: [] }, { revision: 2 });
    assert.equal(cedarPoliciesOf(next), cedarPoliciesOf(first));
    const before = slotsInUse().made;
    cedarPoliciesOf(next);
    assert.equal(slotsInUse().made, before);
  });
});
