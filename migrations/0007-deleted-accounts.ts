/** Accounts that somebody deleted themselves, as against those that were deactivated and may come back. */
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE accounts ADD COLUMN deleted_at timestamptz, ADD CHECK (deleted_at IS NULL OR NOT is_active);
    COMMENT ON COLUMN accounts.deleted_at IS 'when whose account it is deleted it: it never logs in again';
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('ALTER TABLE accounts DROP COLUMN deleted_at');
}
