/** `castellan restore <n>` */
import { presentChange } from '../admin/import-policy.ts';
import { policyToRestore } from '../admin/revisions.ts';
import { type Command, jsonOption, printResult, readNumber } from './command.ts';
import { withLiveDatabase } from './live-database.ts';
import { changeLines, messageOption, publishByOperator } from './publish-by-operator.ts';
import { tellingProblems } from './telling-problems.ts';

export const restoreCommand: Command = {
  name: 'restore',
  summary: 'Make the policy what it was at a revision, as a new revision',
  argument: { name: '<n>', missing: 'name a revision; castellan revisions lists them' },
  options: [
    messageOption,
    { name: 'force', type: 'boolean', meaning: 'publish although cases break' },
    jsonOption,
  ],
  run: ({ message, force, json }, [typed]) =>
    tellingProblems('nothing was restored', async (progress) => {
      const n = readNumber('the revision', typed);
      const publication = await withLiveDatabase((opened) =>
        publishByOperator(opened, {
          command: 'castellan restore',
          action: 'policy.restore',
          target: String(n),
          message: typeof message === 'string' ? message : `Back to revision ${n}`,
          force: force === true,
          progress,
          change: (_policy, trx) => policyToRestore(trx, n),
        }),
      );
      progress.end();
      printResult(json, presentChange(publication, false), changeLines(publication, false));
    }),
};
