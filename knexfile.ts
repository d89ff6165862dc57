/** For the knex command line: `npm run knex -- migrate:latest`, `seed:run` and the rest. */
import type { Knex } from 'knex';
import { migrationSource } from './migrations/index.ts';
import { loadConfig } from './src/config.ts';
import { startEmbeddedPostgres } from './src/storage/embedded-postgres.ts';

/** Uses DATABASE_URL, or the embedded PostgreSQL, which then runs until the command has ended. */
export default async function config(): Promise<Knex.Config> {
  const { databaseUrl, dataDir } = loadConfig();
  const embedded = databaseUrl ? undefined : await startEmbeddedPostgres({ dataDir });
  if (embedded) process.once('beforeExit', () => void embedded.stop());
  return {
    client: 'pg',
    connection: { connectionString: databaseUrl ?? embedded?.url ?? '', application_name: 'castellan knex' },
    migrations: { migrationSource },
    seeds: { directory: './seeds', loadExtensions: ['.ts'] },
  };
}
