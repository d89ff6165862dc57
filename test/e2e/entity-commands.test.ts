/** `castellan entities …`, as typed, beside a gateway that runs. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, startGateway, type TestGateway } from '../harness.ts';
import { auditOf, ok, person } from '../http/admin/staff.ts';
import { addEntityTypes, at } from '../http/entities/kept.ts';
import { castellan } from './process.ts';

describe('castellan entities', function () {
  this.timeout(60_000);
  let gateway: TestGateway;
  let root: Client;
  let env: Record<string, string>;
  let folder: string;
  before(async () => {
    gateway = await startGateway();
    env = { DATABASE_URL: gateway.databaseUrl };
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    await addEntityTypes(root);
    folder = await mkdtemp(join(tmpdir(), 'castellan-entities-'));
  });
  after(async () => {
    await rm(folder, { recursive: true });
    await gateway.close();
  });

  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await castellan(args, env);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const fileOf = async (name: string, ...entities: object[]) => {
    const path = join(folder, name);
    const text = name.endsWith('.json')
      ? JSON.stringify({ entities })
      : entities.map((entity) => `${JSON.stringify(entity)}\n`).join('');
    await writeFile(path, text);
    return path;
  };
  const [top, below] = [
    { type: 'folder', id: 'a', attributes: { viewers: ['x'] } },
    { type: 'folder', id: 'b', parents: ['folder:a'] },
  ];

  it('imports, lists and exports; what was exported changes nothing, and a running gateway has it at once', async () => {
    const added = await run('entities', 'import', await fileOf('two.ndjson', below, top));
    assert.equal(added, 'entities: 2 added, 0 changed, 0 removed\n');
    assert.deepEqual(ok(await root.get(at('folder:b'))).body.parents, ['folder:a']);
    const [entry] = await auditOf(gateway, 'castellan.entity', 'merge');
    assert.deepEqual([entry.actor, entry.action], ['castellan entities import', 'entity.import']);

    assert.equal(await run('entities', 'list'), 'folder:a  version 1\nfolder:b  version 1  in folder:a\n');
    const explained = JSON.parse(
      await run(
        'explain',
        '--principal',
        'anonymous',
        '--action',
        'read',
        '--resource',
        'folder:b',
        '--json',
      ),
    );
    assert.deepEqual(explained.resource.attributes.ancestors, [{ id: 'a', type: 'folder', viewers: ['x'] }]);
    const lines = await run('entities', 'export', '--type', 'folder');
    assert.deepEqual(
      lines
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
      [top, below],
    );
    const path = join(folder, 'again.jsonl');
    await writeFile(path, lines);
    const again = JSON.parse(await run('entities', 'import', path, '--mode', 'replace', '--json'));
    assert.deepEqual(again, { added: 0, changed: 0, removed: 0 });
  });

  it('ends with one line and status 1 where something is wrong, and nothing is written', async () => {
    const bad = await fileOf(
      'bad.ndjson',
      { type: 'folder', id: 'c' },
      { type: 'folder', id: 'd', attributes: { x: 1 } },
    );
    const { code, stderr } = await castellan(['entities', 'import', bad], env);
    assert.equal(code, 1);
    assert.match(stderr, /^castellan.*line 2: x is not a known attribute of folder.*\n$/);
    const missing = await castellan(['entities', 'import', 'nowhere.ndjson'], env);
    assert.deepEqual([missing.code, missing.stderr], [1, 'castellan: there is no file nowhere.ndjson\n']);
    assert.equal((await root.get(at('folder:c'))).status, 404);
  });

  it('a policy is exported and imported with them, and files are checked with them', async () => {
    const path = join(folder, 'policy.yaml');
    await writeFile(path, await run('export', '--entities'));
    assert.match(
      await run('import', path, '--mode', 'replace'),
      /entities: 0 added, 0 changed, 0 removed\n$/,
    );
    const wrong = `version: 1\nentities:\n  - { type: foldr, id: x }\n`;
    const wrongPath = join(folder, 'wrong.yaml');
    await writeFile(wrongPath, wrong);
    const { code, stdout } = await castellan(['check', wrongPath], env);
    assert.equal(code, 1);
    assert.match(stdout, /wrong\.yaml:3:\d+: foldr is not a known type/);
  });
});
