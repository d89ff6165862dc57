import assert from 'node:assert/strict';
import fc from 'fast-check';
import { closest, unknownName } from '../../../src/policy/suggest.ts';

describe('"did you mean"', () => {
  const cases: [word: string, among: string[], meant: string | undefined][] = [
    ['titel', ['title', 'body'], 'title'],
    ['publsih', ['read', 'publish'], 'publish'],
    ['ownrId', ['ownerId', 'orderId'], 'ownerId'],
    ['OWNERID', ['ownerId'], 'ownerId'],
    ['documents', ['document'], 'document'],
    ['redd', ['read'], 'read'],
    ['rda', ['read'], undefined],
    ['colour', ['title', 'body'], undefined],
    ['id', ['ip', 'document'], 'ip'],
    ['x', [], undefined],
    ['departmnt', ['departments', 'department'], 'department'],
  ];
  for (const [word, among, meant] of cases) {
    it(`takes ${word} among ${among.join(', ') || 'nothing'} for ${meant ?? 'none of them'}`, () => {
      assert.equal(closest(word, among), meant);
    });
  }

  it('lists what there is, where it is little, and says where there is nothing', () => {
    const told = (names: string[]) => unknownName('/type', 'type', 'nope', names).message;
    assert.equal(told(['folder', 'file']), 'nope is not a known type; there are folder, file');
    assert.equal(told([]), 'nope is not a known type; there is none yet');
  });

  it('only ever suggests a word that is there, and the word itself when it is', () => {
    const words = fc.array(fc.string({ maxLength: 8 }), { maxLength: 8 });
    fc.assert(
      fc.property(fc.string({ maxLength: 8 }), words, (word, among) => {
        const found = closest(word, among);
        assert.ok(found === undefined || among.includes(found));
        assert.equal(closest(word, [...among, word])?.toLowerCase(), word.toLowerCase());
      }),
    );
  });

  it('finds a word with one slip: a letter left out, put in, replaced or swapped with its neighbour', () => {
    const word = fc.stringMatching(/^[a-z]{5,12}$/);
    fc.assert(
      fc.property(
        word,
        fc.nat(100),
        fc.constantFrom('out', 'in', 'replace', 'swap'),
        (meant, where, slip) => {
          const at = where % (meant.length - 1);
          const [before, after] = [meant.slice(0, at), meant.slice(at + 1)];
          const slips = {
            out: before + after,
            in: `${meant.slice(0, at)}q${meant.slice(at)}`,
            replace: `${before}q${after}`,
            swap: before + (after[0] ?? '') + (meant[at] ?? '') + after.slice(1),
          };
          assert.equal(closest(slips[slip], ['zzzzzzzzzzzzzzzz', meant]), meant);
        },
      ),
    );
  });
});
