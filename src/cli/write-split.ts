/** The files of an exported policy put into a folder, and what an earlier export left there taken away. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { isSplitFile } from '../policy/split-files.ts';
import { UsageError } from './command.ts';

/** Paths in the folder. A file that would stay the same is not written. */
export interface WrittenFiles {
  written: string[];
  removed: string[];
}

/** Writes the files. Throws UsageError when the folder holds what no export wrote, unless forced; then it stays. */
export async function writeSplit(
  folder: string,
  files: ReadonlyMap<string, string>,
  force: boolean,
): Promise<WrittenFiles> {
  const there = await filesIn(folder);
  const foreign = there.find((path) => !isSplitFile(path) && !path.endsWith('.schema.json'));
  if (foreign !== undefined && !force)
    throw new UsageError(`${folder} holds ${foreign}, which is not of an export; --force writes beside it`);
  const removed = there.filter((path) => isSplitFile(path) && !files.has(path));
  for (const path of removed) await rm(join(folder, path));
  for (const [path, text] of files) {
    const file = join(folder, path);
    if ((await readFile(file, 'utf8').catch(() => undefined)) === text) continue;
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  return { written: [...files.keys()], removed };
}

/** All files below but those that begin with a dot: a checkout has its `.git`. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((cause) => {
    if (cause.code === 'ENOENT') return [];
    throw new UsageError(`${folder} is not a folder that can be read: ${cause.code}`);
  });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((path) => !/(^|\/)\./.test(path))
    .sort();
}
