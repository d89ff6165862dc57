/** Ways round the guards of the policy's life, each by the attack that it stops. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import express from 'express';
import type { Policy } from '../../../src/policy/policy.ts';
import { authenticate } from '../../../src/sessions/authenticate.ts';
import { type Client, eventually, logIn, startGateway, type TestGateway } from '../../harness.ts';
import {
  addRole,
  addRule,
  assertProblem,
  demoId,
  fresh,
  ok,
  person,
  restorePolicy,
  rolesPath,
  rulesPath,
  sessionOf,
  typesPath,
  usersPath,
} from './staff.ts';

const base = '/api/v1/admin/policy';
const inMs = (ms: number) => new Date(Date.now() + ms).toISOString();

describe('attacks on the policy', () => {
  let gateway: TestGateway;
  let root: Client;
  let admin: Client;
  let policy: Policy;

  before(async () => {
    gateway = await startGateway();
    root = await sessionOf(gateway, demoId(1));
    admin = await sessionOf(gateway, demoId(2));
    policy = gateway.services.live.snapshot.policy;
  });
  after(() => gateway.close());
  afterEach(() => restorePolicy(gateway, policy));

  const document = <T extends object>(rest: T) => ({ version: 1, ...rest });
  const attributesOfUser = async () => ok(await root.get(`${typesPath}/user`)).body.attributes;

  it('a deny by address is not escaped by hanging up before the decision', async () => {
    const { gatekeeper, live } = gateway.services;
    const app = express();
    app.use(authenticate(gateway.services));
    const decidedBy = new Promise<unknown>((resolve) => {
      app.get('/', async (req) => {
        req.socket.destroy();
        await once(req.socket, 'close');
        const question = { action: 'approve', resource: 'order' };
        resolve(gatekeeper.accessRequest(req, live.snapshot, question, {}).context['ip']);
      });
    });
    const server = app.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.equal(await decidedBy, '127.0.0.1');
    server.close();
  });

  it('privilege escalation: retyping an attribute that rules read changes what they mean', async () => {
    const attributes = { ...(await attributesOfUser()), employment: { type: 'string' } };
    ok(await root.patch(`${typesPath}/user`, { attributes }));
    ok(await root.patch(`${usersPath}/${demoId(2)}`, { attributes: { employment: 'contractor' } }));
    await addRule(root, {
      role: 'admin',
      action: 'manage',
      subject: 'all',
      when: { 'principal.employment': { $ne: 'contractor' } },
    });
    const retyped = { ...attributes, employment: { type: 'array', items: 'string' } };
    const type = { ...ok(await root.get(`${typesPath}/user`)).body, attributes: retyped };
    const { version: _v, createdAt: _c, updatedAt: _u, ...user } = type;
    assertProblem(await admin.put(`${typesPath}/user`, user), 403, 'privilege_escalation');
    const draft = document({ resourceTypes: [user] });
    assertProblem(await admin.post(`${base}/import`, draft), 403, 'privilege_escalation');
    const more = { ...attributes, desk: { type: 'string' } };
    ok(await admin.patch(`${typesPath}/user`, { attributes: more }), 200);
  });

  it('privilege escalation: somebody with power for a time does not end the power of others', async () => {
    const [temporary, lasting] = [await person(gateway), await person(gateway, { roles: ['superadmin'] })];
    ok(await root.put(`${usersPath}/${temporary.id}/roles/superadmin`, { expiresAt: inMs(60_000) }), 204);
    const path = `${usersPath}/${lasting.id}/roles/superadmin`;
    assertProblem(await temporary.client.delete(path), 403, 'privilege_escalation');
    assertProblem(await temporary.client.put(path, { expiresAt: inMs(2000) }), 403, 'privilege_escalation');
    ok(await root.delete(path), 204);
  });

  it('privilege escalation: a deny that is held for a time stands against a gift as one that lasts', async () => {
    const [keeps, leave] = [await addRole(root), await addRole(root)];
    await addRule(root, { role: keeps, action: ['read', 'create'], subject: ['castellan.rule', 'order'] });
    await addRule(root, { role: leave, action: 'read', subject: 'order', inverted: true });
    const { id, client } = await person(gateway, { roles: [keeps] });
    ok(await root.put(`${usersPath}/${id}/roles/${leave}`, { expiresAt: inMs(60_000) }), 204);
    const gift = { role: 'user', action: 'read', subject: 'order' };
    assertProblem(await client.post(rulesPath, gift), 403, 'privilege_escalation');
  });

  it('privilege escalation: who waits for their turn does not publish by a role that has ended meanwhile', async () => {
    const { db } = gateway.services;
    const { id, client } = await person(gateway);
    const expiresAt = inMs(600);
    ok(await root.put(`${usersPath}/${id}/roles/superadmin`, { expiresAt }), 204);
    const asked = await db.transaction(async (turn) => {
      await turn.raw(`SELECT pg_advisory_xact_lock(hashtext('castellan.policy'))`);
      const answer = client.post(rolesPath, { key: fresh('late') }); // a role without rules gives nothing
      await eventually('it waits', async () => {
        const { rows } = await db.raw(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`);
        return rows.length > 0 && Date.now() > Date.parse(expiresAt);
      });
      return { answer };
    });
    assertProblem(await asked.answer, 403, 'access_denied');
  });

  it('privilege escalation: an id in capitals hides a rule from nobody', async () => {
    const id = '0000abcd-0000-4000-8000-0000000000aa';
    await gateway.services.db('accounts').insert({
      id,
      email: 'capital@example.org',
      email_key: 'capital@example.org',
      password_hash: '$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5$bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm8',
      first_name: 'C',
      last_name: 'C',
    });
    const rule = await addRule(root, {
      principal: `user:${id.toUpperCase()}`,
      action: 'manage',
      subject: 'all',
      validFrom: inMs(3_600_000),
    });
    assert.equal(rule.principal, `user:${id}`);
    const reset = await admin.put(`${usersPath}/${id}/password`, { newPassword: 'correct horse battery' });
    assertProblem(reset, 403, 'privilege_escalation');
  });

  describe('information disclosure', () => {
    let reader: Client;

    beforeEach(async () => {
      const role = await addRole(root);
      await addRule(root, { role, action: 'read', subject: ['castellan.policy', 'castellan.decision'] });
      await addRule(root, { role, action: 'read', subject: 'user', fields: ['id'] });
      reader = (await person(gateway, { roles: [role] })).client;
    });

    it('a draft is no oracle for rows, accounts or decisions that may not be read', async () => {
      const { decisionLog } = gateway.services;
      const { items } = ok(await root.get('/api/v1/documents')).body;
      assert.equal((await reader.get(`/api/v1/documents/${items[0].id}`)).status, 403);
      await decisionLog.flush();
      const told = async (rule: object) => {
        const rules = [
          { id: fresh('draft'), role: 'everyone', action: 'read', subject: 'document', ...rule },
        ];
        const found = ok(await reader.post(`${base}/simulate`, document({ rules }))).body;
        return JSON.stringify([
          found.accounts.affected,
          found.principals,
          found.decisions.count,
          found.decisions.examined,
        ]);
      };
      const about = (n: number) => ({
        when: { 'principal.id': demoId(5), 'principal.approvalLimit': { $gte: n } },
      });
      assert.equal(await told(about(1000)), await told(about(5000)));
      const notes = (pattern: string) => ({ conditions: { notes: { $regex: pattern } } });
      assert.equal(await told(notes('^Margin')), await told(notes('^nothing')));
    });

    it('to be refused is no way to read what was refused', async () => {
      const { items } = ok(await root.get('/api/v1/documents')).body;
      const { id } = items.find(({ notes }: { notes: string | null }) => notes !== null);
      const refused = await reader.get(`/api/v1/documents/${id}`);
      assert.equal(refused.status, 403);
      const entry = ok(
        await reader.get(`/api/v1/admin/decisions/${refused.headers.get('castellan-decision-id')}`),
      ).body;
      assert.equal(entry.allow, false);
      assert.deepEqual([entry.facts, entry.explanation], [undefined, undefined]);
      const seen = ok(await root.get(`/api/v1/admin/decisions/${entry.id}`)).body;
      assert.ok(seen.facts && seen.explanation, 'who may read the document is told why');
    });

    it('an explanation does not show roles that may not be read', async () => {
      const role = await addRole(root);
      const fields = Object.keys(await attributesOfUser());
      await addRule(root, { role, action: 'read', subject: 'castellan.policy' });
      await addRule(root, { role, action: 'read', subject: 'user', fields });
      const { client } = await person(gateway, { roles: [role] });
      const answer = await client.post(`${base}/explain`, {
        principal: { type: 'user', id: demoId(5) },
        action: 'read',
        resource: { type: 'document' },
      });
      assertProblem(answer, 403, 'access_denied');
    });
  });

  describe('denial of service', () => {
    it('a matrix of millions of questions is refused, and one of thousands lets others be answered meanwhile', async () => {
      const many = (n: number, of: (n: number) => unknown) =>
        Object.fromEntries(Array.from({ length: n }, (_, index) => [`n${index}`, of(index)]));
      const matrix = (n: number) => ({
        id: 'm',
        principals: many(n, () => ({ roles: ['user'] })),
        resources: many(n, () => ({ type: 'document', status: 'draft' })),
        actions: ['read', 'update'],
        allow: {},
      });
      assertProblem(
        await admin.post(`${base}/cases/run`, { cases: [matrix(200)] }),
        422,
        'policy_invalid',
        '/cases/0',
      );
      let over = false;
      const run = admin.post(`${base}/cases/run`, { cases: [matrix(90)] }).finally(() => {
        over = true;
      });
      let answered = 0;
      while (!over) {
        await root.get('/livez');
        if (!over) answered++;
      }
      assert.equal(ok(await run).body.failed, 0);
      assert.ok(answered > 3, `only ${answered} were answered meanwhile`);
    });

    it('a YAML document that is too large, or multiplies itself by aliases, is refused at once', async () => {
      const yaml = { 'content-type': 'application/yaml' };
      const large = `version: 1\n# ${'x'.repeat(256 * 1024)}\n`;
      assertProblem(await admin.post(`${base}/import`, large, yaml), 413, 'body_too_large');
      const allowed = `version: 1\n# ${'x'.repeat(256 * 1024 - 14)}\n`;
      assert.deepEqual(
        [allowed.length, ok(await admin.post(`${base}/import`, allowed, yaml)).status],
        [256 * 1024, 200],
      );
      const levels = ['version: 1', 'a: &a [x, x, x, x, x, x, x, x, x, x]'];
      for (const [of, name] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg', 'gh', 'hi'])
        levels.push(`${name}: &${name} [${Array(10).fill(`*${of}`).join(', ')}]`);
      for (const aliased of [`version: 1\nx: &a {a: 1}\ny: *a\n`, levels.join('\n')])
        assertProblem(await admin.post(`${base}/import`, aliased, yaml), 400, 'malformed_json');
    });

    it('storms of keys, of errors and of brackets in YAML keep nobody else waiting', async () => {
      const yaml = { 'content-type': 'application/yaml' };
      const numbers = Array.from({ length: 20_000 }, (_, index) => `a${index}`);
      const storms = [
        numbers.map((key) => `${key}:`).join('\n'),
        `{${numbers.join(',')}}`,
        '}'.repeat(200_000),
        '['.repeat(200_000),
        '- '.repeat(50_000),
      ];
      for (const storm of storms) {
        const sinceMs = performance.now();
        const { status, body } = await admin.post(`${base}/import`, storm, yaml);
        assert.deepEqual([status, body.code], [400, 'malformed_json']);
        const tookMs = performance.now() - sinceMs;
        assert.ok(tookMs < 3000, `${storm.slice(0, 10)}… took ${Math.round(tookMs)} ms`);
      }
    });

    it('a thousand roles that end do not keep a change of the policy', async () => {
      const { db } = gateway.services;
      await db.raw(`
        INSERT INTO accounts (email, email_key, password_hash, first_name, last_name)
        SELECT n || '@many.example', n || '@many.example', '$argon2id$x', 'M', 'M' FROM generate_series(1, 1000) n`);
      await db.raw(`
        INSERT INTO role_assignments (account_id, role_key, expires_at)
        SELECT id, 'superadmin', now() + make_interval(days => 1, secs => row_number() OVER ())
        FROM accounts WHERE first_name = 'M'`);
      let looks = 0;
      const count = ({ sql }: { sql: string }) => {
        if (/ AS asked\s/.test(sql)) looks++;
      };
      db.on('query', count);
      await addRule(root, { role: 'user', action: 'read', subject: 'castellan.policy' });
      assert.equal(looks, 0, 'a rule about something else changes nothing of who can change rules');
      const { id } = await addRule(root, { role: 'user', action: 'read', subject: 'castellan.rule' });
      db.removeListener('query', count);
      assert.ok(looks > 0 && looks < 10, `the accounts were looked through ${looks} times`);
      ok(await root.delete(`${rulesPath}/${id}`), 204);
      await db('accounts').where({ first_name: 'M' }).delete();
    });
  });

  describe('a rule whose conditions vanish in the reading of YAML matches everything', () => {
    const importing = (rule: string, before = '') =>
      admin.post(
        `${base}/import`,
        `${before}version: 1\nrules:\n  - { id: opens, role: everyone, action: read, subject: order, ${rule} }\n`,
        { 'content-type': 'application/yaml' },
      );

    for (const [what, rule, before] of [
      ['a tag of YAML 1.1 makes a Map, which JSON has not', 'conditions: !!omap [ region: EU ]'],
      ['a set, the same', 'conditions: !!set { region }'],
      ['a tag written out', 'conditions: !<tag:yaml.org,2002:omap> [ region: EU ]'],
      ['a tag of their own', 'conditions: !mine { region: EU }'],
      ['the directive that brings such tags', 'conditions: { region: EU }', '%YAML 1.1\n---\n'],
      ['a directive that names tags', 'conditions: { region: EU }', '%TAG ! tag:yaml.org,2002:\n---\n'],
      ['a second value of one key', 'conditions: { region: EU }, conditions: {}'],
      ['the same by a key that is a number', 'conditions: { 1: a, "1": b }'],
      ['an alias as a key', 'enabled: true, reason: &k enabled, *k : false'],
    ] as const)
      it(`${what}: refused, and nothing is published`, async () => {
        const { revision } = gateway.services.live.snapshot;
        assertProblem(await importing(rule, before), 400, 'malformed_json');
        assert.equal(gateway.services.live.snapshot.revision, revision);
      });
  });

  it('a matrix whose names are those that objects inherit is answered', async () => {
    const matrix = {
      id: 'm',
      principals: { valueOf: 'anonymous' },
      resources: { call: { type: 'document' } },
      actions: ['read'],
      allow: {},
    };
    const answer = await admin.post(`${base}/cases/run`, { cases: [matrix] });
    assert.deepEqual([ok(answer).body.passed, answer.body.failed], [1, 0]);
  });

  it('a case that fails already is not exchanged for another failing one under its name', async () => {
    const failing = (status: string) => ({
      id: 'failing',
      principal: { roles: ['superadmin'] },
      action: 'read',
      resource: { type: 'document', status },
      expect: 'deny',
    });
    ok(await root.post(`${base}/import?force=true`, document({ cases: [failing('draft')] })));
    const other = document({ cases: [failing('review')] });
    assertProblem(await root.post(`${base}/import`, other), 422, 'cases_broken');
  });

  it('a role that nobody has any more can be removed', async () => {
    const role = await addRole(root);
    await gateway.services
      .db('role_assignments')
      .insert({ account_id: demoId(7), role_key: role, expires_at: new Date(Date.now() - 1000) });
    ok(await root.delete(`${rolesPath}/${role}`), 204);
  });

  describe('a simulation misses', () => {
    const simulate = async (draft: object) => ok(await root.post(`${base}/simulate`, document(draft))).body;

    it('no rule that begins later', async () => {
      const rule = { id: 'later', role: 'user', action: 'manage', subject: 'order', validFrom: inMs(60_000) };
      const { principals } = await simulate({ rules: [rule] });
      assert.ok(principals.length > 0);
      assert.equal(principals[0].gains[0].from, rule.validFrom);
    });

    it('no attribute that is declared otherwise: who has another value then is somebody else', async () => {
      const attributes = { ...(await attributesOfUser()), level: { type: 'string' } };
      ok(await root.patch(`${typesPath}/user`, { attributes }));
      ok(await root.patch(`${usersPath}/${demoId(7)}`, { attributes: { level: 'low' } }));
      await addRule(root, {
        role: 'user',
        action: 'approve',
        subject: 'order',
        when: { 'principal.level': { $ne: 'low' } },
      });
      const { body } = ok(await root.get(`${typesPath}/user`));
      const { version: _v, createdAt: _c, updatedAt: _u, ...user } = body;
      const retyped = { ...user, attributes: { ...attributes, level: { type: 'array', items: 'string' } } };
      const { principals } = await simulate({ resourceTypes: [retyped] });
      const found = principals.find(
        ({ principal }: { principal: { id: string } }) => principal.id === demoId(7),
      );
      assert.deepEqual(
        found?.gains.map(({ resource, action }: Record<string, string>) => [resource, action]),
        [['order', 'approve']],
      );
    });

    it('nobody who is like another but for their id, or for a value within a list', async () => {
      const attributes = { ...(await attributesOfUser()), teams: { type: 'array', items: 'string' } };
      ok(await root.patch(`${typesPath}/user`, { attributes }));
      for (const [n, teams] of [
        [3, ['red']],
        [4, ['blue']],
        [7, ['red']],
      ] as const)
        ok(await root.patch(`${usersPath}/${demoId(n)}`, { attributes: { teams: [...teams] } }));
      const rule = {
        id: 'reds',
        role: 'authenticated',
        action: 'approve',
        subject: 'order',
        when: { 'principal.teams': { $elemMatch: { $eq: 'red' } } },
      };
      const gaining = async (draft: object) =>
        (await simulate(draft)).principals
          .filter(({ gains }: { gains: unknown[] }) => gains.length > 0)
          .map(({ principal }: { principal: { id: string } }) => principal.id)
          .sort();
      assert.deepEqual(await gaining({ rules: [rule] }), [demoId(3), demoId(7)].sort());
      const own = { id: 'own', role: 'authenticated', action: 'approve', subject: 'order' };
      await addRule(root, { ...own, conditions: { createdBy: demoId(3) } });
      const everyOwn = { ...own, conditions: { createdBy: `\${principal.id}` } };
      const { principals } = await simulate({ rules: [everyOwn] });
      const changed = principals.map(({ principal }: { principal: { id: string } }) => principal.id);
      assert.ok(!changed.includes(demoId(3)) && changed.includes(demoId(7)), JSON.stringify(changed));
    });
  });

  it('a deny with a template is not called dead because of an allow with the same: unfilled, they are not alike', async () => {
    const same = {
      role: 'user',
      action: 'approve',
      subject: 'order',
      conditions: { region: `\${principal.department}` },
    };
    await addRule(root, { ...same, id: 'dept-deny', inverted: true });
    await addRule(root, { ...same, id: 'dept-allow', priority: 10 });
    const { deadRules } = ok(await root.get(`${base}/matrix`)).body;
    assert.equal(
      deadRules.find(({ ruleId }: { ruleId: string }) => ruleId === 'dept-deny'),
      undefined,
    );
  });

  it('log-in by a demo account still works after all of this', async () => {
    assert.equal((await (await logIn(gateway, 'editor')).get('/api/v1/me')).status, 200);
  });
});
