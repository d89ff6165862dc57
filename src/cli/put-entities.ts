/** Entities written from the command line: audited, but beyond rules about giving, as whoever reaches the database is. */
import { auditEntities, countEntities, vocabularyOf } from '../admin/change-entity.ts';
import type { EntityDiff } from '../policy/entity-store.ts';
import { type GivenEntity, putEntities } from '../policy/put-entities.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Transaction } from '../storage/postgres.ts';
import type { LiveDatabase } from './live-database.ts';
import type { Progress } from './progress.ts';

export interface OperatorPut {
  /** Holds the policy lock. */
  trx: Transaction;
  snapshot: Snapshot;
  given: readonly GivenEntity[];
  mode: 'merge' | 'replace';
  progress: Progress;
}

/** Writes them, and tells how far it is. Throws what `putEntities` throws. */
export function putByOperator(
  opened: Pick<LiveDatabase, 'sources'>,
  { trx, snapshot, given, mode, progress }: OperatorPut,
): Promise<EntityDiff> {
  progress.begin('checking the entities');
  return putEntities(trx, given, {
    mode,
    vocabulary: vocabularyOf(opened, snapshot),
    onWritten: (count) => progress.begin(`${count} entities written`),
  });
}

/** The audit entry: the last thing of a transaction. */
export function auditByOperator(
  trx: Transaction,
  command: string,
  diff: EntityDiff,
  mode: string,
): Promise<void> {
  const actor = { id: null, name: command, address: null, requestId: null };
  return auditEntities(trx, actor, diff, { verb: 'import', id: mode });
}

/** What became of entities, in a line. */
export function entityLine(diff: EntityDiff, isDry = false): string {
  const { added, changed, removed } = countEntities(diff);
  return `${isDry ? 'dry run: ' : ''}entities: ${added} added, ${changed} changed, ${removed} removed`;
}
