/** Revisions of the past, compiled once more: what was decided then is explained by the rules of then. */
import { LRUCache } from 'lru-cache';
import type { Database } from '../storage/postgres.ts';
import { withBuiltIns } from './built-in.ts';
import { compile } from './compile.ts';
import type { LivePolicy } from './live-policy.ts';
import { readRevision } from './revisions.ts';
import type { Snapshot } from './snapshot.ts';

export interface PastSnapshotsOptions {
  db: Database;
  live: LivePolicy;
  evaluators: readonly string[];
}

/** A policy may be large, and those who look into the past look at a few revisions again and again. */
const KEPT = 3;

/** Finds the snapshot of a revision; undefined where there is none, or where this release cannot compile it any more. */
export function pastSnapshots({ db, live, evaluators }: PastSnapshotsOptions) {
  const made = new LRUCache<number, Promise<Snapshot | undefined>>({ max: KEPT });

  const make = async (revision: number): Promise<Snapshot | undefined> => {
    const policy = await readRevision(db, revision);
    return policy && compile(withBuiltIns(policy), { revision, evaluators }).snapshot;
  };

  return async function snapshotAt(revision: number): Promise<Snapshot | undefined> {
    if (live.snapshot.revision === revision) return live.snapshot;
    const known = made.get(revision);
    if (known) return known;
    const making = make(revision);
    made.set(revision, making);
    making.then(
      (snapshot) => snapshot ?? made.delete(revision),
      () => made.delete(revision),
    );
    return making;
  };
}
