/** A connection that becomes one of HTTP/2, on which nobody decides any more. */
import assert from 'node:assert/strict';
import { withClaims } from '../../claims.ts';
import { assertRefused } from './arrived.ts';
import { field } from './field.ts';
import { hidden, keeping } from './smuggled.ts';

describe('h2c upgrade', () => {
  before(field);
  const upgrade = ['Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA'];
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0';

  it('is not passed on, and no connection becomes one that nobody decides on', async () => {
    const { attack } = await field();
    for (const connection of ['Upgrade, HTTP2-Settings, close', 'upgrade,close', 'close'])
      for (const kind of ['h2c', 'H2C', 'h2c, websocket', 'TLS/1.0, h2c', 'h2', 'websocket']) {
        const headers = [`Connection: ${connection}`, `Upgrade: ${kind}`, upgrade[1] ?? ''];
        const outcome = await attack(keeping([...headers, 'Content-Length: 0'], preface + hidden));
        assert.doesNotMatch(outcome.answer, /^HTTP\/1\.1 101/);
        const { length } = outcome.arrived.filter(({ url }) => url !== '/open/a');
        assert.equal(length, 0, `${kind} by ${connection}`);
        assert.doesNotMatch(withClaims(outcome.heard), /upgrade|h2c|settings|PRI \*|hidden/i);
      }
  });

  it('HTTP/2 without being asked is refused', async () => {
    const { attack } = await field();
    assertRefused(await attack(preface + hidden), 'a preface');
  });
});
