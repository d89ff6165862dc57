/** Who changed what: one entry per accepted change, written in the transaction of the change. */
import type { Transaction } from '../storage/postgres.ts';
import { redact, redactPolicy, redactText } from './redact.ts';

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

/** The parts of a policy; also stored whole in its revisions. */
const policyTargets = new Set([
  'castellan.rule',
  'castellan.role',
  'castellan.resource-type',
  'castellan.route',
  'castellan.policy',
]);

/**
 * Writes the entry; secrets in `before`, `after` and the id of the request, which is the caller's choice, are left out. The database numbers, dates and chains it, and lets
 * nobody else write one until this transaction ends: it comes last, and no lock is waited for after it.
 */
export async function recordAudit(db: Transaction, entry: AuditEntry): Promise<void> {
  const told = policyTargets.has(entry.target.type) ? redactPolicy : redact;
  await db('audit_entries').insert({
    actor_id: entry.actor.id,
    actor: entry.actor.name,
    address: entry.actor.address,
    request_id: entry.actor.requestId && redactText(entry.actor.requestId),
    action: entry.action,
    target_type: entry.target.type,
    target_id: entry.target.id,
    before: entry.before === undefined ? null : JSON.stringify(told(entry.before)),
    after: entry.after === undefined ? null : JSON.stringify(told(entry.after)),
    revision: entry.revision ?? null,
  });
}
