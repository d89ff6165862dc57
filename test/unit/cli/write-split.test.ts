/** The files of an export in a folder: what others wrote there is not lost. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../../../src/cli/command.ts';
import { writeSplit } from '../../../src/cli/write-split.ts';
import { emptyPolicy, type Policy } from '../../../src/policy/policy.ts';
import { splitPolicy } from '../../../src/policy/split-files.ts';

const role = (key: string) => ({ key, name: key, description: '', inherits: [] });
const rule = (id: string, holder: string) => ({ id, role: holder, action: 'read', subject: 'user' });
const policy = (...holders: string[]) =>
  ({
    ...emptyPolicy(),
    roles: holders.map(role),
    rules: holders.map((holder) => rule(`${holder}-reads`, holder)),
  }) as unknown as Policy;

describe('an export split into a folder', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'castellan-split-'));
    await mkdir(join(folder, 'rules'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const split = (of: Policy, force = false, format: 'yaml' | 'json' = 'yaml') =>
    writeSplit(folder, splitPolicy(of, format, '/schemas/policy.json'), force);
  const read = (path: string) => readFile(join(folder, path), 'utf8');

  it('takes away what an earlier one left, in whichever format', async () => {
    await split(policy('author', 'editor'));
    const { written, removed } = await split(policy('author'), false, 'json');
    assert.deepEqual(written, ['roles.json', 'rules/author.json']);
    assert.deepEqual(removed, ['roles.yaml', 'rules/author.yaml', 'rules/editor.yaml']);
    const back = await split(policy('author'));
    assert.deepEqual(back.removed, ['roles.json', 'rules/author.json']);
  });

  it('is refused where people wrote files, names them and touches nothing, though they are called as its own', async () => {
    await split(policy('editor'));
    await writeFile(join(folder, 'roles.yaml'), '# mine\n');
    await writeFile(join(folder, 'rules', 'team.yaml'), '# mine\n');
    const before = await read('rules/editor.yaml');
    await assert.rejects(split(policy('author')), (thrown) => {
      assert.ok(thrown instanceof UsageError && thrown.code === 'conflict');
      assert.match(thrown.message, /holds roles\.yaml, rules\/team\.yaml, which no export wrote; --force /);
      return true;
    });
    assert.deepEqual([await read('roles.yaml'), await read('rules/editor.yaml')], ['# mine\n', before]);
  });

  it('by force replaces what is in its way and leaves the rest of others', async () => {
    await split(policy('editor'));
    await writeFile(join(folder, 'roles.yaml'), '# mine\n');
    await writeFile(join(folder, 'rules', 'team.yaml'), '# mine\n');
    const { removed } = await split(policy('author'), true);
    assert.deepEqual([removed, await read('rules/team.yaml')], [['rules/editor.yaml'], '# mine\n']);
    assert.match(await read('roles.yaml'), /key: author/);
  });

  it('says in a line what cannot be read or written, and waits for no fifo', async () => {
    await once(spawn('mkfifo', [join(folder, 'roles.yaml')]), 'exit');
    await assert.rejects(split(policy('author')), /holds roles\.yaml, which no export wrote/);
    await rm(join(folder, 'roles.yaml'));
    await mkdir(join(folder, 'roles.yaml'));
    await assert.rejects(split(policy('author')), /^UsageError: roles\.yaml cannot be written: EISDIR$/);
  });
});
