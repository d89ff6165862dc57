/** What Cedar keeps of a revision goes with the last snapshot that has it: its name is free again, and holds nothing. */
import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { askCedar } from '../../../src/evaluators/cedar.ts';
import { cedarPoliciesOf, slotsInUse } from '../../../src/evaluators/cedar-policies.ts';
import { withCedar } from '../../../src/policy/cedar/engine.ts';
import type { Snapshot } from '../../../src/policy/snapshot.ts';
import { eventually } from '../../harness.ts';
import { compiled, policyOf, requestOf, sampleTypes } from '../policy/sample-policy.ts';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

const PERMIT = 'permit(principal, action, resource);';

/** Each has a policy of its own, so that no two share what is parsed. */
function revision(number: number): Snapshot {
  const policies = `@id("of-${number}") ${PERMIT}`;
  const types = sampleTypes.map((type) =>
    type.type === 'document' ? { ...type, evaluator: 'cedar' } : type,
  );
  const cedar = [{ id: 'c', policies }];
  return compiled(policyOf([], { resourceTypes: types, cedar }), { revision: number });
}

/** What Cedar itself still permits under a name. */
function permitsUnder(slot: string): boolean {
  const nobody = { type: 'user', id: 'a' };
  const answer = withCedar((cedar) =>
    cedar.statefulIsAuthorized({
      principal: nobody,
      action: { type: 'Action', id: 'read' },
      resource: nobody,
      context: {},
      entities: [],
      preparsedPolicySetId: slot,
    }),
  );
  return answer.type === 'success' && answer.response.decision === 'allow';
}

/** Decides by a snapshot and lets go of it; the name that Cedar keeps it by. */
function decideOnce(number: number): string {
  const snapshot = revision(number);
  assert.equal(askCedar(snapshot, requestOf()).determining[0]?.id, `of-${number}`);
  const { slot } = cedarPoliciesOf(snapshot);
  assert.ok(permitsUnder(slot));
  return slot;
}

/** A collection takes long in a whole run: it is asked for only while something is still there. */
const released = (slot: string) =>
  eventually(`${slot} is empty`, () => {
    if (!permitsUnder(slot)) return true;
    collectGarbage();
    return false;
  });

describe('the Cedar policies of a revision', () => {
  it('are given up by Cedar once no snapshot has them, and their name is taken by the next', async () => {
    const slot = decideOnce(1);
    await released(slot);
    const { made, free } = slotsInUse();
    assert.ok(free > 0);
    decideOnce(2);
    assert.equal(slotsInUse().made, made);
  });

  it('stay as long as a snapshot has them: a request that began under an old revision is decided by it', async () => {
    const pinned = revision(3);
    askCedar(pinned, requestOf());
    await released(decideOnce(4));
    assert.equal(askCedar(pinned, requestOf()).determining[0]?.id, 'of-3');
    assert.ok(permitsUnder(cedarPoliciesOf(pinned).slot));
  });

  it('leave no more names than there are snapshots at once, however many revisions there were', async () => {
    const first = [5, 6, 7].map(decideOnce);
    for (const slot of first) await released(slot);
    const { made } = slotsInUse();
    for (const number of [8, 9, 10]) decideOnce(number);
    assert.equal(slotsInUse().made, made);
  });
});
