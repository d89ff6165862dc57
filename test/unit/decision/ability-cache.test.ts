/** What is cached of an ability is the ability: whoever it was made for is nobody's to keep. */
import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { abilityCache } from '../../../src/decision/ability-cache.ts';
import { memoryCache } from '../../../src/storage/memory-cache.ts';
import { eventually } from '../../harness.ts';
import { principalWith, snapshotOf } from '../policy/sample-policy.ts';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

describe('the cache of abilities', () => {
  const snapshot = snapshotOf({ role: 'everyone' });
  const abilityOf = abilityCache({ shared: memoryCache() });

  /** Asks about somebody who is made for one question, as often as that; they are let go of. */
  async function askOnce(times: number): Promise<WeakRef<object>> {
    const principal = principalWith({ attributes: { department: 'x'.repeat(1000) } });
    for (let time = 0; time < times; time++) await abilityOf(snapshot, principal);
    return new WeakRef(principal);
  }

  for (const times of [1, 2, 3])
    it(`memory filled with properties (an attack): nobody who was asked about ${times} times is kept with all that was said of them`, async () => {
      const asked = await askOnce(times);
      await eventually('nobody is kept', () => {
        // Before it is looked at: what was seen in a turn stays until its end.
        collectGarbage();
        return asked.deref() === undefined;
      });
    });

  it('gives the same ability to whoever is the same, and to whoever is like them', async () => {
    const [one, other] = [principalWith(), principalWith()];
    const ability = await abilityOf(snapshot, one);
    for (const principal of [other, one, one, one, other, other])
      assert.equal(abilityOf(snapshot, principal), ability);
  });
});
