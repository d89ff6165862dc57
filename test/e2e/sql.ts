/** A statement from outside of any node: what an operator or an attacker with psql would do. */
import pg from 'pg';

/** Runs one statement on a connection of its own; its rows. */
export async function sql(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}
