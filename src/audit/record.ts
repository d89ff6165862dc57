/** Who changed what: one entry per accepted change, written in the transaction of the change. */
import type { Database, Transaction } from '../storage/postgres.ts';
import { redact } from './redact.ts';

export interface AuditActor {
  id: string | null;
  name: string;
  address: string | null;
  requestId: string | null;
}

export interface AuditEntry {
  actor: AuditActor;
  /** `<target type>.<verb>`, such as `rule.update`. */
  action: string;
  target: { type: string; id: string };
  before?: unknown;
  after?: unknown;
  /** The policy revision that the change made, where it made one. */
  revision?: number;
}

/** Writes the entry; secrets in `before` and `after` are left out. */
export async function recordAudit(db: Database | Transaction, entry: AuditEntry): Promise<void> {
  await db('audit_entries').insert({
    actor_id: entry.actor.id,
    actor: entry.actor.name,
    address: entry.actor.address,
    request_id: entry.actor.requestId,
    action: entry.action,
    target_type: entry.target.type,
    target_id: entry.target.id,
    before: entry.before === undefined ? null : JSON.stringify(redact(entry.before)),
    after: entry.after === undefined ? null : JSON.stringify(redact(entry.after)),
    revision: entry.revision ?? null,
  });
}
