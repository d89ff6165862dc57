/** Files of authorities: each certificate in one counts, so each is looked at when it is read. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readAuthorities } from '../../../src/config/pem-files.ts';

const pem = (name: string) =>
  readFileSync(join(import.meta.dirname, '../evaluators/remote/tls', name), 'latin1');

describe('a file of authorities', () => {
  let dir: string;
  before(() => {
    dir = mkdtempSync(join(tmpdir(), 'castellan-pem-'));
  });
  after(() => rmSync(dir, { recursive: true }));

  const one = pem('ca.pem');
  const other = pem('server.pem');
  /** What is in its middle, changed. */
  const broken = one.replace(/^M.*\n/m, 'MIIB\n');

  function read(content: string): Buffer {
    const file = join(dir, 'authorities.pem');
    writeFileSync(file, content, 'latin1');
    return readAuthorities({ setting: 'UPSTREAM_CA', file });
  }

  it('may have several, with other lines and other things between them', () => {
    for (const content of [
      one,
      one + other,
      `# First\n${one}\n# S\xe9cond\n${other}\n`,
      one.replaceAll('\n', '\r\n') + other,
      pem('server.key') + one,
      one + pem('server.key'),
    ])
      assert.equal(read(content).toString('latin1'), content);
  });

  it('is refused for any of its certificates that is none, by the setting and its number', () => {
    for (const [content, number] of [
      [broken, 1],
      [one + broken, 2],
      [one + broken + other, 2],
      [one + other + one.slice(0, 300), 3],
      [one.slice(0, 300) + other, 1],
      [one + other.replace('-----BEGIN', '----BEGIN'), 2],
      [one + other.replace('-----END', '----END'), 2],
      // As some editors write it: the line is none that begins a certificate.
      [`\xef\xbb\xbf${one}${other}`, 1],
      [`${one} ${other}`, 2],
    ] as const)
      assert.throws(
        () => read(content),
        new RegExp(
          `^ConfigError: UPSTREAM_CA: certificate ${number} of .*authorities\\.pem cannot be read \\(.+\\)$`,
        ),
        JSON.stringify(content),
      );
  });

  it('is refused where it has none', () => {
    for (const content of ['', 'x', pem('server.key')])
      assert.throws(() => read(content), /^ConfigError: UPSTREAM_CA: .*authorities\.pem has no certificate$/);
  });
});
