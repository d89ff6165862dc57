/** Roles inherit in the order in which that was written: a policy that is read is the one that was stored. */
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE role_parents ADD COLUMN position integer NOT NULL DEFAULT 0 CHECK (position >= 0);
    UPDATE role_parents p SET position = o.position FROM (
      SELECT role_key, parent_key, row_number() OVER (PARTITION BY role_key ORDER BY parent_key) - 1 AS position FROM role_parents
    ) o WHERE (o.role_key, o.parent_key) = (p.role_key, p.parent_key);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('ALTER TABLE role_parents DROP COLUMN position');
}
