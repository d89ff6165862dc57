/** Cases stored with the policy, and role assignments that may expire. */
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE cases (
      id text PRIMARY KEY CHECK (id ~ '^[a-z0-9][a-z0-9-]{0,99}$'),
      body jsonb NOT NULL CHECK (body ->> 'id' = id),
      version integer NOT NULL DEFAULT 1,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );
    ALTER TABLE role_assignments ADD COLUMN expires_at timestamptz;
    COMMENT ON COLUMN role_assignments.expires_at IS 'from then on the account does not have the role';
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    DELETE FROM role_assignments WHERE expires_at <= now();
    ALTER TABLE role_assignments DROP COLUMN expires_at;
    DROP TABLE cases;
  `);
}
