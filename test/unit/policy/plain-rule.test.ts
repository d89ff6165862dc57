/** Rules read without joi are read as with it. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { readPlainRule } from '../../../src/policy/plain-rule.ts';
import type { Rule } from '../../../src/policy/policy.ts';
import { ruleSchema } from '../../../src/policy/rule-schema.ts';
import { shape } from '../../../src/policy/shape.ts';

const nasty = fc.oneof(
  fc.constantFrom(
    '',
    'read',
    'A',
    '-a',
    'user',
    'user:1',
    null,
    true,
    0,
    1,
    1.5,
    -1e6,
    1e7,
    Number.NaN,
    undefined,
  ),
  fc.constantFrom(
    '2026-01-01T00:00:00Z',
    '2026-02-30',
    [],
    ['read'],
    [''],
    [1],
    ['read', 'read'],
    {},
    { a: 1 },
  ),
  fc.constantFrom(Object.create(null), new Date(0), () => 1, Array(101).fill('a'), 'x'.repeat(501)),
);
const keys = [
  'id',
  'role',
  'principal',
  'action',
  'subject',
  'fields',
  'conditions',
  'when',
  'inverted',
  'reason',
  'priority',
  'enabled',
  'validFrom',
  'validUntil',
  'unknown',
];
const likely = fc.record(
  {
    id: fc.constantFrom('a', 'rule-1'),
    role: fc.constantFrom('user', 'editor'),
    action: fc.constantFrom<unknown>('read', ['read', 'update']),
    subject: fc.constantFrom<unknown>('document', ['document', 'order']),
    conditions: fc.constantFrom({}, { status: 'draft' }),
    inverted: fc.boolean(),
    priority: fc.integer({ min: -5, max: 5 }),
  },
  { requiredKeys: ['action', 'subject'] },
);
const changed = fc.dictionary(fc.constantFrom(...keys), nasty, { maxKeys: 3 });

describe('a rule of a plain shape', () => {
  it('is what the full check makes of it, and nothing is plain that the full check refuses', () => {
    let plainOnes = 0;
    fc.assert(
      fc.property(likely, changed, (rule, changes) => {
        const given = { ...rule, ...changes };
        const plain = readPlainRule(given);
        if (!plain) return;
        plainOnes++;
        const full = shape<Rule>(ruleSchema, given, '');
        assert.deepEqual(full.problems, []);
        const known = Object.entries(full.value).filter(([, value]) => value !== undefined);
        const read = Object.entries(plain).filter(([, value]) => value !== undefined);
        assert.deepEqual(Object.fromEntries(read), Object.fromEntries(known));
      }),
      { numRuns: 2000 },
    );
    assert.ok(plainOnes > 200, `only ${plainOnes} were plain`);
  });
});
