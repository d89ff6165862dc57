/** Accounts, sessions, the policy with its revisions, the audit trail and the change log. */
import type { Knex } from 'knex';

/** The tables of design section 5 that accounts, rules and their history need. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(accounts);
  await knex.raw(policy);
  await knex.raw(records);
  await knex.raw(changeLog);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    DROP TABLE IF EXISTS changes, audit_entries, revisions, rules, resource_types,
      role_assignments, role_parents, roles, sessions, accounts CASCADE;
    DROP FUNCTION IF EXISTS castellan_bump_access_version, castellan_assignment_changed,
      castellan_account_changed, castellan_session_ended, castellan_revision_published, castellan_notify;
  `);
}

const accounts = `
  CREATE TABLE accounts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email text NOT NULL CHECK (length(email) BETWEEN 3 AND 254),
    email_key text NOT NULL UNIQUE CHECK (email_key = lower(email_key)),
    password_hash text NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
    first_name text NOT NULL CHECK (char_length(first_name) BETWEEN 1 AND 100),
    last_name text NOT NULL CHECK (char_length(last_name) BETWEEN 1 AND 100),
    patronymic text CHECK (char_length(patronymic) BETWEEN 1 AND 100),
    is_active boolean NOT NULL DEFAULT true,
    deactivated_at timestamptz,
    attributes jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attributes) = 'object'),
    -- raised by triggers with every change of what rules can see of the account: part of the key of cached abilities
    access_version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
  );
  COMMENT ON COLUMN accounts.email_key IS 'the e-mail without regard to case: unique';

  CREATE TABLE sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    token_hash bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    address text,
    user_agent text,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    ended_at timestamptz
  );
  CREATE INDEX sessions_live_by_account ON sessions (account_id) WHERE ended_at IS NULL;
  -- a login asks whether the account has logged in from this address before
  CREATE INDEX sessions_by_account ON sessions (account_id, created_at);
  CREATE INDEX sessions_by_expiry ON sessions (expires_at);
`;

const policy = `
  CREATE TABLE roles (
    key text PRIMARY KEY CHECK (key ~ '^[a-z][a-z0-9-]{0,62}$'),
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    built_in boolean NOT NULL DEFAULT false,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
  );
  INSERT INTO roles (key, name, description, built_in) VALUES
    ('everyone', 'Everyone', 'Whoever asks', true),
    ('authenticated', 'Authenticated', 'Whoever is identified', true),
    ('anonymous', 'Anonymous', 'Whoever is not identified', true);

  CREATE TABLE role_parents (
    role_key text NOT NULL REFERENCES roles (key) ON DELETE CASCADE,
    parent_key text NOT NULL REFERENCES roles (key),
    PRIMARY KEY (role_key, parent_key),
    CHECK (role_key <> parent_key)
  );
  CREATE INDEX role_parents_by_parent ON role_parents (parent_key);

  CREATE TABLE role_assignments (
    account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    role_key text NOT NULL REFERENCES roles (key),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, role_key)
  );
  CREATE INDEX role_assignments_by_role ON role_assignments (role_key);

  CREATE TABLE resource_types (
    type text PRIMARY KEY CHECK (type ~ '^[a-z][a-z0-9.-]{0,62}$' AND type <> 'all'),
    description text NOT NULL DEFAULT '',
    actions jsonb NOT NULL CHECK (jsonb_typeof(actions) = 'array'),
    attributes jsonb NOT NULL CHECK (jsonb_typeof(attributes) = 'object'),
    source text,
    evaluator text NOT NULL DEFAULT 'casl',
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
  );

  CREATE TABLE rules (
    id text PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,99}$'),
    role_key text REFERENCES roles (key),
    principal text,
    action jsonb NOT NULL,
    subject jsonb NOT NULL,
    fields jsonb,
    conditions jsonb,
    "when" jsonb,
    inverted boolean NOT NULL DEFAULT false,
    reason text,
    priority integer NOT NULL DEFAULT 0,
    enabled boolean NOT NULL DEFAULT true,
    valid_from timestamptz,
    valid_until timestamptz,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK (num_nonnulls(role_key, principal) = 1),
    CHECK (valid_from < valid_until)
  );
  CREATE INDEX rules_by_role ON rules (role_key);
`;

const records = `
  CREATE TABLE revisions (
    number integer PRIMARY KEY CHECK (number > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    author_id text,
    author text NOT NULL,
    message text NOT NULL DEFAULT '',
    diff jsonb NOT NULL,
    policy jsonb NOT NULL,
    digest text NOT NULL
  );

  CREATE TABLE audit_entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor_id text,
    actor text NOT NULL,
    action text NOT NULL,
    target_type text NOT NULL,
    target_id text NOT NULL,
    before jsonb,
    after jsonb,
    request_id text,
    revision integer,
    address text
  );
  CREATE INDEX audit_entries_by_target ON audit_entries (target_type, target_id, id);
`;

/**
 * What other nodes must hear of. Written by triggers, so that no code path can forget it; announced by NOTIFY in the
 * same transaction; read by the poll through transaction ids, which, unlike a sequence, do not skip a late commit.
 */
const changeLog = `
  CREATE TABLE changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    kind text NOT NULL CHECK (kind IN ('policy', 'principal', 'session')),
    subject text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
  );
  CREATE INDEX changes_by_xid ON changes (xid);
  CREATE INDEX changes_by_at ON changes (at);

  CREATE FUNCTION castellan_notify() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM pg_notify('castellan', NEW.kind || ' ' || NEW.subject);
    RETURN NULL;
  END $$;
  CREATE TRIGGER changes_notify AFTER INSERT ON changes FOR EACH ROW EXECUTE FUNCTION castellan_notify();

  CREATE FUNCTION castellan_revision_published() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO changes (kind, subject) VALUES ('policy', NEW.number::text);
    RETURN NULL;
  END $$;
  CREATE TRIGGER revisions_published AFTER INSERT ON revisions
    FOR EACH ROW EXECUTE FUNCTION castellan_revision_published();

  CREATE FUNCTION castellan_bump_access_version() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    NEW.access_version := OLD.access_version + 1;
    RETURN NEW;
  END $$;
  CREATE TRIGGER accounts_bump_access_version
    BEFORE UPDATE OF email, first_name, last_name, patronymic, is_active, attributes, access_version ON accounts
    FOR EACH ROW EXECUTE FUNCTION castellan_bump_access_version();

  CREATE FUNCTION castellan_account_changed() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO changes (kind, subject) VALUES ('principal', NEW.id::text);
    RETURN NULL;
  END $$;
  CREATE TRIGGER accounts_changed AFTER UPDATE ON accounts
    FOR EACH ROW WHEN (OLD.access_version <> NEW.access_version) EXECUTE FUNCTION castellan_account_changed();

  CREATE FUNCTION castellan_assignment_changed() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    UPDATE accounts SET access_version = access_version WHERE id IN (OLD.account_id, NEW.account_id);
    RETURN NULL;
  END $$;
  CREATE TRIGGER role_assignments_changed AFTER INSERT OR UPDATE OR DELETE ON role_assignments
    FOR EACH ROW EXECUTE FUNCTION castellan_assignment_changed();

  CREATE FUNCTION castellan_session_ended() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO changes (kind, subject) VALUES ('session', OLD.id::text);
    RETURN NULL;
  END $$;
  CREATE TRIGGER sessions_ended AFTER UPDATE OF ended_at ON sessions
    FOR EACH ROW WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION castellan_session_ended();
  CREATE TRIGGER sessions_deleted AFTER DELETE ON sessions
    FOR EACH ROW WHEN (OLD.ended_at IS NULL) EXECUTE FUNCTION castellan_session_ended();
`;
