/** One policy file: read, parsed and shaped, and everything that is wrong with it told by line and column. */
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { AppError, type Problem } from '../errors.ts';
import { parseStrictJson } from '../http/strict-json.ts';
import {
  jsonErrors,
  jsonPositions,
  type PositionOf,
  type SyntaxProblem,
  yamlErrors,
  yamlPositions,
} from './file-positions.ts';
import { type ListedFile, unreadable } from './list-files.ts';
import { emptyPolicy, type Part, type Policy } from './policy.ts';
import { readDocument } from './policy-document.ts';
import type { GivenEntity } from './put-entities.ts';
import { readYaml } from './yaml.ts';

/** A problem and the place where it is to be mended. */
export interface FileProblem extends Problem {
  file: string;
  /** From 1, as `column`. */
  line: number;
  column: number;
}

export interface PolicyFile extends ListedFile {
  policy: Policy;
  /** What comes with it. */
  entities: readonly GivenEntity[];
  /** Where in the file each part is. */
  pointers: ReadonlyMap<Part, string>;
  problems: FileProblem[];
  /** The problem with its place; its pointer is into the file. */
  place(problem: Problem): FileProblem;
}

/** Reads one file; what is wrong with it is in its problems. Throws NoPolicyFilesError when it cannot be read at all. */
export async function readPolicyFile({ name, folder }: ListedFile): Promise<PolicyFile> {
  const isJson = extname(name).toLowerCase() === '.json';
  const bytes = await readFile(name).catch((cause) => {
    throw unreadable(name, cause);
  });
  const text = decode(bytes);
  const place = placer(name, text ?? '', isJson);
  const file = { name, folder, policy: emptyPolicy(), entities: [], pointers: new Map(), place };
  const parsed = text === undefined ? notUtf8 : isJson ? parseJson(text) : parseYaml(text);
  if (parsed.errors.length > 0) {
    const problems = parsed.errors.map((error) => ({ pointer: '', code: 'syntax', file: name, ...error }));
    return { ...file, problems };
  }
  if (parsed.refused) return { ...file, problems: [place(parsed.refused)] };
  const { policy, entities, problems, pointers } = readDocument(parsed.value);
  return { ...file, policy, entities, pointers, problems: problems.map(place) };
}

/** A document, or what keeps the text from being one; `refused` is what strict JSON does not accept either. */
interface Parsed {
  value?: unknown;
  errors: SyntaxProblem[];
  refused?: Problem | undefined;
}

const notUtf8: Parsed = { errors: [{ line: 1, column: 1, message: 'it is not UTF-8' }] };

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function parseJson(text: string): Parsed {
  const parsed = parseStrictly(text);
  if (parsed && !parsed.refused) return parsed;
  const errors = jsonErrors(text);
  return parsed && errors.length === 0 ? parsed : { errors };
}

function parseYaml(text: string): Parsed {
  const { document, lines, problems } = readYaml(text);
  if (!document) return { errors: yamlErrors(problems, lines) };
  try {
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    return parseStrictly(JSON.stringify(value) ?? 'null') ?? { value, errors: [] };
  } catch (cause) {
    if (cause instanceof RangeError)
      return { errors: [{ line: 1, column: 1, message: 'it is nested too deep' }] };
    if (!(cause instanceof ReferenceError)) throw cause;
    return { errors: [{ line: 1, column: 1, message: `it is not YAML: ${cause.message}` }] };
  }
}

/** What bodies are held to; undefined where the text is not JSON at all. */
function parseStrictly(text: string): Parsed | undefined {
  try {
    return { value: parseStrictJson(text), errors: [] };
  } catch (cause) {
    if (!(cause instanceof AppError)) throw cause;
    const [error] = cause.errors ?? [];
    return error && { errors: [], refused: { ...error, code: 'syntax' } };
  }
}

/** Problems with one of these are about the key that the pointer ends with, not about its value. */
const aboutKeys = new Set([
  'syntax',
  'unknown_key',
  'unknown_attribute',
  'unknown_operator',
  'unknown_path',
  'unsafe_path',
]);

/** Most files have no problems, so their text is read for places only when there are. */
function placer(file: string, text: string, isJson: boolean): PolicyFile['place'] {
  let positionOf: PositionOf | undefined;
  return (problem) => {
    positionOf ??= isJson ? jsonPositions(text) : yamlPositions(text);
    const what = aboutKeys.has(problem.code) ? 'key' : 'value';
    return { ...problem, file, ...positionOf(problem.pointer, what) };
  };
}

/** Whether it says where in which file it is. */
export function isPlaced(problem: Problem): problem is FileProblem {
  return 'file' in problem;
}
