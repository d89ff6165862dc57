/** The list of migrations: named without an extension, so that sources and build keep one history. */
import type { Knex } from 'knex';
import * as foundation from './0001-foundation.ts';
import * as demo from './0002-demo.ts';

const migrations: Record<string, Knex.Migration> = {
  '0001-foundation': foundation,
  '0002-demo': demo,
};

/** What knex asks for migrations, in the app and on its command line. */
export const migrationSource: Knex.MigrationSource<string> = {
  getMigrations: async () => Object.keys(migrations),
  getMigrationName: (name) => name,
  getMigration: async (name) => {
    const migration = migrations[name];
    if (!migration) throw new Error(`no migration named ${name}`);
    return migration;
  },
};
