/** `castellan <command>` and the knex command line, as typed. */
import assert from 'node:assert/strict';
import { access, chmod, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findCommand, loadCommands } from '../../src/cli/commands.ts';
import { helpText } from '../../src/cli/help.ts';
import { Client, eventually, logIn, makeDatabase } from '../harness.ts';
import { castellan, finish, killLeftovers, launch, type Result, startNode } from './process.ts';

const PASSWORD = 'a long walk through rain';

describe('command line', function () {
  this.timeout(60_000);

  /** Exit code 1, nothing on stdout, and one line that fits on stderr. */
  function assertFailed({ code, stdout, stderr }: Result, line: RegExp): void {
    assert.deepEqual([code, stdout], [1, ''], stderr);
    assert.match(stderr, line);
    assert.equal(stderr.indexOf('\n'), stderr.length - 1, `more than one line: ${stderr}`);
  }

  it('explains each command', async () => {
    const [all, one] = await Promise.all([castellan(['--help']), castellan(['import', '--help'])]);
    assert.deepEqual([all.code, one.code, one.stderr], [0, 0, '']);
    const commands = await loadCommands();
    const listed = [...all.stdout.matchAll(/^ {2}(\S+(?: \S+)?) {2,}\S/gm)].map(([, name]) => name ?? '');
    assert.deepEqual(
      listed,
      commands.map(({ name }) => name),
    );
    assert.deepEqual(listed.slice(0, 5), ['serve', 'migrate', 'seed', 'config', 'admin create']);
    for (const command of commands) {
      assert.equal(await findCommand([...command.name.split(' '), 'more']), command, 'found by its name');
      const help = helpText(command);
      assert.match(help, new RegExp(`^castellan ${command.name}( .+)?\n`));
      for (const { name, meaning } of command.options) assert.ok(meaning && help.includes(`--${name}`), help);
      if (command.name === 'import') assert.equal(one.stdout, `${help}\n`);
    }
  });

  it('explains the commands that begin with one word', async () => {
    const { code, stdout } = await castellan(['api-key', '--help']);
    assert.equal(code, 0);
    const listed = [...stdout.matchAll(/^ {2}(\S+ \S+) {2,}\S/gm)].map(([, name]) => name);
    assert.deepEqual(listed, ['api-key create', 'api-key list', 'api-key rotate', 'api-key revoke']);
  });

  it('says in one line what was typed wrong', async () => {
    const [command, option, argument, missing] = await Promise.all([
      castellan(['migrat']),
      castellan(['migrate', '--jsn']),
      castellan(['config', 'PORT']),
      castellan(['admin', 'create'], {}, PASSWORD),
    ]);
    assertFailed(command, /^castellan: there is no command "migrat"; see castellan --help$/m);
    assertFailed(option, /^castellan: Unknown option '--jsn'.*see castellan migrate --help$/m);
    assertFailed(argument, /^castellan: Unexpected argument 'PORT'.*see castellan config --help$/m);
    assertFailed(missing, /^castellan: --email is required$/m);
  });

  it('shows every setting, where it comes from and what it means, but no secret', async () => {
    const env = { PORT: '9090', DATABASE_URL: 'postgres://me:secret@db/castellan' };
    const [text, json, wrong] = await Promise.all([
      castellan(['config'], env),
      castellan(['config', '--json'], env),
      castellan(['config'], { PORT: 'abc' }),
    ]);
    assert.match(text.stdout, /^PORT=9090 +\(environment\)\n {4}port to listen on/m);
    assert.match(text.stdout, /^HOST=127\.0\.0\.1\n/m);
    const settings: { name: string }[] = JSON.parse(json.stdout);
    const one = (name: string) => settings.find((setting) => setting.name === name);
    assert.deepEqual(one('PORT'), {
      name: 'PORT',
      value: '9090',
      source: 'environment',
      meaning: 'port to listen on; 0 takes a free one',
    });
    assert.doesNotMatch(text.stdout + json.stdout, /secret@/);
    assertFailed(wrong, /^castellan: PORT: must be a number/);
  });

  it('makes the first account of a production, which has nothing of the demo', async () => {
    const env = { NODE_ENV: 'production', HOST: '127.0.0.1', DATABASE_URL: await makeDatabase() };
    const create = (input: string) =>
      castellan(['admin', 'create', '--email', 'Chief@Example.org', '--json'], env, input);
    const [weak, seed] = await Promise.all([create('password123\n'), castellan(['seed'], env)]);
    assertFailed({ ...weak, stdout: '' }, /^castellan: .*password/);
    const { error } = JSON.parse(weak.stdout);
    assert.deepEqual([error.code, error.problems[0].pointer], ['invalid_request', '/password']);
    assertFailed(seed, /^castellan: .*not for NODE_ENV=production; .*castellan admin create$/m);
    const made = await create(`${PASSWORD}\nnot the password\n`);
    assert.deepEqual([made.code, made.stderr], [0, '']);
    const { id, role } = JSON.parse(made.stdout);
    assert.equal(role, 'superadmin');

    const node = await startNode(env);
    assert.doesNotMatch(node.stdout(), /demo|example\.com/i);
    const chief = await logIn(node, 'chief@example.org', PASSWORD);
    assert.equal((await chief.get('/api/v1/me')).body.user.id, id);
    const rules = (await chief.get('/api/v1/admin/rules?limit=100')).body.items;
    assert.ok(rules.some((rule: { id: string }) => rule.id === 'superadmin-everything'));
    assert.ok(!rules.some(({ subject }: { subject: unknown }) => [subject].flat().includes('document')));
    const types = (await chief.get('/api/v1/admin/resource-types?limit=100')).body.items;
    assert.ok(!types.some(({ type }: { type: string }) => type === 'document' || type === 'order'));
    const users = (await chief.get('/api/v1/admin/users')).body.items;
    assert.deepEqual(
      users.map(({ email }: { email: string }) => email),
      ['Chief@Example.org'],
    );
    for (const path of ['/api/v1/documents', '/api/v1/orders'])
      assert.equal((await chief.get(path)).status, 404);
    await assert.rejects(logIn(node, 'superadmin'), /answered 401/);
    assert.equal(await node.stop(), 0);

    // Begun without the demo, it has no demo accounts to boast of later either.
    const later = await startNode({
      DATABASE_URL: env.DATABASE_URL,
      PUBLIC_URL: 'http://castellan.example/',
    });
    const greeting = later.stdout().replace(/^\{.*\n/gm, ''); // the log
    assert.equal(greeting.trimEnd().split('\n').length, 1, later.stdout());
    assert.match(greeting, /^Castellan is at http:\/\/castellan\.example \(/);
    assert.equal(await later.stop(), 0);
  });

  describe('on the embedded PostgreSQL', () => {
    let env: Record<string, string>;
    const isPostgresUp = () =>
      access(join(env.DATA_DIR ?? '', 'postgres/data/postmaster.pid')).then(
        () => true,
        () => false,
      );
    const knex = (...args: string[]) =>
      finish(launch(['--import', 'tsx', 'node_modules/knex/bin/cli.js', ...args], env));

    before(async () => {
      const parent = await mkdtemp(join(tmpdir(), 'castellan-test-'));
      await chmod(parent, process.getuid?.() === 0 ? 0o711 : 0o700); // the server's account has to pass
      env = { DATA_DIR: join(parent, 'data'), NODE_ENV: 'test' };
    });
    after(async () => {
      const dataDir = env.DATA_DIR ?? '';
      const cluster = await realpath(join(dataDir, 'postgres')).catch(() => dataDir);
      await rm(cluster, { recursive: true, force: true });
      await rm(join(dataDir, '..'), { recursive: true, force: true });
    });
    afterEach(async () => {
      killLeftovers();
      await eventually('PostgreSQL has ended with the command', async () => !(await isPostgresUp()));
    });

    it('migrates, and a second time has nothing to do', async () => {
      const first = await castellan(['migrate'], env);
      assert.deepEqual([first.code, first.stderr], [0, '']);
      assert.match(first.stdout, /^applied 0001-foundation\n/);
      const second = await castellan(['migrate', '--json'], env);
      assert.deepEqual([second.code, JSON.parse(second.stdout)], [0, { applied: [] }]);
    });

    it('seeds, and a second time changes nothing', async () => {
      const first = await castellan(['seed'], env);
      assert.deepEqual([first.code, first.stderr], [0, '']);
      assert.match(first.stdout, /^superadmin@example\.com\nadmin@example\.com\n/);
      const second = await castellan(['seed', '--json'], env);
      assert.deepEqual([second.code, JSON.parse(second.stdout).accounts.length], [0, 8]);
    });

    it('is what the knex command line works on, which leaves no PostgreSQL behind', async () => {
      const status = await knex('migrate:status');
      assert.equal(status.code, 0, status.stderr);
      assert.match(status.stdout, /0001-foundation[\s\S]*No Pending Migration/);
      const seeded = await knex('seed:run');
      assert.equal(seeded.code, 0, seeded.stderr);
      assert.match(seeded.stdout, /Ran 1 seed file/);
    });

    it('makes an account while the gateway runs on the same database', async () => {
      const node = await startNode(env);
      const create = (...options: string[]) =>
        castellan(['admin', 'create', '--email', 'second@example.org', ...options], env, `${PASSWORD}\n`);
      const made = await create('--first-name', 'Jo', '--last-name', 'Ng', '--role', 'admin');
      assert.deepEqual(
        [made.code, made.stdout, made.stderr],
        [0, 'made second@example.org with the role admin\n', ''],
      );
      const client = await logIn(node, 'second@example.org', PASSWORD);
      const { user } = (await client.get('/api/v1/me')).body;
      assert.deepEqual([user.firstName, user.lastName, user.roles], ['Jo', 'Ng', ['admin']]);
      const [taken, unknown] = await Promise.all([create(), create('--role', 'king')]);
      assertFailed(taken, /^castellan: .*e-mail .*already/);
      assertFailed(unknown, /^castellan: there is no role king; there are admin, /);
      assert.equal((await new Client(node.url).get('/readyz')).status, 200, 'its PostgreSQL still runs');
      assert.equal(await node.stop(), 0);
    });
  });
});
