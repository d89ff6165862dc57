/** `castellan migrate` */
import { loadConfig } from '../config.ts';
import { startEmbeddedPostgres } from '../storage/embedded-postgres.ts';
import { checkServer, migrate, openPool } from '../storage/postgres.ts';
import { type Command, jsonOption, printResult } from './command.ts';

export const migrateCommand: Command = {
  name: 'migrate',
  summary: 'Bring the database up to date',
  options: [jsonOption],
  run: async ({ json }) => {
    const { databaseUrl, dataDir } = loadConfig();
    const embedded = databaseUrl ? undefined : await startEmbeddedPostgres({ dataDir });
    const url = databaseUrl ?? embedded?.url ?? '';
    const db = openPool({ url, poolMax: 2, applicationName: 'castellan migrate' });
    try {
      await checkServer(db, url);
      const applied = await migrate(db);
      printResult(
        json,
        { applied },
        applied.length > 0 ? applied.map((name) => `applied ${name}`) : ['nothing to do'],
      );
    } finally {
      await db.destroy();
      await embedded?.stop();
    }
  },
};
