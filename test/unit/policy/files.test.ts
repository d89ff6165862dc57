/** Policies as files: which are read, how they become one policy, and where their problems are. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { AppError } from '../../../src/errors.ts';
import { evaluatorNames } from '../../../src/evaluators/index.ts';
import { compile } from '../../../src/policy/compile.ts';
import { openPolicyFiles, readPolicyFiles, shippedPolicies } from '../../../src/policy/files.ts';
import { NoPolicyFilesError } from '../../../src/policy/list-files.ts';
import { mergeFiles, type PolicyFiles } from '../../../src/policy/merge-files.ts';
import { isPlaced } from '../../../src/policy/policy-file.ts';

describe('policy files', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'castellan-files-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function write(files: Record<string, string | object>): Promise<void> {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
    }
  }

  async function read(...layers: string[][]): Promise<PolicyFiles> {
    const named = layers.length > 0 ? layers : [['']];
    const opened = named.map((paths) => openPolicyFiles(paths.map((path) => join(folder, path))));
    return mergeFiles(await Promise.all(opened));
  }

  /** `file:line:column code message` of each problem. */
  function places({ problems }: PolicyFiles): string[] {
    return problems.map(({ file, line, column, code, message }) => {
      return `${file.slice(folder.length + 1)}:${line}:${column} ${code} ${message.replaceAll(folder, '')}`;
    });
  }

  const rule = (id: string, more = '') =>
    `  - id: ${id}\n    role: user\n    action: read\n    subject: user\n${more}`;
  const rules = (...texts: string[]) => `version: 1\nrules:\n${texts.join('')}`;

  describe('which are read', () => {
    it('every YAML and JSON file of a folder and those below, in the order of their names; no schema, nothing hidden', async () => {
      await write({
        'b.yml': rules(rule('b')),
        'a/c.json': { version: 1, rules: [{ id: 'c', role: 'user', action: 'read', subject: 'user' }] },
        'z.yaml': rules(rule('z')),
        'policy.schema.json': { type: 'object' },
        '.git/x.yaml': 'no: policy',
        '.hidden.yaml': 'no: policy',
        'readme.md': '#',
      });
      const { policy, problems } = await read();
      assert.deepEqual(problems, []);
      assert.deepEqual(
        policy.rules.map(({ id }) => id),
        ['c', 'b', 'z'],
      );
    });

    it('links to files, which is how Kubernetes mounts them', async () => {
      await write({ '..data/a.yaml': rules(rule('a')) });
      await symlink('..data/a.yaml', join(folder, 'a.yaml'));
      assert.equal((await read()).policy.rules.length, 1);
    });

    it('a file that is named twice is read once', async () => {
      await write({ 'a.yaml': rules(rule('a')) });
      assert.deepEqual((await read(['', 'a.yaml'])).problems, []);
    });

    it('endings in capitals, too', async () => {
      await write({ 'A.YAML': rules(rule('a')), 'B.Yml': rules(rule('b')), 'C.JSON': '{"version": 1' });
      await write({ 'policy.SCHEMA.JSON': 'no: policy' });
      const files = await read();
      assert.equal(files.policy.rules.length, 2);
      assert.deepEqual(places(files), ['C.JSON:1:14 syntax it is not JSON: CloseBraceExpected']);
    });

    it('one file or folder under two names counts once', async () => {
      await write({ 'x/a.yaml': rules(rule('a')) });
      await symlink('a.yaml', join(folder, 'x', 'b.yaml'));
      await symlink('x', join(folder, 'y'));
      const here = relative(process.cwd(), folder);
      const named = [folder, here, join(folder, 'x'), join(folder, 'x', '..', 'y', 'b.yaml')];
      const { policy, problems, replaced } = mergeFiles([await openPolicyFiles(named)]);
      assert.deepEqual([policy.rules.length, problems, replaced], [1, [], []]);
    });

    it('what a folder beside says is not below the one where somebody stands', async () => {
      await write({ 'x/a.yaml': rules(rule('a')), 'y/a.yaml': rules(rule('a')) });
      const cwd = process.cwd();
      process.chdir(join(folder, 'x'));
      try {
        const { problems, replaced } = mergeFiles([await openPolicyFiles(['.', '../y'])]);
        assert.deepEqual([problems.map(({ code }) => code), replaced], [['duplicate'], []]);
      } finally {
        process.chdir(cwd);
      }
    });

    it('what is below a folder is below it, however either is named', async () => {
      await write({ 'a.yaml': rules(rule('a')), 'below/b.yaml': rules(rule('a')) });
      const here = relative(process.cwd(), folder);
      for (const [above, below] of [
        [folder, here],
        [here, folder],
      ] as const) {
        const named = [join(above, 'a.yaml'), join(below, 'below')];
        const { problems, replaced } = mergeFiles([await openPolicyFiles(named)]);
        assert.deepEqual([problems, replaced.length], [[], 1]);
      }
    });

    it('attack: a few folders that are linked twice each do not make millions', async () => {
      await write({ '24/a.yaml': rules(rule('a')) });
      for (let level = 0; level < 24; level++) {
        await mkdir(join(folder, `${level}`));
        for (const name of ['p', 'q']) await symlink(`../${level + 1}`, join(folder, `${level}`, name));
      }
      assert.equal((await read(['0'])).policy.rules.length, 1);
    });

    it('linked folders are followed; what a link beside them holds many times is read once', async () => {
      await write({ 'elsewhere/a.yaml': rules(rule('a')), 'here/b.yaml': rules(rule('b')) });
      for (const name of ['p', 'q']) await symlink('../elsewhere', join(folder, 'here', name));
      const { policy, problems } = await read(['here']);
      assert.deepEqual([policy.rules.map(({ id }) => id).sort(), problems], [['a', 'b'], []]);
    });

    it('what cannot be read is refused by one line, not passed over: the policy would lack rules', async () => {
      const told = async (path: string) => {
        const thrown: unknown = await openPolicyFiles([join(folder, path)]).catch((cause) => cause);
        assert.ok(thrown instanceof NoPolicyFilesError, String(thrown));
        return thrown.message.replaceAll(`${folder}/`, '');
      };
      await write({ 'one/a.yaml': '', 'two/a.yaml': '', 'three/a.yaml': '', 'four/a.yaml': '' });
      await symlink('gone', join(folder, 'one', 'lost'));
      await symlink('round.yaml', join(folder, 'two', 'round.yaml'));
      await symlink('../three', join(folder, 'three', 'up'));
      await once(spawn('mkfifo', [join(folder, 'four', 'pipe.yaml')]), 'exit');
      assert.deepEqual(await Promise.all(['one', 'two', 'four', 'four/pipe.yaml', 'one/lost'].map(told)), [
        'one/lost is a link that leads nowhere',
        'two/round.yaml is a link that leads back to itself',
        'four/pipe.yaml is neither a file nor a folder',
        'four/pipe.yaml is neither a file nor a folder',
        'one/lost is a link that leads nowhere',
      ]);
      assert.match(await told('three'), /^three\/up is a link that leads back to a folder above it$/);
      assert.match(await told('one/a.yaml/b'), /^there is no file or folder one\/a\.yaml\/b$/);
      assert.match(await told(`one/${'x'.repeat(300)}`), /^one\/x+ cannot be read: ENAMETOOLONG$/);
      await assert.rejects(openPolicyFiles(['/dev/null']), /^NoPolicyFilesError: \/dev\/null is neither/);
    });

    it('a folder that ends like a policy file is no file', async () => {
      await write({ 'a.yaml/b.yaml': rules(rule('b')) });
      assert.equal((await read()).policy.rules.length, 1);
    });

    it('nothing is an error that says so', async () => {
      await assert.rejects(openPolicyFiles([join(folder, 'gone')]), NoPolicyFilesError);
      await assert.rejects(openPolicyFiles([folder]), /there is no \.yaml, \.yml or \.json file in /);
    });
  });

  describe('where a problem is', () => {
    const table: [string, string, string, string[]][] = [
      [
        'YAML that is none',
        'a.yaml',
        'version: 1\nrules:\n  - id: [a\n',
        ['a.yaml:4:1 syntax it is not YAML'],
      ],
      [
        'a key twice',
        'a.yaml',
        'version: 1\nroles: []\nroles: []\n',
        ['a.yaml:3:1 syntax the key "roles" is there twice'],
      ],
      [
        'JSON that is none',
        'a.json',
        '{\n  "version": 1,\n  "rules": [,]\n}',
        ['a.json:3:13 syntax it is not JSON: ValueExpected'],
      ],
      [
        'a JSON key twice',
        'a.json',
        '{\n  "version": 1,\n  "version": 1\n}',
        ['a.json:3:3 syntax the key "version" is there twice'],
      ],
      [
        'a polluting key',
        'a.yaml',
        rules(rule('a', '    conditions:\n      __proto__: { x: 1 }\n')),
        ['a.yaml:8:7 syntax the key "__proto__" is not accepted'],
      ],
      [
        'a text that PostgreSQL cannot hold',
        'a.yaml',
        rules(rule('a', '    reason: "a\\0b"\n')),
        ['a.yaml:7:5 syntax a text contains U+0000'],
      ],
      [
        'an unknown key',
        'a.yaml',
        rules(rule('a', '    fieds: [email]\n')),
        ['a.yaml:7:5 unknown_key is not a key here; did you mean "fields"?'],
      ],
      [
        'a value of the wrong type',
        'a.yaml',
        rules(rule('a', '    priority: high\n')),
        ['a.yaml:7:15 shape must be a number'],
      ],
      [
        'the same in JSON',
        'a.json',
        '{"version":1,"rules":[\n {"role":"user","action":"read","subject":"user",\n  "priority": "high"}]}',
        ['a.json:3:15 shape must be a number'],
      ],
      [
        'what is missing: at the part it is missing from',
        'a.yaml',
        rules(rule('a'), '  - role: user\n    subject: user\n'),
        ['a.yaml:7:5 shape is required'],
      ],
      [
        'below a key with a slash',
        'a.yaml',
        'version: 1\ncases:\n  - principals:\n      a/b: { type: 7 }\n    resources: { r: { type: user } }\n    actions: [read]\n    allow: {}\n',
        ['a.yaml:4:7 unknown_key is not a name that is accepted here'],
      ],
      [
        'through an alias',
        'a.yaml',
        'version: 1\nroles:\n  - &a\n    key: a\n    inherits: x\n  - *a\n',
        ['a.yaml:5:15 shape must be an array', 'a.yaml:5:15 shape must be an array'],
      ],
      [
        'a number that JSON has not',
        'a.yaml',
        rules(rule('a', '    priority: .nan\n    conditions: { size: 1e999 }\n')),
        ['a.yaml:7:15 syntax a number is too large, or none', 'a.yaml:8:25 syntax a number is too large'],
      ],
      [
        'two documents',
        'a.yaml',
        'version: 1\n---\nversion: 1\n',
        ['a.yaml:2:1 syntax it is not YAML: there is more than one document'],
      ],
      [
        'another version of YAML',
        'a.yaml',
        '%YAML 1.1\n---\nversion: 1\n',
        ['a.yaml:1:1 syntax the directive "%YAML 1.1" is not taken: this is YAML 1.2'],
      ],
      ['no document', 'a.yaml', '# nothing\n', ['a.yaml:1:1 shape must be of type object']],
      ['not UTF-8', 'a.yaml', 'latin', ['a.yaml:1:1 syntax it is not UTF-8']],
    ];
    for (const [what, name, text, expected] of table)
      it(what, async () => {
        await write({ [name]: text });
        if (text === 'latin') await writeFile(join(folder, name), Buffer.from([0x61, 0xe4, 0x0a]));
        const found = places(await read());
        assert.equal(found.length, expected.length, found.join('\n'));
        for (const [index, start] of expected.entries())
          assert.ok(found[index]?.startsWith(start), `${found[index]} is not ${start}`);
      });

    it('comments in JSON, which no other reader of JSON takes', async () => {
      await write({ 'a.json': '{\n  // all of it\n  "version": 1\n}' });
      assert.deepEqual(places(await read()), ['a.json:2:3 syntax it is not JSON: InvalidCommentToken']);
    });

    it('a path and an operator that are unknown: at the key, not at its value', async () => {
      await write({
        'a.yaml': rules(
          '  - { id: a, role: user, action: read, subject: user, when: { ip: 10.0.0.1 } }\n',
          '  - { id: b, role: user, action: read, subject: user, conditions: { email: { $is: x } } }\n',
        ),
      });
      const files = await read(
        [join(shippedPolicies(), 'base.yaml').replace(/^/, relative(folder, '/'))],
        ['a.yaml'],
      );
      const { problems = [] } = compile(files.policy, { revision: 1, evaluators: evaluatorNames });
      const found = problems.map((problem) => files.locate(problem, files.policy)).filter(isPlaced);
      assert.deepEqual(
        found.map(({ line, column, code }) => [line, column, code]),
        [
          [3, 63, 'unknown_path'],
          [4, 78, 'unknown_operator'],
        ],
      );
    });

    it('attack: what is opened and opened ends with a line at the place, not with the stack', async () => {
      const many = 200_000;
      await write({
        'a.json': '['.repeat(many),
        'b.json': `{"version": 1, "rules": ${'['.repeat(many)}${']'.repeat(many)}}`,
        'c.json': '{"a":'.repeat(many),
        'd.yaml': '['.repeat(many),
        'e.yaml': '- '.repeat(20_000),
      });
      const found = places(await read());
      assert.deepEqual(found, [
        'a.json:1:65 syntax it is nested deeper than 64',
        'b.json:1:88 syntax it is nested deeper than 64',
        'c.json:1:321 syntax it is nested deeper than 64',
        'd.yaml:1:65 syntax it is nested deeper than 64',
        'e.yaml:1:129 syntax it is nested deeper than 64',
      ]);
    });

    it('columns count as editors do, also behind an emoji', async () => {
      const text = rules('  - { id: a, reason: "🏰", role: user, action: read, subject: user, x: 1 }\n');
      await write({ 'a.yaml': text });
      const column = (text.split('\n')[2] ?? '').indexOf('x: 1') + 1;
      assert.ok(places(await read())[0]?.startsWith(`a.yaml:3:${column} unknown_key`));
    });

    it('every file tells its own at once', async () => {
      await write({ 'a.yaml': 'version: 2\n', 'b.json': '{', 'c.yaml': rules(rule('a', '    x: 1\n')) });
      assert.deepEqual(
        places(await read()).map((place) => place.split(' ')[0]),
        ['a.yaml:1:10', 'b.json:1:2', 'c.yaml:7:5'],
      );
    });

    it('a bomb of aliases is refused', async () => {
      const levels = ['a: &a [x, x, x, x, x, x, x, x, x, x]'];
      for (const [of, name] of ['ab', 'bc', 'cd', 'de', 'ef'])
        levels.push(`${name}: &${name} [${Array(10).fill(`*${of}`).join(', ')}]`);
      await write({ 'a.yaml': levels.join('\n') });
      assert.match(
        places(await read())[0] ?? '',
        /^a\.yaml:1:1 syntax it is not YAML: Excessive alias count/,
      );
    });

    it('problems of the merged policy are told in the file where the part stands', async () => {
      await write({
        'a.yaml': rules(rule('one'), rule('two', '    fields: [email, nme]\n')),
        'b.json': '{"version": 1, "rules": [\n  {"role": "usr", "action": "read", "subject": "user"}]}',
      });
      const files = await read([''], []);
      const base = await openPolicyFiles([join(shippedPolicies(), 'base.yaml')]);
      const merged = mergeFiles([base, files.files]);
      const { problems = [] } = compile(merged.policy, { revision: 1, evaluators: evaluatorNames });
      const found = problems.map((problem) => {
        const placed = merged.locate(problem, merged.policy);
        return (
          isPlaced(placed) && [placed.file.slice(folder.length + 1), placed.line, placed.column, placed.code]
        );
      });
      assert.deepEqual(found, [
        ['a.yaml', 11, 21, 'unknown_field'],
        ['b.json', 2, 12, 'unknown_role'],
      ]);
    });

    it('a problem of a part that is in no file names the part', async () => {
      await write({ 'a.yaml': rules(rule('one')) });
      const { locate, policy } = await read();
      const other = {
        ...policy,
        rules: [...policy.rules, ...policy.rules].map((part, at) => ({ ...part, id: `${at}` })),
      };
      const told = locate({ pointer: '/rules/1/role', code: 'x', message: 'is wrong' }, other);
      assert.deepEqual([isPlaced(told), told.message], [false, '1: is wrong']);
    });
  });

  describe('a name that is there twice', () => {
    it('in one folder is a problem that names both places, however often it is there', async () => {
      await write({
        'a.yaml': rules(rule('one')),
        'b.yaml': rules(rule('two'), rule('one')),
        'c.yaml': rules(rule('one')),
      });
      assert.deepEqual(places(await read()), [
        'b.yaml:7:9 duplicate one is there twice (first at /a.yaml:3:5)',
        'c.yaml:3:9 duplicate one is there twice (first at /a.yaml:3:5)',
      ]);
    });

    it('in one file is the problem that the API tells', async () => {
      await write({ 'a.yaml': rules(rule('one'), rule('one')) });
      assert.deepEqual(places(await read()), ['a.yaml:7:9 duplicate one is there twice (first at /rules/0)']);
    });

    it('in folders beside each other is a problem, too', async () => {
      await write({ 'x/a.yaml': rules(rule('one')), 'xy/a.yaml': rules(rule('one')) });
      assert.equal(places(await read()).length, 1);
    });

    it('below a folder replaces that of the folder above, and says so', async () => {
      await write({ 'z.yaml': rules(rule('one')), 'demo/a.yaml': rules(rule('one', '    priority: 7\n')) });
      const { policy, problems, replaced } = await read();
      assert.deepEqual([problems.length, policy.rules[0]?.priority], [0, 7]);
      assert.deepEqual(
        replaced.map((line) => line.replaceAll(`${folder}/`, '')),
        ['one of demo/a.yaml:3:5 replaces that of z.yaml:3:5'],
      );
    });

    it('in a later layer replaces that of an earlier one', async () => {
      await write({ 'a.yaml': rules(rule('one')), 'b.yaml': rules(rule('one', '    priority: 7\n')) });
      const { policy, problems, replaced } = await read(['a.yaml'], ['b.yaml']);
      assert.deepEqual([problems.length, policy.rules[0]?.priority], [0, 7]);
      assert.deepEqual(replaced, [], 'that is what layers are for');
    });
  });

  it('readPolicyFiles throws every problem with its place', async () => {
    await write({ 'a.yaml': rules(rule('a', '    x: 1\n')), 'b.json': '{' });
    const thrown: unknown = await readPolicyFiles(folder).catch((cause) => cause);
    assert.ok(thrown instanceof AppError && thrown.code === 'policy_invalid');
    assert.deepEqual(thrown.problems?.map(isPlaced), [true, true]);
  });

  it('the shipped policies: the demo adds to the account type of the base', async () => {
    const { policy, problems, replaced } = mergeFiles([await openPolicyFiles([shippedPolicies()])]);
    assert.deepEqual([problems.length, replaced.length], [0, 1]);
    assert.ok(policy.resourceTypes.find(({ type }) => type === 'user')?.attributes['department']);
  });
});
