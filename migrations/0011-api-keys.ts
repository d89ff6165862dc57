/** API keys: principals of services, with roles of their own. */
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(tables);
  await knex.raw(triggers);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    DROP TABLE api_key_roles, api_keys;
    DROP FUNCTION castellan_api_key_roles_changed, castellan_api_key_deleted;
  `);
}

const tables = `
  CREATE TABLE api_keys (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 100),
    prefix text NOT NULL,
    token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    -- the secret before the last rotation, for as long as both are accepted
    previous_prefix text,
    previous_token_hash bytea UNIQUE CHECK (length(previous_token_hash) = 32),
    previous_expires_at timestamptz,
    created_by uuid,
    created_at timestamptz NOT NULL DEFAULT now(),
    rotated_at timestamptz,
    expires_at timestamptz CHECK (expires_at > created_at),
    last_used_at timestamptz,
    revoked_at timestamptz,
    access_version bigint NOT NULL DEFAULT 1,
    CHECK (num_nonnulls(previous_prefix, previous_token_hash, previous_expires_at) IN (0, 3)),
    CHECK (previous_token_hash <> token_hash)
  );
  COMMENT ON COLUMN api_keys.created_by IS 'an account or an API key; null: a command';
  -- a name is free again once its key is revoked
  CREATE UNIQUE INDEX api_keys_by_name ON api_keys (lower(name)) WHERE revoked_at IS NULL;

  CREATE TABLE api_key_roles (
    key_id uuid NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    role_key text NOT NULL REFERENCES roles (key),
    PRIMARY KEY (key_id, role_key)
  );
  CREATE INDEX api_key_roles_by_role ON api_key_roles (role_key);
`;

/** As those of accounts: what a node remembers of a key it forgets when the key changes, wherever that was done. */
const triggers = `
  CREATE TRIGGER api_keys_bump_access_version
    BEFORE UPDATE OF name, token_hash, previous_token_hash, previous_expires_at, expires_at, revoked_at, access_version ON api_keys
    FOR EACH ROW EXECUTE FUNCTION castellan_bump_access_version();
  CREATE TRIGGER api_keys_changed AFTER UPDATE ON api_keys
    FOR EACH ROW WHEN (OLD.access_version <> NEW.access_version) EXECUTE FUNCTION castellan_account_changed();

  CREATE FUNCTION castellan_api_key_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO changes (kind, subject) VALUES ('principal', OLD.id::text);
    RETURN NULL;
  END $$;
  CREATE TRIGGER api_keys_deleted AFTER DELETE ON api_keys
    FOR EACH ROW EXECUTE FUNCTION castellan_api_key_deleted();

  CREATE FUNCTION castellan_api_key_roles_changed() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    UPDATE api_keys SET access_version = access_version WHERE id IN (OLD.key_id, NEW.key_id);
    RETURN NULL;
  END $$;
  CREATE TRIGGER api_key_roles_changed AFTER INSERT OR UPDATE OR DELETE ON api_key_roles
    FOR EACH ROW EXECUTE FUNCTION castellan_api_key_roles_changed();
`;
