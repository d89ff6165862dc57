/** What `dist` was built from, and whether it still is that. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const SOURCES = [
  'src',
  'migrations',
  'seeds',
  'tsconfig.json',
  'tsconfig.build.json',
  'tsconfig.client.json',
];
/** Holds the hash of the sources that `dist` was built from; a build that failed leaves none. */
export const STAMP = join(root, 'dist/.sources');

/** The hash of the sources of the build that is there, if there is one. */
export function builtFrom() {
  return existsSync(STAMP) ? readFileSync(STAMP, 'utf8') : undefined;
}

export function hashSources() {
  const hash = createHash('sha256');
  const add = (path) =>
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(root, path)))
      .update('\0');
  for (const source of SOURCES.filter((source) => existsSync(join(root, source)))) {
    if (source.endsWith('.json')) add(source);
    else for (const path of listFiles(source)) add(path);
  }
  return hash.digest('hex');
}

function listFiles(directory) {
  const entries = readdirSync(join(root, directory), { withFileTypes: true });
  const files = entries.flatMap((entry) => {
    const path = `${directory}/${entry.name}`;
    return entry.isDirectory() ? listFiles(path) : [path];
  });
  return files.sort();
}
