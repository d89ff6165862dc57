/** `castellan check` */
import type { CaseResult } from '../decision/run-cases.ts';
import { simulateFiles, simulationLines } from './against-live.ts';
import { caseReport } from './case-report.ts';
import { type CheckedFiles, checkFiles, type UseOfBase } from './check-files.ts';
import { checkSql, sqlLines } from './check-sql.ts';
import { type Command, jsonOption, type Options, printResult, UsageError } from './command.ts';
import { ProblemsFound } from './failure.ts';
import { modeOf, modeOption } from './import.ts';
import { count, problemLine } from './problem-lines.ts';
import { filesArgument, readDraftFiles } from './read-files.ts';
import { tellingProblems } from './telling-problems.ts';

/** What the commands that check files offline are told about the shipped base policy. */
export const baseOptions = [
  { name: 'base', type: 'boolean', meaning: 'put the shipped base policy below the files' },
  { name: 'no-base', type: 'boolean', meaning: 'do not; default: where they lack its resource types' },
] as const;

export const checkCommand: Command = {
  name: 'check',
  summary: 'Check policy files and run the cases in them; needs no database',
  argument: filesArgument,
  options: [
    ...baseOptions,
    {
      name: 'format',
      type: 'string',
      meaning: 'how the cases went, as CI servers read it',
      values: ['junit', 'tap'],
    },
    {
      name: 'against-live',
      type: 'boolean',
      meaning: 'show who gains and who loses what beside the policy in force; needs the database',
    },
    {
      name: 'sql',
      type: 'boolean',
      meaning: 'show the WHERE of each list for each role, and its EXPLAIN; needs the database',
    },
    modeOption,
    jsonOption,
  ],
  notes: ['Exits with 0 when all is well, with 1 when there are problems or cases fail.'],
  run: async (options, paths) => {
    if (options['sql'] && (options['against-live'] || options['format']))
      throw new UsageError('--sql goes with neither --against-live nor --format');
    if (options['against-live'] && options['format'])
      throw new UsageError('--against-live goes not with --format: it compares, and reports no cases');
    if (options['against-live']) return checkAgainstLive(options, paths);
    const checked = await checkFiles(paths, useOfBase(options));
    if (checked.problems.length > 0) process.exitCode = 1;
    const { format, json } = options;
    if (options['sql'] && checked.snapshot) {
      const lists = await checkSql(checked.snapshot);
      return printResult(json, { ...summaryOf(checked), ...lists }, [
        ...linesOf(checked),
        '',
        ...sqlLines(lists),
      ]);
    }
    if (format !== undefined) return print(reportOf(checked, format));
    printResult(json, summaryOf(checked), linesOf(checked));
  },
};

function checkAgainstLive(options: Options, paths: string[]): Promise<void> {
  return tellingProblems('nothing was compared', async (progress) => {
    const files = await readDraftFiles(paths, progress);
    const simulation = await simulateFiles(files, modeOf(options), progress);
    progress.end();
    // One that goes has a message where it guards against going.
    if (simulation.cases.some(({ after, message }) => after === 'failed' || message)) process.exitCode = 1;
    const { principals, decisions, ...rest } = simulation;
    const told = {
      ...rest,
      principals: principals.map(({ account: { id, email }, ...effect }) => ({ id, email, ...effect })),
      decisions: { examined: decisions.examined, count: decisions.count },
    };
    printResult(options['json'], told, simulationLines(simulation));
  });
}

/** What `--base` and `--no-base` say. Throws UsageError where they say both. */
export function useOfBase({ base, 'no-base': noBase }: Options): UseOfBase {
  if (base && noBase) throw new UsageError('--base and --no-base are opposites');
  return base ? 'always' : noBase ? 'never' : 'auto';
}

/** How the cases went. Throws ProblemsFound for a policy that does not compile: of that there is no report. */
export function reportOf({ results, problems }: CheckedFiles, format: unknown): string {
  if (!results) throw new ProblemsFound(problems);
  return caseReport(results, format);
}

function print(text: string): void {
  process.stdout.write(text);
}

function summaryOf({ policy, base, problems, results = [] }: CheckedFiles): object {
  return {
    ok: problems.length === 0,
    base: base ?? null,
    problems,
    resourceTypes: policy.resourceTypes.length,
    roles: policy.roles.length,
    rules: policy.rules.length,
    cases: { passed: passedOf(results), failed: results.length - passedOf(results) },
  };
}

function linesOf({ policy, base, replaced, problems, results = [] }: CheckedFiles): string[] {
  const notes = [...(base === undefined ? [] : [`checked on top of ${base}`]), ...replaced].map(
    (note) => `note: ${note}`,
  );
  if (problems.length > 0) return [...notes, ...problems.map(problemLine), count(problems.length, 'problem')];
  const parts = [
    count(policy.resourceTypes.length, 'resource type'),
    count(policy.roles.length, 'role'),
    count(policy.rules.length, 'rule'),
    `${count(passedOf(results), 'case')} passed`,
  ];
  return [...notes, `ok: ${parts.join(', ')}`];
}

function passedOf(results: readonly CaseResult[]): number {
  return results.filter(({ passed }) => passed).length;
}
