/** The signing keys of this node, by the settings. */
import type { Logger } from 'pino';
import type { Database } from '../storage/postgres.ts';
import { LiveKeys } from './live-keys.ts';
import { findOwnSecret, ownSecret, type SecretSettings, type Secrets, secretsOf } from './secret.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

export interface SigningSettings extends SecretSettings {
  keyDays: number;
  /** Other nodes may use the same database. */
  isShared: boolean;
}

/** How long a key signs, in milliseconds. */
export function periodOf({ keyDays }: Pick<SigningSettings, 'keyDays'>): number {
  return keyDays * DAY_MS;
}

/** Reads the keys and keeps them. Throws what the database throws, and a line for the operator where the secret's file is broken. */
export async function openKeys(db: Database, settings: SigningSettings, logger: Logger): Promise<LiveKeys> {
  const keys = new LiveKeys({
    db,
    secrets: await secretsFor(settings, (line) => logger.warn(line)),
    periodMs: periodOf(settings),
    onMade: ({ kid, signsFrom }) => logger.info({ kid, signsFrom }, 'a new signing key is published'),
    onTrouble: (what, cause) => logger.warn({ err: cause }, what),
  });
  await keys.open();
  return keys;
}

/** For a command, which makes no secret: those that the gateway with the same settings uses; undefined where it has not started yet. */
export async function findSecrets({
  secret,
  previousSecret,
  dataDir,
}: SecretSettings): Promise<Secrets | undefined> {
  const found = secret ?? (await findOwnSecret(dataDir));
  return found === undefined ? undefined : secretsOf(found, previousSecret);
}

async function secretsFor(
  { secret, previousSecret, dataDir, isShared }: SigningSettings,
  warn: (line: string) => void,
): Promise<Secrets> {
  if (secret !== undefined) return secretsOf(secret, previousSecret);
  const own = await ownSecret(dataDir);
  if (!own.kept)
    warn(
      'SIGNING_SECRET is not set and DATA_DIR takes no file: this node signs with keys that end with its process',
    );
  else if (isShared)
    warn(
      'SIGNING_SECRET is not set: this node signs with keys of its own; several nodes need one secret to share theirs',
    );
  return secretsOf(own.secret);
}
