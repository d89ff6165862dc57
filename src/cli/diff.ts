/** `castellan diff` */
import { makeReach } from '../enforcement/gateway/reach.ts';
import { tableCheck } from '../enforcement/table-check.ts';
import { policyInvalid } from '../errors.ts';
import { compile } from '../policy/compile.ts';
import { countDiff, describeDiff, diffPolicies, isEmptyDiff } from '../policy/diff.ts';
import { type Command, jsonOption, printResult } from './command.ts';
import { commandEvaluators } from './evaluators.ts';
import { modeOf, modeOption, policyWith } from './import.ts';
import { withLiveDatabase } from './live-database.ts';
import { filesArgument, readDraftFiles } from './read-files.ts';
import { tellingProblems } from './telling-problems.ts';

export const diffCommand: Command = {
  name: 'diff',
  summary: 'Show what an import of policy files would change in the policy in force',
  argument: filesArgument,
  options: [modeOption, jsonOption],
  notes: ['Exits with 0 when nothing differs, with 1 when something does, with 2 when it cannot be told.'],
  failureCode: 2,
  run: (options, paths) =>
    tellingProblems('nothing was compared', async (progress) => {
      const files = await readDraftFiles(paths, progress);
      progress.begin('comparing');
      const { revision, diff } = await withLiveDatabase(async ({ config, sources, live: { snapshot } }) => {
        const policy = await policyWith(files.policy, snapshot, modeOf(options));
        const { problems = [] } = compile(policy, {
          revision: 0,
          evaluators: (await commandEvaluators()).names,
          tables: tableCheck(sources),
          refusalOf: makeReach(config.upstreamHosts).refusalOf,
          previous: snapshot,
        });
        if (problems.length > 0)
          throw policyInvalid(problems.map((problem) => files.locate(problem, policy)));
        return { revision: snapshot.revision, diff: diffPolicies(snapshot.policy, policy) };
      });
      progress.end();
      if (!isEmptyDiff(diff)) process.exitCode = 1;
      const summary = describeDiff(diff);
      printResult(options['json'], { revision, changes: countDiff(diff), summary, diff }, summary);
    }),
};
