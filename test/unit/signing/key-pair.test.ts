/** Keys at rest: what the secret vouches for opens, nothing else does. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeKeyPair, openKeyPair, type SealedPair } from '../../../src/signing/key-pair.ts';
import { ownSecret, type Secrets, secretsOf } from '../../../src/signing/secret.ts';

describe('a signing key at rest', () => {
  let secrets: Secrets;
  let sealed: SealedPair;
  before(async () => {
    secrets = await secretsOf('one secret of thirty-two characters');
    sealed = (await makeKeyPair(secrets[0])).sealed;
  });

  it('opens with its secret, also where that is the previous one', async () => {
    const later = await secretsOf('another of thirty-two characters', 'one secret of thirty-two characters');
    for (const known of [secrets, later])
      assert.equal((await openKeyPair(sealed, known)).publicJwk.kid, sealed.kid);
  });

  it('attack: another secret under the same id gives no key', async () => {
    const [other] = await secretsOf('another of thirty-two characters');
    await assert.rejects(openKeyPair(sealed, [other]), /another secret/);
    await assert.rejects(openKeyPair(sealed, [{ ...other, id: sealed.secretId }]));
  });

  it('attack: not one changed byte gives a key', async () => {
    const { privateJwk } = sealed;
    for (let at = 0; at < privateJwk.length; at += 1) {
      const changed = Buffer.from(privateJwk);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      await assert.rejects(openKeyPair({ ...sealed, privateJwk: changed }, secrets), `byte ${at}`);
    }
    for (const length of [0, 12, 27, privateJwk.length - 1])
      await assert.rejects(openKeyPair({ ...sealed, privateJwk: privateJwk.subarray(0, length) }, secrets));
  });

  it('attack: a key put under the name of another one is none', async () => {
    const { sealed: other } = await makeKeyPair(secrets[0]);
    await assert.rejects(openKeyPair({ ...sealed, privateJwk: other.privateJwk }, secrets));
  });

  it('is sealed anew each time, and the id of a secret is no hash of it alone', async () => {
    const { createHash } = await import('node:crypto');
    const [first] = secrets;
    const again = await makeKeyPair(first);
    assert.notDeepEqual(again.sealed.privateJwk.subarray(0, 12), sealed.privateJwk.subarray(0, 12));
    const plain = createHash('sha256').update('one secret of thirty-two characters').digest('hex');
    assert.ok(!plain.startsWith(first.id) && !first.key.toString('hex').includes(first.id));
  });
});

describe('the secret that nobody set', () => {
  let dataDir: string;
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'castellan-secret-'));
  });
  afterEach(() => rm(dataDir, { recursive: true }));

  it('is made once, for its owner alone, also by several at once', async () => {
    const made = await Promise.all([1, 2, 3].map(() => ownSecret(join(dataDir, 'new'))));
    const file = join(dataDir, 'new/signing-secret');
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const secret = (await readFile(file, 'utf8')).trim();
    assert.ok(secret.length >= 43);
    assert.deepEqual([...made, await ownSecret(join(dataDir, 'new'))], Array(4).fill({ secret, kept: true }));
  });

  it('is not replaced where the file holds none: that would lose every key without a word', async () => {
    await writeFile(join(dataDir, 'signing-secret'), '');
    await assert.rejects(ownSecret(dataDir), /^Error: The signing secret in .* is cut off; remove the file/);
  });

  it('ends with the process where no file can be written', async () => {
    await writeFile(join(dataDir, 'file'), '');
    const made = [await ownSecret(join(dataDir, 'file')), await ownSecret(join(dataDir, 'file'))];
    assert.deepEqual([made[0]?.kept, made[1]?.kept], [false, false]);
    assert.notEqual(made[0]?.secret, made[1]?.secret);
  });
});
