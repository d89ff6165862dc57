import assert from 'node:assert/strict';
import { type DecisionRecord, decisionPoint } from '../../../src/decision/decide.ts';
import type { Evaluator } from '../../../src/decision/evaluator.ts';
import { evaluatorNames } from '../../../src/evaluators/index.ts';
import type { Policy } from '../../../src/policy/policy.ts';
import { compiled, policyOf, principalWith, requestOf, typeOf } from '../policy/sample-policy.ts';

/** An evaluator that allows everything unless told otherwise: only the road to it can deny. */
function yes(change: Partial<Evaluator> = {}): Evaluator {
  return {
    name: 'yes',
    evaluate: () => ({ allow: true, ruleId: 'some-rule' }),
    permittedFields: (_snapshot, _request, fields) => new Set(fields),
    possible: () => true,
    ...change,
  };
}

function pointWith(evaluator: Evaluator, policy: Partial<Policy> = {}, id?: string) {
  const records: DecisionRecord[] = [];
  const point = decisionPoint({
    evaluators: new Map([['casl', evaluator]]),
    record: (entry) => {
      records.push(entry);
      return id;
    },
  });
  const snapshot = compiled(policyOf([], policy), { revision: 7, evaluators: [...evaluatorNames, 'gone'] });
  return { point, snapshot, records };
}

const broken = () => {
  throw new Error('the engine is down');
};
const someone = { principal: principalWith() };

describe('the only road to a decision', () => {
  it('gives what the evaluator says, with the revision it was decided under', async () => {
    const { point, snapshot } = pointWith(yes());
    assert.deepEqual(await point.decide(snapshot, requestOf()), {
      allow: true,
      reason: 'A rule allows it',
      ruleId: 'some-rule',
      revision: 7,
    });
  });

  it("gives the words of the rule's author, and its own where there are none", async () => {
    const reasonOf = async (verdict: { allow: boolean; ruleId: string | null; reason?: string }) => {
      const { point, snapshot } = pointWith(yes({ evaluate: () => verdict }));
      return (await point.decide(snapshot, requestOf())).reason;
    };
    assert.equal(await reasonOf({ allow: false, ruleId: 'x', reason: 'Only the owner' }), 'Only the owner');
    assert.equal(await reasonOf({ allow: false, ruleId: 'x' }), 'A rule denies it');
    assert.equal(await reasonOf({ allow: false, ruleId: null }), 'No rule allows it');
  });

  it('denies a request that is in doubt of itself, without asking the evaluator, and grants it no field', async () => {
    const { point, snapshot, records } = pointWith(yes());
    const request = { ...requestOf(), doubt: 'nobody knows who asks' };
    const { allow, ruleId } = await point.decide(snapshot, request);
    assert.deepEqual([allow, ruleId], [false, null]);
    assert.equal(String(records[0]?.doubt), 'Error: nobody knows who asks');
    assert.deepEqual(await point.permittedFields(snapshot, request, ['title']), new Set());
  });

  it('records each decision, what was asked and how long it took', async () => {
    const { point, snapshot, records } = pointWith(yes());
    const request = requestOf();
    const decision = await point.decide(snapshot, request);
    const [record] = records;
    assert.equal(records.length, 1);
    assert.equal(record?.request, request);
    assert.equal(record?.decision, decision);
    assert.equal(record?.evaluator, 'yes');
    assert.equal(record?.doubt, undefined);
    assert.ok((record?.durationMs ?? -1) >= 0);
  });

  it('carries the id under which the log keeps it, and is told whether it is one to keep', async () => {
    const { point, snapshot, records } = pointWith(yes(), {}, 'some-id');
    assert.equal((await point.decide(snapshot, requestOf(), 'never')).id, 'some-id');
    assert.equal(records[0]?.logging, 'never');
    assert.equal(records[0]?.snapshot, snapshot);
    const late = pointWith(yes({ evaluate: async () => ({ allow: false, ruleId: null }) }), {}, 'late-id');
    assert.equal((await late.point.decide(snapshot, requestOf(), 'denied')).id, 'late-id');
    assert.equal(late.records[0]?.logging, 'denied');
  });

  const doubts: [string, ReturnType<typeof pointWith>, ReturnType<typeof requestOf>][] = [
    ['the evaluator throws', pointWith(yes({ evaluate: broken })), requestOf()],
    [
      'the evaluator rejects',
      pointWith(yes({ evaluate: () => Promise.reject(new Error('timeout')) })),
      requestOf(),
    ],
    [
      'the type is not known',
      pointWith(yes()),
      { ...requestOf(), resource: { type: 'invoice', attributes: {}, misfits: [] } },
    ],
    [
      'the type is a name that objects inherit',
      pointWith(yes()),
      { ...requestOf(), resource: { type: 'constructor', attributes: {}, misfits: [] } },
    ],
    [
      'the type stands for every type',
      pointWith(yes()),
      { ...requestOf(), resource: { type: 'all', attributes: {}, misfits: [] } },
    ],
    ['the type has no such action', pointWith(yes()), requestOf({ action: 'fly' })],
    ['the action stands for every action', pointWith(yes()), requestOf({ action: 'manage' })],
    [
      'the evaluator of the type is not there',
      pointWith(yes(), {
        resourceTypes: policyOf([]).resourceTypes.map((type) =>
          type.type === 'document' ? typeOf('document', { evaluator: 'gone' }) : type,
        ),
      }),
      requestOf(),
    ],
    [
      'an attribute does not fit its type: left out, no deny rule on it would ever fire',
      pointWith(yes()),
      requestOf({ resource: { status: ['locked'] } }),
    ],
  ];
  for (const [why, { point, snapshot, records }, request] of doubts) {
    it(`denies when ${why}`, async () => {
      const decision = await point.decide(snapshot, request);
      assert.deepEqual([decision.allow, decision.ruleId], [false, null]);
      assert.match(decision.reason, /in doubt/);
      assert.ok(records.at(-1)?.doubt instanceof Error);
      assert.deepEqual(
        await point.permittedFields(snapshot, request, ['title']).then((fields) => [...fields]),
        why.includes('evaluator throws') || why.includes('rejects') ? ['title'] : [],
      );
    });
  }

  for (const allow of ['yes', 1, {}, [], null, undefined]) {
    it(`takes only true for an allow, not ${JSON.stringify(allow)}`, async () => {
      const verdict = JSON.parse(JSON.stringify({ allow, ruleId: null }));
      const { point, snapshot } = pointWith(yes({ evaluate: () => verdict }));
      assert.equal((await point.decide(snapshot, requestOf())).allow, false);
    });
  }

  it('grants no field and no hope when the evaluator fails', async () => {
    for (const failing of [broken, () => Promise.reject(new Error('timeout'))]) {
      const { point, snapshot } = pointWith(yes({ permittedFields: failing, possible: failing }));
      assert.deepEqual([...(await point.permittedFields(snapshot, requestOf(), ['title']))], []);
      assert.equal(await point.possible(snapshot, someone, 'read', 'document'), false);
    }
  });

  it('holds nothing possible that the policy does not know', async () => {
    const { point, snapshot } = pointWith(yes());
    assert.equal(await point.possible(snapshot, someone, 'read', 'document'), true);
    assert.equal(await point.possible(snapshot, someone, 'fly', 'document'), false);
    assert.equal(await point.possible(snapshot, someone, 'read', 'invoice'), false);
  });
});
