/** Decisions of the log put to a draft: those that would come out otherwise. */
import type { Snapshot } from '../policy/snapshot.ts';
import type { Database } from '../storage/postgres.ts';

export interface Flips {
  /** How many of the latest decisions were decided again. */
  examined: number;
  /** Those that would come out otherwise, the newest first; a few of them. */
  flips: { id: string; principal: string; action: string; resource: string; before: string; after: string }[];
  /** How many there are. */
  count: number;
}

export async function flippedDecisions(_options: {
  db: Database;
  after: Snapshot;
  decisions: number;
}): Promise<Flips> {
  return { examined: 0, flips: [], count: 0 };
}
