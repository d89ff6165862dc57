import assert from 'node:assert/strict';
import { redact, redactPolicy, redactText } from '../../../src/audit/redact.ts';

const TOKEN = `cst_${'Zz'.repeat(21)}z`;
const ARGON2 = '$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5$bm9ib2R5bm9ib2R5';

describe('what is left out of the audit trail', () => {
  const secrets =
    `password newPassword newPasswordRepeat passwordHash password_hash passwordConfirmation password2 PASSWORD passwd
    passphrase token tokens accessToken accesstoken access-token tokenValue tokenHash refresh_token sessionToken secret
    clientSecret secretKey hash hashes cookie setCookie Set-Cookie authorization Authorization credentials apiKey api_key
    apikeys privateKey signingKey encryption-key`.split(/\s+/);
  for (const name of secrets)
    it(`a secret by the name ${name}`, () => {
      const given = { a: [{ [name]: 'hunter2', other: 1 }] };
      assert.deepEqual(redact(given), { a: [{ [name]: '[redacted]', other: 1 }] });
      assert.deepEqual(redact({ [name]: { deep: ['hunter2'] } }), { [name]: '[redacted]' });
      assert.deepEqual(given, { a: [{ [name]: 'hunter2', other: 1 }] }, 'the original stays as it is');
    });

  const others =
    `tokenCount token_count passwordAge passwordChangedAt passwordPolicy passwordRequired tokenType tokenId tokenExpiresAt
    hashAlgorithm secretLevel cookiePolicy secretary hashtag hashtags tokenizer keyboard monkey key passport
    department`.split(/\s+/);
  it('not what only sounds like one', () => {
    for (const name of others) assert.deepEqual(redact({ [name]: 'shown' }), { [name]: 'shown' }, name);
  });

  it('what looks like a secret, whatever its name', () => {
    const values = [
      TOKEN,
      `Bearer ${TOKEN}`,
      `see ${ARGON2}`,
      'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl',
      '-----BEGIN RSA PRIVATE KEY-----\nMIIE',
      'postgres://castellan:hunter2@db.example.org/castellan',
      'redis://:hunter2@redis.example.org',
    ];
    for (const value of values)
      for (const made of [redact, redactPolicy])
        assert.deepEqual(made({ note: [value] }), { note: ['[redacted]'] }, value);
    for (const value of values) assert.equal(redactText(`x ${value} y`), '[redacted]');
    const shown = [
      'https://example.org/a:b@c',
      'cst_ is the prefix',
      'ada@example.org',
      'a: b@c',
      'argon2id',
    ];
    for (const value of shown) assert.deepEqual(redact({ note: value }), { note: value });
    for (const value of shown) assert.equal(redactText(value), value);
  });

  it('nothing else: dates, numbers, null and empty values stay', () => {
    const at = new Date();
    const given = { at, n: 1, no: null, not: false, list: [], map: {}, text: '' };
    assert.deepEqual(redact(given), given);
    assert.equal(redact(undefined), undefined);
  });

  it('nothing of a rule by its names: what it says about passwords and tokens is the policy', () => {
    const rule = {
      id: 'tokens',
      conditions: { passwordAge: { $gt: 90 }, token: { $exists: true }, tokenCount: 5, hash: 'abc' },
      when: { 'principal.password': 'x' },
      fields: ['token'],
    };
    assert.deepEqual(redactPolicy(rule), rule);
    assert.deepEqual(redactPolicy({ attributes: { secret: { type: 'string' } } }), {
      attributes: { secret: { type: 'string' } },
    });
  });
});
