/** Nodes remember entities, so they hear when any of them changes, wherever that was done. */
import type { Knex } from 'knex';

const tables = ['entities', 'entity_roles', 'entity_parents'];

/** Once for each statement: an import of a hundred thousand is a few messages, and what is equal in a transaction is one. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE changes DROP CONSTRAINT changes_kind_check,
      ADD CONSTRAINT changes_kind_check CHECK (kind IN ('policy', 'principal', 'session', 'entity'));
    CREATE FUNCTION castellan_entities_changed() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO changes (kind, subject) VALUES ('entity', '*');
      RETURN NULL;
    END $$;
  `);
  for (const table of tables)
    await knex.raw(`
      CREATE TRIGGER ${table}_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON ${table}
        FOR EACH STATEMENT EXECUTE FUNCTION castellan_entities_changed()
    `);
}

export async function down(knex: Knex): Promise<void> {
  for (const table of tables) await knex.raw(`DROP TRIGGER ${table}_changed ON ${table}`);
  await knex.raw(`
    DROP FUNCTION castellan_entities_changed();
    DELETE FROM changes WHERE kind = 'entity';
    ALTER TABLE changes DROP CONSTRAINT changes_kind_check,
      ADD CONSTRAINT changes_kind_check CHECK (kind IN ('policy', 'principal', 'session'));
  `);
}
