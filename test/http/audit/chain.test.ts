/** The chain of the audit trail: unbroken whatever happens at once, and whoever touches it is found out. */
import assert from 'node:assert/strict';
import type { Head } from '../../../src/audit/chain.ts';
import { sql } from '../../e2e/sql.ts';
import { logIn, registerAndLogIn, startGateway, type TestGateway } from '../../harness.ts';
import { ok, type Person, person, rulesPath, stateOf, usersPath } from '../admin/staff.ts';
import { copyOf, makeTrail, tamper, verifyTrail } from './trail.ts';

describe('the chain of the audit trail', () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await startGateway({ env: { LOGIN_FAILURES_PER_ADDRESS: '1000' } });
  });
  after(() => gateway.close());

  const rowsFrom = (id: number): Promise<{ id: string; at: Date; previousHash: Buffer; hash: Buffer }[]> =>
    gateway.services.db('audit_entries').where('id', '>', id).orderBy('id');
  const verify = () => verifyTrail(gateway.databaseUrl);

  it('is unbroken after fifty changes at once, by several administrators and by accounts of themselves', async () => {
    const other = await startGateway({ databaseUrl: gateway.databaseUrl });
    try {
      const administrators = await Promise.all(
        Array.from({ length: 5 }, (_, n) => person(n % 2 ? gateway : other, { roles: ['superadmin'] })),
      );
      const administrator = (n: number) => administrators[n % administrators.length] as Person;
      const people = await Promise.all(Array.from({ length: 10 }, () => person(gateway)));
      const registered = await Promise.all(Array.from({ length: 5 }, () => registerAndLogIn(gateway)));
      const { auditEntries } = await stateOf(gateway);
      const changes = [
        ...Array.from({ length: 15 }, (_, n) =>
          administrator(n).client.post(rulesPath, { role: 'user', action: 'read', subject: 'order' }),
        ),
        ...people.map(({ id }, n) => administrator(n).client.put(`${usersPath}/${id}/roles/author`)),
        ...people.map(({ id }, n) => administrator(n + 1).client.delete(`${usersPath}/${id}/sessions`)),
        ...registered.map(({ client }, n) => client.patch('/api/v1/me', { firstName: `Name ${n}` })),
        ...registered.map(({ client, password }) =>
          client.put('/api/v1/me/password', {
            currentPassword: password,
            newPassword: `${password} and more`,
            newPasswordRepeat: `${password} and more`,
          }),
        ),
        ...Array.from({ length: 5 }, () => registerAndLogIn(other)),
      ];
      assert.equal(changes.length, 50);
      for (const answer of await Promise.all(changes))
        if ('status' in answer) assert.ok(answer.status < 300, JSON.stringify(answer.body));
      const rows = await rowsFrom(auditEntries);
      assert.equal(rows.length, 50);
      for (const [index, { id, at, previousHash }] of rows.entries()) {
        assert.equal(id, String(auditEntries + 1 + index));
        const before = rows[index - 1];
        if (!before) continue;
        assert.deepEqual(previousHash, before.hash);
        assert.ok(at >= before.at, 'the order of the numbers is that of the times');
      }
      assert.deepEqual(await verify(), {
        entries: auditEntries + 50,
        head: `${auditEntries + 50}:${rows.at(-1)?.hash.toString('hex')}`,
        problems: [],
        untold: 0,
      });
    } finally {
      await other.close();
    }
  });

  it('has no gap where changes failed after their entry was written', async () => {
    const { db } = gateway.services;
    const admin = await logIn(gateway, 'superadmin');
    const { auditEntries } = await stateOf(gateway);
    // Deferred to the commit: later than everything that the change writes.
    await db.raw(`
      CREATE FUNCTION test_break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$;
      CREATE CONSTRAINT TRIGGER test_break AFTER INSERT ON audit_entries DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION test_break();`);
    const rule = { role: 'user', action: 'read', subject: 'order' };
    assert.equal((await admin.post(rulesPath, rule)).status, 500);
    await db.raw('DROP FUNCTION test_break CASCADE');
    ok(await admin.post(rulesPath, rule), 201);
    assert.deepEqual(
      (await rowsFrom(auditEntries)).map(({ id }) => Number(id)),
      [auditEntries + 1],
    );
    assert.deepEqual((await verify()).problems, []);
  });

  it('is held up by nothing: the entry is the last thing that a change writes', async () => {
    const { db } = gateway.services;
    const tables: string[] = await db('pg_tables')
      .where({ schemaname: 'public' })
      .whereRaw(
        `tablename NOT LIKE 'audit%' AND tablename NOT LIKE 'knex%' AND tablename NOT LIKE 'decisions%'`,
      )
      .pluck('tablename');
    await db.raw(`
      CREATE FUNCTION test_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT FROM audit_entries WHERE xmin::text = (pg_current_xact_id()::xid)::text)
          THEN RAISE EXCEPTION '% is written after the audit entry', TG_TABLE_NAME; END IF;
        RETURN NULL;
      END $$`);
    for (const table of tables)
      await db.raw(
        `CREATE TRIGGER test_order BEFORE INSERT OR UPDATE OR DELETE ON ${table} EXECUTE FUNCTION test_order()`,
      );
    try {
      const root = (await person(gateway, { roles: ['superadmin'] })).client;
      const { client, id, password } = await registerAndLogIn(gateway);
      const [currentPassword, newPassword] = [password, `${password} and more`];
      const before = await stateOf(gateway);
      ok(await client.patch('/api/v1/me', { firstName: 'Ida', email: `${id}@example.org`, currentPassword }));
      ok(
        await client.put('/api/v1/me/password', {
          currentPassword,
          newPassword,
          newPasswordRepeat: newPassword,
        }),
        204,
      );
      ok(await root.patch(`${usersPath}/${id}`, { firstName: 'Eda' }));
      ok(await root.put(`${usersPath}/${id}/roles/author`), 204);
      ok(await root.delete(`${usersPath}/${id}/roles/author`), 204);
      ok(await root.put(`${usersPath}/${id}/password`, { newPassword: password }), 204);
      await logIn(gateway, `${id}@example.org`, password);
      ok(await root.delete(`${usersPath}/${id}/sessions`), 204);
      ok(await root.patch(`${usersPath}/${id}`, { isActive: false }));
      ok(await root.patch(`${usersPath}/${id}`, { isActive: true }));
      const again = await logIn(gateway, `${id}@example.org`, password);
      ok(await again.delete('/api/v1/me', { currentPassword: password }), 204);
      const form = { email: `x${id}@example.org`, password, firstName: 'A', lastName: 'B' };
      ok(await root.post(usersPath, form), 201);
      const rule = ok(await root.post(rulesPath, { role: 'user', action: 'read', subject: 'order' }), 201)
        .body.id;
      ok(await root.delete(`${rulesPath}/${rule}`), 204);
      assert.equal((await stateOf(gateway)).auditEntries, before.auditEntries + 14);
    } finally {
      await db.raw('DROP FUNCTION test_order CASCADE');
    }
  });

  describe('refuses, on the connection of the gateway itself,', () => {
    const attacks: Record<string, string> = {
      'to change an entry': `UPDATE audit_entries SET actor = 'somebody else'`,
      'to change an entry by way of an insert': `
        INSERT INTO audit_entries (id, actor, action, target_type, target_id) VALUES (1, 'a', 'b', 'c', 'd')
        ON CONFLICT (id) DO UPDATE SET actor = 'somebody else'`,
      'to remove an entry': 'DELETE FROM audit_entries WHERE id = 1',
      'to remove what is not there': 'DELETE FROM audit_entries WHERE false',
      'to remove all entries': 'TRUNCATE audit_entries',
      'to move the head': 'UPDATE audit_head SET entry = entry + 1',
      'to remove the head': 'DELETE FROM audit_head',
      'to remove the head at once': 'TRUNCATE audit_head',
    };
    for (const [what, statement] of Object.entries(attacks))
      it(what, async () => {
        await assert.rejects(
          gateway.services.db.raw(statement),
          /(UPDATE|DELETE|TRUNCATE) on audit_\w+ is refused: the audit trail only grows/,
        );
        assert.deepEqual((await verify()).problems, []);
      });
  });

  it('numbers, dates and chains an entry itself, whatever is claimed, and never leaves one out', async () => {
    const { auditEntries } = await stateOf(gateway);
    const claimed = `'2001-01-01', 'a', 'b', 'c', 'd', decode(repeat('00', 32), 'hex'), decode(repeat('00', 32), 'hex')`;
    await gateway.services.db.raw(`
      INSERT INTO audit_entries (id, at, actor, action, target_type, target_id, previous_hash, hash)
      VALUES (1, ${claimed}), (9999, ${claimed}) ON CONFLICT DO NOTHING`);
    const rows = await rowsFrom(auditEntries);
    assert.deepEqual(
      rows.map(({ id }) => Number(id)),
      [auditEntries + 1, auditEntries + 2],
    );
    for (const { at } of rows) assert.ok(Date.now() - at.getTime() < 60_000);
    assert.deepEqual((await verify()).problems, []);
  });

  it('reads the same whatever the settings of the sessions that wrote it and that verify it', async () => {
    const settings = (zone: string, style: string, bytes: string) =>
      `SET TIME ZONE '${zone}'; SET DateStyle = '${style}'; SET bytea_output = ${bytes}; SET extra_float_digits = -5`;
    const entry = `INSERT INTO audit_entries (actor, action, target_type, target_id, after)
      VALUES ('a', 'b', 'c', 'd', '{"z": 1.10, "a": 1e400, "é": "\\u0001"}')`;
    for (const set of [
      settings('Asia/Kathmandu', 'German, DMY', 'escape'),
      settings('America/St_Johns', 'SQL, MDY', 'hex'),
    ])
      await sql(gateway.databaseUrl, `${set}; ${entry}`);
    const name = new URL(gateway.databaseUrl).pathname.slice(1);
    await sql(gateway.databaseUrl, `ALTER DATABASE ${name} SET TIME ZONE 'Pacific/Apia'`);
    await sql(gateway.databaseUrl, `ALTER DATABASE ${name} SET bytea_output = escape`);
    assert.deepEqual((await verify()).problems, []);
  });
});

describe('verifying the audit trail', () => {
  const ENTRIES = 450;
  let trail: string;
  before(async () => {
    trail = await makeTrail(ENTRIES);
  });

  const found = async (url: string, noted?: Head) =>
    (await verifyTrail(url, noted && { noted })).problems.map(({ entry, code }) => `${entry} ${code}`);
  const headOf = async (url: string): Promise<Head> => {
    const [entry = '', hash = ''] = (await verifyTrail(url)).head?.split(':') ?? [];
    return { entry: Number(entry), hash };
  };
  /** What somebody who knows how entries are hashed would run after a change: from the entry `from` on, and the head. */
  const rechain = (from: number) => `
    DO $$ DECLARE e audit_entries; n bigint := ${from - 1}; h bytea := (SELECT hash FROM audit_entries WHERE id = ${from - 1}); was bigint;
    BEGIN
      FOR e IN SELECT * FROM audit_entries WHERE id >= ${from} ORDER BY id LOOP
        was := e.id; n := n + 1; e.id := n; e.previous_hash := h; h := castellan_audit_hash(e);
        UPDATE audit_entries SET id = n, previous_hash = e.previous_hash, hash = h WHERE id = was;
      END LOOP;
      UPDATE audit_head SET entry = n, hash = h;
    END $$`;

  it('finds nothing where nothing was touched, and tells how far it is', async () => {
    const read: number[] = [];
    const report = await verifyTrail(trail, { onProgress: (entries, of) => read.push(entries, of) });
    assert.deepEqual([report.entries, report.problems, report.untold], [ENTRIES, [], 0]);
    assert.match(report.head ?? '', new RegExp(`^${ENTRIES}:[0-9a-f]{64}$`));
    assert.deepEqual(read, [200, ENTRIES, 400, ENTRIES, ENTRIES, ENTRIES]);
    assert.deepEqual(await found(trail, await headOf(trail)), []);
    const empty = await makeTrail(0);
    assert.deepEqual(await verifyTrail(empty), { entries: 0, head: null, problems: [], untold: 0 });
  });

  const columns: Record<string, string> = {
    at: `at + interval '1 microsecond'`,
    actor_id: `'x'`,
    actor: `'x'`,
    action: `'x'`,
    target_type: `'x'`,
    target_id: `'x'`,
    before: `before || '{"n": 0}'`,
    after: 'NULL',
    request_id: 'NULL',
    revision: '1',
    address: 'NULL',
    previous_hash: 'hash',
    hash: 'previous_hash',
  };
  it('finds a change of any column', async () => {
    for (const [column, value] of Object.entries(columns)) {
      const url = await copyOf(trail);
      await tamper(url, `UPDATE audit_entries SET ${column} = ${value} WHERE id = 201`);
      assert.deepEqual(await found(url), ['201 changed'], column);
    }
    const [{ count = 0 } = {}] = await sql(
      trail,
      `SELECT count(*)::int FROM information_schema.columns WHERE table_name = 'audit_entries'`,
    );
    assert.equal(count, Object.keys(columns).length + 1, 'every column but the number is tried here');
  });

  const attacks: Record<string, [statements: string, ...found: string[]]> = {
    'a change whose hash was made anew': [
      `UPDATE audit_entries SET actor = 'x' WHERE id = 200;
       UPDATE audit_entries e SET hash = castellan_audit_hash(e) WHERE id = 200`,
      '200 replaced',
    ],
    'a change of the last entry whose hash was made anew': [
      `UPDATE audit_entries SET actor = 'x' WHERE id = 450;
       UPDATE audit_entries e SET hash = castellan_audit_hash(e) WHERE id = 450`,
      '450 head_changed',
    ],
    'an entry removed from the middle': ['DELETE FROM audit_entries WHERE id = 17', '17 removed'],
    'several removed, the first among them': [
      'DELETE FROM audit_entries WHERE id IN (1, 2, 30, 31, 32)',
      '1 removed',
      '30 removed',
    ],
    'one removed, and the others numbered and chained anew from there to the end, but for the head': [
      `DELETE FROM audit_entries WHERE id = 17; ${rechain(17)};
       UPDATE audit_head SET entry = 450`,
      '450 cut_off',
    ],
    'an entry removed from the end': ['DELETE FROM audit_entries WHERE id = 450', '450 cut_off'],
    'all removed': ['DELETE FROM audit_entries', '1 cut_off'],
    'an entry inserted at the end': [
      `INSERT INTO audit_entries SELECT (e).* FROM (
         SELECT jsonb_populate_record(e, '{"id": 451, "actor": "x"}') AS e FROM audit_entries e WHERE id = 450) AS made`,
      '451 changed',
      '451 inserted',
    ],
    'an entry inserted at the end and chained': [
      `INSERT INTO audit_entries (id, actor, action, target_type, target_id, previous_hash, hash)
       SELECT 451, 'x', 'y', 'z', '1', hash, hash FROM audit_entries WHERE id = 450;
       UPDATE audit_entries e SET hash = castellan_audit_hash(e) WHERE id = 451`,
      '451 inserted',
    ],
    'an entry inserted before the first': [
      `INSERT INTO audit_entries (id, actor, action, target_type, target_id, hash)
       SELECT 0, 'x', 'y', 'z', '1', hash FROM audit_entries WHERE id = 1`,
      '0 inserted',
    ],
    'an entry inserted in the middle, the others moved on': [
      `UPDATE audit_entries SET id = -id WHERE id >= 440;
       UPDATE audit_entries SET id = 1 - id WHERE id < 0;
       INSERT INTO audit_entries SELECT (e).* FROM (
         SELECT jsonb_populate_record(e, '{"id": 440, "actor": "x"}') AS e FROM audit_entries e WHERE id = 439) AS made`,
      ...Array.from({ length: 12 }, (_, n) => `${440 + n} changed`),
      '451 inserted',
    ],
    'a number that is there twice': [
      `ALTER TABLE audit_entries DROP CONSTRAINT audit_entries_pkey;
       INSERT INTO audit_entries SELECT * FROM audit_entries WHERE id = 200`,
      '200 inserted',
    ],
    'two entries that changed places': [
      `UPDATE audit_entries SET id = -1 WHERE id = 8;
       UPDATE audit_entries SET id = 8 WHERE id = 9;
       UPDATE audit_entries SET id = 9 WHERE id = -1`,
      '8 changed',
      '9 changed',
    ],
    'a head that was moved back': [
      'UPDATE audit_head SET (entry, hash) = (SELECT id, hash FROM audit_entries WHERE id = 449)',
      '450 inserted',
    ],
    'a head of another hash': [
      'UPDATE audit_head SET hash = (SELECT hash FROM audit_entries WHERE id = 449)',
      '450 head_changed',
    ],
    'a head that was removed': ['DELETE FROM audit_head', '450 head_changed'],
    'a change hidden by a function that gives the right hash': [
      `UPDATE audit_entries SET actor = 'x' WHERE id = 3;
       CREATE OR REPLACE FUNCTION castellan_audit_hash(entry audit_entries) RETURNS bytea LANGUAGE sql
         AS 'SELECT entry.hash'`,
      '3 changed',
    ],
  };
  for (const [what, [statements, ...expected]] of Object.entries(attacks))
    it(`finds ${what}`, async () => {
      const url = await copyOf(trail);
      await tamper(url, statements);
      assert.deepEqual(await found(url), expected);
    });

  it('finds a trail that was written anew as a whole, by a head that was noted before', async () => {
    const noted = await headOf(trail);
    const url = await copyOf(trail);
    await tamper(url, `UPDATE audit_entries SET actor = 'x' WHERE id = 3; ${rechain(3)}`);
    assert.deepEqual(await found(url), [], 'by itself it is as good as the first');
    assert.deepEqual(await found(url, noted), ['450 rewritten']);
    const shorter = await copyOf(trail);
    await tamper(shorter, `DELETE FROM audit_entries WHERE id = 3; ${rechain(3)}`);
    assert.deepEqual(await found(shorter), []);
    assert.deepEqual(await found(shorter, noted), ['450 cut_off']);
  });

  it('finds a head noted long ago in a trail that has grown since', async () => {
    const noted = await headOf(trail);
    const url = await copyOf(trail);
    await sql(
      url,
      `INSERT INTO audit_entries (actor, action, target_type, target_id) SELECT 'a', 'b', 'c', 'd' FROM generate_series(1, 5)`,
    );
    assert.deepEqual(await found(url, noted), []);
    assert.equal((await headOf(url)).entry, 455);
  });

  it('names the first hundred of many, and says how many more there are', async () => {
    const url = await copyOf(trail);
    await tamper(url, `UPDATE audit_entries SET actor = 'x'`);
    const { problems, untold } = await verifyTrail(url);
    assert.deepEqual([problems.length, problems.at(-1)?.entry, untold], [100, 100, ENTRIES - 100]);
  });
});
