/** Policies as files: YAML or JSON, one or many, read into one policy. */
import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, extname, join, relative } from 'node:path';
import { parseDocument } from 'yaml';
import { type Problem, policyInvalid } from '../errors.ts';
import type { Policy, ResourceType, Role, Rule } from './policy.ts';
import { policySchema, shape, shapeRule } from './rule-schema.ts';

const extensions = new Set(['.yaml', '.yml', '.json']);

/** Reads a file or every file of a folder, in the order of their names. Throws `policy_invalid`, each problem with its file. */
export async function readPolicyFiles(path: string): Promise<Policy> {
  const files = await listFiles(path);
  const parts = await Promise.all(files.map((file) => readPolicyFile(file, relative(path, file) || file)));
  const problems = parts.flatMap((part) => part.problems);
  if (problems.length > 0) throw policyInvalid(problems);
  return mergeAll(parts.map((part) => part.policy));
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
export function mergeAll(policies: Policy[]): Policy {
  const merge = <T>(lists: T[][], nameOf: (part: T) => string): T[] => [
    ...new Map(lists.flat().map((part) => [nameOf(part), part])).values(),
  ];
  return {
    resourceTypes: merge(
      policies.map((policy) => policy.resourceTypes),
      (type: ResourceType) => type.type,
    ),
    roles: merge(
      policies.map((policy) => policy.roles),
      (role: Role) => role.key,
    ),
    rules: merge(
      policies.map((policy) => policy.rules),
      (rule: Rule) => rule.id,
    ),
  };
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
  if (syntax.length > 0) return { policy: { resourceTypes: [], roles: [], rules: [] }, problems: syntax };
  const { value, problems } = shape<Policy>(policySchema, document.toJS(), '');
  const rules = problems.length > 0 ? [] : value.rules.map((rule) => shapeRule(rule).value);
  return {
    policy: { resourceTypes: value?.resourceTypes ?? [], roles: value?.roles ?? [], rules },
    problems: problems.map((problem) => ({ ...problem, message: `${name}: ${problem.message}` })),
  };
}
