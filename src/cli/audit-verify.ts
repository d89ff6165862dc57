/** `castellan audit verify` */
import type { Head } from '../audit/chain.ts';
import { type AuditReport, verifyAudit } from '../audit/verify.ts';
import { loadConfig } from '../config.ts';
import { startEmbeddedPostgres } from '../storage/embedded-postgres.ts';
import { checkServer, DatabaseError, openPool } from '../storage/postgres.ts';
import { type Command, jsonOption, printResult, UsageError } from './command.ts';

export const auditVerify: Command = {
  name: 'audit verify',
  summary: 'Follow the chain of the audit trail: find entries that were changed, removed or inserted',
  options: [
    { name: 'head', type: 'string', meaning: '<number>:<hash> as noted earlier; finds a trail written anew' },
    jsonOption,
  ],
  run: async ({ head, json }) => {
    const noted = head === undefined ? undefined : parseHead(String(head));
    const report = await verify(noted);
    const { entries, head: last, problems, untold } = report;
    printResult(json, report, [
      `${entries} ${entries === 1 ? 'entry' : 'entries'}`,
      ...(problems.length === 0 && last ? [`head ${last}`] : []),
    ]);
    if (problems.length === 0) return;
    process.exitCode = 1;
    if (json === true) return;
    const more = untold > 0 ? [`and ${untold} more`] : [];
    const lines = [...problems.map(({ code, message }) => `${message} (${code})`), ...more];
    process.stderr.write(lines.map((line) => `castellan: ${line}\n`).join(''));
  },
};

/** The form in which a head is printed. Throws UsageError. */
function parseHead(text: string): Head {
  const [, entry, hash] = /^([1-9]\d{0,14}):([0-9a-f]{64})$/i.exec(text) ?? [];
  if (!entry || !hash)
    throw new UsageError('--head must be as it was printed: a number, a colon, 64 hex digits');
  return { entry: Number(entry), hash: hash.toLowerCase() };
}

/** Migrates nothing, so a role that may only read is enough. */
async function verify(noted: Head | undefined): Promise<AuditReport> {
  const { databaseUrl, dataDir } = loadConfig();
  const embedded = databaseUrl ? undefined : await startEmbeddedPostgres({ dataDir });
  const url = databaseUrl ?? embedded?.url ?? '';
  const db = openPool({ url, poolMax: 1, applicationName: 'castellan audit verify' });
  try {
    await checkServer(db, url);
    return await verifyAudit(db, { ...(noted && { noted }), onProgress: progressLine() }).catch(
      explainMissing,
    );
  } finally {
    await db.destroy();
    await embedded?.stop();
  }
}

const PROGRESS_MS = 2000;

/** A line on stderr every two seconds, so that what takes no longer says nothing. */
function progressLine(): (read: number, of: number) => void {
  let toldAtMs = Date.now();
  return (read, of) => {
    if (Date.now() - toldAtMs < PROGRESS_MS) return;
    toldAtMs = Date.now();
    process.stderr.write(`castellan: ${read} of ${of} entries\n`);
  };
}

/** What Postgres says where a table or a column is not there. */
const undefinedCodes = new Set(['42P01', '42703']);

function explainMissing(cause: unknown): never {
  if (!undefinedCodes.has((cause as { code?: string }).code ?? '')) throw cause;
  throw new DatabaseError('there is no audit trail of this version in the database; run castellan migrate', {
    cause,
  });
}
