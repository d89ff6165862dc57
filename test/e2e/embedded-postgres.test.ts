/** The embedded PostgreSQL: data outlives the server, and the processes of one folder share one server. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, mkdtemp, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { loadConfig } from '../../src/config.ts';
import { startEmbeddedPostgres } from '../../src/storage/embedded-postgres.ts';
import { mayChangeTrail } from '../../src/storage/gateway-role.ts';
import { openStorage, type Storage } from '../../src/storage/open-storage.ts';
import { migrate, openPool } from '../../src/storage/postgres.ts';

describe('embedded PostgreSQL', function () {
  this.timeout(60_000);
  let dataDir: string;
  const start = () => startEmbeddedPostgres({ dataDir });
  const readPid = async () =>
    Number((await readFile(join(dataDir, 'postgres/data/postmaster.pid'), 'utf8')).split('\n')[0]);

  beforeEach(async () => {
    dataDir = join(await mkdtemp(join(tmpdir(), 'castellan-test-')), "it's a data dir");
    await allowPassage(join(dataDir, '..'));
  });
  afterEach(async () => {
    // It is a symlink where root's server could not reach the temporary directory.
    const cluster = await realpath(join(dataDir, 'postgres')).catch(() => dataDir);
    await rm(cluster, { recursive: true, force: true });
    await rm(join(dataDir, '..'), { recursive: true, force: true });
  });

  it('keeps its data over stop and start', async () => {
    const first = await start();
    await query(first.url, "create table kept as select 'here' as word");
    await first.stop();
    assert.equal(await isUp(first.url), false);
    const second = await start();
    assert.deepEqual(await query(second.url, 'select word from kept'), [{ word: 'here' }]);
    await second.stop();
  });

  it('listens on the loopback only, asks for a password, speaks UTF-8, flushes to disk and hides its files', async () => {
    const { url, stop } = await start();
    const names = [
      'listen_addresses',
      'unix_socket_directories',
      'server_encoding',
      'fsync',
      'password_encryption',
    ];
    const rows = await query(url, `select ${names.map((name) => `current_setting('${name}') as ${name}`)}`);
    assert.deepEqual(Object.values(rows[0] ?? {}), ['127.0.0.1', '', 'UTF8', 'on', 'scram-sha-256']);
    await assert.rejects(query(url.replace(/:[^:@]+@/, ':password@'), 'select 1'), { code: '28P01' });
    assert.equal((await stat(join(dataDir, 'postgres'))).mode & 0o777, 0o700);
    assert.equal((await stat(join(dataDir, 'postgres/password'))).mode & 0o777, 0o600);
    assert.equal((await stat(dataDir)).mode & 0o066, 0);
    await stop();
  });

  it('is shared by whoever joins, and only the last one to leave stops it', async () => {
    const first = await start();
    const second = await start();
    assert.equal(second.url, first.url);
    assert.equal(await serverStart(second.url), await serverStart(first.url));
    await first.stop();
    assert.equal(await isUp(second.url), true);
    await second.stop();
    assert.equal(await isUp(second.url), false);
  });

  it('is left running for a gateway that was given its URL', async () => {
    const { url, stop } = await start();
    const gateway = new pg.Client({ connectionString: url, application_name: 'castellan serve' });
    await gateway.connect();
    await stop();
    assert.equal((await gateway.query('select 1')).rowCount, 1);
    await gateway.end();
    await (await start()).stop();
    assert.equal(await isUp(url), false);
  });

  it('starts once for several processes that begin at the same moment', async () => {
    const all = await Promise.all([start(), start(), start()]);
    const starts = await Promise.all(all.map(({ url }) => serverStart(url)));
    assert.equal(new Set(starts).size, 1);
    await Promise.all(all.map(({ stop }) => stop()));
    assert.equal(await isUp(all[0].url), false);
  });

  it('can be joined while the last user is stopping it', async () => {
    const first = await start();
    const [, second] = await Promise.all([first.stop(), start()]);
    assert.equal(await isUp(second.url), true);
    await second.stop();
  });

  it('survives kill -9 of the server, and what was committed is still there', async () => {
    const first = await start();
    await query(first.url, 'create table committed as select 1 as one');
    process.kill(await readPid(), 'SIGKILL');
    const second = await start();
    assert.deepEqual(await query(second.url, 'select one from committed'), [{ one: 1 }]);
    await first.stop();
    assert.equal(await isUp(second.url), true);
    await second.stop();
  });

  it('starts although a crash left a pid file whose pid now belongs to another program', async () => {
    const first = await start();
    const pidFile = join(dataDir, 'postgres/data/postmaster.pid');
    const pidFileText = await readFile(pidFile, 'utf8');
    await first.stop();
    await writeFile(pidFile, pidFileText.replace(/^\d+/, String(process.pid)), { mode: 0o644 });
    const second = await start();
    assert.equal(await isUp(second.url), true);
    await second.stop();
  });

  it('moves to another port when its own is taken', async () => {
    const first = await start();
    await first.stop();
    const port = Number(new URL(first.url).port);
    const squatter = createServer((socket) => socket.destroy()).listen(port, '127.0.0.1');
    await once(squatter, 'listening');
    const second = await start();
    assert.notEqual(new URL(second.url).port, String(port));
    await second.stop();
    squatter.close();
  });

  it('outlives the Ctrl-C that ends its gateway, until the gateway has finished', async () => {
    const source = `
      import pg from 'pg';
      import { startEmbeddedPostgres } from './src/storage/embedded-postgres.ts';
      process.once('SIGINT', async () => {
        await client.query('select pg_sleep(0.2)');
        await client.end();
        await server.stop();
        console.log('finished');
      });
      const server = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)} });
      const client = new pg.Client(server.url);
      await client.connect();
      console.log('ready');`;
    const gateway = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', source], {
      detached: true,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface(gateway.stdout);
    const exited = once(gateway, 'exit');
    assert.deepEqual(await once(lines, 'line'), ['ready']);
    process.kill(-Number(gateway.pid), 'SIGINT');
    assert.deepEqual(await once(lines, 'line'), ['finished']);
    assert.deepEqual(await exited, [0, null]);
    await assert.rejects(access(join(dataDir, 'postgres/data/postmaster.pid')), { code: 'ENOENT' });
  });

  describe('under the gateway', () => {
    const openGateway = () => openStorage(loadConfig({ NODE_ENV: 'test', DATA_DIR: dataDir }));
    const anEntry = { actor: 'ada', action: 'rule.create', targetType: 'castellan.rule', targetId: 'a' };
    const actorsIn = ({ db }: Storage) => db('audit_entries').orderBy('id').pluck('actor');

    const attacks: Record<string, string> = {
      'passing the triggers over': 'SET session_replication_role = replica; DELETE FROM audit_entries',
      'switching the triggers off':
        'ALTER TABLE audit_entries DISABLE TRIGGER USER; DELETE FROM audit_entries',
      'moving the head': `SET session_replication_role = replica; UPDATE audit_head SET entry = 0, hash = NULL`,
      'removing the entries': 'DELETE FROM audit_entries',
      'rewriting the history of the policy': `UPDATE revisions SET author = 'somebody else'`,
      'having a program run': `COPY (SELECT 1) TO PROGRAM 'true'`,
      'reading a file': `SELECT pg_read_file('postgresql.conf')`,
      'making itself a superuser': 'ALTER ROLE CURRENT_USER SUPERUSER',
      'becoming the owner': 'SET ROLE castellan',
      'making a table': 'CREATE TABLE mine (n int)',
      'making a temporary table': 'CREATE TEMP TABLE mine (n int)',
    };
    it('keeps the audit trail, the server and its files from whoever speaks through the gateway', async () => {
      const storage = await openGateway();
      await storage.db('audit_entries').insert(anEntry);
      for (const [what, statement] of Object.entries(attacks))
        await assert.rejects(query(storage.databaseUrl, statement), { code: '42501' }, what);
      assert.deepEqual(await actorsIn(storage), ['ada']);
      assert.equal(await mayChangeTrail(storage.db), false);
      await storage.close();
    });

    it('goes on with what an earlier version has made, which ran as its superuser', async () => {
      const earlier = await start();
      const owner = openPool({ url: earlier.url, poolMax: 2 });
      await migrate(owner);
      await owner('audit_entries').insert(anEntry);
      await query(earlier.url, `SELECT castellan_make_decision_day('2020-02-29')`);
      await owner.destroy();
      await earlier.stop();
      for (const actor of ['first', 'second']) {
        const storage = await openGateway();
        await storage.db('audit_entries').insert({ ...anEntry, actor });
        assert.equal(await mayChangeTrail(storage.db), false);
        await storage.close();
      }
      const storage = await openGateway();
      assert.deepEqual(await actorsIn(storage), ['ada', 'first', 'second']);
      await storage.close();
    });

    it('is given its rights again where a start broke off before it had them', async () => {
      const server = await start();
      await (await openGateway()).close();
      await query(server.url, 'DROP OWNED BY castellan_gateway');
      const again = await openGateway();
      assert.deepEqual(await actorsIn(again), []);
      await again.close();
      await query(server.url, 'CREATE TABLE later (n int)');
      const third = await openGateway();
      assert.deepEqual(await third.db('later').pluck('n'), []);
      await third.close();
      await server.stop();
    });

    it('is given what a migration brings', async () => {
      const server = await start();
      await (await openGateway()).close();
      await query(
        server.url,
        `REVOKE EXECUTE ON FUNCTION castellan_make_decision_day FROM castellan_gateway;
         DELETE FROM knex_migrations WHERE name = '0008-closed-functions'`,
      );
      const upgraded = await openGateway();
      await upgraded.db.raw(`SELECT castellan_make_decision_day('2020-02-29')`);
      await upgraded.close();
      await server.stop();
    });

    it('is opened by several processes at once, also where only its role is missing', async () => {
      const openAll = async () => {
        const all = await Promise.all([openGateway(), openGateway(), openGateway(), openGateway()]);
        assert.deepEqual(await Promise.all(all.map(actorsIn)), [[], [], [], []]);
        await Promise.all(all.map(({ close }) => close()));
      };
      const server = await start();
      await openAll();
      await query(server.url, 'DROP OWNED BY castellan_gateway; DROP ROLE castellan_gateway');
      await openAll();
      await server.stop();
    });
  });

  it('says in one line why it cannot start', async () => {
    await (await start()).stop();
    await rm(join(dataDir, 'postgres/data/global'), { recursive: true });
    await assert.rejects(start(), /^Error: The embedded PostgreSQL does not start: [^\n]+$/);
  });
});

/** Lets the server's account through when the tests run as root: `mkdtemp` closes a directory to everybody else. */
function allowPassage(directory: string): Promise<void> {
  return chmod(directory, process.getuid?.() === 0 ? 0o711 : 0o700);
}

async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function serverStart(url: string): Promise<unknown> {
  return (await query(url, 'select pg_postmaster_start_time()::text as at'))[0]?.at;
}

function isUp(url: string): Promise<boolean> {
  return query(url, 'select 1').then(
    () => true,
    (error) => (error.code === 'ECONNREFUSED' ? false : Promise.reject(error)),
  );
}
