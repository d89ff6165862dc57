/** The database as it is, for commands that have nothing to do with the policy: it need not even compile. */
import { type Config, loadConfig } from '../config.ts';
import { openStorage } from '../storage/open-storage.ts';
import type { Database } from '../storage/postgres.ts';

/** Does the work on the database of the settings, and closes it again. Throws what opening and the work throw. */
export async function withDatabase<T>(work: (db: Database, config: Config) => Promise<T>): Promise<T> {
  const config = loadConfig();
  const storage = await openStorage(config);
  try {
    return await work(storage.db, config);
  } finally {
    await storage.close();
  }
}
