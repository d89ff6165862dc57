/** What the evaluator cedar decides by, stored with the policy. */
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE cedar_parts (
      id text PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,99}$'),
      body jsonb NOT NULL CHECK (body ->> 'id' = id),
      version integer NOT NULL DEFAULT 1,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );
    COMMENT ON TABLE cedar_parts IS 'policies, schema and entities of Cedar, as part of the policy';
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE cedar_parts');
}
