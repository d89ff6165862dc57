/** YAML as policies are written in it: nothing that it says is lost, and no text of it keeps others waiting. */
import assert from 'node:assert/strict';
import { AppError } from '../../../src/errors.ts';
import { LONGEST_YAML_BYTES, parsePolicyYaml } from '../../../src/policy/files.ts';

/** The code and message that a text is refused with. */
function refusal(text: string): string {
  try {
    return `taken as ${JSON.stringify(parsePolicyYaml(text))}`;
  } catch (cause) {
    if (!(cause instanceof AppError)) throw cause;
    return `${cause.code} ${cause.publicMessage}`;
  }
}

describe('YAML of a policy', () => {
  it('is read as it stands: texts stay texts, and keys may be quoted', () => {
    const text =
      '%YAML 1.2\n---\n"a": yes\nb: [1, 2.5, true, null, ~, 0o17]\nc: "!!omap"\n\'<<\': { d: "%YAML" }\n';
    const value = parsePolicyYaml(text);
    const expected = { a: 'yes', b: [1, 2.5, true, null, null, 15], c: '!!omap', '<<': { d: '%YAML' } };
    assert.deepEqual(value, expected);
  });

  describe('attack: a rule whose conditions vanish on the way, so that it matches everything', () => {
    const table: [string, string, RegExp][] = [
      [
        'a tagged map',
        'conditions: !!omap [ ownerId: x ]',
        /^malformed_json tags such as "!!omap" .* at line 1, column 13$/,
      ],
      ['a tagged set', 'conditions: !!set { ownerId, team }', /tags such as "!!set"/],
      ['a tag in full', 'conditions: !<tag:yaml.org,2002:omap> [ ownerId: x ]', /tags such as /],
      ['a tag of its own', 'conditions: !mine { ownerId: x }', /tags such as "!mine"/],
      ['a tag on a key', '!!str conditions: { ownerId: x }', /tags such as "!!str"/],
      ['a tag on nothing', 'conditions: !!null', /tags such as "!!null"/],
      [
        'YAML 1.1',
        '%YAML 1.1\n---\nconditions: !!omap [ ownerId: x ]',
        /the directive "%YAML 1\.1" is not taken/,
      ],
      ['YAML 1.1 without a tag', '%YAML 1.1\n---\nenabled: no', /the directive "%YAML 1\.1" is not taken/],
      [
        'a handle for tags',
        '%TAG ! tag:yaml.org,2002:\n---\nconditions: !omap [a: b]',
        /the directive "%TAG /,
      ],
      ['a directive behind a document', 'a: 1\n...\n%YAML 1.1\n---\nb: 1', /the directive "%YAML 1\.1"/],
    ];
    for (const [what, text, expected] of table) it(what, () => assert.match(refusal(text), expected));
  });

  describe('attack: a reviewer reads one value and another is in force', () => {
    const table: [string, string, RegExp][] = [
      ['a key twice', 'a: 1\nb: 2\na: 3', /^malformed_json the key "a" is there twice at line 3, column 1$/],
      ['the same, quoted', 'a: 1\n"a": 3', /the key "a" is there twice/],
      ['in a flow map', 'x: { a: 1, a: 2 }', /the key "a" is there twice at line 1, column 12/],
      ['through an alias', '{ &k enabled: false, *k : true }', /a key must be a text/],
      ['a number beside its text', '1: a\n"1": b', /a key must be a text: put it between quotes at line 1/],
      ['true', 'true: a', /a key must be a text/],
      ['nothing', '? \n: a', /a key must be a text/],
      ['a list', '? [a]\n: b', /a key must be a text/],
      ['not a number', 'priority: .nan', /a number is too large, or none/],
      ['infinity, which JSON would make null', 'a: { $lt: 1e999 }', /a number is too large, or none/],
    ];
    for (const [what, text, expected] of table) it(what, () => assert.match(refusal(text), expected));
  });

  describe('attack: a text that keeps the process from answering anybody else', () => {
    const filled = (piece: (index: number) => string) => {
      let text = '';
      for (let index = 0; text.length < LONGEST_YAML_BYTES - 20; index++) text += piece(index);
      return text;
    };
    const table: [string, string][] = [
      ['as many keys as fit', filled((index) => `a${index}:\n`)],
      ['the same in a flow map', `{${filled((index) => `a${index},`)}}`],
      ['braces that close nothing', filled(() => '}')],
      ['brackets that are not closed', filled(() => '[')],
      ['braces that are not closed', filled(() => '{a: ')],
      ['commas alone', `[${filled(() => ',')}`],
      ['wrong escapes', `a: "${filled(() => '\\x')}"`],
      ['anchors of nothing', filled(() => '& ')],
      ['tags', filled(() => '- !!x a\n')],
      ['directives', filled(() => '%a\n')],
      ['aliases of nothing', filled(() => '- *a\n')],
      ['lists in lists', filled(() => '- ')],
      ['documents', filled(() => '---\n')],
    ];
    for (const [what, text] of table)
      it(`${what}: refused within three seconds of work`, () => {
        const before = process.cpuUsage();
        assert.match(refusal(text), /^malformed_json /);
        const { user, system } = process.cpuUsage(before);
        assert.ok(user + system < 3_000_000, `it took ${Math.round((user + system) / 1000)} ms`);
      });

    it('more than 256 KiB are refused unread, and the answer says what to do', () => {
      const large = `# ${'ä'.repeat(LONGEST_YAML_BYTES / 2)}\n`;
      assert.equal(
        refusal(large),
        'body_too_large send more than 256 KiB of policy as JSON, or import files',
      );
    });
  });
});
