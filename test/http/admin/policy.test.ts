/** /admin/policy: read, exported, imported, restored, put to its cases, simulated, explained. */
import assert from 'node:assert/strict';
import { parse } from 'yaml';
import type { Policy } from '../../../src/policy/policy.ts';
import { type Client, startGateway, type TestGateway } from '../../harness.ts';
import {
  addRule,
  assertProblem,
  auditOf,
  demoId,
  fresh,
  ok,
  person,
  restorePolicy,
  rolesPath,
  rulesPath,
  sessionOf,
  stateOf,
  usersPath,
} from './staff.ts';

const base = '/api/v1/admin/policy';
const yaml = { 'content-type': 'application/yaml' };

describe('/admin/policy', () => {
  let gateway: TestGateway;
  let root: Client;
  let admin: Client;
  let user: Client;
  let policy: Policy;

  before(async () => {
    gateway = await startGateway();
    root = await sessionOf(gateway, demoId(1));
    admin = await sessionOf(gateway, demoId(2));
    user = await sessionOf(gateway, demoId(7));
    policy = gateway.services.live.snapshot.policy;
  });
  after(() => gateway.close());
  afterEach(() => restorePolicy(gateway, policy));

  const document = <T extends object>(rest: T) => ({ version: 1, ...rest });
  const aCase = (rest: object = {}) => ({
    id: fresh('case'),
    principal: { roles: ['user'] },
    action: 'read',
    resource: { type: 'document', status: 'archived' },
    expect: 'deny',
    ...rest,
  });
  /** Says of everybody what such a case says of one, but not that it is denied. */
  const asMatrix = (id: string) => ({
    id,
    principals: { reader: { roles: ['user'] } },
    resources: { archived: { type: 'document', status: 'archived' } },
    actions: ['read'],
    allow: { reader: { archived: ['read'] } },
  });
  const archived = (rest: object = {}) => ({
    id: fresh('rule'),
    role: 'user',
    action: 'read',
    subject: 'document',
    conditions: { status: 'archived' },
    ...rest,
  });

  it('is for those whom the policy lets: 401 for nobody, 403 for others', async () => {
    const paths: [string, string][] = [
      ['GET', ''],
      ['GET', '/export'],
      ['GET', '/matrix'],
      ['GET', '/revisions'],
      ['GET', '/revisions/1'],
      ['GET', '/revisions/1/diff'],
      ['POST', '/import'],
      ['POST', '/simulate'],
      ['POST', '/explain'],
      ['POST', '/who-can'],
      ['POST', '/cases/run'],
      ['POST', '/revisions/1/restore'],
    ];
    for (const [method, path] of paths) {
      const body = method === 'POST' ? document({}) : undefined;
      assertProblem(await user.send(method, base + path, body), 403, 'access_denied');
      const nobody = await root.send(method, base + path, body, { authorization: 'Bearer none' });
      assertProblem(nobody, 401, 'unauthenticated');
    }
  });

  describe('export and import', () => {
    it('an export imported again changes nothing, as YAML and as JSON, merged and in place of the policy', async () => {
      for (const [format, type] of [
        ['yaml', 'application/yaml'],
        ['json', 'application/json'],
      ] as const) {
        const { body } = ok(await root.get(`${base}/export?format=${format}`));
        const text = typeof body === 'string' ? body : JSON.stringify(body);
        for (const mode of ['merge', 'replace']) {
          const before = await stateOf(gateway);
          const answer = await root.post(`${base}/import?mode=${mode}`, text, { 'content-type': type });
          assert.deepEqual(ok(answer).body.changes, { added: 0, changed: 0, removed: 0 });
          assert.deepEqual(await stateOf(gateway), before);
        }
      }
    });

    it('the text is the same whether the node has just published or has read the policy from the database', async () => {
      const conditions = { status: 'draft', department: 'x', ownerId: `\${principal.id}` };
      await addRule(root, archived({ conditions }));
      const inherits = ['user', 'editor', 'approver'];
      assert.equal((await root.post('/api/v1/admin/roles', { key: 'deputy', inherits })).status, 201);
      const published = (await root.get(`${base}/export`)).body;
      const second = await startGateway({ databaseUrl: gateway.databaseUrl });
      try {
        const other = await sessionOf(second, demoId(1));
        assert.equal((await other.get(`${base}/export`)).body, published);
      } finally {
        await second.close();
        assert.equal((await root.delete('/api/v1/admin/roles/deputy')).status, 204);
      }
      const { roles } = parse(published) as Policy;
      assert.deepEqual(roles.find(({ key }) => key === 'deputy')?.inherits, inherits);
    });

    it('an import and a restore with the ETag of a policy that somebody changed meanwhile are refused: 412', async () => {
      const { headers } = await root.get(base);
      const stale = { 'if-match': headers.get('etag') ?? '' };
      await addRule(root, archived());
      const given = document({ rules: [archived()] });
      for (const path of [`${base}/import`, `${base}/revisions/1/restore`]) {
        const { status, body } = await root.post(path, path.endsWith('import') ? given : {}, stale);
        assert.deepEqual({ status, code: body.code }, { status: 412, code: 'stale_version' }, path);
      }
      const fresh = { 'if-match': (await root.get(base)).headers.get('etag') ?? '' };
      ok(await root.post(`${base}/import?dryRun=true`, given, fresh));
    });

    it('many changes are one revision, with the words of its author in body or header', async () => {
      const before = await stateOf(gateway);
      const given = document({
        message: 'three at once',
        roles: [{ key: 'reviewer', inherits: ['user'] }],
        rules: [archived(), archived({ role: 'reviewer' })],
      });
      const { body } = ok(await root.post(`${base}/import`, given));
      assert.equal(body.revision, before.inForce + 1);
      assert.deepEqual(body.changes, { added: 3, changed: 0, removed: 0 });
      const revision = ok(await root.get(`${base}/revisions/${body.revision}`)).body;
      assert.equal(revision.message, 'three at once');
      assert.deepEqual(revision.author, { id: demoId(1), name: 'superadmin@example.com' });
      const { items } = ok(await root.get(`${base}/revisions?limit=1`)).body;
      assert.deepEqual(items[0].changes, body.changes);
      const removal = document({ remove: { rules: given.rules } });
      assert.equal((await root.post(`${base}/import`, removal)).status, 422, 'names are asked for');
      const remove = { rules: given.rules.map(({ id }) => id), roles: ['reviewer'] };
      const gone = await root.post(`${base}/import`, document({ remove }), {
        'castellan-message': 'and%20back',
      });
      assert.deepEqual(ok(gone).body.changes, { added: 0, changed: 0, removed: 3 });
      assert.equal((await root.get(`${base}/revisions/${gone.body.revision}`)).body.message, 'and back');
    });

    it('one part that is wrong and nothing is changed: 422 with every problem, pointing into what was sent', async () => {
      const before = await stateOf(gateway);
      const rules = [archived(), archived({ action: 'raed' }), archived({ conditions: { staus: 'x' } })];
      const cases = [aCase({ resource: { type: 'document', statsu: 'x' } })];
      const answer = await root.post(`${base}/import`, document({ rules, cases }));
      assertProblem(
        answer,
        422,
        'policy_invalid',
        '/rules/1/action',
        '/rules/2/conditions/staus',
        '/cases/0/resource/statsu',
      );
      assert.deepEqual(await stateOf(gateway), before);
    });

    it('dryRun checks everything and writes nothing', async () => {
      const before = await stateOf(gateway);
      const { body } = ok(await root.post(`${base}/import?dryRun=true`, document({ rules: [archived()] })));
      assert.deepEqual([body.dryRun, body.changes.added, body.revision], [true, 1, before.inForce]);
      assert.deepEqual(await stateOf(gateway), before);
    });

    it('dryRun finds what the database would refuse, and leaves nothing behind', async () => {
      const key = fresh('role');
      ok(await root.post(`${base}/import`, document({ roles: [{ key }] })));
      const { id } = await person(gateway, { roles: [key] });
      const before = await stateOf(gateway);
      const removal = document({ remove: { roles: [key] }, rules: [archived()] });
      for (const query of ['', '?dryRun=true'])
        assertProblem(await root.post(`${base}/import${query}`, removal), 409, 'role_in_use');
      assert.deepEqual(await stateOf(gateway), before);
      await gateway.services.db('role_assignments').where({ accountId: id }).delete();
      await gateway.services.db('accounts').where({ id }).delete();
    });

    it('lost update: an import or a restore with a stale If-Match is refused, even one that changes nothing', async () => {
      const read = ok(await root.get(base));
      const ifMatch = { 'if-match': String(read.headers.get('etag')) };
      await addRule(root, archived());
      const before = await stateOf(gateway);
      for (const [path, body] of [
        ['/import', document({ rules: [archived()] })],
        ['/import', document({})],
        ['/import?mode=replace&dryRun=true', read.body],
        [`/revisions/${before.inForce - 1}/restore`, {}],
      ] as const)
        assertProblem(await root.post(base + path, body, ifMatch), 412, 'stale_version');
      assert.deepEqual(await stateOf(gateway), before);
      const current = { 'if-match': String((await root.get(`${base}/export`)).headers.get('etag')) };
      ok(await root.post(`${base}/import`, document({ rules: [archived()] }), current));
    });

    it('a message of more than 500 characters is refused, wherever it stands, and nothing is written', async () => {
      const long = 'x'.repeat(501);
      const before = await stateOf(gateway);
      const rules = [archived()];
      for (const [path, body, headers, pointer] of [
        ['/import', { message: long, rules }, {}, '/message'],
        ['/import?dryRun=true', { message: long, rules }, {}, '/message'],
        ['/import', { rules }, { 'castellan-message': long }, '/headers/Castellan-Message'],
        [`/revisions/${before.inForce}/restore`, { message: long }, {}, '/message'],
      ] as const) {
        const sent = path.startsWith('/import') ? document(body) : body;
        assertProblem(await root.post(base + path, sent, headers), 400, 'invalid_request', pointer);
      }
      assert.deepEqual(await stateOf(gateway), before);
      const { body } = ok(await root.post(`${base}/import`, document({ message: 'é'.repeat(500), rules })));
      assert.equal((await root.get(`${base}/revisions/${body.revision}`)).body.message, 'é'.repeat(500));
    });

    it('a removal of what is not there is refused with its name, in both modes, and nothing is written', async () => {
      const before = await stateOf(gateway);
      for (const collection of ['resourceTypes', 'roles', 'rules', 'cases'])
        for (const mode of ['merge', 'replace']) {
          const draft = document({ rules: [archived()], remove: { [collection]: ['is-nowhere'] } });
          const answer = await root.post(`${base}/import?mode=${mode}`, draft);
          assertProblem(answer, 400, 'invalid_request', `/remove/${collection}`);
          assert.equal(answer.body.detail, 'is-nowhere is not there');
        }
      const draft = document({ remove: { rule: ['x'], rules: ['a', 'a'], roles: [7] } });
      assertProblem(
        await root.post(`${base}/import`, draft),
        422,
        'policy_invalid',
        '/remove/rule',
        '/remove/rules/1',
        '/remove/roles/0',
      );
      assert.deepEqual(await stateOf(gateway), before);
    });

    it('a YAML bomb and a polluting key are refused', async () => {
      const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefgh'
        .split('')
        .map((name, at) => `${name}: &${name} [${Array(9).fill(`*${'abcdefg'[at]}`).join(',')}]`)
        .join('\n')}\nversion: 1\n`;
      assert.equal((await root.post(`${base}/import`, bomb, yaml)).status, 400);
      assert.equal((await root.post(`${base}/import`, 'version: 1\n__proto__: {x: 1}\n', yaml)).status, 400);
    });
  });

  describe('an import under the guards', () => {
    it('privilege escalation: nobody imports a rule that gives more than they hold, nor one role into another', async () => {
      const everything = archived({ role: 'admin', action: 'manage', subject: 'all', conditions: undefined });
      assertProblem(
        await admin.post(`${base}/import`, document({ rules: [everything] })),
        403,
        'privilege_escalation',
      );
      const heir = document({ roles: [{ key: 'admin', name: 'Administrator', inherits: ['superadmin'] }] });
      assertProblem(await admin.post(`${base}/import`, heir), 403, 'privilege_escalation');
    });

    it('privilege escalation: nobody restores a revision that gave more than they hold', async () => {
      const { revision } = (
        await root.post(`${base}/import`, document({ rules: [archived({ role: 'superadmin' })] }))
      ).body;
      const wide = archived({
        role: 'user',
        action: 'read',
        subject: 'castellan.session',
        conditions: undefined,
      });
      const given = ok(
        await root.post(`${base}/import`, document({ rules: [{ ...wide, action: 'manage' }] })),
      ).body;
      ok(await root.post(`${base}/revisions/${revision}/restore`));
      assertProblem(
        await admin.post(`${base}/revisions/${given.revision}/restore`),
        403,
        'privilege_escalation',
      );
    });

    it('a deny on a kind of rule holds for an import of one as well', async () => {
      await addRule(root, {
        role: 'admin',
        inverted: true,
        action: 'create',
        subject: 'castellan.rule',
        conditions: { role: 'auditor' },
        reason: 'Auditors are not yours',
      });
      const answer = await admin.post(`${base}/import`, document({ rules: [archived({ role: 'auditor' })] }));
      assertProblem(answer, 403, 'access_denied');
      assert.match(answer.body.detail, /Auditors are not yours/);
    });

    it('the last who can change the policy is not lost by an import, a restore or a replacement', async () => {
      const answer = await root.post(
        `${base}/import`,
        document({ remove: { rules: ['superadmin-everything'] } }),
      );
      assertProblem(answer, 409, 'policy_locks_out');
    });
  });

  describe('revisions', () => {
    it('any two are compared, by part and in lines', async () => {
      const { id } = await addRule(root, archived());
      const from = gateway.services.live.snapshot.revision;
      ok(await root.patch(`${rulesPath}/${id}`, { priority: 5 }));
      const { body } = ok(await root.get(`${base}/revisions/${from + 1}/diff`));
      assert.deepEqual([body.from, body.to], [from, from + 1]);
      assert.deepEqual(body.summary, [`rule ${id}: priority 0 → 5`]);
      const back = ok(await root.get(`${base}/revisions/${from}/diff?against=${from + 1}`)).body;
      assert.deepEqual(back.summary, [`rule ${id}: priority 5 → 0`]);
      assert.equal(ok(await root.get(`${base}/revisions/1/diff`)).body.diff.rules.removed.length, 0);
      assertProblem(await root.get(`${base}/revisions/99999`), 404, 'not_found');
    });

    it('a restored one is a new revision, equal to the old; restored again it is none', async () => {
      const then = gateway.services.live.snapshot;
      await addRule(root, archived());
      const { body } = ok(await root.post(`${base}/revisions/${then.revision}/restore`, { message: 'undo' }));
      assert.equal(body.revision, then.revision + 2);
      assert.equal(gateway.services.live.snapshot.digest, then.digest);
      ok(await root.post(`${base}/revisions/${then.revision}/restore`));
      assert.equal(gateway.services.live.snapshot.revision, then.revision + 2);
      const [entry] = (await auditOf(gateway, 'castellan.policy', String(then.revision))).slice(-1);
      assert.deepEqual([entry.action, entry.revision], ['policy.restore', then.revision + 2]);
    });

    it('of a large policy store it once, and are read, compared and restored all the same', async () => {
      const { db } = gateway.services;
      const rules = Array.from({ length: 2000 }, (_, n) =>
        archived({ id: `many-${n}`, reason: 'r'.repeat(100) }),
      );
      const first = ok(await root.post(`${base}/import`, document({ rules }))).body.revision;
      ok(await root.patch(`${rulesPath}/many-7`, { priority: 7 }));
      ok(await root.delete(`${rulesPath}/many-8`), 204);
      const stored = await db('revisions')
        .where('number', '>=', first)
        .orderBy('number')
        .select('diff', 'policy');
      assert.deepEqual(
        stored.map(({ diff, policy: whole }) => [diff !== null, whole !== null]),
        [
          [false, true],
          [true, false],
          [true, false],
        ],
      );
      const middle = ok(await root.get(`${base}/revisions/${first + 1}`)).body;
      assert.equal(middle.policy.rules.find(({ id }: { id: string }) => id === 'many-7').priority, 7);
      assert.deepEqual(middle.summary, ['rule many-7: priority 0 → 7']);
      const whole = ok(await root.get(`${base}/revisions/${first}`)).body;
      assert.equal(whole.diff.rules.added.length, 2000);
      const { summary } = ok(await root.get(`${base}/revisions/${first + 2}/diff?against=${first}`)).body;
      assert.deepEqual(summary, ['rule many-7: priority 0 → 7', 'rule many-8: removed']);
      ok(await root.post(`${base}/revisions/${first + 1}/restore`));
      assert.equal(gateway.services.live.snapshot.digest, middle.digest);
    });

    it('are paged, the newest first', async () => {
      await addRule(root, archived());
      await addRule(root, archived());
      const first = ok(await root.get(`${base}/revisions?limit=1`)).body;
      const second = ok(await root.get(`${base}/revisions?limit=1&cursor=${first.nextCursor}`)).body;
      assert.equal(second.items[0].number, first.items[0].number - 1);
    });
  });

  describe('cases', () => {
    it('a change that breaks a stored case is refused with 422 and the case, and changes nothing', async () => {
      const stored = aCase();
      ok(await root.post(`${base}/import`, document({ cases: [stored] })));
      const before = await stateOf(gateway);
      for (const change of [
        () => root.post(rulesPath, archived()),
        () => root.post(`${base}/import`, document({ rules: [archived()] })),
      ]) {
        const answer = await change();
        assertProblem(answer, 422, 'cases_broken');
        assert.deepEqual(
          answer.body.cases.map(({ id, expected, got }: Record<string, string>) => [id, expected, got]),
          [[stored.id, 'deny', 'allow']],
        );
      }
      assert.deepEqual(await stateOf(gateway), before);
    });

    it('who may override forces it, and the audit trail shows what broke; who may not is refused', async () => {
      const stored = aCase();
      ok(await root.post(`${base}/import`, document({ cases: [stored] })));
      // The administrator reads all documents, so it is the override alone that is missing.
      assertProblem(await admin.post(`${rulesPath}?force=true`, archived()), 403, 'access_denied');
      const rule = ok(await root.post(`${rulesPath}?force=true`, archived()), 201).body;
      const [entry] = await auditOf(gateway, 'castellan.rule', rule.id);
      assert.deepEqual(entry.after.forced, { brokenCases: [stored.id] });
    });

    it('one that is broken already does not stand in the way of other changes', async () => {
      ok(await root.post(`${base}/import`, document({ cases: [aCase()] })));
      ok(await root.post(`${rulesPath}?force=true`, archived()), 201);
      ok(await root.post(rulesPath, archived({ conditions: { status: 'review' } })), 201);
    });

    for (const [way, changeOf] of [
      ['takes it out', ({ id }: { id: string }) => ({ remove: { cases: [id] } })],
      ['words it anew', (stored: object) => ({ cases: [{ ...stored, expect: 'allow' }] })],
      ['is a matrix of it', ({ id }: { id: string }) => ({ cases: [asMatrix(id)] })],
    ] as const)
      it(`guard bypass: a change that breaks a case and ${way} breaks it all the same, and needs override`, async () => {
        const stored = aCase();
        ok(await root.post(`${base}/import`, document({ cases: [stored] })));
        const before = await stateOf(gateway);
        const draft = document({ rules: [archived()], ...changeOf(stored) });
        for (const client of [admin, root]) {
          const refused = await client.post(`${base}/import`, draft);
          assertProblem(refused, 422, 'cases_broken');
          assert.deepEqual(
            refused.body.cases.map(({ id, expected, got }: Record<string, string>) => [id, expected, got]),
            [[stored.id, 'deny', 'allow']],
          );
          assert.match(refused.body.cases[0].message, /^expected deny, got allow by .*, as it is stored/);
        }
        assertProblem(await admin.post(`${base}/import?force=true`, draft), 403, 'access_denied');
        const dry = ok(await admin.post(`${base}/import?dryRun=true`, draft)).body;
        assert.deepEqual(
          dry.brokenCases.map(({ id }: { id: string }) => id),
          [stored.id],
        );
        assert.deepEqual(await stateOf(gateway), before);
        ok(await root.post(`${base}/import?force=true`, draft));
        const [entry] = (await auditOf(gateway, 'castellan.policy', 'merge')).slice(-1);
        assert.deepEqual(entry.after.forced, { brokenCases: [stored.id] });
      });

    it('guard bypass: neither a replacement without it nor a restore of before it gets round a case', async () => {
      const open = archived();
      const { revision } = ok(await root.post(`${base}/import`, document({ rules: [open] }))).body;
      const { body: wide } = ok(await root.get(base));
      const stored = aCase();
      ok(await root.post(`${base}/import`, document({ remove: { rules: [open.id] }, cases: [stored] })));
      for (const [path, body] of [
        ['/import?mode=replace', wide],
        [`/revisions/${revision}/restore`, {}],
      ] as const) {
        const refused = await root.post(base + path, body);
        assertProblem(refused, 422, 'cases_broken');
        assert.deepEqual(
          refused.body.cases.map(({ id }: { id: string }) => id),
          [stored.id],
        );
      }
      ok(await root.post(`${base}/revisions/${revision}/restore?force=true`));
    });

    it('guard bypass: a rule that begins later, or ends, breaks a case as one that is there at once', async () => {
      const begins = new Date(Date.now() + 3_600_000).toISOString();
      const dated = { at: new Date(Date.now() + 7_200_000).toISOString() };
      const [stored, allowed] = [aCase(), aCase({ resource: { type: 'order' }, expect: 'allow' })];
      const needed = { id: fresh('rule'), role: 'user', action: 'read', subject: 'order' };
      ok(await root.post(`${base}/import`, document({ rules: [needed], cases: [stored, allowed] })));
      for (const [rule, broken, words] of [
        [archived({ validFrom: begins }), stored, 'expected deny, got allow'],
        [{ ...needed, validUntil: begins }, allowed, 'expected allow, got deny'],
      ] as const) {
        const draft = document({ rules: [rule] });
        const refused = await admin.post(`${base}/import`, draft);
        assertProblem(refused, 422, 'cases_broken');
        assert.deepEqual(
          refused.body.cases.map(({ id }: { id: string }) => id),
          [broken.id],
        );
        const { message } = refused.body.cases[0];
        assert.ok(message.startsWith(words) && message.endsWith(`, from ${begins} on`), message);
        const { cases } = ok(await root.post(`${base}/simulate`, draft)).body;
        assert.deepEqual(cases, [{ id: broken.id, before: 'passed', after: 'failed', message }]);
      }
      // One that names its instant is about that instant alone.
      ok(await root.post(`${base}/import`, document({ remove: { cases: [stored.id] } })));
      ok(await root.post(`${base}/import`, document({ cases: [aCase({ at: new Date().toISOString() })] })));
      ok(await admin.post(`${base}/import`, document({ rules: [archived({ validFrom: begins })] })));
      const late = await root.post(`${base}/import`, document({ cases: [aCase(dated)] }));
      assertProblem(late, 422, 'cases_broken');
    });

    it('taking out or rewording one that holds, or that failed before, is free', async () => {
      const [kept, worded, failing] = [aCase(), aCase(), aCase({ action: 'update' })];
      ok(await root.post(`${base}/import`, document({ cases: [kept, worded, failing] })));
      ok(await root.post(`${rulesPath}?force=true`, archived({ action: 'update' })), 201);
      const draft = document({
        cases: [{ ...worded, name: 'in other words' }],
        remove: { cases: [kept.id, failing.id] },
      });
      const { changes } = ok(await admin.post(`${base}/import`, draft)).body;
      assert.deepEqual(changes, { added: 0, changed: 1, removed: 2 });
    });

    it('guard bypass: a case about a type that goes is broken with it', async () => {
      const type = fresh('type');
      const of = { subject: type, action: 'read', conditions: undefined };
      const rule = archived(of);
      const stored = aCase({ resource: { type }, expect: 'allow' });
      const denied = aCase({ resource: { type }, principal: 'anonymous' });
      const resourceTypes = [{ type, actions: ['read'] }];
      ok(
        await root.post(
          `${base}/import`,
          document({ resourceTypes, rules: [rule], cases: [stored, denied] }),
        ),
      );
      const remove = { resourceTypes: [type], rules: [rule.id], cases: [stored.id, denied.id] };
      const refused = await root.post(`${base}/import`, document({ remove }));
      assertProblem(refused, 422, 'cases_broken');
      assert.deepEqual(
        refused.body.cases.map(({ id }: { id: string }) => id),
        [stored.id],
      );
      ok(await root.post(`${base}/import?force=true`, document({ remove })));
    });

    it('a new one that fails is refused as well', async () => {
      const wrong = aCase({ expect: 'allow' });
      assertProblem(await root.post(`${base}/import`, document({ cases: [wrong] })), 422, 'cases_broken');
    });

    it('are run on demand: those stored, those sent, a matrix cell by cell, as JSON, JUnit and TAP', async () => {
      const matrix = {
        id: 'documents',
        principals: { reader: { roles: ['user'] }, nobody: 'anonymous' },
        resources: {
          published: { type: 'document', status: 'published' },
          draft: { type: 'document', status: 'draft' },
        },
        actions: ['read', 'delete'],
        allow: { reader: { published: ['read'] } },
      };
      const { body } = ok(await admin.post(`${base}/cases/run`, { cases: [matrix] }));
      assert.deepEqual([body.passed, body.failed], [8, 0]);
      const wrong = { ...matrix, allow: { nobody: { draft: ['read'] } } };
      const failed = ok(await admin.post(`${base}/cases/run`, { cases: [wrong] })).body;
      assert.deepEqual(
        failed.results
          .filter(({ passed }: { passed: boolean }) => !passed)
          .map(({ id }: { id: string }) => id),
        ['documents/reader/published/read', 'documents/nobody/draft/read'],
      );
      const tap = ok(await admin.post(`${base}/cases/run?format=tap`, { cases: [wrong] })).body;
      assert.match(tap, /^TAP version 14\n1\.\.8\nnot ok 1 - documents\/reader\/published\/read\n/);
      const junit = ok(await admin.post(`${base}/cases/run?format=junit`, { cases: [wrong] }));
      assert.match(String(junit.body), /<testsuites tests="8" failures="2">/);
    });

    it('say by which rule, and which fields', async () => {
      const given = aCase({
        resource: { type: 'document', status: 'published' },
        expect: 'allow',
        rule: 'user-reads-published',
        fields: { title: true, notes: false },
      });
      assert.equal(ok(await admin.post(`${base}/cases/run`, { cases: [given] })).body.failed, 0);
      const wrong = { ...given, rule: 'user-reads-own', fields: { notes: true } };
      const [result] = ok(await admin.post(`${base}/cases/run`, { cases: [wrong] })).body.results;
      assert.match(result.message, /expected user-reads-own to settle it.*field notes to be permitted/);
    });

    it('a slip in one is refused: it would deny, and pass by mistake', async () => {
      const slips: [object, string][] = [
        [{ resource: { type: 'document', status: 'drft' } }, '/cases/0/resource/status'],
        [{ principal: { roles: ['editor'], department: 5 } }, '/cases/0/principal/department'],
        [{ principal: { roles: ['editr'] } }, '/cases/0/principal/roles/0'],
        [{ context: { ipp: '1.2.3.4' } }, '/cases/0/context/ipp'],
        [{ context: { ip: 5 } }, '/cases/0/context/ip'],
        [{ fields: { titel: false } }, '/cases/0/fields/titel'],
        [{ rule: 'user-raeds' }, '/cases/0/rule'],
      ];
      for (const [slip, pointer] of slips)
        assertProblem(
          await admin.post(`${base}/cases/run`, { cases: [aCase(slip)] }),
          422,
          'policy_invalid',
          pointer,
        );
      const table = { principals: { a: 'anonymous' }, resources: { d: { type: 'document' } }, allow: {} };
      const matrix = { id: 'm', actions: ['raed'], ...table };
      const answer = await admin.post(`${base}/cases/run`, { cases: [matrix] });
      assertProblem(answer, 422, 'policy_invalid', '/cases/0/actions/0');
    });

    it('hold at their own instant', async () => {
      const freeze = {
        id: 'freeze',
        principal: { roles: ['superadmin'] },
        action: 'publish',
        resource: { type: 'document', status: 'review' },
        expect: 'deny',
        at: '2025-12-31T12:00:00Z',
        rule: 'year-end-freeze',
      };
      assert.equal(ok(await admin.post(`${base}/cases/run`, { cases: [freeze] })).body.failed, 0);
    });
  });

  describe('explain', () => {
    const explain = async (asked: object) => ok(await admin.post(`${base}/explain`, asked)).body;

    it('tells the rule that settles it, and of every other the exact test that failed', async () => {
      const answer = await explain({
        principal: { type: 'user', id: demoId(3) },
        action: { name: 'publish' },
        resource: { type: 'document', attributes: { department: 'sales', status: 'review' } },
        context: { ip: '8.8.8.8' },
      });
      assert.equal(answer.decision.allow, false);
      const rule = answer.rules.find(({ id }: { id: string }) => id === 'editor-publishes-from-inside');
      assert.deepEqual(
        [
          rule.outcome,
          rule.via,
          rule.failures.map(({ expected: _, ...failure }: Record<string, unknown>) => failure),
        ],
        [
          'not_met',
          ['editor'],
          [
            { in: 'conditions', path: 'department', operator: '$eq', found: 'sales' },
            { in: 'when', path: 'context.ip', operator: '$cidr', found: '8.8.8.8' },
          ],
        ],
      );
      assert.equal(rule.failures[0].expected, 'editorial', 'stored attributes are filled in');
      assert.match(answer.summary.join(' '), /no rule allows it.*department is sales, not editorial/);
      assert.deepEqual(answer.nearest[0].ruleId, 'editor-publishes-from-inside');
    });

    it('tells where a role was inherited from, and why a deny was given', async () => {
      const asked = {
        principal: { type: 'user', roles: ['editor'], department: 'editorial' },
        action: 'delete',
        resource: { type: 'document', status: 'published', ownerId: demoId(3) },
      };
      const answer = await explain(asked);
      assert.equal(answer.decision.ruleId, 'nobody-deletes-published');
      assert.match(
        answer.summary[0],
        /rule nobody-deletes-published .*denies it: Published documents are archived/,
      );
      const own = answer.rules.find(({ id }: { id: string }) => id === 'author-deletes-own-drafts');
      assert.deepEqual(own.via, ['editor', 'author']);
    });

    it('tells a template that could not be filled', async () => {
      const answer = await explain({
        principal: { roles: ['editor'] },
        action: 'read',
        resource: { type: 'document', department: 'editorial' },
      });
      const rule = answer.rules.find(({ id }: { id: string }) => id === 'editor-reads-department');
      assert.deepEqual(rule.failures, [
        {
          in: 'conditions',
          path: 'department',
          operator: '$eq',
          found: 'editorial',
          unresolved: 'principal.department',
        },
      ]);
    });

    it('decides as the gateway does, for everybody of the demo and every document', async () => {
      const { items } = ok(await root.get('/api/v1/documents')).body;
      for (const n of [1, 2, 3, 4, 5, 6, 7]) {
        const client = await sessionOf(gateway, demoId(n));
        for (const { id } of items) {
          const { decision } = await explain({
            principal: { type: 'user', id: demoId(n) },
            action: 'read',
            resource: { type: 'document', id },
          });
          const { status } = await client.get(`/api/v1/documents/${id}`);
          assert.equal(status, decision.allow ? 200 : 403, `${n} ${id}`);
        }
      }
    });

    it('names what it does not know, with what was meant', async () => {
      const answer = await admin.post(`${base}/explain`, {
        principal: { type: 'usr' },
        action: 'read',
        resource: { type: 'documnt' },
      });
      assertProblem(answer, 400, 'invalid_request', '/principal/type', '/resource/type');
      assert.match(answer.body.detail, /did you mean user\?.*did you mean document\?/);
    });

    it('information disclosure: what the caller may not read is not filled in for them', async () => {
      const id = (await root.get('/api/v1/documents')).body.items[0].id;
      await addRule(root, {
        role: 'admin',
        inverted: true,
        action: 'read',
        subject: 'document',
        fields: ['notes'],
      });
      const answer = await admin.post(`${base}/explain`, {
        principal: { type: 'user', id: demoId(7) },
        action: 'read',
        resource: { type: 'document', id },
      });
      assertProblem(answer, 403, 'access_denied');
    });
  });

  describe('simulate', () => {
    const simulate = async (draft: object, query = '') =>
      ok(await admin.post(`${base}/simulate${query}`, document(draft))).body;

    it('shows who gains and who loses what, by account, role and sample, and writes nothing', async () => {
      const before = await stateOf(gateway);
      const changed = {
        id: 'user-reads-published',
        role: 'user',
        action: 'read',
        subject: 'document',
        conditions: { status: 'archived' },
      };
      const found = await simulate({ rules: [changed] });
      assert.deepEqual(found.accounts, { total: 7, examined: 7, sampled: false, withheld: 0, affected: 4 });
      const author = found.principals.find(
        ({ principal }: { principal: { email: string } }) => principal.email === 'author@example.com',
      );
      assert.deepEqual(
        author.losses.map(({ resource, action, rules }: Record<string, unknown>) => [
          resource,
          action,
          rules,
        ]),
        [['document', 'read', ['user-reads-published']]],
      );
      assert.equal(author.samples[0].lostCount, 2, 'the two that are published are lost in the sample');
      assert.ok(found.roles.some(({ role }: { role: string }) => role === 'user'));
      assert.deepEqual(await stateOf(gateway), before);
    });

    it('tells nobody of a rule that stays, in whatever order the keys of its conditions were written', async () => {
      const { version, ...exported } = ok(await root.get(`${base}/export?format=json`)).body;
      const backwards = (query?: object) =>
        query && Object.fromEntries(Object.entries(query).sort(([a], [b]) => (a < b ? 1 : -1)));
      const approves = { action: 'approve', subject: 'order', conditions: { status: 'open' } };
      const added = archived({ id: 'new', role: 'auditor', ...approves });
      for (const turned of [(query?: object) => query, backwards]) {
        const rules = exported.rules.map((rule: Policy['rules'][number]) => ({
          ...rule,
          conditions: turned(rule.conditions),
          when: turned(rule.when),
        }));
        const draft = {
          ...exported,
          rules: [...rules, added],
        };
        const { accounts, roles, principals } = await simulate(draft, '?mode=replace');
        assert.equal(accounts.affected, 1);
        assert.deepEqual(
          [...roles, ...principals].map(({ role, principal, gains, losses }) => [
            role ?? principal.email,
            gains.flatMap(({ rules }: { rules: string[] }) => rules),
            losses,
          ]),
          [
            ['auditor', ['new'], []],
            ['auditor@example.com', ['new'], []],
          ],
        );
      }
    });

    it('agrees with what happens when the draft is published, for every account and document', async () => {
      const draft = {
        rules: [
          archived({ id: 'a', conditions: { department: 'sales' } }),
          archived({ id: 'b', role: 'everyone', inverted: true, conditions: { status: 'draft' } }),
        ],
        roles: [{ key: 'auditor', inherits: ['editor'] }],
      };
      const { items } = ok(await root.get('/api/v1/documents?limit=200')).body;
      const readable = async (n: number) => {
        const client = await sessionOf(gateway, demoId(n));
        const answers = await Promise.all(
          items.map(async ({ id }: { id: string }) =>
            (await client.get(`/api/v1/documents/${id}`)).status === 200 ? id : '',
          ),
        );
        return new Set(answers.filter(Boolean));
      };
      const people = [1, 2, 3, 4, 5, 6, 7];
      const was = await Promise.all(people.map(readable));
      const found = await simulate(draft);
      ok(await root.post(`${base}/import`, document(draft)));
      const is = await Promise.all(people.map(readable));
      for (const [index, n] of people.entries()) {
        const told = found.principals.find(
          ({ principal }: { principal: { id: string } }) => principal.id === demoId(n),
        );
        const sample = told?.samples.find(
          ({ resource, action }: Record<string, string>) => resource === 'document' && action === 'read',
        );
        const gained = [...(is[index] ?? [])].filter((id) => !was[index]?.has(id)).length;
        const lost = [...(was[index] ?? [])].filter((id) => !is[index]?.has(id)).length;
        assert.deepEqual([sample?.gainedCount ?? 0, sample?.lostCount ?? 0], [gained, lost], `account ${n}`);
      }
    });

    it('shows the cases that flip', async () => {
      const stored = aCase();
      ok(await root.post(`${base}/import`, document({ cases: [stored] })));
      const { cases } = await simulate({ rules: [archived()] });
      assert.deepEqual(
        cases.map(({ id, before, after }: Record<string, string>) => [id, before, after]),
        [[stored.id, 'passed', 'failed']],
      );
    });

    it('shows logged decisions that would come out otherwise', async () => {
      const draft = ok(await root.get('/api/v1/documents')).body.items.find(
        ({ department, status }: Record<string, string>) => department === 'editorial' && status === 'draft',
      );
      await gateway.services.db('documents').where({ id: draft.id }).update({ status: 'archived' });
      assert.equal((await user.get(`/api/v1/documents/${draft.id}`)).status, 403);
      await gateway.services.decisionLog.flush();
      const { decisions } = await simulate({ rules: [archived()] });
      assert.ok(decisions.examined >= 1);
      const [flip] = decisions.flips;
      assert.deepEqual(
        [flip.principal, flip.action, flip.resource, flip.before, flip.after],
        [`user:${demoId(7)}`, 'read', `document:${draft.id}`, 'deny', 'allow'],
      );
      await gateway.services.db('documents').where({ id: draft.id }).update({ status: 'draft' });
      assert.equal((await simulate({ rules: [archived()] }, '?decisions=0')).decisions.examined, 0);
    });

    it('refuses a draft that does not compile, pointing into it', async () => {
      const answer = await admin.post(
        `${base}/simulate`,
        document({ rules: [archived({ subject: 'documnt' })] }),
      );
      assertProblem(answer, 422, 'policy_invalid', '/rules/0/subject');
    });

    it('information disclosure: accounts that the caller may not read are left out, affected or not', async () => {
      await addRule(root, {
        role: 'admin',
        inverted: true,
        action: 'read',
        subject: 'user',
        conditions: { email: 'author@example.com' },
      });
      const found = await simulate({ rules: [archived({ role: 'author' })] });
      assert.deepEqual([found.accounts.affected, found.accounts.withheld], [1, 1]);
      assert.deepEqual(
        found.principals.map(({ principal }: { principal: { email: string } }) => principal.email),
        ['editor@example.com'],
      );
    });
  });

  describe('matrix', () => {
    const matrix = async () => ok(await admin.get(`${base}/matrix`)).body;

    it('says for each role, type and action whether it is allowed, denied or a matter of conditions', async () => {
      const { matrix: table, revision } = await matrix();
      assert.equal(revision, gateway.services.live.snapshot.revision);
      assert.equal(table.superadmin['castellan.rule'].escalate, 'allow');
      assert.deepEqual(
        [table.auditor.document.read, table.auditor.document.update, table.user.document.read],
        ['allow', 'deny', 'conditional'],
      );
      assert.equal(table.anonymous.document.read, 'deny');
      assert.equal(table.admin.document.delete, 'conditional', 'a deny on a condition leaves the rest');
    });

    it('names rules that decide nothing, and why', async () => {
      const dead = [
        [archived({ id: 'off', enabled: false }), 'disabled'],
        [archived({ id: 'over', validUntil: '2020-01-01T00:00:00Z' }), 'expired'],
        [archived({ id: 'unheld', role: 'nobody-has-it' }), 'held_by_nobody'],
        [archived({ id: 'unknown', role: undefined, principal: `user:${demoId(99)}` }), 'held_by_nobody'],
        [archived({ id: 'shadowed', action: 'delete', conditions: { status: 'published' } }), 'shadowed'],
        [
          archived({ id: 'never', conditions: { $and: [{ status: 'draft' }, { status: 'review' }] } }),
          'never_met',
        ],
      ] as const;
      const roles = [{ key: 'nobody-has-it' }];
      ok(await root.post(`${base}/import`, document({ roles, rules: dead.map(([rule]) => rule) })));
      const { deadRules } = await matrix();
      const because = new Map(
        deadRules.map((rule: { ruleId: string; because: string }) => [rule.ruleId, rule.because]),
      );
      for (const [{ id }, why] of dead) assert.equal(because.get(id), why, id);
      assert.equal(because.get('user-reads-published'), undefined);
      assert.equal(
        deadRules.find(({ ruleId }: { ruleId: string }) => ruleId === 'shadowed').by,
        'nobody-deletes-published',
      );
    });
  });

  describe('who can', () => {
    it('names the accounts that may, each with its rule, as their own requests are answered', async () => {
      const { items: documents } = ok(await root.get('/api/v1/documents')).body;
      const { id } = documents.find(({ title }: { title: string }) => title === 'Sales forecast');
      const asked = { action: 'read', resource: { type: 'document', id } };
      const { accounts, items } = ok(await admin.post(`${base}/who-can`, asked)).body;
      const may = new Set(items.map(({ principal }: { principal: { id: string } }) => principal.id));
      for (const n of [1, 2, 3, 4, 5, 6, 7]) {
        const { status } = await (await sessionOf(gateway, demoId(n))).get(`/api/v1/documents/${id}`);
        assert.equal(may.has(demoId(n)), status === 200, `account ${n}`);
      }
      assert.equal(accounts.allowed, may.size);
      const own = items.find(({ principal }: { principal: { id: string } }) => principal.id === demoId(7));
      assert.equal(own.ruleId, 'user-reads-own');
    });
  });

  describe('windows', () => {
    it('begin and end on time, with no request and no restart, on every node', async () => {
      const second = await startGateway({ databaseUrl: gateway.databaseUrl });
      try {
        const document_ = ok(await root.get('/api/v1/documents')).body.items.find(
          ({ department, status }: Record<string, string>) =>
            department === 'editorial' && status === 'draft',
        );
        const path = `/api/v1/documents/${document_.id}`;
        const nodes = [user, await sessionOf(second, demoId(7))];
        const beginsMs = Date.now() + 700;
        const endsMs = beginsMs + 900;
        const window = {
          validFrom: new Date(beginsMs).toISOString(),
          validUntil: new Date(endsMs).toISOString(),
        };
        const rule = archived({ conditions: { status: 'draft' }, ...window });
        const { body } = ok(await root.post(`${base}/import`, document({ rules: [rule] })));
        const status = async (client: Client) =>
          (await client.get(path, { 'castellan-min-revision': String(body.revision) })).status;
        for (const node of nodes) assert.equal(await status(node), 403, 'before it');
        while (Date.now() < beginsMs) await root.get('/livez');
        for (const node of nodes) assert.equal(await status(node), 200, 'within it');
        while (Date.now() < endsMs) await root.get('/livez');
        for (const node of nodes) assert.equal(await status(node), 403, 'after it');
      } finally {
        await second.close();
      }
    });
  });

  describe('roles for a time', () => {
    const inMs = (ms: number) => new Date(Date.now() + ms).toISOString();

    it('end on time, with no request and no restart, on every node', async () => {
      const second = await startGateway({ databaseUrl: gateway.databaseUrl });
      try {
        const { id, client } = await person(gateway, { roles: ['user'] });
        const there = await sessionOf(second, id);
        const expiresAt = inMs(1200);
        ok(await root.put(`${usersPath}/${id}/roles/auditor`, { expiresAt }), 204);
        const draft = ok(await root.get('/api/v1/documents')).body.items.find(
          ({ department, status }: Record<string, string>) =>
            department === 'editorial' && status === 'draft',
        );
        const path = `/api/v1/documents/${draft.id}`;
        ok(await client.get(path));
        const { items } = ok(await root.get(`${usersPath}/${id}/roles`)).body;
        assert.deepEqual(
          items.map(({ key, expiresAt: at }: Record<string, string>) => [key, at]),
          [
            ['auditor', expiresAt],
            ['user', null],
          ],
        );
        for (const one of [client, there]) {
          while (Date.now() < Date.parse(expiresAt)) await one.get(path);
          assert.equal((await one.get(path)).status, 403);
        }
        assert.deepEqual(ok(await root.get(`${usersPath}/${id}`)).body.user.roles, ['user']);
      } finally {
        await second.close();
      }
    });

    it('an end that is over is refused', async () => {
      const answer = await root.put(`${usersPath}/${demoId(7)}/roles/auditor`, { expiresAt: inMs(-1000) });
      assertProblem(answer, 400, 'invalid_request', '/expiresAt');
    });

    it('privilege escalation: nobody makes lasting what they have for a time, for others or for themselves', async () => {
      const { id, client } = await person(gateway, { roles: ['user'] });
      const expiresAt = inMs(60_000);
      ok(await root.put(`${usersPath}/${id}/roles/superadmin`, { expiresAt }), 204);
      for (const whom of [id, demoId(7)])
        assertProblem(await client.put(`${usersPath}/${whom}/roles/superadmin`), 403, 'privilege_escalation');
      assertProblem(await client.post(rulesPath, archived()), 403, 'privilege_escalation');
      assertProblem(
        await client.patch(`${rolesPath}/user`, { inherits: ['superadmin'] }),
        403,
        'privilege_escalation',
      );
      ok(await client.put(`${usersPath}/${demoId(7)}/roles/superadmin`, { expiresAt: inMs(30_000) }), 204);
      ok(await root.delete(`${usersPath}/${demoId(7)}/roles/superadmin`), 204);
    });

    it('the last who can change the policy is not lost to an end that comes', async () => {
      const answer = await root.put(`${usersPath}/${demoId(1)}/roles/superadmin`, {
        expiresAt: inMs(60_000),
      });
      assertProblem(answer, 409, 'policy_locks_out');
      const { id, client } = await person(gateway, { roles: ['superadmin'] });
      ok(await root.put(`${usersPath}/${demoId(1)}/roles/superadmin`, { expiresAt: inMs(60_000) }), 204);
      ok(await client.put(`${usersPath}/${demoId(1)}/roles/superadmin`), 204);
      ok(await root.delete(`${usersPath}/${id}/roles/superadmin`), 204);
    });
  });
});
