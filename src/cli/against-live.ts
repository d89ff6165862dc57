/** `castellan check --against-live`: files beside what is live, before they are imported. */
import { type Simulation, simulate } from '../admin/simulate.ts';
import type { ReachChange } from '../decision/simulate.ts';
import { makeReach } from '../enforcement/gateway/reach.ts';
import { tableCheck } from '../enforcement/table-check.ts';
import { policyInvalid } from '../errors.ts';
import { compile } from '../policy/compile.ts';
import type { PolicyFiles } from '../policy/merge-files.ts';
import { policyWith } from './import.ts';
import { withLiveDatabase } from './live-database.ts';
import { count } from './problem-lines.ts';
import type { Progress } from './progress.ts';

const LOGGED_DECISIONS = 1000;

/** What an import of the files would change for whom. Throws `policy_invalid` with places. */
export async function simulateFiles(
  files: PolicyFiles,
  mode: 'merge' | 'replace',
  progress: Progress,
): Promise<Simulation> {
  return withLiveDatabase(async ({ config, db, sources, evaluators, live: { snapshot: before } }) => {
    progress.begin('comparing with what is live');
    const policy = await policyWith(files.policy, before, mode);
    const { snapshot: after, problems } = compile(policy, {
      revision: before.revision + 1,
      evaluators: evaluators.names,
      tables: tableCheck(sources),
      refusalOf: makeReach(config.upstreamHosts).refusalOf,
      previous: before,
    });
    if (!after) throw policyInvalid(problems.map((problem) => files.locate(problem, policy)));
    return simulate({
      db,
      sources,
      before,
      after,
      decisions: LOGGED_DECISIONS,
      decisionsAt: evaluators.decisionsAt,
      mayRead: async () => true, // whoever reaches the database may see all of it
      onProgress: (examined, total) => progress.begin(`accounts: ${examined} of ${total}`),
    });
  });
}

/** The same for people: a line for each who gains or loses something. */
export function simulationLines({
  accounts,
  principals,
  roles,
  anonymous,
  cases,
  decisions,
}: Simulation): string[] {
  const { affected, examined, total, sampled } = accounts;
  return [
    `${count(affected, 'account')} of ${examined} would gain or lose something${sampled ? ` (a sample of ${total})` : ''}`,
    ...roles.flatMap(({ role, gains, losses }) => changeLines(`role ${role}`, gains, losses)),
    ...changeLines('anonymous', anonymous.gains, anonymous.losses),
    ...principals.flatMap(({ account, gains, losses }) => changeLines(account.email, gains, losses)),
    ...cases.map(({ id, before, after }) => `case ${id}: ${before} → ${after}`),
    `${decisions.count} of the last ${count(decisions.examined, 'logged decision')} would come out otherwise`,
  ];
}

function changeLines(who: string, gains: readonly ReachChange[], losses: readonly ReachChange[]): string[] {
  const line =
    (sign: string) =>
    ({ action, resource, before, after, rules }: ReachChange) =>
      `${who}: ${sign} ${action} ${resource} (${before} → ${after}; ${rules.join(', ')})`;
  return [...gains.map(line('+')), ...losses.map(line('-'))];
}
