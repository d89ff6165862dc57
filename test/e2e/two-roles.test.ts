/** The set-up of docs/operations.md with an owner of the tables and a role that only runs the gateway. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { dropOldDecisions } from '../../src/audit/decision-partitions.ts';
import { grantsTo, mayChangeTrail } from '../../src/storage/gateway-role.ts';
import { openPool } from '../../src/storage/postgres.ts';
import { logIn, makeDatabase, registerAndLogIn, startGateway, type TestGateway } from '../harness.ts';
import { ok, rulesPath, usersPath } from '../http/admin/staff.ts';
import { verifyTrail } from '../http/audit/trail.ts';
import { castellan, killLeftovers, startNode } from './process.ts';
import { sql } from './sql.ts';

describe('a role that owns the tables, and one that runs the gateway', function () {
  this.timeout(60_000);
  const suffix = randomBytes(4).toString('hex');
  const [owner, runner, password] = [`owner_${suffix}`, `runner_${suffix}`, `secret ${suffix}`];
  const migrate = (url: string) => castellan(['migrate'], { DATABASE_URL: url });
  let superUrl: string;
  let ownerUrl: string;
  let runnerUrl: string;
  let gateway: TestGateway | undefined;

  /** The n-th block of SQL of the docs, said of this test's own roles. */
  function documented(n: number): string {
    const page = readFileSync(join(import.meta.dirname, '../../docs/operations.md'), 'utf8');
    const blocks = [...page.matchAll(/^```sql\n(.*?)^```$/gms)].map(([, text = '']) => text);
    assert.equal(blocks.length, 3);
    return (blocks[n] ?? '')
      .replace(
        /^CREATE DATABASE castellan OWNER.*$/m,
        `ALTER DATABASE ${databaseOf(superUrl)} OWNER TO ${owner};`,
      )
      .replace('ON DATABASE castellan ', `ON DATABASE ${databaseOf(superUrl)} `)
      .replaceAll('castellan_owner', owner)
      .replace(/\bcastellan\b/g, runner)
      .replaceAll('…', password);
  }
  const databaseOf = (url: string) => new URL(url).pathname.slice(1);
  const as = (role: string) => {
    const url = new URL(superUrl);
    [url.username, url.password] = [role, encodeURIComponent(password)];
    return url.href;
  };

  before(async function () {
    superUrl = await makeDatabase();
    const [{ may } = {}] = await sql(
      superUrl,
      'SELECT rolsuper AS may FROM pg_roles WHERE rolname = current_user',
    );
    if (!may) return this.skip();
    await sql(superUrl, documented(0));
    await sql(superUrl, documented(1));
    [ownerUrl, runnerUrl] = [as(owner), as(runner)];
  });
  after(async () => {
    killLeftovers();
    await gateway?.close();
    for (const role of [owner, runner]) {
      await sql(superUrl, `DROP OWNED BY ${role} CASCADE`).catch(() => {});
      await sql(superUrl, `ALTER DATABASE ${databaseOf(superUrl)} OWNER TO CURRENT_USER`);
      await sql(superUrl, `DROP ROLE IF EXISTS ${role}`);
    }
  });

  it('is what the embedded PostgreSQL gives its gateway', () => {
    assert.equal(documented(2).replace('BEGIN;\n', '').replace('COMMIT;\n', ''), grantsTo(runner));
  });

  it('the runner cannot migrate, and says who can', async () => {
    const { code, stderr } = await migrate(runnerUrl);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^castellan: the database is not up to date, and this role .*permission denied.*; run castellan migrate as the role that owns the tables\n$/,
    );
  });

  it('the owner migrates, and the gateway begins and works under the runner', async () => {
    const migrated = await migrate(ownerUrl);
    assert.match(migrated.stdout, /^applied 0003-audit-chain$/m, migrated.stderr);
    await sql(ownerUrl, documented(2));
    assert.equal((await migrate(runnerUrl)).stdout, 'nothing to do\n');
    gateway = await startGateway({ databaseUrl: runnerUrl });
    const [{ who } = {}] = (await gateway.services.db.raw('SELECT current_user AS who')).rows;
    assert.equal(who, runner);
    const admin = await logIn(gateway, 'superadmin');
    const { client, id, password: current } = await registerAndLogIn(gateway);
    const { id: rule } = ok(
      await admin.post(rulesPath, { role: 'user', action: 'read', subject: 'order' }),
      201,
    ).body;
    ok(await admin.patch(`${rulesPath}/${rule}`, { priority: 1 }));
    ok(await admin.delete(`${rulesPath}/${rule}`), 204);
    ok(await admin.put(`${usersPath}/${id}/roles/author`), 204);
    ok(await admin.delete(`${usersPath}/${id}/roles/author`), 204);
    ok(await client.patch('/api/v1/me', { firstName: 'Jo' }));
    ok(await client.post('/api/v1/documents', { title: 'No' }), 403);
    ok(await client.delete('/api/v1/me', { currentPassword: current }), 204);
    await gateway.services.feed.poll();
    assert.equal((await admin.get('/readyz')).status, 200);
    assert.equal(ok(await admin.get('/api/v1/admin/audit')).body.items.length, 8);
    await gateway.services.decisionLog.written();
    const denied = ok(await admin.get('/api/v1/admin/decisions?action=create&resourceType=document')).body;
    assert.equal(denied.items.length, 1);
    await sql(superUrl, `SELECT castellan_make_decision_day('2020-02-29')`);
    assert.deepEqual(await dropOldDecisions(gateway.services.db, 1, Date.now()), ['decisions_2020_02_29']);
    assert.doesNotMatch(gateway.logged(), /permission denied|must be owner/);
    assert.deepEqual((await verifyTrail(runnerUrl)).problems, []);
  });

  it('a start says in one line that its role could change the trail, and nothing where it could not', async () => {
    const warnings = async (url: string) => {
      const node = await startNode({ DATABASE_URL: url });
      assert.equal(await node.stop(), 0);
      const lines = node.stdout().split('\n');
      return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line).msg);
    };
    for (const url of [superUrl, ownerUrl]) {
      const told = await warnings(url);
      assert.equal(told.length, 1);
      assert.match(told[0], /could change the audit trail; .*docs\/operations\.md/);
    }
    assert.deepEqual(await warnings(runnerUrl), []);
  });

  const helpful: Record<string, [given: string, taken: string]> = {
    'change entries': [
      `GRANT UPDATE ON audit_entries TO ${runner}`,
      `REVOKE UPDATE ON audit_entries FROM ${runner}`,
    ],
    'remove entries': [
      `GRANT DELETE ON audit_entries TO ${runner}`,
      `REVOKE DELETE ON audit_entries FROM ${runner}`,
    ],
    'hang triggers on them': [
      `GRANT TRIGGER ON audit_entries TO ${runner}`,
      `REVOKE TRIGGER ON audit_entries FROM ${runner}`,
    ],
    'move the head': [
      `GRANT UPDATE ON audit_head TO ${runner}`,
      `REVOKE UPDATE ON audit_head FROM ${runner}`,
    ],
    'become the owner': [
      `ALTER SCHEMA public OWNER TO CURRENT_USER; ALTER ROLE ${runner} NOINHERIT; GRANT ${owner} TO ${runner}`,
      `ALTER SCHEMA public OWNER TO ${owner}; REVOKE ${owner} FROM ${runner}`,
    ],
    'drop whatever is in the schema': [
      `ALTER SCHEMA public OWNER TO ${runner}`,
      `ALTER SCHEMA public OWNER TO ${owner}`,
    ],
  };
  for (const [what, [given, taken]] of Object.entries(helpful))
    it(`a role that may ${what} could change the trail`, async () => {
      const db = openPool({ url: runnerUrl, poolMax: 1 });
      try {
        assert.equal(await mayChangeTrail(db), false);
        await sql(superUrl, given);
        assert.equal(await mayChangeTrail(db), true);
      } finally {
        await sql(superUrl, taken);
        await db.destroy();
      }
    });

  it('nothing that runs with the rights of the owner is open to everybody, or finds what others put in its way', async () => {
    const functions = await sql(
      superUrl,
      `SELECT proname AS name, has_function_privilege('public', oid, 'EXECUTE') AS open, proconfig AS settings
       FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace ORDER BY proname`,
    );
    const closed = { open: false, settings: ['search_path=pg_catalog, pg_temp'] };
    assert.deepEqual(functions, [
      { name: 'castellan_audit_chain', ...closed },
      { name: 'castellan_drop_decision_day', ...closed },
      { name: 'castellan_make_decision_day', ...closed },
    ]);
  });

  it('the runner makes no temporary tables; what follows holds where it may', async () => {
    await assert.rejects(sql(runnerUrl, 'CREATE TEMP TABLE mine (n int)'), { code: '42501' });
    await sql(superUrl, `GRANT TEMPORARY ON DATABASE ${databaseOf(superUrl)} TO ${runner}`);
  });

  const ownCode = `
    CREATE FUNCTION pg_temp.mine(value bigint) RETURNS boolean LANGUAGE plpgsql AS '
      BEGIN
        IF current_user <> session_user THEN GRANT UPDATE, DELETE ON public.audit_entries TO ${runner}; END IF;
        RETURN true;
      END';
    CREATE DOMAIN pg_temp.number AS bigint CHECK (pg_temp.mine(VALUE));
    CREATE TEMP TABLE mine (id pg_temp.number, at timestamptz, previous_hash bytea, hash bytea);
    CREATE FUNCTION pg_temp.as_entry(mine) RETURNS public.audit_entries LANGUAGE sql AS
      'SELECT NULL::public.audit_entries';
    CREATE CAST (mine AS public.audit_entries) WITH FUNCTION pg_temp.as_entry(mine) AS IMPLICIT;
    CREATE TRIGGER mine BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION public.castellan_audit_chain();
    INSERT INTO mine DEFAULT VALUES`;

  const attacks: Record<string, string> = {
    'change an entry': `UPDATE audit_entries SET actor = 'somebody else'`,
    'remove an entry': 'DELETE FROM audit_entries WHERE id = 1',
    'remove all entries': 'TRUNCATE audit_entries',
    'remove the table': 'DROP TABLE audit_entries',
    'alter the table': 'ALTER TABLE audit_entries ADD COLUMN more text',
    'switch the triggers off': 'ALTER TABLE audit_entries DISABLE TRIGGER ALL',
    'switch one of them off': 'ALTER TABLE audit_entries DISABLE TRIGGER audit_entries_kept',
    'remove a trigger': 'DROP TRIGGER audit_entries_kept ON audit_entries',
    'add a trigger': `CREATE TRIGGER mine BEFORE INSERT ON audit_entries FOR EACH ROW EXECUTE FUNCTION castellan_notify()`,
    'have triggers passed over': `SET session_replication_role = replica`,
    'put a rule before the table': 'CREATE RULE mine AS ON INSERT TO audit_entries DO INSTEAD NOTHING',
    'give the table away': `ALTER TABLE audit_entries OWNER TO ${runner}`,
    'give itself rights': `SET ROLE ${owner}`,
    'replace the function that chains': `
      CREATE OR REPLACE FUNCTION castellan_audit_chain() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`,
    'replace the function that hashes': `
      CREATE OR REPLACE FUNCTION castellan_audit_hash(audit_entries) RETURNS bytea LANGUAGE sql AS 'SELECT NULL::bytea'`,
    'make a function that would be found before those of PostgreSQL': `CREATE FUNCTION public.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT repeat(''a'', 32)::bytea'`,
    'move the head': 'UPDATE audit_head SET entry = 0, hash = NULL',
    'move the head from within a trigger of its own': `
      CREATE TEMP TABLE mine (n int);
      CREATE FUNCTION pg_temp.mine() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN UPDATE public.audit_head SET entry = 0, hash = NULL; RETURN NULL; END';
      CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION pg_temp.mine();
      INSERT INTO mine VALUES (1)`,
    // Assigned to by the function that chains, a column of the runner's own would run its check as the owner.
    'run code of its own as the owner, by hanging the function that chains on a table of its own': ownCode,
    'remove the head': 'DELETE FROM audit_head',
    'hold the head, so that nobody else can change anything': 'SELECT * FROM audit_head FOR UPDATE',
    'rewrite the history of the policy': `UPDATE revisions SET author = 'somebody else'`,
    'take a day of the decisions for itself': `ALTER TABLE decisions OWNER TO ${runner}`,
    'have migrations run again': 'DELETE FROM knex_migrations',
  };
  for (const [what, statement] of Object.entries(attacks))
    it(`the runner cannot ${what}`, async () => {
      await assert.rejects(sql(runnerUrl, statement), (refused: { code: string; message: string }) => {
        assert.equal(refused.code, '42501');
        // Not by the triggers, which whoever gets past the rights could switch off.
        assert.doesNotMatch(refused.message, /only grows/);
        return true;
      });
      assert.deepEqual((await verifyTrail(runnerUrl)).problems, []);
    });

  it('hung on another table, the function that chains touches nothing of it, whoever may run it', async () => {
    await sql(superUrl, `GRANT EXECUTE ON FUNCTION castellan_audit_chain TO ${runner}`);
    await assert.rejects(sql(runnerUrl, ownCode), { code: '42501', message: /no other table/ });
    await sql(superUrl, `REVOKE EXECUTE ON FUNCTION castellan_audit_chain FROM ${runner}`);
    await assert.rejects(sql(runnerUrl, 'DELETE FROM audit_entries'), { code: '42501', message: /denied/ });
  });

  it('the runner cannot slip a head or functions of its own under the trigger', async () => {
    const { entries } = await verifyTrail(runnerUrl);
    await sql(
      runnerUrl,
      `CREATE TEMP TABLE audit_head (entry bigint, hash bytea);
       INSERT INTO audit_head VALUES (0, NULL);
       CREATE FUNCTION pg_temp.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT NULL::bytea';
       CREATE FUNCTION pg_temp.castellan_audit_hash(public.audit_entries) RETURNS bytea LANGUAGE sql AS 'SELECT NULL::bytea';
       SET search_path = pg_temp, public;
       INSERT INTO public.audit_entries (actor, action, target_type, target_id) VALUES ('a', 'b', 'c', 'd')`,
    );
    const report = await verifyTrail(runnerUrl);
    assert.deepEqual([report.entries, report.problems], [entries + 1, []]);
  });

  it('a role that may read the two tables of the trail, and nothing else, verifies it', async () => {
    await sql(superUrl, `REVOKE ALL ON ALL TABLES IN SCHEMA public FROM ${runner}`);
    await sql(superUrl, `GRANT SELECT ON audit_entries, audit_head TO ${runner}`);
    const { code, stdout } = await castellan(['audit', 'verify', '--json'], { DATABASE_URL: runnerUrl });
    assert.deepEqual([code, JSON.parse(stdout).problems], [0, []]);
  });
});
