import assert from 'node:assert/strict';
import type { AccessRequest } from '../../../src/decision/access-request.ts';
import type { DecisionPoint } from '../../../src/decision/decide.ts';
import { maskFields } from '../../../src/enforcement/mask.ts';
import { emptySnapshot } from '../../../src/policy/compile.ts';

/** A mask over a type with a list of parts, of which rules name these paths and grant those. */
function mask(named: string[], granted: string[]) {
  const type = {
    type: 'kit',
    description: '',
    actions: ['read'],
    attributes: { parts: { type: 'array' } },
    source: null,
    evaluator: 'casl',
  };
  const snapshot = {
    ...emptySnapshot(),
    types: new Map([['kit', type]]),
    rules: new Map([['r', { subjects: ['kit'], fields: named }]]),
  };
  const decisions = { permittedFields: async () => new Set(granted) };
  return maskFields(
    decisions as unknown as DecisionPoint,
    snapshot as never,
    { resource: { type: 'kit' } } as unknown as AccessRequest,
    { parts: [{ name: 'x', secret: 's' }] },
  );
}

describe('masks below lists', () => {
  it('leave out what is denied in each element', async () => {
    assert.deepEqual(await mask(['parts.secret'], ['parts']), { parts: [{ name: 'x' }] });
  });

  it('show what alone is granted in each element', async () => {
    assert.deepEqual(await mask(['parts.name'], ['parts.name']), { parts: [{ name: 'x' }] });
  });
});
