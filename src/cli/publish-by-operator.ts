/** A change of the policy from the command line: with the guards of every change but the one against escalation. */
import { casesBrokenBy } from '../admin/broken-cases.ts';
import { beforeAndAfter, type ProvenPublication } from '../admin/publish-change.ts';
import { recordAudit } from '../audit/record.ts';
import { redactText } from '../audit/redact.ts';
import { refuseLockOut } from '../decision/lock-out.ts';
import type { CaseResult } from '../decision/run-cases.ts';
import { AppError } from '../errors.ts';
import { countDiff, describeDiff } from '../policy/diff.ts';
import { type PublishOptions, publish } from '../policy/publish.ts';
import { LONGEST_MESSAGE } from '../policy/revisions.ts';
import type { LiveDatabase } from './live-database.ts';
import { count } from './problem-lines.ts';
import type { Progress } from './progress.ts';

export const messageOption = {
  name: 'message',
  type: 'string',
  meaning: 'why, for the history',
  longest: LONGEST_MESSAGE,
} as const;

export interface OperatorChange
  extends Pick<PublishOptions, 'change' | 'locate' | 'dryRun' | 'message' | 'alongside'> {
  /** The command, which is named as author. */
  command: string;
  /** `policy.<verb>` for the audit trail. */
  action: string;
  /** What the audit trail says it was about. */
  target: string;
  force: boolean;
  progress: Progress;
}

/**
 * Publishes; running nodes hear of it from the database. Whoever reaches the database is beyond rules about giving, but not
 * beyond mistakes: throws `policy_locks_out`, `cases_broken` unless forced, and what `publish` throws.
 */
export async function publishByOperator(
  { db, live, evaluators }: LiveDatabase,
  { command, action, target, force, progress, message = '', ...change }: OperatorChange,
): Promise<ProvenPublication> {
  const actor = { id: null, name: command, address: null, requestId: null };
  let broken: CaseResult[] = [];
  const publication = await publish({
    ...change,
    db,
    live,
    author: { id: null, name: command },
    message: redactText(message),
    guard: async (planned, trx) => {
      await refuseLockOut(trx, planned);
      progress.begin('running the cases');
      broken = await casesBrokenBy(evaluators, planned);
      if (broken.length > 0 && !force && !change.dryRun) throw refusal(broken);
      progress.begin('writing');
    },
    record: (done, trx) =>
      recordAudit(trx, {
        actor,
        action,
        target: { type: 'castellan.policy', id: target },
        ...beforeAndAfter(done, broken),
        revision: done.after.revision,
      }),
  });
  return { ...publication, broken };
}

const MOST_NAMED = 5;

function refusal(broken: readonly CaseResult[]): AppError {
  const named = broken.slice(0, MOST_NAMED).map(({ id, message }) => `${id} (${message})`);
  return new AppError('cases_broken', {
    message: `${count(broken.length, 'case')} would no longer hold, so nothing was changed: ${named.join(', ')}; --force publishes all the same`,
    members: { cases: broken },
  });
}

const MOST_LINES = 1000;

/** What it changed, or would change, a line each, and last what is in force now. */
export function changeLines({ before, after, diff, broken }: ProvenPublication, dryRun: boolean): string[] {
  const lines = describeDiff(diff);
  if (lines.length === 0) return [`nothing to change: revision ${before.revision} stays in force`];
  const { added, changed, removed } = countDiff(diff);
  const counted = `${added} added, ${changed} changed, ${removed} removed`;
  return [
    ...lines.slice(0, MOST_LINES),
    ...(lines.length > MOST_LINES ? [`… and ${lines.length - MOST_LINES} lines more`] : []),
    ...broken.map(({ id, message }) => `${dryRun ? 'would break' : 'breaks'} the case ${id}: ${message}`),
    dryRun
      ? `dry run: ${counted}; revision ${before.revision} stays in force`
      : `revision ${after.revision}: ${counted}`,
  ];
}
