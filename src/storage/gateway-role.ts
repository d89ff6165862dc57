/** The role that only runs the gateway: made by itself on the embedded PostgreSQL, looked at on every other. */
import { createHmac } from 'node:crypto';
import { checkServer, type Database, lockMigrations, migrate, openPool } from './postgres.ts';

const NAME = 'castellan_gateway';

/** What docs/operations.md has an owner do for the gateway, word for word. */
export const grantsTo = (role: string) => `GRANT USAGE ON SCHEMA public TO ${role};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role};
REVOKE UPDATE, DELETE ON audit_entries, revisions FROM ${role};
REVOKE INSERT, UPDATE, DELETE ON audit_head, knex_migrations, knex_migrations_lock FROM ${role};
GRANT EXECUTE ON FUNCTION castellan_make_decision_day, castellan_drop_decision_day TO ${role};
`;

/**
 * Migrates as the owner that `ownerUrl` names, and makes the gateway's role where it is missing or lacks something.
 * Its connection string: nothing that is done on it can change the audit trail. Throws DatabaseError.
 */
export async function openToGateway(ownerUrl: string): Promise<string> {
  const owner = openPool({ url: ownerUrl, poolMax: 2, applicationName: 'castellan migrate' });
  const url = new URL(ownerUrl);
  // Made of the owner's, from which it cannot be told: there is no second secret to keep, and none to lose.
  const password = createHmac('sha256', url.password).update(NAME).digest('base64url');
  try {
    await checkServer(owner, ownerUrl);
    const applied = await migrate(owner);
    await makeRole(owner, password, applied.length > 0);
  } finally {
    await owner.destroy();
  }
  [url.username, url.password] = [NAME, password];
  return url.href;
}

/** All or nothing, one process after the other; most starts find it done. */
async function makeRole(owner: Database, password: string, isChanged: boolean): Promise<void> {
  await owner.transaction(async (trx) => {
    await lockMigrations(trx);
    const { rows } = await trx.raw('SELECT current_database() AS database, to_regrole(?) AS role', [NAME]);
    const [{ database, role }] = rows;
    if (!role)
      await trx.raw(`
        CREATE ROLE ${NAME} LOGIN PASSWORD '${password}';
        REVOKE TEMPORARY ON DATABASE "${database}" FROM PUBLIC;
      `);
    if (!role || isChanged || (await lacksTables(trx))) await trx.raw(grantsTo(NAME));
  });
}

/** A process may have ended between a migration and the grants, or a backup have been read in without them. */
async function lacksTables(db: Database): Promise<boolean> {
  const { rows } = await db.raw(
    `SELECT EXISTS (
       SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
         AND NOT has_table_privilege(?, oid, 'SELECT')
     ) AS lacking`,
    [NAME],
  );
  return rows[0].lacking;
}

/** Whether the role of this pool could change or remove what is in the audit trail, by itself or by making itself able to. */
export async function mayChangeTrail(db: Database): Promise<boolean> {
  const { rows } = await db.raw(`
    SELECT bool_or(
      pg_has_role(relowner, 'MEMBER') OR pg_has_role(nspowner, 'MEMBER')
      OR has_table_privilege(t.oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER')
    ) AS may
    FROM pg_class t JOIN pg_namespace n ON n.oid = relnamespace
    WHERE t.oid IN ('audit_entries'::regclass, 'audit_head'::regclass)
  `);
  return rows[0].may;
}
