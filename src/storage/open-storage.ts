/** The database as the settings say it, opened: for the gateway and for commands, which need nothing else of it. */
import type { Config } from '../config.ts';
import { startEmbeddedPostgres } from './embedded-postgres.ts';
import { openToGateway } from './gateway-role.ts';
import { checkServer, type Database, migrate, openPool } from './postgres.ts';

/** Embedded or by URL, reachable, migrated. */
export interface Storage {
  db: Database;
  databaseUrl: string;
  close(): Promise<void>;
}

/**
 * Connects and migrates. The embedded PostgreSQL is opened as a role that only runs the gateway. Throws DatabaseError with
 * one line for the operator.
 */
export async function openStorage(config: Config, log?: (line: string) => void): Promise<Storage> {
  if (config.databaseUrl) return openByUrl(config, config.databaseUrl);
  const embedded = await startEmbeddedPostgres({ dataDir: config.dataDir, ...(log && { log }) });
  try {
    const databaseUrl = await openToGateway(embedded.url);
    const db = openPool({ url: databaseUrl, poolMax: config.databasePoolMax });
    const close = async () => {
      await db.destroy();
      await embedded.stop();
    };
    return { db, databaseUrl, close };
  } catch (cause) {
    await embedded.stop();
    throw cause;
  }
}

async function openByUrl({ databasePoolMax: poolMax }: Config, databaseUrl: string): Promise<Storage> {
  const db = openPool({ url: databaseUrl, poolMax });
  try {
    await checkServer(db, databaseUrl);
    await migrate(db);
  } catch (cause) {
    await db.destroy();
    throw cause;
  }
  return { db, databaseUrl, close: () => db.destroy() };
}
