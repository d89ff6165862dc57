/** Path templates: what is accepted, and how two of them compare. */
import assert from 'node:assert/strict';
import { intersect, isMoreSpecific, namesIn, readPath } from '../../../../src/policy/routes/path-template.ts';

const read = (path: string) => readPath(path).segments;

describe('a path template', () => {
  it('is read into literals, parameters and a rest', () => {
    assert.deepEqual(read('/projects/:projectId/*rest'), [
      { kind: 'literal', text: 'projects' },
      { kind: 'param', name: 'projectId' },
      { kind: 'rest', name: 'rest' },
    ]);
    assert.deepEqual(readPath('/'), { segments: [] });
    assert.deepEqual(namesIn(read('/a/:b/*c')), ['b', 'c']);
  });

  for (const [path, says] of [
    ['', /begin with \//],
    ['a', /begin with \//],
    ['/a/', /end with \//],
    ['//a', /\/\//],
    ['/a//b', /\/\//],
    ['/.', /dot or a space/],
    ['/a/../b', /dot or a space/],
    ['/a./b', /dot or a space/],
    ['/a ', /dot or a space/],
    ['/a;b', /must not contain ;/],
    ['/a%2fb', /must not contain %/],
    ['/a\\b', /must not contain \\/],
    ['/a?b', /must not contain \?/],
    ['/a#b', /must not contain #/],
    ['/{id}', /written :name/],
    ['/a\u0000', /printable ASCII/],
    ['/a\tb', /printable ASCII/],
    ['/größe', /parameter such as :name/],
    ['/:', /must have a name/],
    ['/:a-b', /must have a name/],
    ['/:1a', /must have a name/],
    ['/:__proto__', /must have a name/],
    ['/*', /must have a name/],
    ['/a*b', /last segment/],
    ['/*rest/a', /last segment/],
    ['/:a/:a', /twice/],
    ['/:a/*a', /twice/],
    [`/${'a'.repeat(1000)}`, /at most 1000/],
    [`/${Array(65).fill('a').join('/')}`, /at most 64/],
  ] as const)
    it(`is refused with what would be right: ${JSON.stringify(path.slice(0, 20))}`, () => {
      assert.match(readPath(path).problem ?? '', says);
    });

  it('two intersect where some path matches both', () => {
    const meet = (a: string, b: string) => {
      assert.equal(intersect(read(a), read(b)), intersect(read(b), read(a)));
      return intersect(read(a), read(b));
    };
    for (const [a, b] of [
      ['/a/:x', '/:y/b'],
      ['/a/*rest', '/a/b/c'],
      ['/:x/b', '/*all'],
      ['/', '/'],
    ] as const)
      assert.equal(meet(a, b), true, `${a} ${b}`);
    for (const [a, b] of [
      ['/a', '/b'],
      ['/a/:x', '/a'],
      ['/a/*rest', '/a'],
      ['/', '/*all'],
      ['/a/:x', '/b/:x'],
    ] as const)
      assert.equal(meet(a, b), false, `${a} ${b}`);
  });

  it('a literal is more specific than a parameter, and that more than a rest, the first segment counting most', () => {
    const order = ['/a/b/c', '/a/b/*r', '/a/:x/c', '/a/*r', '/:x/b/c', '/*r'];
    for (const [at, one] of order.entries())
      for (const [other, two] of order.entries())
        assert.equal(isMoreSpecific(read(one), read(two)), at < other, `${one} ${two}`);
  });
});
