/** Policies as files: YAML or JSON, one or many, read into one policy. */
import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, extname, join, relative } from 'node:path';
import { parseDocument } from 'yaml';
import { AppError, type Problem, policyInvalid } from '../errors.ts';
import { parseStrictJson } from '../http/json-body.ts';
import { collections, emptyPolicy, nameOf, type Part, type Policy } from './policy.ts';
import { readDocument } from './policy-document.ts';

const extensions = new Set(['.yaml', '.yml', '.json']);

/** Reads a file or every file of a folder, in the order of their names. Throws `policy_invalid`, each problem with its file. */
export async function readPolicyFiles(path: string): Promise<Policy> {
  const files = await listFiles(path);
  const parts = await Promise.all(files.map((file) => readPolicyFile(file, relative(path, file) || file)));
  const problems = parts.flatMap((part) => part.problems);
  if (problems.length > 0) throw policyInvalid(problems);
  return mergeAll(parts.map((part) => part.policy));
}

/** A document sent as YAML, held to what JSON bodies are held to. Throws `malformed_json`. */
export function parsePolicyYaml(text: string): unknown {
  const document = parseDocument(text, { uniqueKeys: true });
  const [error] = document.errors;
  if (error)
    throw new AppError('malformed_json', { message: `it is not YAML: ${error.message}`, cause: error });
  return parseStrictJson(JSON.stringify(document.toJS({ maxAliasCount: 100 })));
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

async function listFiles(path: string): Promise<string[]> {
  if ((await stat(path)).isFile()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && extensions.has(extname(entry.name)))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

async function readPolicyFile(file: string, name: string): Promise<{ policy: Policy; problems: Problem[] }> {
  const document = parseDocument(await readFile(file, 'utf8'), { uniqueKeys: true });
  const syntax = document.errors.map(
    (error): Problem => ({ pointer: '', code: 'syntax', message: `${name}: ${error.message}` }),
  );
  if (syntax.length > 0) return { policy: emptyPolicy(), problems: syntax };
  const { policy, problems } = readDocument(document.toJS());
  return {
    policy,
    problems: problems.map((problem) => ({ ...problem, message: `${name}: ${problem.message}` })),
  };
}
