/** Several policy files made one policy, of which each part knows its place. */
import { sep } from 'node:path';
import type { Problem } from '../errors.ts';
import { type Collection, collections, emptyPolicy, nameOf, type Part, type Policy } from './policy.ts';
import { thereTwice } from './policy-document.ts';
import type { FileProblem, PolicyFile } from './policy-file.ts';
import type { GivenEntity } from './put-entities.ts';

/** Files read as one policy. */
export interface PolicyFiles {
  files: readonly PolicyFile[];
  policy: Policy;
  /** What comes with it, each knowing its place. */
  entities: readonly GivenEntity[];
  /** Everything that is wrong with the files as such; what is wrong with the policy is found when it is compiled. */
  problems: FileProblem[];
  /** Which parts took the place of others. */
  replaced: string[];
  /** Where in the files a problem of a policy is that has these parts. */
  locate(problem: Problem, policy: Policy): Problem;
}

interface Origin {
  file: PolicyFile;
  part: Part;
  layer: number;
}

/**
 * Merges layers of files: a part of a later layer replaces the part of the same name. Within a layer so does a part of
 * a folder the one of a folder above it; every other name that is there twice is a problem.
 */
export function mergeFiles(layers: readonly (readonly PolicyFile[])[]): PolicyFiles {
  const files = layers.flat();
  const problems = files.flatMap((file) => file.problems);
  const replaced: string[] = [];
  const policy = emptyPolicy();
  const origins = new Map<Collection, Map<string, Origin>>();
  for (const collection of collections) {
    const byName = new Map<string, Origin>();
    for (const [layer, of] of layers.entries())
      for (const file of of)
        for (const part of file.policy[collection])
          add(byName, collection, { file, part, layer }, problems, replaced);
    origins.set(collection, byName);
    Object.assign(policy, { [collection]: [...byName.values()].map(({ part }) => part) });
  }
  const locate = (problem: Problem, within: Policy) => locateIn(origins, files, problem, within);
  return { files, policy, entities: files.flatMap(entitiesIn), problems, replaced, locate };
}

/** Two of one name are a problem once they are written: only there it is known how the ids of their type compare. */
function entitiesIn(file: PolicyFile): GivenEntity[] {
  return file.entities.map((one) => ({ ...one, where: () => placeAt(file, one.pointer) }));
}

function add(
  byName: Map<string, Origin>,
  collection: Collection,
  origin: Origin,
  problems: FileProblem[],
  replaced: string[],
): void {
  const name = nameOf(collection, origin.part);
  const known = byName.get(name);
  if (known && known.file === origin.file) return; // told when the file was read
  if (!known || replaces(origin, known)) byName.set(name, origin);
  else if (!replaces(known, origin)) {
    const pointer = origin.file.pointers.get(origin.part) ?? '';
    problems.push(origin.file.place(thereTwice(pointer, collection, name, placeOf(known))));
    return;
  }
  if (!known || known.layer !== origin.layer) return;
  const [above, below] = replaces(origin, known) ? [known, origin] : [origin, known];
  replaced.push(`${name} of ${placeOf(below)} replaces that of ${placeOf(above)}`);
}

function replaces(one: Origin, other: Origin): boolean {
  if (one.layer !== other.layer) return one.layer > other.layer;
  const folder = other.file.folder.endsWith(sep) ? other.file.folder : `${other.file.folder}${sep}`;
  return one.file.folder !== other.file.folder && one.file.folder.startsWith(folder);
}

function placeOf({ file, part }: Origin): string {
  return placeAt(file, file.pointers.get(part) ?? '');
}

function placeAt(file: PolicyFile, pointer: string): string {
  const { line, column } = file.place({ pointer, code: '', message: '' });
  return `${file.name}:${line}:${column}`;
}

/** A problem of a part that is in no file names the part; one of the policy as a whole is at the top of the first file. */
function locateIn(
  origins: ReadonlyMap<Collection, ReadonlyMap<string, Origin>>,
  files: readonly PolicyFile[],
  problem: Problem,
  policy: Policy,
): Problem {
  const [, word, index = '', ...below] = problem.pointer.split('/');
  const collection = collections.find((name) => name === word);
  const part = collection && policy[collection][Number(index || Number.NaN)];
  if (!part) return files[0] ? files[0].place({ ...problem, pointer: '' }) : problem;
  const name = nameOf(collection, part);
  const origin = origins.get(collection)?.get(name);
  if (!origin) return { ...problem, message: `${name}: ${problem.message}` };
  const pointer = [origin.file.pointers.get(origin.part) ?? '', ...below].join('/');
  return origin.file.place({ ...problem, pointer });
}
