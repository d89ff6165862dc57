/** API keys over HTTP: principals of services, made, used, rotated and revoked. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { LiveApiKeys } from '../../../src/sessions/live-api-keys.ts';
import type { Database } from '../../../src/storage/postgres.ts';
import { anonymousClient, Client, eventually, startGateway, type TestGateway } from '../../harness.ts';
import { keysPath, mint } from './keys.ts';
import {
  addRole,
  addRule,
  allItems,
  assertProblem,
  auditOf,
  fresh,
  ok,
  person,
  rolesPath,
  told,
  withRule,
} from './staff.ts';

const orders = '/api/v1/orders';
const explain = '/api/v1/admin/policy/explain';
const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();

describe('API keys', () => {
  let gateway: TestGateway;
  let root: Client;
  /** Reads orders. */
  let reader: string;
  const rowOf = (id: string) => gateway.services.db('api_keys').where({ id }).first();
  const session = async () => (await person(gateway)).client.token ?? '';

  before(async () => {
    gateway = await startGateway();
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    reader = await addRole(root);
    await addRule(root, { role: reader, action: 'read', subject: 'order' });
  });
  after(() => gateway.close());

  /** Nobody is identified by it, and nothing tells why. */
  async function expectNobody(client: Client, headers?: Record<string, string>): Promise<void> {
    const answer = await client.get(orders, headers);
    assertProblem(answer, 401, 'unauthenticated');
    assert.equal(answer.headers.get('www-authenticate'), 'Bearer realm="castellan"');
    assert.deepEqual(told(answer), told(await anonymousClient(gateway).get(orders)));
  }

  describe('minting', () => {
    it('answers the key and, this once, its token', async () => {
      const name = fresh('billing');
      const expiresAt = inSeconds(3600);
      const answer = ok(await root.post(keysPath, { name, roles: [reader], expiresAt }), 201);
      const { apiKey, token } = answer.body;
      assert.match(token, /^cst_key_[A-Za-z0-9_-]{43}$/);
      assert.equal(answer.headers.get('location'), `${keysPath}/${apiKey.id}`);
      assert.equal(answer.headers.get('cache-control'), 'no-store');
      const { id, createdBy, createdAt, prefix, ...rest } = apiKey;
      assert.equal(prefix, token.slice(0, 16));
      assert.ok(createdBy && createdAt);
      assert.deepEqual(rest, {
        name,
        roles: [reader],
        expiresAt,
        rotatedAt: null,
        lastUsedAt: null,
        revokedAt: null,
        previous: null,
      });
      assert.deepEqual(ok(await root.get(`${keysPath}/${id}`)).body, apiKey);
      const listed = await allItems(root, keysPath, 1);
      assert.deepEqual(
        listed.find((key) => key.id === id),
        apiKey,
      );
    });

    it('keeps of the token only its SHA-256, and the audit trail has none of it', async () => {
      const { id, token } = await mint(gateway, root, { roles: [reader] });
      ok(await root.post(`${keysPath}/${id}/rotate`, { overlapSeconds: 60 }));
      const secret = token.slice(16);
      const { rows } = await gateway.services.db.raw(
        'SELECT k::text AS key, (SELECT json_agg(a)::text FROM audit_entries a WHERE target_id = ?) AS audit FROM api_keys k WHERE id = ?',
        [id, id],
      );
      assert.ok(!rows[0].key.includes(secret) && !rows[0].audit.includes(secret));
      assert.ok(!gateway.logged().includes(secret));
      const [entry] = await auditOf(gateway, 'castellan.api-key', id);
      assert.equal(entry.action, 'api-key.create');
      assert.deepEqual(entry.after.roles, [reader]);
      assert.equal(entry.after.prefix, token.slice(0, 16));
    });

    it('refuses what is missing, unknown, over or not there', async () => {
      const wrong: [object, ...string[]][] = [
        [{}, '/name', '/roles'],
        [{ name: ' ', roles: [reader] }, '/name'],
        [{ name: 'a\u001b[2J', roles: [reader] }, '/name'],
        [{ name: 'x'.repeat(101), roles: [reader] }, '/name'],
        [{ name: 'x', roles: [reader, reader] }, '/roles/1'],
        [{ name: 'x', roles: [reader, 'no-such-role'] }, '/roles/1'],
        [{ name: 'x', roles: ['authenticated'] }, '/roles/0'],
        [{ name: 'x', roles: [reader], expiresAt: inSeconds(-1) }, '/expiresAt'],
        [{ name: 'x', roles: [reader], token: 'cst_key_mine' }, '/token'],
      ];
      for (const [body, ...pointers] of wrong)
        assertProblem(await root.post(keysPath, body), 400, 'invalid_request', ...pointers);
    });

    it('takes a name once, whatever its case, until its key is revoked', async () => {
      const { id, apiKey } = await mint(gateway, root);
      const again = { name: apiKey.name.toUpperCase(), roles: [] };
      assertProblem(await root.post(keysPath, again), 409, 'conflict', '/name');
      const other = await mint(gateway, root);
      const renamed = await root.patch(`${keysPath}/${other.id}`, { name: apiKey.name });
      assertProblem(renamed, 409, 'conflict', '/name');
      ok(await root.delete(`${keysPath}/${id}`), 204);
      ok(await root.post(keysPath, again), 201);
    });
  });

  describe('as principal', () => {
    it('a key may what its roles may, and what everyone and the authenticated may', async () => {
      const [key, without] = [
        await mint(gateway, root, { roles: [reader] }),
        await mint(gateway, root, { roles: [] }),
      ];
      ok(await key.client.get(orders));
      assertProblem(await without.client.get(orders), 403, 'access_denied');
      for (const role of ['everyone', 'authenticated'])
        await withRule(root, { role, action: 'read', subject: 'order' }, async () =>
          ok(await without.client.get(orders)),
        );
      await withRule(root, { role: 'anonymous', action: 'read', subject: 'order' }, async () =>
        assertProblem(await without.client.get(orders), 403, 'access_denied'),
      );
    });

    it('a key is named by rules as api-key:<id>, which is no account of that id', async () => {
      const [named, other] = [await mint(gateway, root), await mint(gateway, root)];
      const { client, id } = await person(gateway, { roles: [] });
      const rule = { action: 'read', subject: 'order' };
      await withRule(root, { ...rule, principal: `api-key:${named.id.toUpperCase()}` }, async () => {
        ok(await named.client.get(orders));
        assertProblem(await other.client.get(orders), 403, 'access_denied');
      });
      await withRule(root, { ...rule, principal: `api-key:${id}` }, async () =>
        assertProblem(await client.get(orders), 403, 'access_denied'),
      );
      await withRule(root, { ...rule, principal: `user:${named.id}` }, async () =>
        assertProblem(await named.client.get(orders), 403, 'access_denied'),
      );
    });

    it('a key has no account: what is about one is refused, its ability is its own', async () => {
      const { client, id } = await mint(gateway, root, { roles: [reader] });
      for (const [method, path, body] of [
        ['GET', '/api/v1/me'],
        ['PATCH', '/api/v1/me', { firstName: 'Key' }],
        ['PUT', '/api/v1/me/password', {}],
        ['DELETE', '/api/v1/me', {}],
        ['GET', '/api/v1/me/sessions'],
        ['DELETE', '/api/v1/me/sessions'],
        ['DELETE', `/api/v1/me/sessions/${id}`],
        ['POST', '/api/v1/auth/logout'],
      ] as const)
        assertProblem(await client.send(method, path, body), 403, 'access_denied');
      const { rules } = ok(await client.get('/api/v1/me/ability')).body;
      assert.ok(rules.some(({ subject }: { subject: string }) => [subject].flat().includes('order')));
      await withRule(root, { role: reader, action: 'create', subject: 'order' }, async () => {
        const placed = await client.post(orders, { amount: 1, currency: 'EUR', region: 'EU' });
        assertProblem(placed, 403, 'access_denied');
        assert.match(placed.body.detail, /API key/);
      });
    });

    it('a login with a key sent along ends nothing', async () => {
      const { client, token } = await mint(gateway, root, { roles: [reader] });
      const credentials = { email: 'editor@example.com', password: 'editorpass' };
      ok(await new Client(gateway.url, token).post('/api/v1/auth/login', credentials));
      ok(await client.get(orders));
    });

    it('what a key did, and what was decided for it, is told apart from an account of that name', async () => {
      const keeper = await addRole(root);
      await addRule(root, { role: keeper, action: ['read', 'create'], subject: 'castellan.role' });
      const { client, id } = await mint(gateway, root, { name: 'admin@example.com', roles: [keeper] });
      const role = await addRole(client);
      const [entry] = await auditOf(gateway, 'castellan.role', role);
      assert.deepEqual([entry.actorId, entry.actor], [id, 'api-key:admin@example.com']);
      const { author } = ok(await root.get('/api/v1/admin/policy/revisions?limit=1')).body.items[0];
      assert.deepEqual(author, { id, name: 'api-key:admin@example.com' });
      const decisionId = (await client.get(orders)).headers.get('castellan-decision-id');
      const path = `/api/v1/admin/decisions/${decisionId}`;
      const { principal, facts } = ok(await root.get(path)).body;
      assert.deepEqual([principal, facts.roles], [`api-key:${id}`, [keeper]]);
      const watcher = await addRole(root);
      await addRule(root, { role: watcher, action: 'read', subject: ['castellan.decision', 'order'] });
      const watching = ok(await (await person(gateway, { roles: [watcher] })).client.get(path));
      assert.equal(watching.body.facts, undefined, 'who may not read the key does not learn its roles');
    });

    it('is explained with the roles that are stored', async () => {
      const { id } = await mint(gateway, root, { roles: [reader] });
      const asked = { principal: { type: 'api-key', id }, action: 'read', resource: { type: 'order' } };
      assert.equal(ok(await root.post(explain, asked)).body.decision.allow, true);
      const explainer = await addRole(root);
      await addRule(root, { role: explainer, action: 'read', subject: 'castellan.policy' });
      const { client } = await person(gateway, { roles: [explainer] });
      assertProblem(await client.post(explain, asked), 403, 'access_denied');
    });

    it('last use is written down, at most once a minute', async () => {
      const { id, client } = await mint(gateway, root, { roles: [reader] });
      const { accessVersion } = await rowOf(id);
      ok(await client.get(orders));
      const { lastUsedAt } = await eventually('use is written', async () => {
        const row = await rowOf(id);
        return row.lastUsedAt && row;
      });
      gateway.services.apiKeys.forgetAll();
      ok(await client.get(orders));
      await sleep(100);
      assert.deepEqual((await rowOf(id)).lastUsedAt, lastUsedAt);
      assert.equal((await rowOf(id)).accessVersion, accessVersion, 'use is no change');
    });

    it('a request does not wait for it', async () => {
      const { id, client } = await mint(gateway, root, { roles: [reader] });
      await gateway.services.db.transaction(async (trx) => {
        await trx('api_keys').where({ id }).forUpdate().first();
        ok(await client.get(orders));
      });
    });
  });

  describe('is nobody:', () => {
    it('a key that was never made, also one that begins like one that was', async () => {
      const { token } = await mint(gateway, root, { roles: [reader] });
      const last = token.endsWith('A') ? 'B' : 'A';
      for (const guess of [
        `cst_key_${'x'.repeat(43)}`,
        token.slice(0, 16) + 'x'.repeat(35),
        token.slice(0, -1) + last,
        token.slice(0, -1),
        `${token}A`,
        token.toUpperCase(),
        `cst_${token.slice(8)}`,
        'cst_key_',
      ])
        await expectNobody(new Client(gateway.url, guess));
    });

    it('a key in a cookie: a browser would send it by itself', async () => {
      const { token } = await mint(gateway, root, { roles: [reader] });
      for (const name of ['castellan', '__Host-castellan'])
        await expectNobody(anonymousClient(gateway), { cookie: `${name}=${token}` });
    });

    it('a wrong key beside the cookie of somebody who may', async () => {
      const cookie = `castellan=${root.token}`;
      ok(await anonymousClient(gateway).get(orders, { cookie }));
      await expectNobody(new Client(gateway.url, `cst_key_${'x'.repeat(43)}`), { cookie });
    });

    it('a session, where a key is sent as well', async () => {
      const { client } = await mint(gateway, root, { roles: [] });
      assertProblem(await client.get(orders, { cookie: `castellan=${root.token}` }), 403, 'access_denied');
      const elsewhere = { cookie: `castellan=${await session()}`, 'sec-fetch-site': 'cross-site' };
      const asked = await client.post(orders, { amount: 1, currency: 'EUR', region: 'EU' }, elsewhere);
      assertProblem(asked, 403, 'access_denied');
    });

    it('a key that has expired, though it was used a moment ago', async () => {
      const expiresAt = inSeconds(0.7);
      const { client, id } = await mint(gateway, root, { roles: [reader], expiresAt });
      ok(await client.get(orders));
      await sleep(Date.parse(expiresAt) - Date.now() + 5);
      await expectNobody(client);
      gateway.services.apiKeys.forgetAll();
      await expectNobody(client);
      ok(await root.patch(`${keysPath}/${id}`, { expiresAt: null }));
      ok(await client.get(orders));
    });

    it('a key that was revoked, for good', async () => {
      const { client, id } = await mint(gateway, root, { roles: [reader] });
      ok(await client.get(orders));
      ok(await root.delete(`${keysPath}/${id}`), 204);
      await expectNobody(client);
      const { revokedAt, roles } = ok(await root.get(`${keysPath}/${id}`)).body;
      assert.ok(revokedAt);
      assert.deepEqual(roles, []);
      assertProblem(await root.patch(`${keysPath}/${id}`, { name: fresh('back') }), 409, 'conflict');
      assertProblem(await root.post(`${keysPath}/${id}/rotate`), 409, 'conflict');
      ok(await root.delete(`${keysPath}/${id}`), 204);
      const entries = await auditOf(gateway, 'castellan.api-key', id);
      assert.deepEqual(
        entries.map(({ action }) => action),
        ['api-key.create', 'api-key.revoke'],
      );
    });

    it('a key that was revoked while its row was read: what was read is not remembered', async () => {
      const { id, token } = await mint(gateway, root, { roles: [reader] });
      const { db } = gateway.services;
      let reads = 0;
      // The first read is answered after the revocation, with what was there before it.
      const slow = {
        raw: async (sql: string, bindings: Buffer[]) => {
          const result = await db.raw(sql, bindings);
          if (reads++ > 0) return result;
          ok(await root.delete(`${keysPath}/${id}`), 204);
          keys.forget(id);
          return result;
        },
      };
      const untouched = { where: () => untouched, update: async () => 0 };
      const keys = new LiveApiKeys({ db: Object.assign(() => untouched, slow) as unknown as Database });
      await keys.find(token);
      assert.equal(await keys.find(token), undefined);
      assert.equal(reads, 2);
    });

    it('a key whose row was deleted, or revoked in SQL', async () => {
      const [deleted, revoked] = [await mint(gateway, root), await mint(gateway, root)];
      for (const { client } of [deleted, revoked])
        assertProblem(await client.get(orders), 403, 'access_denied');
      await gateway.services.db('api_keys').where({ id: deleted.id }).delete();
      await gateway.services.db('api_keys').where({ id: revoked.id }).update({ revokedAt: new Date() });
      for (const { client } of [deleted, revoked])
        await eventually('it is nobody', async () => (await client.get(orders)).status === 401, 1000);
    });
  });

  describe('rotation', () => {
    const rotate = async (id: string, body?: object) => {
      const answer = ok(await root.post(`${keysPath}/${id}/rotate`, body)).body;
      return { ...answer, client: new Client(gateway.url, answer.token) };
    };

    it('without an overlap ends the stolen secret at once', async () => {
      const { client, id, token } = await mint(gateway, root, { roles: [reader] });
      ok(await client.get(orders));
      const rotated = await rotate(id);
      assert.notEqual(rotated.token, token);
      assert.equal(rotated.apiKey.prefix, rotated.token.slice(0, 16));
      assert.equal(rotated.apiKey.previous, null);
      assert.ok(rotated.apiKey.rotatedAt);
      await expectNobody(client);
      ok(await rotated.client.get(orders));
    });

    it('with an overlap both secrets are the key, and the old one ends with it: a stolen one is nobody then', async () => {
      const { client, id, token } = await mint(gateway, root, { roles: [reader] });
      const rotated = await rotate(id, { overlapSeconds: 1 });
      const { previous } = rotated.apiKey;
      assert.equal(previous.prefix, token.slice(0, 16));
      for (const one of [client, rotated.client]) ok(await one.get(orders));
      await sleep(Date.parse(previous.expiresAt) - Date.now() + 5);
      await expectNobody(client);
      ok(await rotated.client.get(orders));
      assert.equal(ok(await root.get(`${keysPath}/${id}`)).body.previous, null);
      gateway.services.apiKeys.forgetAll();
      await expectNobody(client);
    });

    it('a second one within the overlap leaves two secrets, never three', async () => {
      const first = await mint(gateway, root, { roles: [reader] });
      const second = await rotate(first.id, { overlapSeconds: 60 });
      const third = await rotate(first.id, { overlapSeconds: 60 });
      await expectNobody(first.client);
      for (const { client } of [second, third]) ok(await client.get(orders));
      const fourth = await rotate(first.id);
      for (const { client } of [first, second, third]) await expectNobody(client);
      ok(await fourth.client.get(orders));
    });

    it('an overlap outlasts neither the key nor its revocation', async () => {
      const { client, id } = await mint(gateway, root, { roles: [reader], expiresAt: inSeconds(0.7) });
      await rotate(id, { overlapSeconds: 60 });
      await sleep(750);
      await expectNobody(client);
      const other = await mint(gateway, root, { roles: [reader] });
      const rotated = await rotate(other.id, { overlapSeconds: 60 });
      ok(await root.delete(`${keysPath}/${other.id}`), 204);
      for (const one of [other, rotated]) await expectNobody(one.client);
    });

    it('refuses overlaps that are none, or longer than 30 days', async () => {
      const { id } = await mint(gateway, root);
      for (const overlapSeconds of [-1, 0.5, 30 * 86_400 + 1, 'long'])
        assertProblem(
          await root.post(`${keysPath}/${id}/rotate`, { overlapSeconds }),
          400,
          'invalid_request',
          '/overlapSeconds',
        );
    });
  });

  describe('change', () => {
    it('of roles is in force on the very next request', async () => {
      const { client, id } = await mint(gateway, root, { roles: [] });
      for (const [roles, status] of [
        [[reader], 200],
        [[], 403],
        [['superadmin'], 200],
      ] as const) {
        const { body } = ok(await root.patch(`${keysPath}/${id}`, { roles }));
        assert.deepEqual(body.roles, roles);
        assert.equal((await client.get(orders)).status, status);
      }
      const entries = await auditOf(gateway, 'castellan.api-key', id);
      assert.deepEqual([entries[1].before.roles, entries[1].after.roles], [[], [reader]]);
    });

    it('of nothing is not written down', async () => {
      const { id, apiKey } = await mint(gateway, root, { roles: [reader] });
      ok(await root.patch(`${keysPath}/${id}`, { name: apiKey.name, roles: [reader] }));
      assert.equal((await auditOf(gateway, 'castellan.api-key', id)).length, 1);
      assertProblem(await root.patch(`${keysPath}/${id}`, {}), 400, 'invalid_request', '');
    });

    it('is heard of on another node: revoked there, rotated, other roles', async () => {
      const other = await startGateway({ databaseUrl: gateway.databaseUrl });
      try {
        const keys = [];
        for (let n = 0; n < 3; n++) keys.push(await mint(gateway, root, { roles: [reader] }));
        const there = keys.map(({ token }) => new Client(other.url, token));
        for (const client of there) ok(await client.get(orders));
        const [revoked, rotated, demoted] = keys.map(({ id }) => `${keysPath}/${id}`);
        ok(await root.delete(String(revoked)), 204);
        ok(await root.post(`${rotated}/rotate`));
        ok(await root.patch(String(demoted), { roles: [] }));
        for (const [index, status] of [401, 401, 403].entries())
          await eventually(
            `${status} on the other node`,
            async () => (await there[index]?.get(orders))?.status === status,
            1000,
          );
      } finally {
        await other.close();
      }
    });

    it('a role that a key has cannot go, until the key is revoked', async () => {
      const role = await addRole(root);
      const { id } = await mint(gateway, root, { roles: [role] });
      const refused = await root.delete(`${rolesPath}/${role}`);
      assertProblem(refused, 409, 'role_in_use');
      assert.match(refused.body.detail, /1 API key/);
      const { body: policy } = ok(await root.get('/api/v1/admin/policy'));
      const { revision: _revision, ...document } = policy;
      const without = {
        ...document,
        roles: document.roles.filter(({ key }: { key: string }) => key !== role),
      };
      const imported = await root.post('/api/v1/admin/policy/import?mode=replace', without);
      assertProblem(imported, 409, 'role_in_use');
      ok(await root.delete(`${keysPath}/${id}`), 204);
      ok(await root.delete(`${rolesPath}/${role}`), 204);
    });
  });

  describe('rules about keys', () => {
    it('say who lists, reads and changes which, and which fields', async () => {
      const role = await addRole(root);
      const { client } = await person(gateway, { roles: [role] });
      const [mine, other] = [await mint(gateway, root, { name: fresh('mine') }), await mint(gateway, root)];
      for (const path of [keysPath, `${keysPath}/${mine.id}`])
        assertProblem(await client.get(path), 403, 'access_denied');
      const about = { subject: 'castellan.api-key', conditions: { name: mine.apiKey.name } };
      await addRule(root, { role, action: 'read', ...about, fields: ['id', 'name'] });
      await addRule(root, { role, action: 'update', ...about, fields: ['expiresAt'] });
      assert.deepEqual(await allItems(client, keysPath), [{ id: mine.id, name: mine.apiKey.name }]);
      assert.deepEqual(ok(await client.get(`${keysPath}/${mine.id}`)).body, {
        id: mine.id,
        name: mine.apiKey.name,
      });
      assertProblem(await client.get(`${keysPath}/${other.id}`), 403, 'access_denied');
      const path = `${keysPath}/${mine.id}`;
      assertProblem(await client.patch(path, { name: fresh('x') }), 403, 'fields_denied', '/name');
      ok(await client.patch(path, { expiresAt: inSeconds(60) }));
      for (const asked of [
        () => client.post(keysPath, { name: fresh('x'), roles: [] }),
        () => client.post(`${path}/rotate`),
        () => client.delete(path),
        () => client.patch(`${keysPath}/${other.id}`, { expiresAt: inSeconds(60) }),
      ])
        assertProblem(await asked(), 403, 'access_denied');
    });

    it('nobody renames a key out of their own reach', async () => {
      const role = await addRole(root);
      const { client } = await person(gateway, { roles: [role] });
      const { id, apiKey } = await mint(gateway, root);
      const conditions = { name: apiKey.name };
      await addRule(root, { role, action: 'update', subject: 'castellan.api-key', conditions });
      assertProblem(await client.patch(`${keysPath}/${id}`, { name: fresh('x') }), 403, 'access_denied');
    });

    it('a key that is not there is not found, by those who may look', async () => {
      const path = `${keysPath}/00000000-0000-4000-8000-00000000beef`;
      for (const asked of [
        root.get(path),
        root.patch(path, { roles: [] }),
        root.delete(path),
        root.post(`${path}/rotate`),
      ])
        assertProblem(await asked, 404, 'not_found');
      assertProblem(await root.get(`${keysPath}/me`), 400, 'invalid_request', '/params/id');
      assertProblem(await anonymousClient(gateway).get(keysPath), 401, 'unauthenticated');
    });
  });
});
