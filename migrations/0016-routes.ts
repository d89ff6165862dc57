/** Routes as part of the policy: which requests are about what, and where they go. */
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE routes (
      id text PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,99}$'),
      host text CHECK (host = lower(host) AND char_length(host) BETWEEN 1 AND 253),
      methods jsonb NOT NULL CHECK (
        jsonb_typeof(methods) = 'array' AND methods <> '[]'
        AND methods <@ '["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]'
      ),
      path text NOT NULL CHECK (path ~ '^/[ -~]*$' AND path !~ '//|[;%#\\x3f\\x5c]' AND char_length(path) <= 1000),
      resource text REFERENCES resource_types (type) CHECK (resource NOT LIKE 'castellan.%'),
      action text,
      resource_id text,
      attributes jsonb CHECK (jsonb_typeof(attributes) = 'object'),
      upstream jsonb CHECK (jsonb_typeof(upstream) IN ('string', 'object')),
      headers jsonb CHECK (jsonb_typeof(headers) = 'array' AND headers <@ '["principal", "roles", "email"]'),
      rate_limit jsonb CHECK (jsonb_typeof(rate_limit) = 'object'),
      public boolean NOT NULL DEFAULT false,
      version integer NOT NULL DEFAULT 1,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      -- who asks for nobody decides on nothing; every other route names what is decided on
      CHECK (CASE WHEN public THEN num_nonnulls(resource, action, resource_id, attributes) = 0
        ELSE num_nonnulls(resource, action) = 2 END)
    );
    CREATE INDEX routes_by_resource ON routes (resource);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE routes');
}
