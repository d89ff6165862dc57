/** The tables of the demo API: documents and orders. */
import type { Knex } from 'knex';

/** The indexes are those that the demo's list rules ask for: by owner, by department and status, by region. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE documents (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      title text NOT NULL CHECK (char_length(title) BETWEEN 1 AND 200),
      body text NOT NULL DEFAULT '',
      status text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'review', 'published', 'archived')),
      owner_id uuid NOT NULL REFERENCES accounts (id),
      department text,
      notes text,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX documents_by_owner ON documents (owner_id);
    CREATE INDEX documents_by_department_status ON documents (department, status);

    CREATE TABLE orders (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      amount numeric(14, 2) NOT NULL CHECK (amount > 0),
      currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
      region text NOT NULL,
      status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'approved')),
      created_by uuid NOT NULL REFERENCES accounts (id),
      created_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX orders_by_region ON orders (region);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE IF EXISTS orders, documents');
}
