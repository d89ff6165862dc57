/** A second evaluator beside the first, and where the two disagreed. */
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE resource_types ADD COLUMN shadow text;
    CREATE TABLE disagreements (
      id uuid PRIMARY KEY,
      at timestamptz NOT NULL,
      revision integer NOT NULL,
      principal_type text NOT NULL,
      principal_id text NOT NULL,
      action text NOT NULL,
      resource_type text NOT NULL,
      resource_id text,
      allow boolean NOT NULL,
      rule_id text,
      reason text NOT NULL,
      evaluator text NOT NULL,
      doubt text,
      shadow jsonb NOT NULL,
      decision_id uuid,
      request_id text
    );
    CREATE INDEX disagreements_by_time ON disagreements (at, id);
    COMMENT ON COLUMN disagreements.shadow IS 'what the second evaluator said, and why';
    COMMENT ON COLUMN disagreements.decision_id IS 'in the decision log, where it is kept';
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    DROP TABLE disagreements;
    ALTER TABLE resource_types DROP COLUMN shadow;
  `);
}
