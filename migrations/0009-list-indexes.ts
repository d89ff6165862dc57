/** What the demo's lists need where their tables are large: indexes, and that nothing is stored of which no decision can be made. */
import type { Knex } from 'knex';

/**
 * An index for each way in: equality of a rule first, then what lists are in the order of, read backwards for the newest
 * first. With the checks a list need not ask each row for infinity (`checked` in the columns of the models).
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE INDEX documents_in_order ON documents (created_at, id);
    CREATE INDEX documents_of_owner_in_order ON documents (owner_id, created_at, id);
    CREATE INDEX documents_of_department_in_order ON documents (department, created_at, id);
    CREATE INDEX documents_of_status_in_order ON documents (status, created_at, id);
    DROP INDEX documents_by_owner;

    CREATE INDEX orders_in_order ON orders (created_at, id);
    CREATE INDEX orders_of_creator_in_order ON orders (created_by, created_at, id);
    CREATE INDEX orders_of_region_in_order ON orders (region, created_at, id);
    DROP INDEX orders_by_region;

    ALTER TABLE documents
      ADD CONSTRAINT documents_created_at_fits CHECK (created_at >= '0001-01-01Z BC' AND created_at < '10000-01-01Z'),
      ADD CONSTRAINT documents_updated_at_fits CHECK (updated_at >= '0001-01-01Z BC' AND updated_at < '10000-01-01Z');
    ALTER TABLE orders
      ADD CONSTRAINT orders_created_at_fits CHECK (created_at >= '0001-01-01Z BC' AND created_at < '10000-01-01Z'),
      ADD CONSTRAINT orders_amount_fits CHECK (amount <> 'NaN');
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE orders DROP CONSTRAINT orders_created_at_fits, DROP CONSTRAINT orders_amount_fits;
    ALTER TABLE documents DROP CONSTRAINT documents_created_at_fits, DROP CONSTRAINT documents_updated_at_fits;
    CREATE INDEX documents_by_owner ON documents (owner_id);
    CREATE INDEX orders_by_region ON orders (region);
    DROP INDEX documents_in_order, documents_of_owner_in_order, documents_of_department_in_order,
      documents_of_status_in_order, orders_in_order, orders_of_creator_in_order, orders_of_region_in_order;
  `);
}
