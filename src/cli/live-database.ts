/** The database as commands work on it: opened by the settings, the policy in force read, closed again. */
import { type Config, loadConfig } from '../config.ts';
import { evaluatorNames } from '../evaluators/index.ts';
import { LivePolicy } from '../policy/live-policy.ts';
import { openStorage } from '../services.ts';
import type { Database } from '../storage/postgres.ts';

export interface LiveDatabase {
  config: Config;
  db: Database;
  live: LivePolicy;
}

/** Does the work on the database with its policy loaded. Throws what opening, loading and the work throw. */
export async function withLiveDatabase<T>(work: (opened: LiveDatabase) => Promise<T>): Promise<T> {
  const config = loadConfig();
  const storage = await openStorage(config);
  try {
    const { db } = storage;
    const live = new LivePolicy({ db, evaluators: evaluatorNames, staleAfterMs: Number.POSITIVE_INFINITY });
    await live.load();
    return await work({ config, db, live });
  } finally {
    await storage.close();
  }
}
