/** The hasher: what its parameters mean for what is stored already. */
import assert from 'node:assert/strict';
import { mock } from 'node:test';
import argon2 from 'argon2';
import { passwordHasher } from '../../../src/accounts/password.ts';

const config = { memoryKib: 20_480, timeCost: 3, parallelism: 2, hashConcurrency: 1, hashQueue: 10 };
const hash = (version: number, parameters: string) =>
  `$argon2id$v=${version}$${parameters}$c2FsdHNhbHQ$aGFzaA`;

describe('passwordHasher', () => {
  const hasher = passwordHasher(config);

  for (const [stored, expected] of [
    [hash(19, 'm=20480,t=3,p=2'), false],
    [hash(19, 'm=20480,p=2,t=3'), false],
    [hash(19, 'm=65536,t=4,p=4'), false],
    [hash(19, 'm=19456,t=3,p=2'), true],
    [hash(19, 'm=20480,t=2,p=2'), true],
    [hash(19, 'm=65536,t=3,p=1'), true],
    [hash(16, 'm=20480,t=3,p=2'), true],
    [hash(19, 'm=20480,t=3'), true],
  ] as [string, boolean][])
    it(`${expected ? 'hashes' : 'does not hash'} ${stored} anew`, () =>
      assert.equal(hasher.needsRehash(stored), expected));

  it('what it hashes needs no rehash, fits, and does not fit another password', async () => {
    const [composed, decomposed] = ['pass\u00e9', 'passe\u0301'];
    for (const password of [composed, decomposed]) {
      const stored = await hasher.hash(password);
      assert.equal(hasher.needsRehash(stored), false);
      assert.equal(await hasher.verify(stored, composed), true);
      assert.equal(await hasher.verify(stored, decomposed), true);
      assert.equal(await hasher.verify(stored, 'passe'), false);
    }
  });

  it('without a hash nothing fits', async () => {
    assert.equal(await hasher.verify(undefined, ''), false);
    assert.equal(await hasher.verify(undefined, 'anything'), false);
    const verify = mock.method(argon2, 'verify', async () => true);
    try {
      assert.equal(await hasher.verify(undefined, 'even the password of the dummy'), false);
      assert.equal(verify.mock.callCount(), 1);
    } finally {
      verify.mock.restore();
    }
  });
});
