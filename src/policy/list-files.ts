/** The policy files that paths name: each once, by the folder that it really is in. */
import type { Stats } from 'node:fs';
import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';

const extensions = new Set(['.yaml', '.yml', '.json']);

/** There is nothing to read where somebody said, or what is there cannot be read. */
export class NoPolicyFilesError extends Error {
  override name = 'NoPolicyFilesError';
}

/** A file to read. */
export interface ListedFile {
  /** As it was named, for messages. */
  name: string;
  /** Absolute and without links, however it was named: what is below what is told by it. */
  folder: string;
}

/** The files at these paths, in the order of their names; one that is named or linked twice is there once. Throws NoPolicyFilesError. */
export async function listFiles(paths: readonly string[]): Promise<ListedFile[]> {
  const found = (await Promise.all(paths.map(filesAt))).flat();
  const byFile = new Map<string, ListedFile>();
  for (const file of found.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const real = await realOf(file.name);
    if (!byFile.has(real)) byFile.set(real, file);
  }
  return [...byFile.values()];
}

/** Whether it is read when it is found in a folder: schemas lie beside the files that name them. */
function isPolicyFile(name: string): boolean {
  const lower = name.toLowerCase();
  return extensions.has(extname(lower)) && !lower.endsWith('.schema.json');
}

async function filesAt(path: string): Promise<ListedFile[]> {
  const found = await look(path);
  if (found.isFile()) return [{ name: path, folder: await realOf(dirname(path)) }];
  if (!found.isDirectory()) throw new NoPolicyFilesError(`${path} is neither a file nor a folder`);
  const files = await filesBelow({ name: path, folder: await realOf(path) }, [], new Set());
  if (files.length === 0) throw new NoPolicyFilesError(`there is no .yaml, .yml or .json file in ${path}`);
  return files;
}

/**
 * Links are followed: Kubernetes mounts files as links. What leads back into itself is refused, and a folder that is
 * linked more than once is gone through once, else a few links could make millions of files.
 */
async function filesBelow(
  { name, folder }: ListedFile,
  above: readonly string[],
  known: Set<string>,
): Promise<ListedFile[]> {
  const real = await realOf(name);
  if (above.includes(real))
    throw new NoPolicyFilesError(`${name} is a link that leads back to a folder above it`);
  if (known.has(real)) return [];
  known.add(real);
  const files: ListedFile[] = [];
  for (const entry of (await entriesOf(name)).filter((entry) => !entry.startsWith('.')).sort()) {
    const path = join(name, entry);
    const found = await look(path);
    if (found.isDirectory())
      files.push(...(await filesBelow({ name: path, folder: join(folder, entry) }, [...above, real], known)));
    else if (isPolicyFile(entry)) {
      if (!found.isFile()) throw new NoPolicyFilesError(`${path} is neither a file nor a folder`);
      files.push({ name: path, folder });
    }
  }
  return files;
}

/** What is at the end of all links. A link that leads nowhere may have led to rules: it is not passed over. */
async function look(path: string): Promise<Stats> {
  try {
    return await stat(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ELOOP')
      throw new NoPolicyFilesError(`${path} is a link that leads back to itself`, { cause });
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw unreadable(path, cause);
    const isLink = await lstat(path).catch(() => undefined);
    const message = isLink ? `${path} is a link that leads nowhere` : `there is no file or folder ${path}`;
    throw new NoPolicyFilesError(message, { cause });
  }
}

function realOf(path: string): Promise<string> {
  return realpath(path).catch((cause) => {
    throw unreadable(path, cause);
  });
}

function entriesOf(path: string): Promise<string[]> {
  return readdir(path).catch((cause) => {
    throw unreadable(path, cause);
  });
}

/** What the system refused, by its name for that. */
export function unreadable(path: string, cause: unknown): NoPolicyFilesError {
  const { code } = cause as NodeJS.ErrnoException;
  return new NoPolicyFilesError(`${path} cannot be read: ${code ?? 'the system gives no reason'}`, { cause });
}
