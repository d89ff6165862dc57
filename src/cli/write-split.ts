/** The files of an exported policy put into a folder, and what an earlier export left there taken away. */
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { isSplitFile } from '../policy/split-files.ts';
import { UsageError } from './command.ts';

/** Paths in the folder. A file that would stay the same is not written. */
export interface WrittenFiles {
  written: string[];
  removed: string[];
}

const MOST_NAMED = 5;

/**
 * Writes the files, and takes away those of an earlier export that are not among them.
 * Throws UsageError when the folder holds what no export wrote, unless forced: then what is in the way is replaced, and
 * everything else of others stays.
 */
export async function writeSplit(
  folder: string,
  files: ReadonlyMap<string, string>,
  force: boolean,
): Promise<WrittenFiles> {
  const there = await textsIn(folder);
  const isOurs = (path: string) => isSplitFile(path, there.get(path) ?? '');
  const foreign = [...there.keys()].filter((path) => !isOurs(path) && !path.endsWith('.schema.json'));
  if (foreign.length > 0 && !force) throw refusal(folder, foreign);
  const removed = [...there.keys()].filter((path) => isOurs(path) && !files.has(path));
  for (const path of removed) await rm(join(folder, path)).catch(refuseWriting(path));
  for (const [path, text] of files)
    if (there.get(path) !== text) await write(join(folder, path), text).catch(refuseWriting(path));
  return { written: [...files.keys()], removed };
}

function refusal(folder: string, foreign: readonly string[]): UsageError {
  const more = foreign.length > MOST_NAMED ? ` and ${foreign.length - MOST_NAMED} more` : '';
  return new UsageError(
    `${folder} holds ${foreign.slice(0, MOST_NAMED).join(', ')}${more}, which no export wrote; --force replaces what is in the way and leaves the rest`,
    { code: 'conflict' },
  );
}

async function write(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

function refuseWriting(path: string) {
  return ({ code }: NodeJS.ErrnoException): never => {
    throw new UsageError(`${path} cannot be written: ${code}`, { code: 'unwritable' });
  };
}

/** The paths in a folder with their texts; what cannot be read has none, and a fifo would be waited for. */
async function textsIn(folder: string): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  for (const path of await filesIn(folder)) {
    const file = join(folder, path);
    const isFile = await stat(file)
      .then((found) => found.isFile())
      .catch(() => false);
    texts.set(path, isFile ? await readFile(file, 'utf8').catch(() => '') : '');
  }
  return texts;
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
