/** The database as commands work on it: opened by the settings, the policy in force read, closed again. */
import { type Config, loadConfig } from '../config.ts';
import { sourcesOf } from '../demo/endpoints.ts';
import { makeReach } from '../enforcement/gateway/reach.ts';
import type { Sources } from '../enforcement/source.ts';
import { tableCheck } from '../enforcement/table-check.ts';
import { LivePolicy } from '../policy/live-policy.ts';
import { openStorage } from '../storage/open-storage.ts';
import type { Database } from '../storage/postgres.ts';
import { type CommandEvaluators, commandEvaluators } from './evaluators.ts';

export interface LiveDatabase {
  config: Config;
  db: Database;
  live: LivePolicy;
  sources: Sources;
  evaluators: CommandEvaluators;
}

/** Does the work on the database with its policy loaded. Throws what opening, loading and the work throw. */
export async function withLiveDatabase<T>(work: (opened: LiveDatabase) => Promise<T>): Promise<T> {
  const config = loadConfig();
  const evaluators = await commandEvaluators(config);
  const storage = await openStorage(config);
  try {
    const { db } = storage;
    const sources = sourcesOf(config);
    const live = new LivePolicy({
      db,
      evaluators: evaluators.names,
      staleAfterMs: Number.POSITIVE_INFINITY,
      tables: tableCheck(sources),
      refusalOf: makeReach(config.upstreamHosts).refusalOf,
    });
    await live.load();
    return await work({ config, db, live, sources, evaluators });
  } finally {
    await storage.close();
  }
}
