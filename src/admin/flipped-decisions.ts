/** Decisions of the log put to a draft: those that would come out otherwise. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DecisionsAt } from '../decision/run-cases.ts';
import { ACCOUNT_TYPE } from '../policy/built-in.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Database } from '../storage/postgres.ts';
import { type DecisionRow, decisionAttributes, mayReadAncestors, storedRequest } from './decision-rows.ts';

export interface FlippedDecision {
  row: DecisionRow;
  before: 'allow' | 'deny';
  after: 'allow' | 'deny';
  /** The rule that would settle it afterwards. */
  ruleId: string | null;
}

export interface Flips {
  /** How many of the latest decisions were decided again. */
  examined: number;
  /** How many would come out otherwise. */
  count: number;
  /** Some of these, the newest first. */
  flips: FlippedDecision[];
}

export interface FlipOptions {
  db: Database;
  before: Snapshot;
  after: Snapshot;
  decisionsAt: DecisionsAt;
  /** How many; 0: none. */
  decisions: number;
  /** Decisions of which whoever asks may not read all are left out. */
  mayRead(resource: string, attributes: object): Promise<boolean>;
}

const MOST_LISTED = 100;

/** Both sides are decided now, so that what differs is the draft and not the time that has passed. */
export async function flippedDecisions({
  db,
  before,
  after,
  decisions,
  decisionsAt,
  mayRead,
}: FlipOptions): Promise<Flips> {
  if (decisions === 0) return { examined: 0, count: 0, flips: [] };
  const rows: DecisionRow[] = await db('decisions').orderBy('at', 'desc').limit(decisions);
  const point = decisionsAt(Date.now());
  const flipped: FlippedDecision[] = [];
  let examined = 0;
  for (const row of rows) {
    if (!(await mayReadAll(row, mayRead))) continue;
    if (++examined % PER_TURN === 0) await nextTurn();
    const was = await point.decide(before, storedRequest(row, before));
    const is = await point.decide(after, storedRequest(row, after));
    if (was.allow !== is.allow)
      flipped.push({ row, before: word(was.allow), after: word(is.allow), ruleId: is.ruleId });
  }
  return { examined, count: flipped.length, flips: flipped.slice(0, MOST_LISTED) };
}

const PER_TURN = 100;

/** The entry, the resource it is about, who asked, where that is an account, and what either lies in. */
async function mayReadAll(row: DecisionRow, mayRead: FlipOptions['mayRead']): Promise<boolean> {
  return (
    (await mayRead('castellan.decision', decisionAttributes(row))) &&
    (await mayRead(row.resourceType, row.resource.attributes)) &&
    (row.principalType !== ACCOUNT_TYPE || (await mayRead(ACCOUNT_TYPE, row.principal.attributes))) &&
    (await mayReadAncestors(row, mayRead))
  );
}

function word(allow: boolean): 'allow' | 'deny' {
  return allow ? 'allow' : 'deny';
}
