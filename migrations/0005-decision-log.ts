/** The decision log: partitioned by day, so that what is too old goes without a trace in the rest. */
import type { Knex } from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE decisions (
      id uuid NOT NULL,
      at timestamptz NOT NULL,
      revision integer NOT NULL,
      principal_type text NOT NULL,
      principal_id text NOT NULL,
      principal jsonb NOT NULL,
      action text NOT NULL,
      action_properties jsonb,
      resource_type text NOT NULL,
      resource_id text,
      resource jsonb NOT NULL,
      context jsonb NOT NULL,
      allow boolean NOT NULL,
      rule_id text,
      reason text NOT NULL,
      evaluator text NOT NULL,
      doubt text,
      omitted jsonb NOT NULL,
      request_id text,
      PRIMARY KEY (at, id)
    ) PARTITION BY RANGE (at);
    CREATE INDEX decisions_by_id ON decisions (id);
    CREATE INDEX decisions_by_principal ON decisions (principal_id, at);
    CREATE INDEX decisions_by_resource ON decisions (resource_type, resource_id, at);
    COMMENT ON TABLE decisions IS 'its partitions, one a day in UTC, are made and dropped by the gateway';
    COMMENT ON COLUMN decisions.omitted IS 'paths of facts that were left out';
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE decisions');
}
