/** Policies as files: YAML or JSON, one or many, read into one policy. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Document, LineCounter } from 'yaml';
import { AppError, policyInvalid } from '../errors.ts';
import { parseStrictJson } from '../http/strict-json.ts';
import { listFiles } from './list-files.ts';
import { mergeFiles } from './merge-files.ts';
import { collections, emptyPolicy, nameOf, type Part, type Policy } from './policy.ts';
import { type PolicyFile, readPolicyFile } from './policy-file.ts';
import { readYaml, type YamlProblem } from './yaml.ts';

/** Reads a file or every file of a folder as one policy. Throws `policy_invalid`, each problem with its file. */
export async function readPolicyFiles(path: string): Promise<Policy> {
  const { policy, problems } = mergeFiles([await openPolicyFiles([path])]);
  if (problems.length > 0) throw policyInvalid(problems);
  return policy;
}

/** The files that paths name, in the order of their names; `onFile` hears of each before it is read. Throws NoPolicyFilesError. */
export async function openPolicyFiles(
  paths: readonly string[],
  onFile?: (name: string) => void,
): Promise<PolicyFile[]> {
  const files: PolicyFile[] = [];
  for (const listed of await listFiles(paths)) {
    onFile?.(listed.name);
    files.push(await readPolicyFile(listed));
  }
  return files;
}

/** Of so much, YAML takes half a second to read, in which nobody else is answered; as JSON it takes no time. */
export const LONGEST_YAML_BYTES = 256 * 1024;

/** A document sent as YAML, held to what JSON bodies are held to. Throws `body_too_large` and `malformed_json`. */
export function parsePolicyYaml(text: string): unknown {
  if (Buffer.byteLength(text) > LONGEST_YAML_BYTES)
    throw new AppError('body_too_large', {
      message: 'send more than 256 KiB of policy as JSON, or import files',
    });
  const { document, lines, problems } = readYaml(text);
  const [problem] = problems;
  if (!document)
    throw new AppError('malformed_json', { message: problem ? inWords(problem, lines) : 'it is not YAML' });
  return parseStrictJson(JSON.stringify(withoutBombs(document)));
}

function inWords({ offset, message }: YamlProblem, lines: LineCounter): string {
  const { line, col } = lines.linePos(offset);
  return `${message} at line ${line}, column ${col}`;
}

/** Aliases of aliases can make a gigabyte of a line. */
function withoutBombs(document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch (cause) {
    throw new AppError('malformed_json', {
      message: 'aliases are not taken: each part is written out',
      cause,
    });
  }
}

/** The folder of policies that comes with the gateway. */
export function shippedPolicies(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'policies', 'base.yaml'))) {
    if (folder === dirname(folder)) throw new Error('the folder policies/ is missing');
    folder = dirname(folder);
  }
  return join(folder, 'policies');
}

/** One policy of several: a part of a later one replaces the part of the same name. */
export function mergeAll(policies: readonly Policy[]): Policy {
  const merged = emptyPolicy();
  for (const collection of collections) {
    const parts = policies.flatMap((policy): Part[] => policy[collection]);
    const byName = new Map(parts.map((part) => [nameOf(collection, part), part]));
    Object.assign(merged, { [collection]: [...byName.values()] });
  }
  return merged;
}
