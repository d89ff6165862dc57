/** Nodes that begin at the same moment: on an empty database one of them makes the tables, and all of them start. */
import assert from 'node:assert/strict';
import { evaluatorNames } from '../../src/evaluators/index.ts';
import { beginPolicy } from '../../src/policy/begin.ts';
import { migrate, openPool } from '../../src/storage/postgres.ts';
import { makeDatabase } from '../harness.ts';

describe('an empty database', () => {
  it('is migrated once, and given its policy once, by several nodes at once', async () => {
    for (let round = 0; round < 3; round++) {
      const url = await makeDatabase();
      const begin = async () => {
        const db = openPool({ url, poolMax: 2 });
        try {
          const applied = await migrate(db);
          return [applied.length, await beginPolicy(db, { demo: false, evaluators: evaluatorNames })];
        } finally {
          await db.destroy();
        }
      };
      const begun = await Promise.all([begin(), begin(), begin(), begin()]);
      const migrated = begun.filter(([applied]) => Number(applied) > 0);
      assert.equal(migrated.length, 1);
      assert.equal(begun.filter(([, published]) => published).length, 1);
    }
  });
});
