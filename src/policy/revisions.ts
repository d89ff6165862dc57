/** Revisions read back. */
import type { Database, Transaction } from '../storage/postgres.ts';
import { RevisionRow } from './models.ts';
import { emptyPolicy, type Policy } from './policy.ts';

/** The whole policy at a revision; empty at 0; undefined where there is no such revision. */
export async function readRevision(db: Database | Transaction, number: number): Promise<Policy | undefined> {
  if (number === 0) return emptyPolicy();
  const row = await RevisionRow.query(db).findById(number).select('policy');
  return row && { ...emptyPolicy(), ...(row.policy as Partial<Policy>) };
}
