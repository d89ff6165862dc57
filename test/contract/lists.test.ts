/** The list and the decision are one thing: held against each other on random rules and nasty rows. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import type { Knex } from 'knex';
import { openPool } from '../../src/storage/postgres.ts';
import { makeDatabase } from '../harness.ts';
import { disagreements, makeThings, putThings, type Scene, type Written } from './lists/agreement.ts';
import { rows, scenes } from './lists/random-scenes.ts';

interface Counterexample {
  name: string;
  rows: Record<string, Written>[];
  scene: Scene;
}

const RULE_SETS = Number(process.env.LIST_RULE_SETS ?? 2000);
/** Rule sets that are asked of the same rows. */
const TOGETHER = 10;

describe('a list holds a row exactly when the decision allows it', () => {
  let db: Knex;
  before(async () => {
    db = openPool({ url: await makeDatabase(), poolMax: 4 });
    await makeThings(db);
  });
  after(() => db.destroy());

  /** What it says when they differ can be added to counterexamples.json as it is. */
  async function assertAgreement(things: Record<string, Written>[], scene: Scene): Promise<void> {
    const found = await disagreements(db, scene);
    assert.deepEqual(found, [], JSON.stringify({ name: found[0], rows: things, scene }));
  }

  it(`for ${RULE_SETS} random rule sets of all operators, on nasty rows`, async function () {
    this.timeout(0);
    const several = fc.array(scenes, { minLength: 1, maxLength: TOGETHER, size: 'max' });
    let asked = 0;
    const property = fc.asyncProperty(rows, several, async (things, list) => {
      await putThings(db, things);
      for (const scene of list) await assertAgreement(things, scene);
      asked += list.length;
    });
    while (asked < RULE_SETS) await fc.assert(property, { numRuns: 40 });
  });

  const found: Counterexample[] = JSON.parse(
    readFileSync(new URL('./lists/counterexamples.json', import.meta.url), 'utf8'),
  );
  for (const { name, rows: things, scene } of found)
    it(`also where it once did not: ${name}`, async () => {
      await putThings(db, things);
      await assertAgreement(things, scene);
    });
});
