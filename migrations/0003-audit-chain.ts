/** The audit trail as a chain: entries numbered without a gap, each hashed over the one before, nothing ever changed. */
import type { Knex } from 'knex';

/**
 * Numbers the entries that are there anew, without gaps, and chains them in that order. From here on the database itself
 * numbers, dates and chains whatever is inserted, and refuses to change or remove it.
 */
export async function up(knex: Knex): Promise<void> {
  const schema = await currentSchema(knex);
  await knex.raw(`
    CREATE TABLE audit_head (
      singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
      entry bigint NOT NULL CHECK (entry >= 0),
      hash bytea CHECK (length(hash) = 32),
      CHECK ((entry = 0) = (hash IS NULL))
    );
    COMMENT ON TABLE audit_head IS 'the last entry of the audit trail; whoever adds one waits for the one before';
    ALTER TABLE audit_entries
      ALTER COLUMN id DROP IDENTITY,
      ADD COLUMN previous_hash bytea CHECK (length(previous_hash) = 32),
      ADD COLUMN hash bytea CHECK (length(hash) = 32);
  `);
  await knex.raw(hashFunction);
  await knex.raw(chainWhatIsThere);
  await knex.raw(`
    ALTER TABLE audit_entries ALTER COLUMN hash SET NOT NULL;
    CREATE INDEX audit_entries_by_actor_id ON audit_entries (actor_id, id);
    CREATE INDEX audit_entries_by_actor ON audit_entries (actor, id);
    CREATE INDEX audit_entries_by_action ON audit_entries (action, id);
    CREATE INDEX audit_entries_by_request ON audit_entries (request_id);
    CREATE INDEX audit_entries_by_revision ON audit_entries (revision) WHERE revision IS NOT NULL;
    CREATE INDEX audit_entries_by_at ON audit_entries (at);
  `);
  await knex.raw(triggers(schema));
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    DROP TRIGGER audit_entries_chained ON audit_entries;
    DROP TRIGGER audit_entries_kept ON audit_entries;
    DROP TABLE audit_head;
    DROP FUNCTION castellan_audit_chain, castellan_audit_refuse, castellan_audit_hash;
    DROP INDEX audit_entries_by_actor_id, audit_entries_by_actor, audit_entries_by_action, audit_entries_by_request,
      audit_entries_by_revision, audit_entries_by_at;
    ALTER TABLE audit_entries DROP COLUMN previous_hash, DROP COLUMN hash,
      ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;
    SELECT setval(pg_get_serial_sequence('audit_entries', 'id'), coalesce(max(id), 0) + 1, false) FROM audit_entries;
  `);
}

/** As SQL writes it. */
async function currentSchema(knex: Knex): Promise<string> {
  const { rows } = await knex.raw('SELECT quote_ident(current_schema()) AS schema');
  return rows[0].schema;
}

/** SHA-256 over every column but the hash itself, as text that no setting of a session changes; src/audit/verify.ts makes the same. */
const hashFunction = `
  CREATE FUNCTION castellan_audit_hash(entry audit_entries) RETURNS bytea
  LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(convert_to(jsonb_build_array(
      entry.id, encode(entry.previous_hash, 'hex'), extract(epoch FROM entry.at)::text, entry.actor_id, entry.actor,
      entry.action, entry.target_type, entry.target_id, entry.before, entry.after, entry.request_id, entry.revision,
      entry.address
    )::text, 'UTF8'))
  $$;
`;

/** In the order of their ids; a new number is never above the old one, so no two meet. */
const chainWhatIsThere = `
  DO $$
  DECLARE
    entry audit_entries;
    old_id bigint;
    last_id bigint := 0;
    last_hash bytea;
  BEGIN
    FOR entry IN SELECT * FROM audit_entries ORDER BY id LOOP
      old_id := entry.id;
      entry.id := last_id + 1;
      entry.previous_hash := last_hash;
      entry.hash := castellan_audit_hash(entry);
      UPDATE audit_entries SET id = entry.id, previous_hash = entry.previous_hash, hash = entry.hash WHERE id = old_id;
      last_id := entry.id;
      last_hash := entry.hash;
    END LOOP;
    INSERT INTO audit_head (entry, hash) VALUES (last_id, last_hash);
  END $$;
`;

/**
 * The chain is written with the rights of the tables' owner, so that a role that only runs the gateway needs none on the
 * head. Nothing is looked up where such a role could put something of its own: names are whole, and the path is pg_catalog.
 */
const triggers = (schema: string) => `
  CREATE FUNCTION castellan_audit_chain() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  DECLARE
    head ${schema}.audit_head;
  BEGIN
    -- Whoever comes next waits here until this transaction ends: the chain never forks, a number is never lost.
    SELECT * INTO STRICT head FROM ${schema}.audit_head FOR UPDATE;
    NEW.id := head.entry + 1;
    NEW.at := clock_timestamp();
    NEW.previous_hash := head.hash;
    NEW.hash := ${schema}.castellan_audit_hash(NEW);
    UPDATE ${schema}.audit_head SET entry = NEW.id, hash = NEW.hash;
    RETURN NEW;
  END $$;
  CREATE TRIGGER audit_entries_chained BEFORE INSERT ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION castellan_audit_chain();

  CREATE FUNCTION castellan_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    RAISE EXCEPTION '% on % is refused: the audit trail only grows', TG_OP, TG_TABLE_NAME
      USING ERRCODE = 'insufficient_privilege';
  END $$;
  CREATE TRIGGER audit_entries_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION castellan_audit_refuse();
  -- The chain moves the head from within its own trigger, one deep.
  CREATE TRIGGER audit_head_kept BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON audit_head
    FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION castellan_audit_refuse();
`;
