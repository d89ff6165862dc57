/** The days of the decision log made and dropped with the rights of the tables' owner, for a gateway that owns none. */
import type { Knex } from 'knex';

/** As in 0003: names are whole and the path is pg_catalog, so that nothing of a caller's own is found. */
export async function up(knex: Knex): Promise<void> {
  const { rows } = await knex.raw('SELECT quote_ident(current_schema()) AS schema');
  await knex.raw(functions(rows[0].schema));
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP FUNCTION castellan_make_decision_day, castellan_drop_decision_day');
}

const functions = (schema: string) => `
  CREATE FUNCTION castellan_make_decision_day(day date) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  BEGIN
    EXECUTE format(
      'CREATE TABLE ${schema}.%I PARTITION OF ${schema}.decisions FOR VALUES FROM (%L) TO (%L)',
      to_char(day, '"decisions_"YYYY_MM_DD'),
      to_char(day, 'YYYY-MM-DD"T00:00:00Z"'),
      to_char(day + 1, 'YYYY-MM-DD"T00:00:00Z"')
    );
  END $$;
  CREATE FUNCTION castellan_drop_decision_day(day date) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  BEGIN
    EXECUTE format('DROP TABLE ${schema}.%I', to_char(day, '"decisions_"YYYY_MM_DD'));
  END $$;
  REVOKE ALL ON FUNCTION castellan_make_decision_day, castellan_drop_decision_day FROM PUBLIC;
`;
