/** For the knex command line: `npm run knex -- migrate:latest`, `seed:run` and the rest. */
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import type { Knex } from 'knex';
import { knexSnakeCaseMappers } from 'objection';
import { migrationSource } from './migrations/index.ts';
import { loadConfig } from './src/config.ts';
import { startEmbeddedPostgres } from './src/storage/embedded-postgres.ts';

/** Uses DATABASE_URL, or the embedded PostgreSQL, which then runs until shortly after the command has ended. */
export default async function config(): Promise<Knex.Config> {
  const { databaseUrl, dataDir } = loadConfig();
  const embedded = databaseUrl ? undefined : await startEmbeddedPostgres({ dataDir });
  if (embedded) process.once('exit', () => stopAfterwards(resolve(dataDir)));
  return {
    client: 'pg',
    connection: { connectionString: databaseUrl ?? embedded?.url ?? '', application_name: 'castellan knex' },
    migrations: { migrationSource },
    seeds: { directory: './seeds', loadExtensions: ['.ts'] },
    ...knexSnakeCaseMappers(),
  };
}

/** Knex ends its command with `process.exit`, which waits for nothing: another process joins the server, to be the last to leave it. */
function stopAfterwards(dataDir: string): void {
  const source = `
    const { startEmbeddedPostgres } = await import(${JSON.stringify(import.meta.resolve('./src/storage/embedded-postgres.ts'))});
    const server = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)} });
    await server.stop();`;
  const args = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', source];
  spawn(process.execPath, args, { detached: true, stdio: 'ignore' }).unref();
}
