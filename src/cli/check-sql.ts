/** `castellan check --sql`: the lists of a policy in files, as PostgreSQL is asked for them. */
import type { Snapshot } from '../policy/snapshot.ts';
import { explainLists, type ListSql, type ListsSql } from './list-sql.ts';
import { withLiveDatabase } from './live-database.ts';
import { showProgress } from './progress.ts';

/** Of what people read: statements of a thousand rules fill no screen. */
const LONGEST_LINE = 2000;
const LONGEST_PLAN_LINE = 200;

/** What each list of the policy asks of the tables in the database. Throws what opening it throws. */
export async function checkSql(snapshot: Snapshot): Promise<ListsSql> {
  const progress = showProgress();
  progress.begin('opening the database');
  return withLiveDatabase(({ db, sources }) => {
    progress.begin('explaining the lists');
    return explainLists(db, snapshot, sources);
  }).finally(() => progress.end());
}

/** The same for people. */
export function sqlLines({ standIns, lists }: ListsSql): string[] {
  if (lists.length === 0) return ['no resource type of the policy has a table'];
  const told = Object.entries(standIns).map(
    ([name, value]) => `principal.${name} = ${JSON.stringify(value)}`,
  );
  return [
    ...(told.length > 0 ? [`stand-ins: ${told.join(', ')}`] : []),
    ...lists.flatMap((list) => ['', ...listLines(list)]),
    '',
    'Plans go by what the tables hold now: PostgreSQL reads a small one from end to end.',
  ];
}

function listLines({ type, action, roles, rules, leftOut, where, explain }: ListSql): string[] {
  return [
    `${action} ${type}, as ${roles.join(', ')}`,
    `  rules: ${rules.join(', ') || 'none'}`,
    ...(leftOut.length > 0
      ? [`  left out, as they do not match the stand-in now: ${leftOut.join(', ')}`]
      : []),
    `  WHERE ${cut(where, LONGEST_LINE)}`,
    ...explain.map((line) => `    ${cut(line, LONGEST_PLAN_LINE)}`),
  ];
}

function cut(line: string, longest: number): string {
  return line.length > longest ? `${line.slice(0, longest)}… (${line.length} characters)` : line;
}
