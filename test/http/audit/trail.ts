/** Audit trails for the tests of the chain: made without a gateway, and touched by whoever owns the tables. */

import { recordAudit } from '../../../src/audit/record.ts';
import type { AuditReport } from '../../../src/audit/verify.ts';
import { type VerifyOptions, verifyAudit } from '../../../src/audit/verify.ts';
import { migrate, openPool } from '../../../src/storage/postgres.ts';
import { sql } from '../../e2e/sql.ts';
import { makeDatabase } from '../../harness.ts';

/** A new database with so many entries; its connection string. */
export async function makeTrail(entries: number): Promise<string> {
  const url = await makeDatabase();
  const db = openPool({ url, poolMax: 2 });
  try {
    await migrate(db);
    await db.transaction(async (trx) => {
      for (let n = 1; n <= entries; n++)
        await recordAudit(trx, {
          actor: { id: null, name: `actor ${n}`, address: '10.0.0.1', requestId: `request ${n}` },
          action: 'user.update',
          target: { type: 'user', id: String(n) },
          before: { firstName: 'Älva', n },
          after: { firstName: 'Ольга "\\ \n\u2028 😀', n: n / 3 },
        });
    });
    return url;
  } finally {
    await db.destroy();
  }
}

/** A copy of a database that nobody is connected to. */
export function copyOf(url: string): Promise<string> {
  return makeDatabase(new URL(url).pathname.slice(1));
}

/** What `castellan audit verify` finds. */
export async function verifyTrail(url: string, options?: VerifyOptions): Promise<AuditReport> {
  const db = openPool({ url, poolMax: 1 });
  return verifyAudit(db, options).finally(() => db.destroy());
}

/** Statements of somebody who may do everything: triggers are switched off for as long as they take. */
export async function tamper(url: string, statements: string): Promise<void> {
  const tables = ['audit_entries', 'audit_head'];
  const all = (what: string) => tables.map((table) => `ALTER TABLE ${table} ${what} TRIGGER USER;`).join(' ');
  await sql(url, `${all('DISABLE')} ${statements}; ${all('ENABLE')}`);
}
