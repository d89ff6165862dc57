/** What the code says of its tables is held against the database at the start. */
import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { demoSources } from '../../../src/demo/endpoints.ts';
import { checkSources } from '../../../src/enforcement/check-sources.ts';
import type { Column } from '../../../src/enforcement/source.ts';
import { openPool } from '../../../src/storage/postgres.ts';
import { makeDemoDatabase } from '../../harness.ts';

describe('the registered columns', () => {
  let db: Knex;
  before(async () => {
    db = openPool({ url: await makeDemoDatabase(), poolMax: 2 });
    await db.raw(`CREATE TABLE things (
      id uuid PRIMARY KEY, at timestamptz CHECK (at > '-infinity' AND at < 'infinity'), written timestamptz CHECK (written BETWEEN '2000-01-01Z' AND '2999-01-01Z'),
      ratio float8 CHECK (ratio > -1 AND ratio < 1), share float8 CHECK (share >= 0), price numeric(9,2) CHECK (price < 1000),
      amount numeric CHECK (amount >= 0 AND amount < 1e15), sum numeric CHECK (sum >= 0), tags text[])`);
  });
  after(() => db.destroy());

  const check = (name: string, column: Omit<Column, 'column'>) =>
    checkSources(
      db,
      new Map([
        [
          'thing',
          {
            table: 'things',
            columns: {
              id: { column: 'id', type: 'uuid', notNull: true },
              [name]: { column: name, ...column },
            },
          },
        ],
      ]),
    );

  it('of the demo are as it says', () => checkSources(db, demoSources));

  it('may be said to be checked where a CHECK keeps out what no decision takes', async () => {
    await check('written', { type: 'timestamptz', checked: true });
    await check('ratio', { type: 'double', checked: true });
    await check('price', { type: 'numeric(9,2)', checked: true });
    await check('amount', { type: 'numeric', checked: true });
  });

  it('a CHECK that lets infinity or NaN through is none', async () => {
    for (const [name, type] of [
      ['at', 'timestamptz'],
      ['share', 'double'],
      ['sum', 'numeric'],
    ] as const)
      await assert.rejects(check(name, { type, checked: true }), {
        message: `thing: no CHECK of things keeps out of ${name} what no decision takes`,
      });
    await assert.rejects(check('tags', { type: 'text[]', checked: true }), /only single values/);
  });
});
