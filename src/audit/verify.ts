/** The chain of the audit trail, followed and hashed anew: what was changed, removed or inserted since it was written. */
import { createHash } from 'node:crypto';
import type { Database, Transaction } from '../storage/postgres.ts';
import { type AuditProblem, type ChainRow, followChain, type Head } from './chain.ts';

export interface AuditReport {
  /** How many there are. */
  entries: number;
  /** The last entry as `<id>:<hash, hex>`, to be noted where nobody who can write to the database can; null: there is none. */
  head: string | null;
  /** The first hundred, in the order of the entries. */
  problems: AuditProblem[];
  /** How many more there are. */
  untold: number;
}

export interface VerifyOptions {
  /** The head as it was noted earlier: finds a chain that was written anew as a whole. */
  noted?: Head;
  /** After each batch: entries read, and about how many there are. */
  onProgress?(read: number, of: number): void;
}

const BATCH = 200;
const MOST_TOLD = 100;

/** Reads the whole trail as it is at one moment, a batch at a time; writes nothing and holds up nobody. */
export function verifyAudit(db: Database, { noted, onProgress }: VerifyOptions = {}): Promise<AuditReport> {
  const verify = async (trx: Transaction): Promise<AuditReport> => {
    const problems: AuditProblem[] = [];
    let untold = 0;
    const chain = followChain(noted, (problem) => {
      if (problems.length < MOST_TOLD) problems.push(problem);
      else untold++;
    });
    const head = await readHead(trx);
    let entries = 0;
    await trx.raw(`DECLARE audit NO SCROLL CURSOR FOR ${readEntries}`);
    for (;;) {
      const { rows }: { rows: StoredEntry[] } = await trx.raw(`FETCH ${BATCH} FROM audit`);
      for (const row of rows) chain.follow(toChainRow(row));
      entries += rows.length;
      onProgress?.(entries, Math.max(entries, head?.entry ?? 0));
      if (rows.length < BATCH) break;
    }
    const last = chain.end(head);
    return { entries, head: last && `${last.entry}:${last.hash}`, problems, untold };
  };
  return db.transaction(verify, { isolationLevel: 'repeatable read', readOnly: true });
}

async function readHead(trx: Transaction): Promise<Head | undefined> {
  const { rows } = await trx.raw(`SELECT entry, pg_catalog.encode(hash, 'hex') AS hash FROM audit_head`);
  return rows[0] && { entry: Number(rows[0].entry), hash: rows[0].hash };
}

interface StoredEntry {
  id: string;
  previous_hash: string | null;
  hash: string;
  content: string;
}

/**
 * What is hashed is made here, as castellan_audit_hash does in the database (migration 0003), and not by it: who could
 * change entries could have changed that function too.
 */
const readEntries = `
  SELECT id, pg_catalog.encode(previous_hash, 'hex') AS previous_hash, pg_catalog.encode(hash, 'hex') AS hash,
    pg_catalog.jsonb_build_array(
      id, pg_catalog.encode(previous_hash, 'hex'), extract(epoch FROM at)::text, actor_id, actor, action, target_type,
      target_id, before, after, request_id, revision, address
    )::text AS content
  FROM audit_entries ORDER BY id`;

function toChainRow({ id, previous_hash, hash, content }: StoredEntry): ChainRow {
  const isWhole = createHash('sha256').update(content).digest('hex') === hash;
  return { entry: Number(id), previousHash: previous_hash, hash, isWhole };
}
