/** Entities: principals and resources of other systems, with their roles and what they lie in. */
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(tables);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE entity_parents, entity_roles, entities');
}

const tables = `
  CREATE TABLE entities (
    type text NOT NULL REFERENCES resource_types (type),
    id text NOT NULL CHECK (char_length(id) BETWEEN 1 AND 200),
    attributes jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(attributes) = 'object'),
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (type, id),
    -- these have tables of their own, or none
    CHECK (type NOT IN ('user', 'api-key', 'anonymous') AND type NOT LIKE 'castellan.%')
  );

  CREATE TABLE entity_roles (
    type text NOT NULL,
    id text NOT NULL,
    role_key text NOT NULL REFERENCES roles (key),
    PRIMARY KEY (type, id, role_key),
    FOREIGN KEY (type, id) REFERENCES entities (type, id) ON DELETE CASCADE
  );
  CREATE INDEX entity_roles_by_role ON entity_roles (role_key);

  -- What lies in something keeps it: a parent cannot go before its children.
  CREATE TABLE entity_parents (
    type text NOT NULL,
    id text NOT NULL,
    parent_type text NOT NULL,
    parent_id text NOT NULL,
    PRIMARY KEY (type, id, parent_type, parent_id),
    FOREIGN KEY (type, id) REFERENCES entities (type, id) ON DELETE CASCADE,
    FOREIGN KEY (parent_type, parent_id) REFERENCES entities (type, id),
    CHECK ((type, id) <> (parent_type, parent_id))
  );
  CREATE INDEX entity_parents_by_parent ON entity_parents (parent_type, parent_id);
`;
