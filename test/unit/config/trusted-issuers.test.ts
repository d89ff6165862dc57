/** TRUSTED_ISSUERS: what is taken, with its defaults, and in which words the rest is refused. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, loadConfig, reportSettings } from '../../../src/config.ts';

const issuer = 'https://idp.example';
const audience = 'https://castellan.example';
const read = (text: string) => loadConfig({ TRUSTED_ISSUERS: text }).trustedIssuers;

describe('TRUSTED_ISSUERS', () => {
  it('is nobody when it is not set', () => {
    assert.deepEqual(loadConfig({}).trustedIssuers, []);
  });

  it('takes an issuer with an audience, and only signatures that nobody can make with what is published', () => {
    assert.deepEqual(read(JSON.stringify([{ issuer, audience }])), [
      {
        issuer,
        audience: [audience],
        algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
        typ: ['at+jwt', 'jwt', null],
        principalType: 'external',
        clockSkewSeconds: 30,
      },
    ]);
  });

  it('takes the path of a file of the same, and says what is in force', () => {
    const folder = mkdtempSync(join(tmpdir(), 'castellan-issuers-'));
    const file = join(folder, 'issuers.json');
    writeFileSync(file, JSON.stringify([{ issuer, audience, typ: ['application/AT+JWT'] }]));
    assert.deepEqual(read(file)[0]?.typ, ['at+jwt']);
    const shown = reportSettings({ TRUSTED_ISSUERS: file }).find(({ name }) => name === 'TRUSTED_ISSUERS');
    assert.equal(JSON.parse(shown?.value ?? '')[0].issuer, issuer);
    rmSync(folder, { recursive: true });
  });

  const refused: [string, unknown, RegExp][] = [
    ['no list', { issuer, audience }, /must be an array/],
    ['no issuer', [{ audience }], /\/0\/issuer: is required/],
    ['no audience (any token of the issuer would do)', [{ issuer }], /\/0\/audience: is required/],
    [
      'http, which anybody on the way can change',
      [{ issuer: 'http://idp.example', audience }],
      /\/0\/issuer: must be https/,
    ],
    [
      'a host that only looks like this machine',
      [{ issuer: 'http://127.0.0.1.example', audience }],
      /must be https/,
    ],
    ['credentials in an address', [{ issuer: 'https://a:b@idp.example', audience }], /without user/],
    ['an issuer with a query', [{ issuer: `${issuer}?a=b`, audience }], /must have no query/],
    [
      'keys over http',
      [{ issuer, audience, jwksUri: 'http://idp.example/keys' }],
      /\/0\/jwksUri: must be https/,
    ],
    [
      'tokens without signature',
      [{ issuer, audience, algorithms: ['none'] }],
      /\/0\/algorithms\/0: must be one of/,
    ],
    [
      'a shared secret',
      [{ issuer, audience, algorithms: ['RS256', 'HS256'] }],
      /\/0\/algorithms\/1: must be one of/,
    ],
    ['accounts as principals', [{ issuer, audience, principalType: 'user' }], /a resource type of its own/],
    [
      'API keys as principals',
      [{ issuer, audience, principalType: 'api-key' }],
      /a resource type of its own/,
    ],
    [
      'what the gateway keeps',
      [{ issuer, audience, principalType: 'castellan.rule' }],
      /a resource type of its own/,
    ],
    [
      'a clock that may be wrong by hours',
      [{ issuer, audience, clockSkewSeconds: 121 }],
      /\/0\/clockSkewSeconds/,
    ],
    ['what it does not know', [{ issuer, audience, aud: audience }], /\/0\/aud: is not allowed/],
    [
      'two issuers that could speak for the same principals',
      [
        { issuer, audience },
        { issuer: 'https://other.example', audience },
      ],
      /\/1: has the principalType of another issuer/,
    ],
    [
      'one issuer twice',
      [
        { issuer, audience },
        { issuer, audience, principalType: 'other' },
      ],
      /\/1: has the issuer of another issuer/,
    ],
  ];
  for (const [what, value, message] of refused)
    it(`refuses ${what}`, () => {
      assert.throws(
        () => read(JSON.stringify(value)),
        (error) =>
          error instanceof ConfigError &&
          /^TRUSTED_ISSUERS: /.test(error.message) &&
          message.test(error.message),
      );
    });

  it('refuses what is neither JSON nor a file', () => {
    assert.throws(() => read('[{'), /TRUSTED_ISSUERS: is not JSON/);
    assert.throws(() => read('/no/such/file'), /TRUSTED_ISSUERS: is neither a list in JSON nor a file/);
  });
});
