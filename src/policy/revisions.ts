/** Revisions written and read back: each has what it changed and the whole policy, stored once where that is much. */
import type { Database, Transaction } from '../storage/postgres.ts';
import { canonicalText } from './compile.ts';
import { countDiff, diffPolicies, type PolicyDiff } from './diff.ts';
import { RevisionRow } from './models.ts';
import { collections, emptyPolicy, nameOf, type Part, type Policy } from './policy.ts';
import type { Snapshot } from './snapshot.ts';

export interface NewRevision {
  author: { id: string | null; name: string };
  message: string;
  after: Snapshot;
  diff: PolicyDiff;
}

/** Of the message of a revision, in UTF-16 code units: by whatever way it comes, a longer one is refused. */
export const LONGEST_MESSAGE = 500;

/** Up to this size, both are stored; beyond it a small change is not worth a copy of everything. */
const LARGE = 256 * 1024;
/** After so many changes the whole policy is stored again, so that reading one back stays quick. */
const MOST_STEPS = 50;

/** Writes the revision that a transaction makes. */
export async function writeRevision(
  trx: Transaction,
  { author, message, after, diff }: NewRevision,
): Promise<void> {
  const policy = canonicalText(after.policy);
  const isLarge = policy.length > LARGE;
  const changed = JSON.stringify(diff);
  const leaveOutPolicy =
    isLarge && changed.length < policy.length / 2 && (await isNearWhole(trx, after.revision));
  await trx('revisions').insert({
    number: after.revision,
    author_id: author.id,
    author: author.name,
    message,
    changes: JSON.stringify(countDiff(diff)),
    diff: isLarge && !leaveOutPolicy && changed.length > LARGE ? null : changed,
    policy: leaveOutPolicy ? null : policy,
    digest: after.digest,
  });
}

async function isNearWhole(trx: Transaction, number: number): Promise<boolean> {
  const near = await trx('revisions')
    .where('number', '>', number - MOST_STEPS)
    .whereNotNull('policy')
    .first('number');
  return near !== undefined;
}

/** The whole policy at a revision; empty at 0; undefined where there is no such revision. */
export async function readRevision(db: Database | Transaction, number: number): Promise<Policy | undefined> {
  if (number === 0) return emptyPolicy();
  const whole = await RevisionRow.query(db)
    .where('number', '<=', number)
    .whereNotNull('policy')
    .orderBy('number', 'desc')
    .first()
    .select('number', 'policy');
  if (!whole) return undefined;
  const start: Policy = { ...emptyPolicy(), ...whole.policy };
  const steps = await RevisionRow.query(db)
    .whereBetween('number', [whole.number + 1, number])
    .orderBy('number')
    .select('number', 'diff');
  if (whole.number + steps.length !== number) return undefined;
  return steps.reduce((policy, { diff }) => (diff ? applyDiff(policy, diff) : policy), start);
}

/** What a revision changed. */
export async function readRevisionDiff(
  db: Database | Transaction,
  { number, diff }: Pick<RevisionRow, 'number' | 'diff'>,
): Promise<PolicyDiff> {
  if (diff) return { ...diffPolicies(emptyPolicy(), emptyPolicy()), ...diff };
  const [before, after] = [await readRevision(db, number - 1), await readRevision(db, number)];
  return diffPolicies(before ?? emptyPolicy(), after ?? emptyPolicy());
}

/** The policy with a difference made to it. */
export function applyDiff(policy: Policy, diff: PolicyDiff): Policy {
  const changed = emptyPolicy();
  for (const collection of collections) {
    const parts = new Map(policy[collection].map((part): [string, Part] => [nameOf(collection, part), part]));
    const { added = [], changed: both = [], removed = [] } = diff[collection] ?? {};
    for (const part of removed) parts.delete(nameOf(collection, part));
    for (const { after } of both) parts.set(nameOf(collection, after), after);
    for (const part of added) parts.set(nameOf(collection, part), part);
    Object.assign(changed, { [collection]: [...parts.values()] });
  }
  return changed;
}
