import assert from 'node:assert/strict';
import fc from 'fast-check';
import { evaluationSchema, isPlainEvaluation } from '../../../src/authzen/messages.ts';

describe('an evaluation that is plainly one', () => {
  const odd = fc.oneof(fc.constant(''), fc.constant('x'), fc.jsonValue({ maxDepth: 1 }));
  const one = (key: string) =>
    fc.record({ type: odd, id: odd, [key]: odd, properties: odd, beside: odd }, { requiredKeys: [] });
  const part = fc.oneof({ weight: 6, arbitrary: one('name') }, odd);
  const message = fc.oneof(
    fc.record({ subject: part, action: part, resource: part, context: odd, more: odd }, { requiredKeys: [] }),
    odd,
  );
  const good = { subject: { type: 'a', id: '' }, action: { name: '' }, resource: { type: '', id: 'r' } };

  it('is what the schema takes, as it is, and nothing else', () => {
    assert.ok(isPlainEvaluation(good));
    const accepted = { plain: 0, refused: 0 };
    const near = fc.record({ at: fc.constantFrom('subject', 'action', 'resource', 'context'), value: part });
    const nearGood = near.map(({ at, value }) => ({ ...good, [at]: value }));
    fc.assert(
      fc.property(fc.oneof(message, nearGood), (sent) => {
        const { error, value } = evaluationSchema.validate(sent, { abortEarly: false });
        assert.equal(isPlainEvaluation(sent), error === undefined, JSON.stringify(sent));
        if (!error) assert.deepEqual(value, sent);
        accepted[error ? 'refused' : 'plain']++;
      }),
      { numRuns: 2000 },
    );
    assert.ok(accepted.plain > 50 && accepted.refused > 50, JSON.stringify(accepted));
  });
});
