/** The connection pool to PostgreSQL, given by URL or embedded, and the migrations. */
import knexFactory, { type Knex } from 'knex';
import { knexSnakeCaseMappers } from 'objection';
import { migrationSource } from '../../migrations/index.ts';

export type Database = Knex;
export type Transaction = Knex.Transaction;

const OLDEST_MAJOR = 14;

export interface PostgresOptions {
  url: string;
  poolMax: number;
  /** Shown in pg_stat_activity. */
  applicationName?: string;
}

/** Knex writes to stdout in no format, between the JSON lines of the log; what fails is thrown as well, and logged. */
const silent = { warn: () => {}, error: () => {}, debug: () => {}, deprecate: () => {} };

/** A pool that does not connect before it is asked to. */
export function openPool({ url, poolMax, applicationName = 'castellan' }: PostgresOptions): Database {
  return knexFactory({
    client: 'pg',
    connection: { connectionString: url, application_name: applicationName, connectionTimeoutMillis: 5000 },
    pool: { min: 0, max: poolMax },
    acquireConnectionTimeout: 10_000,
    migrations: { migrationSource },
    log: silent,
    ...knexSnakeCaseMappers(),
  });
}

/** A database that cannot be used; the message is one line for the operator. */
export class DatabaseError extends Error {
  override name = 'DatabaseError';
}

/** Connects once and looks at the server's version. Throws DatabaseError when it cannot be reached or is too old. */
export async function checkServer(db: Database, url: string): Promise<void> {
  const where = `PostgreSQL at ${withoutPassword(url)}`;
  const version = await db
    .raw('SHOW server_version_num')
    .then((result) => Number(result.rows[0].server_version_num))
    .catch((cause) => {
      throw new DatabaseError(`${where} cannot be reached: ${messageOf(cause)}`, { cause });
    });
  const major = Math.floor(version / 10_000);
  if (major < OLDEST_MAJOR) {
    throw new DatabaseError(`${where} is version ${major}; at least ${OLDEST_MAJOR} is needed`);
  }
}

/**
 * Brings the schema up to date; of several processes at once, one does it and the others wait. What was applied.
 * Throws DatabaseError where there is something to do and the role may not do it.
 */
export async function migrate(db: Database): Promise<string[]> {
  // Knex's own lock is a row: it refuses instead of waiting, and its table has to be made first.
  const bring = db.transaction(async (lock) => {
    await lockMigrations(lock);
    // To take knex's lock is to write: a role that only runs the gateway may look, and need do no more.
    const [, pending] = await db.migrate.list();
    if (pending.length === 0) return [];
    const [, applied] = await db.migrate.latest();
    return applied;
  });
  return bring.catch(explainForbidden);
}

/** Whoever changes tables or rights holds this lock until its transaction ends. */
export async function lockMigrations(trx: Transaction): Promise<void> {
  await trx.raw(`SELECT pg_advisory_xact_lock(hashtext('castellan.migrate'))`);
}

const INSUFFICIENT_PRIVILEGE = '42501';

function explainForbidden(cause: unknown): never {
  if ((cause as { code?: string }).code !== INSUFFICIENT_PRIVILEGE) throw cause;
  throw new DatabaseError(
    `the database is not up to date, and this role may not change that (${messageOf(cause)}); run castellan migrate as the role that owns the tables`,
    { cause },
  );
}

function withoutPassword(url: string): string {
  const parsed = new URL(url);
  return `${parsed.host}${parsed.pathname}`;
}

/** pg gives an AggregateError without a message when several addresses refuse. */
function messageOf(cause: unknown): string {
  if (cause instanceof AggregateError) return cause.errors.map(messageOf).join('; ');
  return cause instanceof Error ? cause.message : String(cause);
}
