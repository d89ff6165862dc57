/** One key after the other: the next is published before it signs, the last one for a while after. */
import { AppError } from '../errors.ts';
import type { Database, Transaction } from '../storage/postgres.ts';
import { insertKey, type KeyTimes, lockKeys, openKeyRows, readKeyRows, type SigningKey } from './key-rows.ts';
import type { Secrets } from './secret.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** How long the published keys may be kept by whoever asked for them. */
export const KEPT_SECONDS = 300;

/** How often each node reads the table. */
export const READ_EVERY_MS = 60_000;

/** Every node has read a new key after this, and whoever verifies has asked for the keys again. */
const KNOWN_AFTER_MS = READ_EVERY_MS + KEPT_SECONDS * 1000;

/** What signs for so long is published for a day more: nothing that is signed is valid for as long as that. */
function timesFrom(fromMs: number, periodMs: number): KeyTimes {
  const untilMs = fromMs + periodMs;
  return {
    signsFrom: new Date(fromMs),
    signsUntil: new Date(untilMs),
    publishedUntil: new Date(untilMs + DAY_MS),
  };
}

/** When the next key has to begin to sign, in ms since 1970; undefined while it is not yet to be made. */
export function nextStart(keys: readonly KeyTimes[], nowMs: number, periodMs: number): number | undefined {
  const endsMs = Math.max(nowMs, ...keys.map(({ signsUntil }) => signsUntil.getTime()));
  const aheadMs = Math.min(DAY_MS, periodMs / 10);
  return endsMs - nowMs > aheadMs ? undefined : endsMs;
}

/** The one that signs at this time: of several the one that began last. */
export function keyAt<Key extends KeyTimes>(keys: readonly Key[], nowMs: number): Key | undefined {
  return keys.findLast(
    ({ signsFrom, signsUntil }) => signsFrom.getTime() <= nowMs && nowMs < signsUntil.getTime(),
  );
}

export interface RotationSettings {
  secrets: Secrets;
  periodMs: number;
  nowMs: number;
}

/**
 * Makes the next key where it is time, and removes those that are published no longer; of several nodes one does it, and
 * those that share a secret then share the key. The key that was made.
 */
export async function makeNextKey(
  db: Database,
  { secrets, periodMs, nowMs }: RotationSettings,
): Promise<SigningKey | undefined> {
  return db.transaction(async (trx) => {
    await lockKeys(trx);
    await trx('signing_keys').where('publishedUntil', '<=', new Date(nowMs)).delete();
    const { keys } = await openKeyRows(await readKeyRows(trx), secrets);
    const startMs = nextStart(keys, nowMs, periodMs);
    return startMs === undefined ? undefined : insertKey(trx, secrets, timesFrom(startMs, periodMs));
  });
}

export interface Rotation {
  made: SigningKey;
  /** The ids of those that it replaces. */
  replaced: string[];
}

/**
 * A new key before its time. It signs once everybody can know it, or with `atOnce` from now on; then the others are removed,
 * and what they signed verifies no more. Throws `conflict` where no key is encrypted with these secrets.
 */
export async function rotateKeys(
  trx: Transaction,
  { secrets, periodMs, nowMs, atOnce }: RotationSettings & { atOnce: boolean },
): Promise<Rotation> {
  await lockKeys(trx);
  const rows = await readKeyRows(trx);
  const ours = rows.filter(({ secretId }) => secrets.some(({ id }) => id === secretId));
  if (rows.length > 0 && ours.length === 0)
    throw new AppError('conflict', {
      message: 'no key is encrypted with this signing secret; rotate with the settings of the gateway',
    });
  const startMs = atOnce ? nowMs : nowMs + KNOWN_AFTER_MS;
  const ended = ours.filter(({ signsUntil }) => atOnce || signsUntil.getTime() > startMs);
  for (const { kid, signsFrom } of ended) {
    const row = trx('signing_keys').where({ kid });
    // One that no node can have begun to sign with is not needed either.
    if (atOnce || signsFrom.getTime() >= startMs) await row.delete();
    else await row.update({ signsUntil: new Date(startMs), publishedUntil: new Date(startMs + DAY_MS) });
  }
  const made = await insertKey(trx, secrets, timesFrom(startMs, periodMs));
  return { made, replaced: ended.map(({ kid }) => kid) };
}
