/** Columns that the code registers, held against the database at the start: a wrong word would be a wrong list. */
import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { demoSources } from '../../../src/demo/endpoints.ts';
import { checkSources } from '../../../src/enforcement/check-sources.ts';
import type { Column } from '../../../src/enforcement/source.ts';
import { openPool } from '../../../src/storage/postgres.ts';
import { makeDatabase, makeDemoDatabase } from '../../harness.ts';

describe('registered columns', () => {
  let db: Knex;
  before(async () => {
    db = openPool({ url: await makeDatabase(), poolMax: 1 });
    await db.raw(`
      CREATE COLLATION whatever_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      CREATE DOMAIN name_of_thing AS text;
      CREATE TABLE things (
        id uuid PRIMARY KEY, name text NOT NULL, label varchar(20), folded text COLLATE whatever_case, code char(3),
        small smallint, whole integer, big bigint, amount numeric(12,2), exact numeric, double double precision, single real,
        at timestamptz, at_ms timestamptz(3), local timestamp, day date, flag boolean, data jsonb, text_data json,
        names text[], numbers bigint[], amounts numeric(6,1)[], labels varchar(5)[], named name_of_thing, gone text
      );
      ALTER TABLE things DROP COLUMN gone;
      CREATE TABLE keyless (name text);
      CREATE SCHEMA elsewhere;
      CREATE TABLE elsewhere.hidden (id uuid);
    `);
  });
  after(() => db.destroy());

  const check = (columns: Record<string, Column>, table = 'things') =>
    checkSources(
      db,
      new Map([['thing', { table, columns: { id: { column: 'id', type: 'uuid' }, ...columns } }]]),
    );

  it('that are as the database has them are taken', async () => {
    await check({
      id: { column: 'id', type: 'uuid', notNull: true },
      name: { column: 'name', type: 'text', notNull: true },
      label: { column: 'label', type: 'text' },
      small: { column: 'small', type: 'integer' },
      whole: { column: 'whole', type: 'integer' },
      big: { column: 'big', type: 'integer' },
      amount: { column: 'amount', type: 'numeric(12,2)' },
      amountAsAny: { column: 'amount', type: 'numeric' },
      exact: { column: 'exact', type: 'numeric' },
      double: { column: 'double', type: 'double' },
      at: { column: 'at', type: 'timestamptz' },
      atMs: { column: 'at_ms', type: 'timestamptz' },
      flag: { column: 'flag', type: 'boolean' },
      data: { column: 'data', type: 'jsonb' },
      names: { column: 'names', type: 'text[]' },
      labels: { column: 'labels', type: 'text[]' },
      numbers: { column: 'numbers', type: 'integer[]' },
      amounts: { column: 'amounts', type: 'numeric[]' },
    });
  });

  it("of the demo are the demo's", async () => {
    const demo = openPool({ url: await makeDemoDatabase(), poolMax: 1 });
    await checkSources(demo, demoSources).finally(() => demo.destroy());
  });

  const wrong: [string, Column, RegExp][] = [
    ['that is not there', { column: 'nmae', type: 'text' }, /nmae of things is not there/],
    ['that was dropped', { column: 'gone', type: 'text' }, /is not there/],
    ['a system column', { column: 'ctid', type: 'text' }, /is not there/],
    ['of another type', { column: 'name', type: 'uuid' }, /is text, not uuid/],
    ['a list for one value', { column: 'names', type: 'text' }, /is text\[\], not text/],
    ['one value for a list', { column: 'name', type: 'text[]' }, /is text, not text\[\]/],
    [
      'of fewer digits, which would compare exactly',
      { column: 'exact', type: 'numeric(12,2)' },
      /is numeric, not/,
    ],
    [
      'of other digits',
      { column: 'amount', type: 'numeric(14,2)' },
      /is numeric\(12,2\), not numeric\(14,2\)/,
    ],
    [
      'a double for an exact number',
      { column: 'double', type: 'numeric' },
      /is double precision, not numeric/,
    ],
    ['an exact number for a double', { column: 'exact', type: 'double' }, /is numeric, not double/],
    ['of single precision', { column: 'single', type: 'double' }, /is real, not double/],
    ['of local time', { column: 'local', type: 'timestamptz' }, /is timestamp without time zone, not/],
    ['a day', { column: 'day', type: 'timestamptz' }, /is date, not/],
    ['of text as JSON', { column: 'text_data', type: 'jsonb' }, /is json, not jsonb/],
    ['padded with spaces', { column: 'code', type: 'text' }, /is character\(3\), not text/],
    ['of a domain', { column: 'named', type: 'text' }, /is name_of_thing, not text/],
    [
      'in which A equals a',
      { column: 'folded', type: 'text' },
      /collation in which texts that differ can be equal/,
    ],
    ['said not to be NULL, which it may be', { column: 'label', type: 'text', notNull: true }, /may be NULL/],
  ];
  for (const [what, column, message] of wrong)
    it(`refuses a column ${what}`, async () => {
      await assert.rejects(check({ it: column }), (error: Error) => {
        assert.match(error.message, /^thing\.it: the column /);
        assert.match(error.message, message);
        return true;
      });
    });

  it('refuses a table that is not there, or not where queries would find it', async () => {
    await assert.rejects(check({}, 'nothings'), /is not there/);
    await assert.rejects(check({}, 'hidden'), /is not there/);
  });

  it('refuses a table without a column for the id', async () => {
    const keyless = new Map([
      ['thing', { table: 'keyless', columns: { name: { column: 'name', type: 'text' as const } } }],
    ]);
    await assert.rejects(checkSources(db, keyless), /thing: the table keyless needs a column for id/);
  });
});
