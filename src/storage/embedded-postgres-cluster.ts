/** The files of the embedded PostgreSQL: made once, kept between starts, owned by an account that may run a server. */
import { randomBytes } from 'node:crypto';
import {
  access,
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import {
  type Account,
  type Binaries,
  canUse,
  findBinaries,
  REACHABLE_DIR,
  run,
} from './embedded-postgres-binaries.ts';

/** A cluster on disk that can be started. */
export interface Cluster {
  /** The data directory (`PGDATA`), without symlinks in its path. */
  data: string;
  logFile: string;
  /** Of the superuser `castellan`. */
  password: string;
  binaries: Binaries;
  /** Whom the server runs as; undefined means ourselves. */
  account: Account | undefined;
}

/** Locale and collation come from PostgreSQL itself, so that order and case are the same on every machine. */
const INITDB_OPTIONS = [
  '--username=castellan',
  '--auth=scram-sha-256',
  '--encoding=UTF8',
  '--no-locale',
  '--locale-provider=builtin',
  '--builtin-locale=C.UTF-8',
  ...settings({
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '', // a socket's path must be short, and ours is not in our hands
    max_connections: '200',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_min_messages: 'log', // statements that fail are the gateway's to log; here they would spill personal data
    log_checkpoints: 'off',
  }),
];

/** Opens the cluster in `<dataDir>/postgres` and makes it on the first call. Throws a line for the operator. */
export async function openCluster(dataDir: string, log: (message: string) => void): Promise<Cluster> {
  const home = join(resolve(dataDir), 'postgres');
  const account = await serverAccount(home);
  const binaries = await findBinaries(account);
  try {
    await makeDataDir(dirname(home), account);
    if (!(await exists(join(home, 'data/PG_VERSION')))) {
      log(`Making a PostgreSQL database in ${home}`);
      await makeCluster(home, binaries, account);
    }
    const real = await realpath(home);
    const password = await readFile(join(real, 'password'), 'utf8');
    return { data: join(real, 'data'), logFile: join(real, 'server.log'), password, binaries, account };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const hint = hasCode(cause, 'EACCES') ? '; start it as the user who owns it, or set DATABASE_URL' : '';
    throw new Error(`The embedded PostgreSQL in ${home} cannot be used: ${reason}${hint}`, { cause });
  }
}

/**
 * PostgreSQL refuses to run as root. The files of an existing cluster say who runs it; a new one gets an account that
 * every system has. The number is enough: no user is made.
 */
async function serverAccount(home: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const owner = await stat(join(home, 'data')).catch(() => undefined);
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const users = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const [, uid = '65534', gid = '65534'] =
    /^postgres:[^:]*:(\d+):(\d+):/m.exec(users) ?? /^nobody:[^:]*:(\d+):(\d+):/m.exec(users) ?? [];
  return { uid: Number(uid), gid: Number(gid) };
}

/** A data directory of ours is closed to others; root's server has to pass through it. One that was there keeps its mode. */
async function makeDataDir(dataDir: string, account: Account | undefined): Promise<void> {
  if (await mkdir(dataDir, { recursive: true })) await chmod(dataDir, account ? 0o711 : 0o700);
}

/** Made aside and put in place in one step: whoever sees a cluster sees a whole one, with the password that opens it. */
async function makeCluster(home: string, binaries: Binaries, account: Account | undefined): Promise<void> {
  const unfinished = await makeHome(home, account);
  try {
    const passwordFile = join(unfinished, 'password');
    await writeFile(passwordFile, randomBytes(24).toString('base64url'), { mode: 0o600 });
    if (account) await chown(passwordFile, account.uid, account.gid);
    const options = [`--pgdata=${join(unfinished, 'data')}`, `--pwfile=${passwordFile}`, ...INITDB_OPTIONS];
    await run(binaries.initdb, options, account);
    await (dirname(unfinished) === REACHABLE_DIR ? symlink(unfinished, home) : rename(unfinished, home));
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    // Two processes may make it at the same moment; the cluster of the faster one is used.
    if (!(await exists(join(home, 'data/PG_VERSION')))) throw error;
  }
}

/**
 * An empty directory of mode 0700 for the cluster: beside `home`, or, when root's server cannot reach that,
 * under `REACHABLE_DIR`, with `home` as a symlink to it. The name is random: it must never meet another project's cluster.
 */
async function makeHome(home: string, account: Account | undefined): Promise<string> {
  const beside = await mkdtemp(`${home}-`);
  if (!account) return beside;
  await chown(beside, account.uid, account.gid).catch(() => {});
  if (await canUse(account, beside)) return beside;
  await rm(beside, { recursive: true });
  await mkdir(REACHABLE_DIR, { recursive: true });
  await chmod(REACHABLE_DIR, 0o755);
  const elsewhere = await mkdtemp(join(REACHABLE_DIR, 'cluster-'));
  await chown(elsewhere, account.uid, account.gid);
  return elsewhere;
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function settings(values: Record<string, string>): string[] {
  return Object.entries(values).map(([name, value]) => `--set=${name}=${value}`);
}
