/** The secrets that keys are encrypted with: what is made of them, and the file of the one that nobody set. */
import { createHash, randomBytes, scrypt } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What a secret comes to: the key of the cipher, and a name that does not tell the secret. */
export interface SealingKey {
  id: string;
  key: Buffer;
}

/** The first one seals; all of them open. */
export type Secrets = readonly [SealingKey, ...SealingKey[]];

export interface SecretSettings {
  secret: string | undefined;
  previousSecret: string | undefined;
  dataDir: string;
}

/** So many characters at least, set or made. */
const SHORTEST = 32;
const FILE = 'signing-secret';

/** Half a tenth of a second: whoever has the table and guesses at a secret pays it for each guess, for the id as well. */
const COST = { N: 2 ** 14, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };

/** A secret of its own for a node without SIGNING_SECRET: `kept` is false where DATA_DIR takes no file and it ends with the process. */
export interface OwnSecret {
  secret: string;
  kept: boolean;
}

/** Slow by intent. */
export async function secretsOf(secret: string, previous?: string): Promise<Secrets> {
  const [first, ...others] = await Promise.all([
    derive(secret),
    ...(previous === undefined ? [] : [derive(previous)]),
  ]);
  return [first, ...others];
}

/** The secret in `dataDir`; made there the first time. Throws a line for the operator where the file holds none. */
export async function ownSecret(dataDir: string): Promise<OwnSecret> {
  const there = await findOwnSecret(dataDir);
  if (there !== undefined) return { secret: there, kept: true };
  const made = randomBytes(32).toString('base64url');
  try {
    await keep(dataDir, made);
  } catch {
    return { secret: made, kept: false };
  }
  // Another process may have been faster: the file says whose it is.
  return { secret: (await findOwnSecret(dataDir)) ?? made, kept: true };
}

/** The secret in `dataDir`; undefined where none was made. Throws a line for the operator where the file holds none. */
export async function findOwnSecret(dataDir: string): Promise<string | undefined> {
  const file = join(dataDir, FILE);
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return undefined;
    throw new Error(`The signing secret in ${file} cannot be read: ${cause.message}`, { cause });
  });
  if (text === undefined) return undefined;
  if (text.trim().length >= SHORTEST) return text.trim();
  throw new Error(`The signing secret in ${file} is cut off; remove the file, and new keys are made`);
}

/** Written aside and linked in place: whoever sees the file sees it whole, and nobody's is replaced. */
async function keep(dataDir: string, secret: string): Promise<void> {
  // As root the embedded PostgreSQL runs as somebody else, who has to pass.
  await mkdir(dataDir, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 });
  const file = join(dataDir, FILE);
  const aside = `${file}-${randomBytes(6).toString('hex')}`;
  try {
    await writeFile(aside, `${secret}\n`, { mode: 0o600, flag: 'wx', flush: true });
    await link(aside, file).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'EEXIST') throw cause;
    });
  } finally {
    await rm(aside, { force: true });
  }
}

async function derive(secret: string): Promise<SealingKey> {
  const bytes = await new Promise<Buffer>((resolve, reject) =>
    scrypt(secret, 'castellan signing keys', 64, COST, (cause, made) =>
      cause ? reject(cause) : resolve(made),
    ),
  );
  const id = createHash('sha256').update(bytes.subarray(32)).digest('hex').slice(0, 16);
  return { id, key: bytes.subarray(0, 32) };
}
