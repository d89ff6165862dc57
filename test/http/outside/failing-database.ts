/** Makes the database refuse writes to a table, as a full disk or a broken trigger would. */
import type { Database } from '../../../src/storage/postgres.ts';

/** Every insert and update of `table` fails until the function that it answers is called. */
export async function failWritesTo(db: Database, table: string): Promise<() => Promise<void>> {
  await db.raw(`
    CREATE FUNCTION fail_for_test() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100', DETAIL = 'the row is ' || NEW::text; END $$;
    CREATE TRIGGER fail_for_test BEFORE INSERT OR UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION fail_for_test();
  `);
  return async () => void (await db.raw('DROP FUNCTION fail_for_test CASCADE'));
}
