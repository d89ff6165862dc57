/** The process from its first line to its exit code, on an embedded PostgreSQL of its own. */
import assert from 'node:assert/strict';
import { access, chmod, mkdtemp, realpath, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, eventually, logIn, makeDatabase, registerAndLogIn } from '../harness.ts';
import { startPostgresProxy } from './postgres-proxy.ts';
import { finish, killLeftovers, launch, programOf, type Running, startNode } from './process.ts';
import { report } from './stopwatch.ts';

describe('start and stop', function () {
  this.timeout(60_000);
  let dataDir: string;
  let person: { email: string; password: string } | undefined;
  const isPostgresUp = () =>
    access(join(dataDir, 'postgres/data/postmaster.pid')).then(
      () => true,
      () => false,
    );
  const start = () =>
    startNode({ DATA_DIR: dataDir, PASSWORD_HASH_CONCURRENCY: '1', PASSWORD_TIME_COST: '8' });
  const launchGateway = (env: Record<string, string>) =>
    launch(programOf('src/main.ts'), { DATA_DIR: dataDir, LOG_LEVEL: 'warn', ...env });

  before(async () => {
    const parent = await mkdtemp(join(tmpdir(), 'castellan-test-'));
    await chmod(parent, process.getuid?.() === 0 ? 0o711 : 0o700); // the server's account has to pass
    dataDir = join(parent, 'data');
  });
  afterEach(killLeftovers);
  after(async () => {
    const cluster = await realpath(join(dataDir, 'postgres')).catch(() => dataDir);
    await rm(cluster, { recursive: true, force: true });
    await rm(join(dataDir, '..'), { recursive: true, force: true });
  });

  it('prints three curl lines that work when pasted', async () => {
    const node = await start();
    const lines = node.stdout().trimEnd().split('\n');
    const [login, list, refused] = lines.slice(-3);
    assert.match(lines[1] ?? '', /superadmin@example\.com \/ superpass, admin@example\.com \/ adminpass/);
    const pasted = launch(['-c', `${login}\n${list}\necho\n${refused}\n`], {}, 'bash');
    const { code, stdout, stderr } = await finish(pasted);
    assert.deepEqual([code, stderr], [0, '']);
    const [documents = '', problem = ''] = stdout.split('\n');
    assert.ok(JSON.parse(documents).items.length > 0);
    assert.equal(JSON.parse(problem).code, 'access_denied');
    assert.equal(await node.stop(), 0);
    assert.equal(await isPostgresUp(), false);
  });

  for (const [signal, ofNpm] of [['SIGTERM'], ['SIGINT'], ['SIGINT', 'which npm sends once more']] as const) {
    it(`finishes what is in flight at ${signal}${ofNpm ? `, ${ofNpm}` : ''}, and keeps its data`, async () => {
      const node = await start();
      if (person) assert.ok(await logIn(node, person.email, person.password), 'from before the last stop');
      const { email, password } = await registerAndLogIn(node);
      person = { email, password };
      const login = loginOf(person);
      let answered = 0;
      // Browsers and proxies keep their connections, and so does fetch.
      const logins = Array.from({ length: 8 }, async () => {
        const { status } = await fetch(`${node.url}/api/v1/auth/login`, login);
        answered++;
        return status;
      });
      await Promise.race(logins);
      const ended = node.stop(signal);
      assert.ok(answered < logins.length / 2, `${answered} were answered before the signal`);
      if (ofNpm) setTimeout(() => node.child.kill(signal), 50);
      assert.deepEqual(new Set(await Promise.all(logins)), new Set([200]));
      const beganMs = performance.now();
      assert.equal(await ended, 0);
      const stopMs = performance.now() - beganMs;
      report('the stop after the last answer', [stopMs]);
      assert.ok(stopMs < 2500, `${stopMs} ms: it waited for connections that are kept alive`);
      await assert.rejects(new Client(node.url).get('/livez'));
      assert.equal(await isPostgresUp(), false);
      assert.equal(node.stderr(), '');
    });
  }

  it('a signal to npm stops what `npm start` runs: exit code 0, and nothing is left', async () => {
    const databaseUrl = await makeDatabase();
    const npm = launch(
      ['start'],
      { DATABASE_URL: databaseUrl, PORT: '0', LOG_LEVEL: 'warn', NODE_ENV: 'test' },
      'npm',
    );
    const url = await eventually(
      'the start',
      () => /^Castellan is at (\S+?),? /m.exec(npm.stdout())?.[1],
      60_000,
    );
    assert.equal((await fetch(`${url}/livez`)).status, 200);
    npm.child.kill('SIGTERM');
    assert.equal(await npm.ended, 0, npm.stderr());
    await assert.rejects(fetch(`${url}/livez`));
  }).timeout(90_000);

  it('stops cleanly also when it is told so while it starts', async () => {
    const starting = launchGateway({ PORT: '0' });
    while (!(await isPostgresUp())) await new Promise((resolve) => setTimeout(resolve, 5));
    starting.child.kill('SIGTERM');
    assert.equal(await starting.ended, 0);
    assert.equal(await isPostgresUp(), false);
  });

  it('says in one line that its port is in use, and leaves no PostgreSQL behind', async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => squatter.once('listening', resolve));
    const address = squatter.address();
    const port = typeof address === 'object' ? address?.port : 0;
    const starting = launchGateway({ PORT: String(port) });
    const { code, stdout, stderr } = await finish(starting);
    assert.deepEqual(
      [code, stdout, stderr],
      [1, '', `castellan: port ${port} is in use; set PORT to a free one\n`],
    );
    assert.equal(await isPostgresUp(), false);
    squatter.close();
  });

  it('stops within its time although PostgreSQL answers nothing any more', async () => {
    const { proxy, databaseUrl } = await startPostgresProxy(await makeDatabase());
    const node = await startNode({
      DATABASE_URL: databaseUrl,
      SHUTDOWN_GRACE_MS: '500',
      LOG_LEVEL: 'silent',
    });
    const client = await logIn(node, 'editor');
    proxy.stall();
    const hanging = client.get('/api/v1/documents').catch(() => 'cut off');
    await new Promise((resolve) => setTimeout(resolve, 100));
    const beganMs = performance.now();
    await withTimeout(node, node.stop());
    report('the stop', [performance.now() - beganMs]);
    assert.equal(await hanging, 'cut off');
    await proxy.close();
  });
});

function loginOf({ email, password }: { email: string; password: string }): RequestInit {
  const body = JSON.stringify({ email, password });
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body };
}

async function withTimeout(running: Running, ended: Promise<number | null>): Promise<void> {
  const late = setTimeout(() => running.child.kill('SIGKILL'), 12_000);
  assert.equal(typeof (await ended), 'number', 'it had to be killed');
  clearTimeout(late);
}
