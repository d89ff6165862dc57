/** The first revision: what an empty database begins with. */
import { join } from 'node:path';
import type { Database } from '../storage/postgres.ts';
import { mergeAll, readPolicyFiles, shippedPolicies } from './files.ts';
import { LivePolicy } from './live-policy.ts';
import type { Policy } from './policy.ts';
import { publish } from './publish.ts';
import { currentRevision } from './store.ts';

/** Publishes the shipped policy, with the demo's when asked, if no revision is there yet. True: it was done here. */
export async function beginPolicy(
  db: Database,
  { demo, evaluators }: { demo: boolean; evaluators: readonly string[] },
): Promise<boolean> {
  if ((await currentRevision(db)) > 0) return false;
  const policy = await firstPolicy({ demo });
  const live = new LivePolicy({ db, evaluators, staleAfterMs: Number.POSITIVE_INFINITY });
  await live.load();
  const { before, after } = await publish({
    db,
    live,
    author: { id: null, name: 'castellan' },
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
