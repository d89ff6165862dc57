/** What a start finds or makes: the first revision of an empty database, and what a later version adds to an older one. */
import { join } from 'node:path';
import type { Database } from '../storage/postgres.ts';
import { withBuiltIns } from './built-in.ts';
import { emptySnapshot } from './compile.ts';
import { mergeAll, readPolicyFiles, shippedPolicies } from './files.ts';
import { LivePolicy } from './live-policy.ts';
import type { Policy } from './policy.ts';
import { publish } from './publish.ts';
import { loadPolicy, type StoredPolicy } from './store.ts';

const author = { id: null, name: 'castellan' };

export interface BeginOptions {
  demo: boolean;
  evaluators: readonly string[];
  /** What is done to the shipped policy before it is published. */
  prepare?(policy: Policy): Promise<Policy>;
}

/**
 * Publishes the shipped policy, with the demo's when asked, if no revision is there yet: true when it was done here. To
 * the policy of an earlier version it adds the built-in resource types, actions and attributes that this one asks about.
 */
export async function beginPolicy(
  db: Database,
  { demo, evaluators, prepare = async (policy) => policy }: BeginOptions,
): Promise<boolean> {
  const stored = await loadPolicy(db);
  if (stored.revision > 0) {
    if (withBuiltIns(stored.policy) !== stored.policy) await addBuiltIns(db, stored, evaluators);
    return false;
  }
  const policy = await prepare(await firstPolicy({ demo }));
  const live = new LivePolicy({ db, evaluators, staleAfterMs: Number.POSITIVE_INFINITY });
  await live.load();
  const { before, after } = await publish({
    db,
    live,
    author,
    message: demo ? 'The demo policy' : 'The first policy',
    change: (current) => (current.resourceTypes.length > 0 ? current : policy),
  });
  return before !== after;
}

/**
 * The shipped policy, with the demo's when asked, without their cases: those test the files, and would refuse the first
 * change that somebody tries. Whoever wants them to guard the policy imports them.
 */
export async function firstPolicy({ demo }: { demo: boolean }): Promise<Policy> {
  const folder = shippedPolicies();
  const files = [join(folder, 'base.yaml'), ...(demo ? [join(folder, 'demo')] : [])];
  return { ...mergeAll(await Promise.all(files.map(readPolicyFiles))), cases: [] };
}

/** The stored policy does not compile here, and need not: it is only what the new one is made of. */
async function addBuiltIns(
  db: Database,
  { revision, policy }: StoredPolicy,
  evaluators: readonly string[],
): Promise<void> {
  const live = new LivePolicy({ db, evaluators, staleAfterMs: Number.POSITIVE_INFINITY });
  live.adopt({ ...emptySnapshot(), revision, policy });
  await publish({
    db,
    live,
    author,
    message: 'Built-in resource types of this version',
    change: withBuiltIns,
  });
}
