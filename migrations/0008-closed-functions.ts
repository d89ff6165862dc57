/** What runs with the rights of the tables' owner closed to everybody who was not given it, and to every other table. */
import type { Knex } from 'knex';

/**
 * Whoever may run a trigger function can hang it on a table of their own, and what that table's columns do when they are
 * assigned to is then done as the owner. The trigger on the trail asks for no right any more: it was made with one.
 */
export async function up(knex: Knex): Promise<void> {
  const { schema, entries } = await names(knex);
  await knex.raw(
    chain(
      schema,
      `-- First of all: nothing of another table's row may be touched with these rights.
    IF TG_RELID <> ${entries}::regclass THEN
      RAISE EXCEPTION 'the chain is of audit_entries and of no other table' USING ERRCODE = 'insufficient_privilege';
    END IF;`,
    ),
  );
  await knex.raw(`
    REVOKE ALL ON FUNCTION castellan_audit_chain, castellan_make_decision_day, castellan_drop_decision_day FROM PUBLIC
  `);
}

/** The function as it was; it stays closed, for nothing that is older needs it open. */
export async function down(knex: Knex): Promise<void> {
  const { schema } = await names(knex);
  await knex.raw(chain(schema, ''));
}

/** As SQL writes them: the schema as a name, the table as a text. */
async function names(knex: Knex): Promise<{ schema: string; entries: string }> {
  const { rows } = await knex.raw(`
    SELECT quote_ident(current_schema()) AS schema,
      quote_literal(quote_ident(current_schema()) || '.audit_entries') AS entries
  `);
  return rows[0];
}

/** As in 0003, but for what is done first. */
const chain = (schema: string, first: string) => `
  CREATE OR REPLACE FUNCTION castellan_audit_chain() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  DECLARE
    head ${schema}.audit_head;
  BEGIN
    ${first}
    -- Whoever comes next waits here until this transaction ends: the chain never forks, a number is never lost.
    SELECT * INTO STRICT head FROM ${schema}.audit_head FOR UPDATE;
    NEW.id := head.entry + 1;
    NEW.at := clock_timestamp();
    NEW.previous_hash := head.hash;
    NEW.hash := ${schema}.castellan_audit_hash(NEW);
    UPDATE ${schema}.audit_head SET entry = NEW.id, hash = NEW.hash;
    RETURN NEW;
  END $$;
`;
