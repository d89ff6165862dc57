/** The table of signing keys: read and opened, and changed by one node at a time. */
import type { Database, Transaction } from '../storage/postgres.ts';
import { type KeyPair, makeKeyPair, openKeyPair } from './key-pair.ts';
import type { Secrets } from './secret.ts';

/** When a key signs, from and until, and until when it is published. */
export interface KeyTimes {
  signsFrom: Date;
  signsUntil: Date;
  publishedUntil: Date;
}

export interface KeyRow extends KeyTimes {
  kid: string;
  privateJwk: Buffer;
  secretId: string;
  createdAt: Date;
}

/** A key that this process can sign with and vouch for. */
export interface SigningKey extends KeyPair, KeyTimes {}

/** A row that was sealed with a secret that is here, and does not open. */
export interface BrokenKey {
  kid: string;
  cause: unknown;
}

/** Every row, in the order in which they sign. */
export async function readKeyRows(db: Database | Transaction): Promise<KeyRow[]> {
  return db('signing_keys').select('*').orderBy(['signsFrom', 'kid']);
}

/** Those that open, in the order in which they sign; one that does not is passed over, and told where it should have. */
export async function openKeyRows(
  rows: readonly KeyRow[],
  secrets: Secrets,
): Promise<{ keys: SigningKey[]; broken: BrokenKey[] }> {
  const keys: SigningKey[] = [];
  const broken: BrokenKey[] = [];
  for (const row of rows) {
    const { signsFrom, signsUntil, publishedUntil } = row;
    if (!secrets.some(({ id }) => id === row.secretId)) continue;
    await openKeyPair(row, secrets).then(
      (pair) => keys.push({ ...pair, signsFrom, signsUntil, publishedUntil }),
      (cause) => broken.push({ kid: row.kid, cause }),
    );
  }
  return { keys, broken };
}

/** Makes a key that signs at these times. */
export async function insertKey(trx: Transaction, secrets: Secrets, times: KeyTimes): Promise<SigningKey> {
  const { pair, sealed } = await makeKeyPair(secrets[0]);
  await trx('signing_keys').insert({ ...sealed, publicJwk: JSON.stringify(pair.publicJwk), ...times });
  return { ...pair, ...times };
}

/** Whoever makes, ends or removes keys holds this lock until its transaction ends. */
export async function lockKeys(trx: Transaction): Promise<void> {
  await trx.raw(`SELECT pg_advisory_xact_lock(hashtext('castellan.signing-keys'))`);
}
