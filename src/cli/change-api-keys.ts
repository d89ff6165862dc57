/** API keys from the command line: under the policy lock and audited; whoever reaches the database is beyond rules about giving. */

import type { AuditActor } from '../audit/record.ts';
import { lockPolicy } from '../policy/publish.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Transaction } from '../storage/postgres.ts';
import { UsageError } from './command.ts';
import { withLiveDatabase } from './live-database.ts';

/** Does the work in one transaction; running nodes hear of it from the database. */
export async function changeApiKeys<T>(
  command: string,
  work: (trx: Transaction, actor: AuditActor, snapshot: Snapshot) => Promise<T>,
): Promise<T> {
  const actor = { id: null, name: `castellan ${command}`, address: null, requestId: null };
  return withLiveDatabase(({ db, live }) =>
    db.transaction(async (trx) => {
      await lockPolicy(trx);
      return work(trx, actor, live.snapshot);
    }),
  );
}

/** The id as it was typed. Throws UsageError for what cannot be one. */
export function readKeyId(typed: string | undefined): string {
  if (typed !== undefined && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(typed))
    return typed.toLowerCase();
  throw new UsageError(`${typed} is not the id of an API key; castellan api-key list has them`);
}
