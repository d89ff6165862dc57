/** The policy as a document and as text: read, written, and read again. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parse } from 'yaml';
import { digestOf } from '../../../src/policy/compile.ts';
import { diffPolicies, isEmptyDiff } from '../../../src/policy/diff.ts';
import { readPolicyFiles, shippedPolicies } from '../../../src/policy/files.ts';
import { emptyPolicy, type Policy } from '../../../src/policy/policy.ts';
import { readDocument, toDocument } from '../../../src/policy/policy-document.ts';
import { isSplitFile, splitPolicy } from '../../../src/policy/split-files.ts';
import { policyText, yamlText } from '../../../src/policy/write-files.ts';

const schema = '/schemas/policy.json';

describe('a policy as a document', () => {
  let demo: Policy;
  before(async () => {
    demo = await readPolicyFiles(shippedPolicies());
  });

  /** As JSON columns give it: other objects, keys in another order. */
  function shuffled<T>(value: T): T {
    if (Array.isArray(value)) return value.map(shuffled) as T;
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).reverse();
    return Object.fromEntries(entries.map(([key, inner]) => [key, shuffled(inner)])) as T;
  }

  for (const format of ['yaml', 'json'] as const) {
    const read = (text: string) => readDocument(format === 'json' ? JSON.parse(text) : parse(text));

    it(`${format}: written and read again it is the same policy`, () => {
      const { policy, problems } = read(policyText(demo, format, schema));
      assert.deepEqual(problems, []);
      assert.ok(isEmptyDiff(diffPolicies(demo, policy)));
      assert.equal(digestOf(policy), digestOf(demo));
    });

    it(`${format}: the same policy gives the same bytes, whatever the order of its parts and keys`, () => {
      const other = shuffled({ ...demo, rules: demo.rules.toReversed(), cases: demo.cases.toReversed() });
      assert.equal(policyText(other, format, schema), policyText(demo, format, schema));
    });

    it(`${format}: split into files and merged again it is the same policy`, () => {
      const merged = emptyPolicy();
      for (const text of splitPolicy(demo, format, schema).values()) {
        const { policy, problems } = read(text);
        assert.deepEqual(problems, []);
        merged.resourceTypes.push(...policy.resourceTypes);
        merged.roles.push(...policy.roles);
        merged.rules.push(...policy.rules);
        merged.cases.push(...policy.cases);
        merged.routes.push(...policy.routes);
      }
      assert.equal(digestOf(merged), digestOf(demo));
    });
  }

  it('YAML: a text is read as it was written, whatever white space it has', () => {
    const white = fc.stringMatching(/^[ \t\na#:-]{0,12}$/);
    fc.assert(
      fc.property(white, fc.array(white, { maxLength: 3 }), (key, texts) => {
        const document = { [`k${key}`]: texts, text: texts[0] ?? '' };
        assert.deepEqual(parse(yamlText(document)), document);
      }),
      { numRuns: 2000, examples: [['', [' \n', ' \n\t\n', '\n\n a']]] },
    );
  });

  it('YAML is written out: no anchors where parts share a list, and no line is folded', () => {
    const action = ['read', 'update'];
    const reason = 'because '.repeat(40).trim();
    const rules = ['a', 'b'].map((id) => ({ id, role: 'user', action, subject: 'user', reason }));
    const text = policyText({ ...emptyPolicy(), rules: rules as unknown as Policy['rules'] }, 'yaml', schema);
    assert.doesNotMatch(text, /[&*]/);
    assert.equal(text.split('\n').filter((line) => line === `    reason: ${reason}`).length, 2);
  });

  it('names the schema, for editors', () => {
    assert.ok(policyText(demo, 'yaml', schema).startsWith(`# yaml-language-server: $schema=${schema}\n`));
    assert.equal(JSON.parse(policyText(demo, 'json', schema)).$schema, schema);
  });

  it('the whole document is read as it is written, routes and entities included', () => {
    const { policy, problems } = readDocument(JSON.parse(JSON.stringify(toDocument(demo))));
    assert.deepEqual([problems, digestOf(policy)], [[], digestOf(demo)]);
  });

  it('what has no id gets the same one each time, and another where it says something else', () => {
    const rule = { role: 'user', action: 'read', subject: 'user' };
    const ids = (...rules: object[]) => readDocument({ version: 1, rules }).policy.rules.map(({ id }) => id);
    const [first, second] = ids(rule, { ...rule, priority: 1 });
    assert.match(first ?? '', /^user-read-user-[0-9a-f]{8}$/);
    assert.notEqual(first, second);
    assert.deepEqual(ids({ ...rule }), [first]);
  });

  it('a name that is there twice is a problem, and so is a rule without an id that is', () => {
    const rule = { role: 'user', action: 'read', subject: 'user' };
    const { problems } = readDocument({
      version: 1,
      roles: [{ key: 'a' }, { key: 'a' }],
      rules: [rule, rule],
    });
    assert.deepEqual(
      problems.map(({ pointer, code }) => [pointer, code]),
      [
        ['/roles/1/key', 'duplicate'],
        ['/rules/1/id', 'duplicate'],
      ],
    );
  });

  it('says where each part is, past those that are wrong', () => {
    const rule = { role: 'user', action: 'read', subject: 'user' };
    const { policy, pointers } = readDocument({ version: 1, rules: [{ id: 'a' }, { id: 'b', ...rule }] });
    assert.deepEqual(
      policy.rules.map((part) => pointers.get(part)),
      ['/rules/1'],
    );
  });

  describe('split into files', () => {
    it('has a file for each kind, and one for the rules of each role or principal', () => {
      const files = splitPolicy(demo, 'yaml', schema);
      const names = [...files.keys()];
      for (const name of ['resource-types.yaml', 'roles.yaml', 'cases.yaml', 'rules/editor.yaml'])
        assert.ok(names.includes(name), name);
      assert.ok(names.includes('rules/user-00000000-0000-4000-8000-000000000004.yaml'));
      assert.deepEqual([...splitPolicy(emptyPolicy(), 'yaml', schema)], []);
    });

    it('has one for the routes of each host, and one for those of any; read again they are the same', () => {
      const written = { methods: ['GET'], path: '/a/:id', public: true, upstream: 'http://a:1' };
      const { policy } = readDocument({
        version: 1,
        routes: [written, { ...written, host: 'b.example.com' }],
      });
      const files = splitPolicy(policy, 'yaml', schema);
      assert.deepEqual([...files.keys()], ['routes/any-host.yaml', 'routes/b-example-com.yaml']);
      const again = [...files].flatMap(([path, text]) => {
        assert.ok(isSplitFile(path, text));
        return readDocument(parse(text)).policy.routes;
      });
      assert.equal(digestOf({ ...emptyPolicy(), routes: again }), digestOf(policy));
      assert.notEqual(digestOf(policy), digestOf(emptyPolicy()));
    });

    it('tells its files by a mark from those that people wrote under the same names', () => {
      for (const format of ['yaml', 'json'] as const) {
        for (const [path, text] of splitPolicy(demo, format, schema)) {
          assert.ok(isSplitFile(path, text), path);
          assert.ok(isSplitFile(path, text.replaceAll('\n', '\r\n')), 'as a checkout on Windows has it');
          assert.ok(!isSplitFile(path, policyText(demo, format, schema)), `${path}, written by somebody`);
          assert.ok(!isSplitFile(`more/${path}`, text) && !isSplitFile('mine.yaml', text));
        }
      }
      assert.ok(!isSplitFile('roles.yaml', ''));
    });

    it('roles whose names differ in case share a file, where a file system knows no case; long names are cut', () => {
      const about = { action: 'read', subject: 'user' };
      const rules = ['user:Ab', 'user:aB', `user:${'x'.repeat(200)}`].map((principal, at) => ({
        ...about,
        id: `r-${at}`,
        principal,
      })) as unknown as Policy['rules'];
      const names = [...splitPolicy({ ...emptyPolicy(), rules }, 'yaml', schema).keys()];
      assert.deepEqual(names, ['rules/user-ab.yaml', `rules/user-${'x'.repeat(95)}.yaml`]);
    });

    it('path traversal: the id of a principal leads nowhere else', () => {
      const ids = ['../../etc/passwd', '..', 'a/b', '.git', '\\..\\x', 'con\u0000'];
      const rules = ids.map((id, at) => ({
        ...demo.rules[0],
        id: `r${at}`,
        role: undefined,
        principal: `user:${id}`,
      })) as unknown as Policy['rules'];
      for (const name of splitPolicy({ ...emptyPolicy(), rules }, 'yaml', schema).keys())
        assert.match(name, /^rules\/user-[a-z0-9-]*\.yaml$/);
    });

    it('principals whose names fall together share a file, and none is lost', () => {
      const [rule] = demo.rules;
      const rules = ['a/b', 'a.b'].map((id) => ({
        ...rule,
        id: `r-${id.length}${id[1] === '/' ? 1 : 2}`,
        principal: `user:${id}`,
      }));
      const written = splitPolicy(
        { ...emptyPolicy(), rules: rules.map(({ role: _role, ...rest }) => rest) as Policy['rules'] },
        'json',
        schema,
      );
      assert.equal(written.size, 1);
      assert.equal(JSON.parse([...written.values()][0] ?? '').rules.length, 2);
    });
  });
});
