/** Explanations say of each rule what a decision makes of it. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { principalOf, resourceOf } from '../../../src/decision/access-request.ts';
import { explain } from '../../../src/decision/explain.ts';
import { decisionsAt } from '../../../src/evaluators/decisions-at.ts';
import { principalFacts, settleRule } from '../../../src/policy/ability.ts';
import { compileCondition } from '../../../src/policy/matcher.ts';
import type { Rule } from '../../../src/policy/policy.ts';
import { compiled, policyOf } from '../policy/sample-policy.ts';

const atMs = Date.parse('2026-06-01T12:00:00Z');
const test = fc.constantFrom<Record<string, unknown>>(
  { status: 'draft' },
  { status: { $in: ['draft', 'review'] } },
  { status: { $nin: ['draft'] } },
  { title: { $exists: false } },
  { title: { $regex: '^a' } },
  { ownerId: `\${principal.id}` },
  { title: `\${principal.firstName}` },
);
const query: fc.Arbitrary<Record<string, unknown>> = fc.letrec<{ query: Record<string, unknown> }>((tie) => ({
  query: fc.oneof(
    { maxDepth: 3 },
    test,
    fc.record({ $and: fc.array(tie('query'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ $or: fc.array(tie('query'), { minLength: 1, maxLength: 3 }) }),
    fc.record({ $nor: fc.array(tie('query'), { minLength: 1, maxLength: 2 }) }),
  ),
})).query;
const rule: fc.Arbitrary<Partial<Rule>> = fc.record(
  {
    role: fc.constantFrom('editor', 'everyone', 'auditor'),
    action: fc.constant('read'),
    subject: fc.constant('document'),
    conditions: query,
    inverted: fc.boolean(),
    priority: fc.integer({ min: 0, max: 1 }),
    when: fc.constantFrom({ 'context.ip': { $cidr: '10.0.0.0/8' } }, { 'principal.roles': 'editor' }),
  },
  { requiredKeys: ['role', 'action', 'subject'] },
);
const attributes = fc.record(
  {
    status: fc.constantFrom('draft', 'review', 'published'),
    title: fc.constantFrom('a', 'b', 'Edda'),
    ownerId: fc.constantFrom('00000000-0000-4000-8000-000000000003', '00000000-0000-4000-8000-000000000009'),
  },
  { requiredKeys: [] },
);

describe('an explanation', () => {
  it('has failures for a rule exactly when its conditions are not met, and its first rule is the one that settles', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(rule, { minLength: 1, maxLength: 6 }),
        attributes,
        fc.boolean(),
        async (rules, given, isNamed) => {
          const snapshot = compiled(policyOf(rules));
          const type = snapshot.types.get('document') ?? assert.fail('document is a sample type');
          const principal = principalOf(
            {
              type: 'user',
              id: '00000000-0000-4000-8000-000000000003',
              roles: ['editor'],
              attributes: isNamed ? { firstName: 'Edda' } : {},
              accessVersion: 1,
            },
            snapshot.types.get('user'),
          );
          const request = {
            principal,
            action: { name: 'read' },
            resource: resourceOf(type, given),
            context: { ip: '10.1.2.3' },
          };
          const decision = await decisionsAt(atMs).decide(snapshot, request);
          const { rules: told } = explain(snapshot, request, decision, atMs);
          const facts = principalFacts(snapshot, principal);
          for (const { id, failures, outcome } of told) {
            const source = snapshot.rules.get(id) ?? assert.fail(id);
            const [settled] = settleRule(source, facts);
            const isMet =
              settled !== undefined &&
              compileCondition(settled.condition)(request.resource.attributes) &&
              compileCondition(settled.when)({ action: { name: 'read' }, context: request.context });
            assert.equal(failures.length === 0, isMet, `${id} ${JSON.stringify(source.source)}`);
            if (!isMet) assert.ok(['not_met', 'not_held'].includes(outcome), `${id} is ${outcome}`);
          }
          if (decision.ruleId !== null)
            assert.deepEqual([told[0]?.id, told[0]?.outcome], [decision.ruleId, 'settles']);
        },
      ),
      { numRuns: 500 },
    );
  });
});
