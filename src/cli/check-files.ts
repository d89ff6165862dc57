/** Policy files put to the compiler and to their own cases, without a database. */
import { join } from 'node:path';
import { loadConfig } from '../config.ts';
import { type CaseResult, runCases } from '../decision/run-cases.ts';
import { sourcesOf } from '../demo/endpoints.ts';
import { makeReach } from '../enforcement/gateway/reach.ts';
import { tableCheck } from '../enforcement/table-check.ts';
import type { Problem } from '../errors.ts';
import { builtInTypes } from '../policy/built-in.ts';
import { type Compiled, compile } from '../policy/compile.ts';
import { checkEntity } from '../policy/entity.ts';
import { shippedPolicies } from '../policy/files.ts';
import { mergeFiles, type PolicyFiles } from '../policy/merge-files.ts';
import type { Policy } from '../policy/policy.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { commandEvaluators } from './evaluators.ts';
import { byPlace } from './problem-lines.ts';
import { type Progress, showProgress } from './progress.ts';
import { readFiles } from './read-files.ts';

export interface CheckedFiles {
  policy: Policy;
  /** The shipped base policy, where it was put below the files. */
  base: string | undefined;
  replaced: readonly string[];
  /** Of the files, of the policy that they make, and cases that fail; with places. */
  problems: Problem[];
  /** How the cases went; undefined where the policy does not compile. */
  results: CaseResult[] | undefined;
  snapshot: Snapshot | undefined;
}

/** When to put the shipped base policy below: `auto` where the files lack the built-in resource types. */
export type UseOfBase = 'auto' | 'always' | 'never';

/** Everything that is wrong with the files; tells how far it is. Throws UsageError where there are none. */
export async function checkFiles(paths: readonly string[], useOfBase: UseOfBase): Promise<CheckedFiles> {
  const progress = showProgress();
  try {
    return await check(paths, useOfBase, progress);
  } finally {
    progress.end();
  }
}

async function check(
  paths: readonly string[],
  useOfBase: UseOfBase,
  progress: Progress,
): Promise<CheckedFiles> {
  const own = await readFiles(paths, progress);
  const alone = mergeFiles([own]);
  const isBaseUsed = useOfBase === 'always' || (useOfBase === 'auto' && lacksBuiltIns(alone.policy));
  const base = isBaseUsed ? join(shippedPolicies(), 'base.yaml') : undefined;
  const merged = base === undefined ? alone : mergeFiles([await readFiles([base], progress), own]);
  progress.begin('checking');
  const evaluators = await commandEvaluators();
  const { snapshot, problems } = compileFiles(merged, evaluators.names);
  const told = { policy: merged.policy, base, replaced: merged.replaced };
  if (!snapshot) return { ...told, problems: problems.toSorted(byPlace), results: undefined, snapshot };
  progress.begin('running the cases');
  const results = await runCases(merged.policy.cases, snapshot, evaluators.decisionsAt);
  const found = [...failures(results, merged), ...unfitEntities(merged, snapshot)];
  return { ...told, problems: found.sort(byPlace), results, snapshot };
}

function lacksBuiltIns({ resourceTypes }: Policy): boolean {
  const there = new Set(resourceTypes.map(({ type }) => type));
  return builtInTypes.some(({ type }) => !there.has(type));
}

/**
 * Compiles as much as can be judged: a rule with a wrong shape hides what cases say of it, a resource type or role
 * what everything says of it, and what is only hidden is not wrong.
 */
function compileFiles(
  { files, policy, problems, locate }: PolicyFiles,
  evaluators: readonly string[],
): Compiled {
  const places = new Set(
    problems.map(({ pointer, code }) => (code === 'syntax' ? '' : pointer.split('/')[1])),
  );
  const isHidden = [...places].some(
    (place) => !['rules', 'routes', 'cases', 'cedar', 'entities'].includes(place ?? ''),
  );
  if (isHidden || files.length === 0) return { problems };
  const shaped = places.has('rules') ? { ...policy, cases: [] } : policy;
  const judged = places.has('cedar') ? { ...shaped, cedar: [] } : shaped;
  const config = loadConfig();
  const compiled = compile(judged, {
    revision: 1,
    evaluators,
    tables: tableCheck(sourcesOf(config)),
    refusalOf: makeReach(config.upstreamHosts).refusalOf,
  });
  const found = (compiled.problems ?? []).map((problem) => locate(problem, judged));
  if (compiled.snapshot && problems.length === 0) return compiled;
  return { problems: [...problems, ...found] };
}

/** Entities that do not fit the policy beside them; their parents may be in the database. */
function unfitEntities({ files }: PolicyFiles, { types, roles }: Snapshot): Problem[] {
  const sources = sourcesOf(loadConfig());
  const vocabulary = { types, roles, isInTable: (type: string) => sources.has(type) };
  return files.flatMap((file) =>
    file.entities.flatMap(({ entity, pointer }) =>
      checkEntity(entity, vocabulary, pointer).map((problem) => file.place(problem)),
    ),
  );
}

function failures(results: readonly CaseResult[], { policy, locate }: PolicyFiles): Problem[] {
  return results
    .filter(({ passed }) => !passed)
    .map(({ id, message = '' }) => {
      const index = policy.cases.findIndex((written) => written.id === id.split('/')[0]);
      const key = 'principals' in (policy.cases[index] ?? {}) ? 'allow' : 'expect';
      const problem = {
        pointer: `/cases/${index}/${key}`,
        code: 'case_failed',
        message: `${id}: ${message}`,
      };
      return locate(problem, policy);
    });
}
