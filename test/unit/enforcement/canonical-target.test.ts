/** The one reading of a target, where the server before it would let through what it refuses. */
import assert from 'node:assert/strict';
import { canonicalTarget } from '../../../src/enforcement/gateway/canonical-target.ts';

describe('the canonical target', () => {
  it('is of no other form than one that begins with a slash', () => {
    for (const target of ['', '*', 'open/a', 'http:open', 'http:/open', 'gateway.test:80', '?x', ' /open'])
      assert.throws(() => canonicalTarget(target), { code: 'invalid_request' }, JSON.stringify(target));
  });

  it('holds no byte that is not printable ASCII, in path or query', () => {
    for (const odd of ['é', '\u0000', '\t', '\r\n', '\u007f', '\u0080', ' ', '\u2024', '\ud800'])
      for (const target of [`/a${odd}b`, `/${odd}`, `/a?b=${odd}`])
        assert.throws(() => canonicalTarget(target), { code: 'invalid_request' }, JSON.stringify(target));
  });

  it('is read once: what is read of what is written anew is the same', () => {
    for (const target of [
      '/',
      '/a',
      '/a/',
      "/%61~!$&'()*+,:@=/%C3%A9?x=%41&x",
      '/100%25',
      '/a%3Bb%23c',
      '/%7B|"',
    ]) {
      const once = canonicalTarget(target);
      assert.deepEqual(canonicalTarget(once.url), once, target);
    }
  });
});
