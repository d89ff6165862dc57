/** A database whose audit trail is older than the chain: nothing is lost on the way there, back, and there again. */
import assert from 'node:assert/strict';
import { type Database, migrate, openPool } from '../../src/storage/postgres.ts';
import { makeDatabase } from '../harness.ts';
import { verifyTrail } from '../http/audit/trail.ts';

const OLD = 5000;

describe('an audit trail from before the chain', () => {
  let url: string;
  let db: Database;
  before(async () => {
    url = await makeDatabase();
    db = openPool({ url, poolMax: 2 });
    await db.migrate.up({ name: '0001-foundation' });
    await db.migrate.up({ name: '0002-demo' });
    // Written in another order than that of the numbers, and with the gaps that transactions leave which were rolled back.
    await db.raw(
      `INSERT INTO audit_entries (id, at, actor, action, target_type, target_id, before, after) OVERRIDING SYSTEM VALUE
       SELECT n * 3, '2024-02-29T23:59:59.123456Z'::timestamptz + make_interval(secs => n), 'actor ' || n, 'user.update',
         'user', n::text, '{"b": 1, "a": [null, 1.0]}', NULL
       FROM generate_series(1, ?::integer) n ORDER BY n % 7, n`,
      [OLD],
    );
  });
  after(() => db.destroy());

  const told = () =>
    db('audit_entries')
      .select('at', 'actor', 'action', 'targetType', 'targetId', 'before', 'after')
      .orderBy('id');
  const ids = () => db('audit_entries').orderBy('id').pluck('id');
  const add = (actor: string) =>
    db('audit_entries').insert({ actor, action: 'user.update', targetType: 'user', targetId: '1' });
  const chained = async (entries: number) => {
    const { problems, ...report } = await verifyTrail(url);
    assert.deepEqual([report.entries, problems], [entries, []]);
  };

  it('is chained in its order and without gaps, every word as it was, and goes on from there', async () => {
    const before = await told();
    await migrate(db);
    await chained(OLD);
    assert.deepEqual(await told(), before);
    assert.deepEqual(
      (await ids()).map(Number),
      Array.from({ length: OLD }, (_, n) => n + 1),
    );
    await add('the first chained');
    await chained(OLD + 1);
  });

  it('is as before after the way back, and can be chained again', async () => {
    const before = await told();
    await db.migrate.down({ name: '0003-audit-chain' });
    assert.deepEqual(await told(), before);
    await add('unchained');
    assert.equal((await ids()).at(-1), String(OLD + 2));
    await db('audit_entries').where({ actor: 'unchained' }).update({ actor: 'changed' });
    await migrate(db);
    await chained(OLD + 2);
    await assert.rejects(db('audit_entries').delete(), /only grows/);
  });
});
