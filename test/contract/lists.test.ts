/** The list and the decision are one thing: held against each other on random rules and nasty rows. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Knex } from 'knex';
import { openPool } from '../../src/storage/postgres.ts';
import { makeDatabase } from '../harness.ts';
import { disagreements, makeThings, putThings } from './lists/agreement.ts';
import { rows, scenes } from './lists/random-scenes.ts';

const RULE_SETS = Number(process.env.LIST_RULE_SETS ?? 2000);
const TOGETHER = 25;

describe('a list holds a row exactly when the decision allows it', () => {
  let db: Knex;
  before(async () => {
    db = openPool({ url: await makeDatabase(), poolMax: 4 });
    await makeThings(db);
  });
  after(() => db.destroy());

  it(`for ${RULE_SETS} random rule sets of all operators, on nasty rows`, async function () {
    this.timeout(0);
    await fc.assert(
      fc.asyncProperty(
        rows,
        fc.array(scenes, { minLength: 1, maxLength: TOGETHER, size: 'max' }),
        async (things, list) => {
          await putThings(db, things);
          for (const scene of list) {
            const found = await disagreements(db, scene);
            assert.deepEqual(found, [], JSON.stringify(scene));
          }
        },
      ),
      { numRuns: Math.ceil(RULE_SETS / TOGETHER) },
    );
  });
});
