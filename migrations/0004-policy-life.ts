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
    ALTER TABLE revisions ADD COLUMN changes jsonb, ALTER COLUMN diff DROP NOT NULL, ALTER COLUMN policy DROP NOT NULL;
    UPDATE revisions SET changes = (
      SELECT jsonb_build_object(
        'added', coalesce(sum(jsonb_array_length(part.value -> 'added')), 0),
        'changed', coalesce(sum(jsonb_array_length(part.value -> 'changed')), 0),
        'removed', coalesce(sum(jsonb_array_length(part.value -> 'removed')), 0))
      FROM jsonb_each(diff) AS part);
    ALTER TABLE revisions ALTER COLUMN changes SET NOT NULL, ADD CHECK (num_nonnulls(diff, policy) > 0);
    COMMENT ON COLUMN revisions.policy IS 'null where it follows from the last one stored and the diffs since';

    ALTER TABLE role_assignments ADD COLUMN expires_at timestamptz;
    COMMENT ON COLUMN role_assignments.expires_at IS 'from then on the account does not have the role';
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    DELETE FROM role_assignments WHERE expires_at <= now();
    ALTER TABLE role_assignments DROP COLUMN expires_at;
    DROP TABLE cases;
    DELETE FROM revisions WHERE diff IS NULL OR policy IS NULL;
    ALTER TABLE revisions DROP COLUMN changes, ALTER COLUMN diff SET NOT NULL, ALTER COLUMN policy SET NOT NULL;
  `);
}
