/** `castellan check --sql`: what lists ask of the tables, and rules that no list can follow, told before they are published. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ListSql } from '../../src/cli/list-sql.ts';
import { shippedPolicies } from '../../src/policy/files.ts';
import { makeDemoDatabase } from '../harness.ts';
import { castellan, killLeftovers } from './process.ts';

const shipped = shippedPolicies();
const NIL = '00000000-0000-0000-0000-000000000000';

describe('the SQL of a policy in files', function () {
  this.timeout(60_000);
  let folder: string;
  let env: Record<string, string>;
  /** A database nobody answers at: whoever asks it fails. */
  const offline = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing' };
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'castellan-sql-'));
    env = { DATABASE_URL: await makeDemoDatabase(), NODE_ENV: 'test' };
  });
  after(() => rm(folder, { recursive: true, force: true }));
  afterEach(killLeftovers);

  async function rulesIn(name: string, ...rules: string[]): Promise<string> {
    const file = join(folder, name);
    await writeFile(file, ['version: 1', 'rules:', ...rules.map((rule) => `  - ${rule}`), ''].join('\n'));
    return file;
  }

  it('is told for each list and role, with stand-ins for whoever asks, and how PostgreSQL goes about it', async () => {
    const { code, stdout, stderr } = await castellan(['check', shipped, '--sql'], env);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^ok: /m);
    assert.match(
      stdout,
      new RegExp(
        `^stand-ins: principal.id = "${NIL}", principal.department = "<department>", principal.regions = \\["<regions>"\\]$`,
        'm',
      ),
    );
    const editor = /^read document, as editor\n([\s\S]*?)\n\n/m.exec(stdout)?.[1] ?? '';
    assert.match(editor, /^ {2}rules: editor-reads-department, user-reads-own, user-reads-published\n/);
    assert.ok(
      editor.includes(
        `  WHERE ("documents"."department" = '<department>'::text OR "documents"."owner_id" = '${NIL}'::uuid OR "documents"."status" = 'published'::text)\n`,
      ),
      editor,
    );
    assert.match(editor, /\n {4}Limit {2}\(cost=/);
    assert.match(stdout, /^read document, as user, author, approver$/m);
    assert.match(
      stdout,
      /^read document, as superadmin\n {2}rules: superadmin-everything\n {2}WHERE true\n/m,
    );
  });

  it('long lists are cut for people; machines get the statement as it runs, with its parameters', async () => {
    const file = await rulesIn(
      'many.yaml',
      ...Array.from(
        { length: 40 },
        (_, n) =>
          `{ id: many-${n}, role: everyone, action: read, subject: document, conditions: { department: d${n} } }`,
      ),
      '{ id: at-night, role: user, action: read, subject: document, when: { context.night: true } }',
    );
    const [text, json] = await Promise.all([
      castellan(['check', join(shipped, 'demo'), file, '--sql'], env),
      castellan(['check', join(shipped, 'demo'), file, '--sql', '--json'], env),
    ]);
    assert.deepEqual([text.code, json.code], [0, 0], text.stdout + json.stderr);
    assert.match(text.stdout, /"department" = ANY \(ARRAY\['d0', .*, … 30 more\]::text\[\]\)/);
    const { ok, standIns, lists }: { ok: boolean; standIns: object; lists: ListSql[] } = JSON.parse(
      json.stdout,
    );
    assert.equal(ok, true);
    assert.deepEqual(standIns, { id: NIL, department: '<department>', regions: ['<regions>'] });
    const nobody = lists.find(({ type, roles }) => type === 'document' && roles.includes('anonymous'));
    assert.equal(nobody?.rules.length, 40);
    assert.match(
      nobody?.sql ?? '',
      /^select \* from "documents" where "documents"\."department" = ANY \(\$1::text\[\]\) order by "documents"\."created_at" DESC, "documents"\."id" DESC limit \$2$/i,
    );
    assert.deepEqual(nobody?.bindings.slice(1), [50]);
    assert.deepEqual([nobody?.bindings[0]].flat().length, 40);
    assert.match(nobody?.explain.join('\n') ?? '', /^Limit/);
    const user = lists.find(({ type, roles }) => type === 'document' && roles.includes('user'));
    assert.deepEqual(user?.leftOut, ['at-night']);
  });

  it('a rule that no list can follow is a problem of check at its place, without a database', async () => {
    const file = await rulesIn(
      'untold.yaml',
      '{ id: fine, role: user, action: read, subject: document, conditions: { title: { $regex: "^a" } } }',
      'id: words\n    role: user\n    action: read\n    subject: document\n    conditions: { title: { $regex: "\\\\bsecret" } }',
    );
    for (const args of [[], ['--sql']]) {
      const { code, stdout } = await castellan(['check', join(shipped, 'demo'), file, ...args], offline);
      assert.equal(code, 1);
      assert.match(
        stdout,
        /untold\.yaml:8:5: cannot be asked of the table of document, so that lists would disagree: the pattern \\bsecret, .* \(untranslatable\)\n1 problem\n$/,
      );
    }
    const served = await castellan(['check', join(shipped, 'demo'), file], { ...offline, DEMO: 'false' });
    assert.equal(served.code, 0, 'without the demo there is no table');
    for (const command of ['diff', 'import']) {
      const { stderr } = await castellan([command, join(shipped, 'demo'), file], env);
      assert.match(stderr, /untold\.yaml:8:5: .* \(untranslatable\)/, command);
    }
  });

  it('says in one line what cannot be', async () => {
    const [down, both] = await Promise.all([
      castellan(['check', shipped, '--sql'], offline),
      castellan(['check', shipped, '--sql', '--against-live'], offline),
    ]);
    assert.deepEqual([down.code, both.code], [1, 1]);
    assert.match(down.stderr, /^castellan: PostgreSQL at .* cannot be reached: .*\n$/);
    assert.equal(both.stderr, 'castellan: --sql goes with neither --against-live nor --format\n');
  });
});
