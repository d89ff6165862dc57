/** The house of the design: imports point one way. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

const src = resolve(import.meta.dirname, '../../src');

/** From the top of the house to its floor: a part may import those below it, and of its own level those named before it. */
const levels: readonly (readonly string[])[] = [
  ['main', 'app', 'services', 'cli'],
  ['admin', 'authzen', 'demo', 'accounts', 'enforcement'],
  ['evaluators', 'sessions', 'audit', 'signing'],
  ['decision'],
  ['policy'],
  ['storage'],
  ['client'],
];
const forAll = ['http', 'config', 'errors'];

interface Import {
  file: string;
  from: string;
  to: string;
  /** Types are gone when the program runs. */
  typeOnly: boolean;
}

const imports = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .flatMap(importsOf);

function importsOf(name: string): Import[] {
  const file = join(src, name);
  const text = readFileSync(file, 'utf8');
  const found = text.matchAll(
    /^(?:import|export)\s+(type\s)?[^'"`;]*?from\s+'(\.[^']+)'|import\('(\.[^']+)'\)/gm,
  );
  return [...found].flatMap(([, type, static_, dynamic]) => {
    const target = relative(src, resolve(dirname(file), static_ ?? dynamic ?? ''));
    return target.startsWith('..')
      ? []
      : [{ file: name, from: partOf(name), to: partOf(target), typeOnly: type !== undefined }];
  });
}

function partOf(path: string): string {
  return path.split('/')[0]?.replace(/\.ts$/, '') ?? '';
}

function levelOf(part: string): number {
  return levels.findIndex((level) => level.includes(part));
}

/** Whether the house lets one part import another. */
function isAllowed({ from, to, typeOnly }: Import): boolean {
  if (from === to || forAll.includes(to)) return true;
  if (forAll.includes(from)) return false;
  if (to === 'services' && typeOnly) return true; // what a feature is given, by its type
  const [above, below] = [levelOf(from), levelOf(to)];
  if (above !== below) return above < below;
  return above === 0 || (levels[above]?.indexOf(from) ?? 0) < (levels[below]?.indexOf(to) ?? 0);
}

describe('the house', () => {
  it('is read: every part of src is known to this test', () => {
    const parts = new Set(imports.flatMap(({ from, to }) => [from, to]));
    assert.ok(imports.length > 200, `only ${imports.length} imports were found`);
    assert.deepEqual(
      [...parts].filter((part) => !forAll.includes(part) && levelOf(part) < 0),
      [],
    );
  });

  it('imports point one way', () => {
    const wrong = imports.filter((entry) => !isAllowed(entry)).map(({ file, to }) => `${file} imports ${to}`);
    assert.deepEqual(wrong, []);
  });

  it('the client is alone: whoever installs it for that has no server behind it', () => {
    const files = readdirSync(join(src, 'client'), { encoding: 'utf8' });
    const foreign = files.flatMap((name) =>
      [...readFileSync(join(src, 'client', name), 'utf8').matchAll(/from '([^']+)'/g)]
        .map(([, from = '']) => from)
        .filter((from) => !from.startsWith('./')),
    );
    assert.deepEqual(foreign, []);
    assert.ok(files.length > 2);
    assert.deepEqual(
      imports.filter(({ from, to }) => to === 'client' && from !== 'client').map(({ file }) => file),
      [],
    );
  });

  it('only config reads the environment', () => {
    const readers = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
      (name) =>
        name.endsWith('.ts') &&
        name !== 'config.ts' &&
        readFileSync(join(src, name), 'utf8').includes('process.env'),
    );
    assert.deepEqual(readers, []);
  });

  it('only evaluators speak CASL', () => {
    const speakers = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
      (name) =>
        name.endsWith('.ts') &&
        !name.startsWith('evaluators/') &&
        readFileSync(join(src, name), 'utf8').includes("'@casl/"),
    );
    assert.deepEqual(speakers, []);
  });
});
