/** `castellan cases` */
import { runCases } from '../decision/run-cases.ts';
import { caseFormats, caseReport } from './case-report.ts';
import { baseOptions, reportOf, useOfBase } from './check.ts';
import { checkFiles } from './check-files.ts';
import { type Command, jsonOption, type Options } from './command.ts';
import { withLiveDatabase } from './live-database.ts';
import { filesArgument } from './read-files.ts';

export const casesCommand: Command = {
  name: 'cases',
  summary: 'Run the cases stored with the policy in force, or those in files against the policy in the files',
  argument: { ...filesArgument, optional: true },
  options: [
    { name: 'format', type: 'string', meaning: 'default: text', values: caseFormats },
    ...baseOptions,
    jsonOption,
  ],
  notes: ['With files it needs no database. Exits with 1 when a case fails.'],
  run: async (options, paths) => {
    const format = options['json'] === true ? 'json' : options['format'];
    const report =
      paths.length > 0 ? await reportOfFiles(paths, options, format) : await reportOfLive(format);
    process.stdout.write(report);
  },
};

async function reportOfFiles(paths: string[], options: Options, format: unknown): Promise<string> {
  const checked = await checkFiles(paths, useOfBase(options));
  if (checked.problems.length > 0) process.exitCode = 1;
  return reportOf(checked, format);
}

async function reportOfLive(format: unknown): Promise<string> {
  const { revision, results } = await withLiveDatabase(async ({ live: { snapshot }, evaluators }) => ({
    revision: snapshot.revision,
    results: await runCases(snapshot.policy.cases, snapshot, evaluators.decisionsAt),
  }));
  if (results.some(({ passed }) => !passed)) process.exitCode = 1;
  return caseReport(results, format, { revision });
}
