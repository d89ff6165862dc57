/** A search by what something lies in and the decisions are one thing: held against each other on random rules and graphs. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { startGateway, type TestGateway } from '../harness.ts';
import { agreementOf, openToAnyType, putNodes } from './ancestors/agreement.ts';
import { type Scene, scenes } from './ancestors/random-scenes.ts';

const SCENES = Number(process.env.ANCESTOR_SCENES ?? 400);

describe('a search by what something lies in', () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await startGateway({ env: { DEMO: 'false' } });
    await openToAnyType(gateway.services.db);
  });
  after(() => gateway.close());

  const assertAgreement = async (scene: Scene) => {
    const { db } = gateway.services;
    await putNodes(db, scene.nodes);
    const found = await agreementOf(db, scene);
    assert.deepEqual(found?.differing ?? [], [], JSON.stringify(scene));
    return found;
  };

  it(`finds in SQL what decisions allow, no less, and no more where SQL is asked all of it: ${SCENES} random scenes`, async function () {
    this.timeout(0);
    const seen = { refused: 0, allowed: 0, denied: 0 };
    const property = fc.asyncProperty(scenes, async (scene) => {
      const { allowed = 0, denied = 0 } = (await assertAgreement(scene)) ?? { refused: seen.refused++ };
      seen.allowed += allowed;
      seen.denied += denied;
    });
    await fc.assert(property, { numRuns: SCENES });
    // Else it would say nothing: most rules may be written, and both answers are given.
    assert.ok(seen.refused < SCENES / 4, JSON.stringify(seen));
    assert.ok(Math.min(seen.allowed, seen.denied) > SCENES / 2, JSON.stringify(seen));
  });
});
