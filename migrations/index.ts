/** The list of migrations: named without an extension, so that sources and build keep one history. */
import type { Knex } from 'knex';
import { down as dropFoundation, up as makeFoundation } from './0001-foundation.ts';
import { down as dropDemo, up as makeDemo } from './0002-demo.ts';

const migrations: Record<string, Knex.Migration> = {
  '0001-foundation': { up: makeFoundation, down: dropFoundation },
  '0002-demo': { up: makeDemo, down: dropDemo },
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
