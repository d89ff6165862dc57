/** Whom the policy believes about principals of a type, and which roles that gives. */
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE resource_types ADD COLUMN identity jsonb;
    COMMENT ON COLUMN resource_types.identity IS 'the issuer whose tokens name principals of the type, and roles by claims';
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('ALTER TABLE resource_types DROP COLUMN identity');
}
