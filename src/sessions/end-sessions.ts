/** Sessions ended, by whoever may. */
import type { Change } from '../policy/change-feed.ts';
import type { Database, Transaction } from '../storage/postgres.ts';

export interface WhichSessions {
  accountId: string;
  /** Only this one. */
  only?: string;
  /** All but this one. */
  except?: string;
}

/** Ends live sessions of an account; announce the changes it returns once the transaction is committed. */
export async function endSessions(
  db: Database | Transaction,
  { accountId, only, except }: WhichSessions,
): Promise<Change[]> {
  const query = db('sessions').where({ account_id: accountId }).whereNull('ended_at');
  if (only !== undefined) query.where({ id: only });
  if (except !== undefined) query.whereNot({ id: except });
  const ended: { id: string }[] = await query.update({ ended_at: db.fn.now() }).returning('id');
  return ended.map(({ id }) => ({ kind: 'session', subject: id }));
}
