/** The policy as files on the command line: check, import, export, diff, revisions, restore, cases. */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { shippedPolicies } from '../../src/policy/files.ts';
import { eventually, logIn, makeDemoDatabase, startGateway, type TestGateway } from '../harness.ts';
import { castellan, killLeftovers, type Result } from './process.ts';

const shipped = shippedPolicies();

describe('the policy as files', function () {
  this.timeout(60_000);
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'castellan-policies-'));
    await mkdir(join(folder, 'wrong'));
    await writeFile(
      join(folder, 'wrong', 'rules.yaml'),
      [
        'version: 1',
        'rules:',
        '  - { id: reads, role: user, action: read, subject: document }',
        '  - id: writes',
        '    role: user',
        '    action: update',
        '    subject: document',
        '    conditions: { staus: draft }',
        '',
      ].join('\n'),
    );
    await writeFile(
      join(folder, 'wrong', 'more.json'),
      '{"version": 1, "rules": [\n  {"id": "reads", "role": "user", "action": "raed", "subject": "user"}]}\n',
    );
    await writeFile(
      join(folder, 'failing.yaml'),
      'version: 1\ncases:\n  - id: hopes\n    principal: anonymous\n    action: read\n    resource: { type: user }\n    expect: allow\n',
    );
  });
  after(() => rm(folder, { recursive: true, force: true }));
  afterEach(killLeftovers);

  describe('offline', () => {
    /** A database nobody answers at: whoever asks it fails. */
    const env = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' };

    it('check tells every problem of every file by file, line and column, and exits with 1', async () => {
      const wrong = join(folder, 'wrong');
      const text = await castellan(['check', join(shipped, 'demo', 'resource-types.yaml'), wrong], env);
      assert.deepEqual([text.code, text.stderr], [1, '']);
      const lines = text.stdout.trimEnd().split('\n').slice(1);
      assert.deepEqual(
        lines.map((line) => line.replace(`${wrong}/`, '')),
        [
          'more.json:2:45: raed is not a known action of user; did you mean read? (unknown_action)',
          `rules.yaml:3:11: reads is there twice (first at ${wrong}/more.json:2:3) (duplicate)`,
          'rules.yaml:8:19: staus is not an attribute of document; did you mean status? (unknown_attribute)',
          '3 problems',
        ],
      );
    });

    it('check of the shipped policies is well, with the base below the demo, and needs no database', async () => {
      const [all, demo, cases] = await Promise.all([
        castellan(['check', shipped], env),
        castellan(['check', join(shipped, 'demo'), '--json'], env),
        castellan(['cases', join(shipped, 'demo'), '--format', 'tap'], env),
      ]);
      assert.deepEqual([all.code, demo.code, cases.code], [0, 0, 0], all.stdout + demo.stdout);
      assert.match(all.stdout, /^ok: \d+ resource types, \d+ roles, \d+ rules, \d+ cases passed$/m);
      const { base, cases: counts } = JSON.parse(demo.stdout);
      assert.equal(base, join(shipped, 'base.yaml'));
      assert.ok(counts.passed > 80 && counts.failed === 0);
      assert.match(cases.stdout, new RegExp(`^TAP version 14\n1\\.\\.${counts.passed}\nok 1 - `));
    });

    it('a case that fails is a problem at its place, and a failure in JUnit', async () => {
      const file = join(folder, 'failing.yaml');
      const [json, junit] = await Promise.all([
        castellan(['check', file, '--base', '--json'], env),
        castellan(['cases', file, '--format', 'junit'], env),
      ]);
      assert.deepEqual([json.code, junit.code], [1, 1]);
      const { ok, problems } = JSON.parse(json.stdout);
      const [{ line, column, code, message }] = problems;
      assert.deepEqual([ok, problems.length, line, column, code], [false, 1, 7, 13, 'case_failed']);
      assert.equal(message, 'hopes: expected allow, got deny by no rule');
      assert.match(
        junit.stdout,
        /<testsuites tests="\d+" failures="1">[\s\S]*<failure message="expected allow/,
      );
    });

    it('says in one line what is missing', async () => {
      const results = await Promise.all([
        castellan(['import'], env),
        castellan(['import', shipped, '--mode', 'mix'], env),
        castellan(['diff', shipped], env),
      ]);
      const expected: [number, RegExp][] = [
        [1, /^castellan import: name a file or folder\n$/],
        [1, /^castellan: --mode must be merge or replace, not "mix"\n$/],
        [2, /^castellan: PostgreSQL at .* cannot be reached: .*\n$/],
      ];
      for (const [index, { code, stdout, stderr }] of results.entries()) {
        const [wanted, line] = expected[index] ?? [0, /^$/];
        assert.deepEqual([code, stdout], [wanted, ''], stderr);
        assert.match(stderr, line);
      }
    });
  });

  describe('offline, for machines', () => {
    const env = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' };

    it('every failure with --json is one object on stdout, with the exit code and the line that people get', async () => {
      const wrong = join(folder, 'wrong');
      const empty = join(folder, 'empty');
      await mkdir(empty);
      const table: [string[], number, string, RegExp][] = [
        [['import', wrong], 1, 'policy_invalid', /^castellan: 1 problem; nothing was imported\n$/],
        [['diff', empty], 2, 'unreadable', /^castellan: there is no \.yaml, \.yml or \.json file in .*\n$/],
        [['cases', wrong], 1, 'policy_invalid', /^castellan: 3 problems\n$/],
        [['import', '--mode', 'mix'], 1, 'usage', /^castellan import: name a file or folder\n$/],
        [['restore', '1', '--mesage', 'x'], 1, 'usage', /^castellan: Unknown option '--mesage'.*\n$/],
        [['revisions'], 1, 'unavailable', /^castellan: PostgreSQL at .* cannot be reached: .*\n$/],
      ];
      const results = await Promise.all(table.map(([args]) => castellan([...args, '--json'], env)));
      for (const [index, [args, code, error, line]] of table.entries()) {
        const found = results[index];
        assert.equal(found?.code, code, args.join(' '));
        assert.match(found.stderr, line);
        const told = JSON.parse(found.stdout);
        assert.deepEqual([Object.keys(told), told.error.code], [['error'], error]);
        assert.ok(found.stderr.includes(told.error.message), told.error.message);
        if (error === 'policy_invalid') assert.ok(told.error.problems[0].line > 0);
      }
    });
  });

  describe('on a database that a gateway runs on', () => {
    let gateway: TestGateway;
    let env: Record<string, string>;
    const run = (...args: string[]): Promise<Result> => castellan(args, env);
    const revision = () => gateway.services.live.snapshot.revision;
    const settled = (number: number) => eventually('the revision', () => revision() >= number);

    before(async () => {
      const databaseUrl = await makeDemoDatabase();
      env = { DATABASE_URL: databaseUrl, NODE_ENV: 'test' };
      gateway = await startGateway({ databaseUrl });
    });
    after(() => gateway.close());

    it('an export imported again changes nothing, whole or split, and is the bytes that the API gives', async () => {
      const split = join(folder, 'split');
      const [text, json, files] = await Promise.all([
        run('export'),
        run('export', '--format', 'json'),
        run('export', '--split', split, '--json'),
      ]);
      assert.deepEqual([text.code, json.code, files.code], [0, 0, 0], text.stderr + files.stderr);
      const admin = await logIn(gateway, 'admin');
      assert.equal((await admin.get('/api/v1/admin/policy/export')).body, text.stdout);
      assert.ok(JSON.parse(files.stdout).written.includes('rules/editor.yaml'));
      await writeFile(join(folder, 'whole.json'), json.stdout);
      const [whole, parts, different] = await Promise.all([
        run('import', join(folder, 'whole.json'), '--mode', 'replace', '--json'),
        run('import', split, '--mode', 'replace'),
        run('diff', split, '--mode', 'replace'),
      ]);
      assert.deepEqual([whole.code, parts.code, different.code], [0, 0, 0], whole.stderr + parts.stderr);
      assert.equal(JSON.parse(whole.stdout).revision, 1);
      assert.equal(parts.stdout, 'nothing to change: revision 1 stays in force\n');
      assert.equal(different.stdout, '');
      assert.equal(
        await gateway.services
          .db('revisions')
          .max('number')
          .first()
          .then((row) => row?.max),
        1,
      );
    });

    it('an import is one revision with author, message and audit entry, in force on the running node', async () => {
      const file = join(folder, 'rule.yaml');
      await writeFile(
        file,
        'version: 1\nrules:\n  - { id: imported, role: user, action: read, subject: order, priority: -1 }\n',
      );
      const different = await run('diff', file);
      assert.deepEqual([different.code, different.stdout], [1, 'rule imported: added\n']);
      const dry = await run('import', file, '--dry-run');
      assert.match(
        dry.stdout,
        /^rule imported: added\ndry run: 1 added, 0 changed, 0 removed; revision 1 stays/,
      );
      assert.equal(revision(), 1);
      const done = await run('import', file, '--message', 'Orders for all');
      const away = await run('import', join(folder, 'whole.json'), '--mode', 'replace', '--dry-run');
      assert.match(away.stdout, /^rule imported: removed\ndry run: 0 added, 0 changed, 1 removed; /);
      assert.equal(done.code, 0, done.stderr);
      assert.match(done.stdout, /^rule imported: added\nrevision 2: 1 added, 0 changed, 0 removed\n$/);
      await settled(2);
      const row = await gateway.services.db('revisions').where({ number: 2 }).first();
      assert.deepEqual([row.authorId, row.author, row.message], [null, 'castellan import', 'Orders for all']);
      const entry = await gateway.services.db('audit_entries').where({ revision: 2 }).first();
      assert.deepEqual(
        [entry.action, entry.actor, entry.targetId],
        ['policy.import', 'castellan import', 'merge'],
      );
      const [published, read] = [await logIn(gateway, 'admin'), await run('export')];
      assert.equal((await published.get('/api/v1/admin/policy/export')).body, read.stdout);
    });

    it('an import that is wrong, locks everybody out, breaks cases or fails in the middle leaves everything as it was', async () => {
      const { db } = gateway.services;
      const before = [revision(), await db('rules').count(), await db('audit_entries').count()];
      const policies = join(folder, 'policies');
      await cp(shipped, policies, { recursive: true });
      const demo = join(policies, 'demo', 'cases.yaml');
      const all = await readFile(demo, 'utf8');
      await writeFile(demo, all.replace('expect: allow', 'expect: deny'));
      const base = join(folder, 'locks-out.yaml');
      await writeFile(
        base,
        'version: 1\nrules:\n  - { id: superadmin-everything, role: superadmin, action: read, subject: user }\n',
      );
      await db.raw(`
        CREATE FUNCTION fail_import() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$;
        CREATE TRIGGER fail_import BEFORE INSERT ON revisions FOR EACH ROW EXECUTE FUNCTION fail_import()`);
      const [wrong, breaks, locks, fails, inUse] = await Promise.all([
        run('import', join(folder, 'wrong')),
        run('import', policies, '--message', 'breaks a case', '--json'),
        run('import', base, '--json'),
        run('import', shipped),
        run('import', join(shipped, 'base.yaml'), '--mode', 'replace', '--json'),
      ]);
      await db.raw('DROP TRIGGER fail_import ON revisions; DROP FUNCTION fail_import');
      assert.deepEqual([wrong.code, breaks.code, locks.code, fails.code], [1, 1, 1, 1]);
      assert.match(
        wrong.stderr,
        /rules\.yaml:3:11: .*\(duplicate\)\ncastellan: 1 problem; nothing was imported\n$/,
      );
      assert.match(
        breaks.stderr,
        /castellan: 1 case would no longer hold, so nothing was changed: editor-reads-draft/,
      );
      assert.match(locks.stderr, /castellan: no active account could change every rule any more/);
      assert.match(fails.stderr, /the disk is full/);
      const errorOf = ({ code, stdout }: Result) => ({ exit: code, ...JSON.parse(stdout).error });
      const { cases, ...broken } = errorOf(breaks);
      assert.deepEqual([broken.code, cases[0].passed], ['cases_broken', false]);
      assert.equal(errorOf(locks).code, 'policy_locks_out');
      assert.deepEqual([errorOf(inUse).exit, errorOf(inUse).code], [1, 'role_in_use']);
      assert.deepEqual([revision(), await db('rules').count(), await db('audit_entries').count()], before);
      assert.equal(await db('cases').first(), undefined);
    });

    it('revisions are listed, an earlier one is exported and restored, and stored cases run', async () => {
      const first = await run('export', '--revision', '1');
      const restored = await run('restore', '1');
      assert.match(restored.stdout, /^rule imported: removed\nrevision 3: 0 added, 0 changed, 1 removed\n$/);
      const [list, now, none] = await Promise.all([
        run('revisions', '--limit', '2'),
        run('export'),
        run('restore', '99'),
      ]);
      assert.match(
        list.stdout,
        /^ {4}3 .*castellan restore: Back to revision 1\n {4}2 .*castellan import: Orders for all\n$/,
      );
      assert.equal(now.stdout, first.stdout);
      assert.deepEqual([none.code, none.stderr], [1, 'castellan: there is no revision 99\n']);
      const imported = await run(
        'import',
        join(shipped, 'demo'),
        '--message',
        `with cst_${'Zz'.repeat(21)}z`,
      );
      assert.equal(imported.code, 0, imported.stderr);
      const { message } = await gateway.services.db('revisions').where({ number: 4 }).first();
      assert.equal(message, '[redacted]', 'a session token stays out of the history');
      const cases = await run('cases', '--json');
      const { revision: at, passed, failed } = JSON.parse(cases.stdout);
      assert.deepEqual([cases.code, at, failed], [0, 4, 0]);
      assert.ok(passed > 80);
    });

    it('a split into a folder takes stale files away, and stays out of a folder of something else', async () => {
      const split = join(folder, 'again');
      await mkdir(join(split, 'rules'), { recursive: true });
      await mkdir(join(split, '.git'));
      const ofAnExport = await readFile(join(folder, 'split', 'rules', 'editor.yaml'), 'utf8');
      await writeFile(join(split, 'rules', 'gone.yaml'), ofAnExport);
      const fine = await run('export', '--split', split);
      assert.match(fine.stdout, /^removed rules\/gone\.yaml\nwrote \d+ files to /);
      assert.deepEqual((await readdir(split)).sort(), [
        '.git',
        'cases.yaml',
        'resource-types.yaml',
        'roles.yaml',
        'routes',
        'rules',
      ]);
      await writeFile(join(split, 'notes.txt'), 'mine');
      const refused = await run('export', '--split', split, '--format', 'json');
      assert.deepEqual([refused.code, refused.stdout], [1, '']);
      assert.match(
        refused.stderr,
        /holds notes\.txt, which no export wrote; --force replaces what is in the way and leaves the rest\n$/,
      );
      assert.ok((await readdir(split)).includes('roles.yaml'));
    });

    it('a dry run that would break cases fails as the import does; --force is for both, and the audit trail names them', async () => {
      const { db } = gateway.services;
      const kept = join(folder, 'kept.yaml');
      const opening = join(folder, 'opening.yaml');
      await writeFile(
        kept,
        'version: 1\ncases:\n  - { id: orders-are-closed, principal: anonymous, action: read, resource: { type: order }, expect: deny }\n',
      );
      await writeFile(
        opening,
        'version: 1\nrules:\n  - { id: opens, role: everyone, action: read, subject: order, priority: 9 }\n',
      );
      assert.equal((await run('import', kept)).code, 0);
      const newest = async () => (await db('revisions').max('number').first())?.max;
      const before = await newest();
      const [dry, dryJson, refused, forcedDry] = await Promise.all([
        run('import', opening, '--dry-run'),
        run('import', opening, '--dry-run', '--json'),
        run('import', opening),
        run('import', opening, '--dry-run', '--force'),
      ]);
      assert.deepEqual([dry.code, dryJson.code, refused.code, forcedDry.code], [1, 1, 1, 0]);
      assert.match(
        dry.stdout,
        /^would break the case orders-are-closed: expected deny, got allow by opens$/m,
      );
      assert.match(
        dry.stderr,
        /^castellan: \d+ cases? would no longer hold; --force would publish all the same\n$/,
      );
      const { brokenCases, dryRun } = JSON.parse(dryJson.stdout);
      assert.ok(dryRun && brokenCases.some(({ id }: { id: string }) => id === 'orders-are-closed'));
      assert.match(refused.stderr, /would no longer hold, so nothing was changed: .*; --force publishes/);
      assert.match(forcedDry.stdout, /^would break the case orders-are-closed: [\s\S]*\ndry run: 1 added/m);
      assert.equal(await newest(), before);
      const forced = await run('import', opening, '--force');
      assert.equal(forced.code, 0, forced.stderr);
      assert.match(forced.stdout, /^breaks the case orders-are-closed: expected deny, got allow by opens$/m);
      const entry = await db('audit_entries')
        .where({ revision: before + 1 })
        .first();
      assert.ok(entry.after.forced.brokenCases.includes('orders-are-closed'));
      const unknown = join(folder, 'unknown.yaml');
      await writeFile(unknown, `${(await readFile(opening, 'utf8')).replace('everyone', 'nobody')}`);
      const below = join(folder, 'layers', 'below');
      await mkdir(below, { recursive: true });
      await writeFile(join(folder, 'layers', 'a.yaml'), await readFile(unknown, 'utf8'));
      await writeFile(join(below, 'a.yaml'), await readFile(opening, 'utf8'));
      const [failing, different, layers] = await Promise.all([
        run('cases'),
        run('diff', unknown, '--json'),
        run('import', join(folder, 'layers'), '--dry-run'),
      ]);
      assert.equal(failing.code, 1, 'a stored case fails');
      assert.match(failing.stdout, /^FAILED {2}orders-are-closed: expected deny, got allow by opens$/m);
      const { error } = JSON.parse(different.stdout);
      assert.deepEqual(
        [different.code, error.code, error.problems[0].code],
        [2, 'policy_invalid', 'unknown_role'],
      );
      assert.match(
        layers.stdout,
        /^note: opens of .*below\/a\.yaml:3:\d+ replaces that of .*\nnothing to change/,
      );
    });

    it('a message of more than 500 characters is refused before anything is opened', async () => {
      const env = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' };
      const results = await Promise.all([
        castellan(['import', shipped, '--message', 'x'.repeat(501)], env),
        castellan(['restore', '1', '--message', 'x'.repeat(501)], env),
      ]);
      const refused = [1, '', 'castellan: --message must be at most 500 characters, not 501\n'];
      for (const { code, stdout, stderr } of results) assert.deepEqual([code, stdout, stderr], refused);
      assert.equal((await run('restore', '1', '--message', 'é'.repeat(500), '--force')).code, 0);
    });
  });
});
