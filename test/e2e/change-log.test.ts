/** The change log on a real PostgreSQL: what the poll must not miss, and what becomes of the LISTEN connection. */
import assert from 'node:assert/strict';
import pg from 'pg';
import { ChangeFeed } from '../../src/policy/change-feed.ts';
import { memoryCache } from '../../src/storage/memory-cache.ts';
import { type Database, migrate, openPool } from '../../src/storage/postgres.ts';
import { eventually, makeDatabase } from '../harness.ts';
import { startPostgresProxy } from './postgres-proxy.ts';

const NEVER_MS = 3_600_000;

describe('change log', () => {
  let url: string;
  let db: Database;
  let heard: string[];
  let gaps: number;
  let open: { close(): Promise<unknown> }[];

  before(async () => {
    url = await makeDatabase();
    db = openPool({ url, poolMax: 4 });
    await migrate(db);
    await db.raw('DROP TRIGGER changes_notify ON changes');
  });
  after(() => db.destroy());
  beforeEach(() => {
    heard = [];
    gaps = 0;
    open = [];
  });
  afterEach(async () => {
    for (const part of open.reverse()) await part.close();
  });

  function makeFeed(given: { db?: Database; databaseUrl?: string; pollMs?: number } = {}): ChangeFeed {
    const feed = new ChangeFeed({
      db,
      databaseUrl: url,
      shared: memoryCache(),
      pollMs: NEVER_MS,
      ...given,
      onChange: ({ subject }) => heard.push(subject),
      onGap: () => gaps++,
      onConfirmed: () => {},
    });
    open.push(feed);
    return feed;
  }
  async function begin(): Promise<pg.Client> {
    const client = new pg.Client(url);
    await client.connect();
    open.push({ close: () => client.end() });
    await client.query('BEGIN');
    return client;
  }
  async function startProxy() {
    const through = await startPostgresProxy(url);
    open.push(through.proxy);
    return through;
  }
  /** What the next poll tells. */
  async function poll(feed: ChangeFeed): Promise<string[]> {
    heard.length = 0;
    await feed.poll();
    return [...heard];
  }
  const insert = (subject: string) => `INSERT INTO changes (kind, subject) VALUES ('session', '${subject}')`;

  it('delivers a change that was written early and committed late, once, and nothing else twice', async () => {
    const feed = makeFeed();
    await feed.open();
    const slow = await begin();
    await slow.query(insert('slow'));
    await db.raw(insert('quick-1'));
    assert.deepEqual(await poll(feed), ['quick-1']);
    await db.raw(insert('quick-2'));
    assert.deepEqual(await poll(feed), ['quick-2']);
    assert.deepEqual(await poll(feed), []);
    await slow.query('COMMIT');
    assert.deepEqual(await poll(feed), ['slow']);
    assert.deepEqual(await poll(feed), []);
  });

  it('delivers what was written in a savepoint, before the feed was opened, and committed after', async () => {
    const slow = await begin();
    await slow.query(`SAVEPOINT inner_part; ${insert('slow')}; RELEASE SAVEPOINT inner_part`);
    const feed = makeFeed();
    await feed.open();
    assert.deepEqual(await poll(feed), []);
    await db.raw(insert('quick'));
    assert.deepEqual(await poll(feed), ['quick']);
    await slow.query('COMMIT');
    assert.deepEqual(await poll(feed), ['slow']);
  });

  it('tells nothing of a change that was rolled back', async () => {
    const feed = makeFeed();
    await feed.open();
    const slow = await begin();
    await slow.query(insert('never'));
    assert.deepEqual(await poll(feed), []);
    await slow.query('ROLLBACK');
    assert.deepEqual(await poll(feed), []);
  });

  it('misses no change of many writers at once', async () => {
    const feed = makeFeed();
    await feed.open();
    const expected: string[] = [];
    const writers = Array.from({ length: 3 }, async (_, writer) => {
      for (let i = 0; i < 20; i++) {
        expected.push(`w${writer}-${i}`);
        await db.transaction(async (trx) => {
          await trx.raw(insert(`w${writer}-${i}`));
          await trx.raw('SELECT pg_sleep(random() * 0.004)');
        });
      }
    });
    let writing = true;
    void Promise.all(writers).finally(() => {
      writing = false;
    });
    while (writing) await feed.poll();
    await feed.poll();
    assert.deepEqual([...heard].sort(), expected.sort());
  });

  it('holds everything in doubt when its first poll failed: what was missed until the second is not known', async () => {
    const { proxy, databaseUrl } = await startProxy();
    const throughProxy = openPool({ url: databaseUrl, poolMax: 2 });
    open.push({ close: () => throughProxy.destroy() });
    proxy.cut();
    const feed = makeFeed({ db: throughProxy });
    await feed.open();
    assert.equal(gaps, 0);
    await db.raw(insert('missed'));
    proxy.heal();
    await feed.poll();
    assert.equal(gaps, 1);
    await db.raw(insert('not missed'));
    assert.deepEqual(await poll(feed), ['not missed']);
  });

  it('notices that its LISTEN connection went silent, and gets another one', async () => {
    const { proxy, databaseUrl } = await startProxy();
    const feed = makeFeed({ databaseUrl, pollMs: 50 });
    await feed.open();
    assert.equal(feed.health().listening, true);
    proxy.stall();
    await eventually('the silence is noticed', () => !feed.health().listening);
    proxy.heal();
    await eventually('another connection', () => feed.health().listening);
    assert.ok(gaps > 0);
  });

  it('leaves no connection behind when it is closed while it connects anew', async () => {
    const { proxy, databaseUrl } = await startProxy();
    const feed = makeFeed({ databaseUrl });
    await feed.open();
    proxy.cut();
    await eventually('the loss is noticed', () => !feed.health().listening);
    proxy.stall();
    await new Promise((resolve) => setTimeout(resolve, 500)); // it is connecting now
    proxy.heal();
    await feed.close();
    const mine = `SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'castellan feed' AND datname = current_database()`;
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal((await db.raw(mine)).rows[0].count, 0);
  });
});
