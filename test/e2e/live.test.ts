/** What a node holds in memory, on a real PostgreSQL: the policy in force and the sessions. */
import assert from 'node:assert/strict';
import { evaluatorNames } from '../../src/evaluators/index.ts';
import { beginPolicy } from '../../src/policy/begin.ts';
import { LivePolicy } from '../../src/policy/live-policy.ts';
import { LiveSessions } from '../../src/sessions/live-sessions.ts';
import { migrate, openPool } from '../../src/storage/postgres.ts';
import { eventually, makeDatabase } from '../harness.ts';
import { issueSession } from '../issue-session.ts';
import { startPostgresProxy } from './postgres-proxy.ts';
import { sql } from './sql.ts';

const NEVER_MS = 3_600_000;

describe('live policy', () => {
  it('reads once more when it is asked at the very end of a refresh', async () => {
    const db = openPool({ url: await makeDatabase(), poolMax: 2 });
    try {
      await migrate(db);
      await beginPolicy(db, { demo: false, evaluators: evaluatorNames });
      let reads = 0;
      db.on('query', ({ sql }) => {
        if (/max\("number"\)/.test(sql)) reads++;
      });
      let whenAdopted = async () => {};
      const live = new LivePolicy({
        db,
        evaluators: evaluatorNames,
        staleAfterMs: NEVER_MS,
        onAdopted: () => void whenAdopted(),
      });
      await live.load();
      for (let ticks = 0; ticks < 12; ticks++) {
        const readAgain = new Promise<boolean>((resolve) => {
          whenAdopted = async () => {
            for (let tick = 0; tick < ticks; tick++) await undefined;
            const readsBefore = reads;
            await live.refresh();
            resolve(reads > readsBefore);
          };
        });
        await db.raw(
          `INSERT INTO revisions (number, author, changes, diff, policy, digest) VALUES (${ticks + 2}, '', '{}', '{}', '{}', '')`,
        );
        await live.refresh();
        assert.ok(await readAgain, `asked after ${ticks} ticks, it was not read again`);
      }
    } finally {
      await db.destroy();
    }
  });
});

describe('live sessions', () => {
  it('are known in process although PostgreSQL is gone, also when their use is to be written down', async () => {
    const url = await makeDatabase();
    const { proxy, databaseUrl } = await startPostgresProxy(url);
    const db = openPool({ url: databaseUrl, poolMax: 2 });
    try {
      await migrate(db);
      const [account] = await sql(url, insertAccount);
      const accountId = String(account?.id);
      const given = { accountId, address: null, userAgent: null, lifetimeSeconds: 60 };
      const { token } = await issueSession(db, given);
      const sessions = new LiveSessions({ db, idleSeconds: 4 });
      const found = await sessions.find(token);
      assert.equal(found?.account.id, accountId);
      await new Promise((resolve) => setTimeout(resolve, 1100)); // a quarter of the idle time
      proxy.cut();
      assert.equal(await sessions.find(token), found);
      proxy.heal();
    } finally {
      await db.destroy();
      await proxy.close();
    }
  });

  it('have their use written down', async () => {
    const url = await makeDatabase();
    const db = openPool({ url, poolMax: 2 });
    try {
      await migrate(db);
      const [account] = await sql(url, insertAccount);
      const given = { accountId: String(account?.id), address: null, userAgent: null, lifetimeSeconds: 60 };
      const { token } = await issueSession(db, given);
      await sql(url, `UPDATE sessions SET last_seen_at = now() - interval '2 minutes'`);
      const sessions = new LiveSessions({ db, idleSeconds: 600 });
      await sessions.find(token);
      await eventually('it is written', async () => (await sql(url, usedJustNow)).length > 0);
    } finally {
      await db.destroy();
    }
  });
});

const usedJustNow = `SELECT 1 FROM sessions WHERE last_seen_at > now() - interval '10 seconds'`;
const insertAccount = `
  INSERT INTO accounts (email, email_key, password_hash, first_name, last_name)
  VALUES ('p@example.net', 'p@example.net', '$argon2id$', 'P', 'P') RETURNING id`;
