/** Attacks on the decision point, each by its name. */
import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { type Answer, anonymousClient, Client, logIn, startGateway } from '../../harness.ts';
import { keysPath, mint } from '../admin/keys.ts';
import { addRole, addRule, demoId, ok, person, restorePolicy, usersPath, withRule } from '../admin/staff.ts';
import {
  actionSearchPath,
  alice,
  type Certified,
  evaluationPath,
  evaluationsPath,
  metadataPath,
  read,
  record1,
  resourceSearchPath,
  startCertified,
  subjectSearchPath,
} from './fixture.ts';

const noOne = '7b0e3c5a-5f0f-4d0e-9f6b-0d6a1d2f3c4b';
const editor = { type: 'user', id: demoId(3) };
const review = { type: 'document', id: 'new', properties: { status: 'review', department: 'editorial' } };

describe('attacks on the decision point', () => {
  let certified: Certified;
  before(async () => {
    certified = await startCertified();
  });
  after(() => certified.gateway.close());

  const decisionOf = async (body: object): Promise<boolean> =>
    ok(await certified.root.post(evaluationPath, body)).body.decision;

  describe('by who asks', () => {
    const asked = { subject: alice, action: read, resource: record1 };
    const all = [evaluationPath, evaluationsPath, actionSearchPath, subjectSearchPath, resourceSearchPath];

    it('nobody gets an answer unidentified, nor with a token that is made up, before anything is read', async () => {
      for (const path of all)
        for (const client of [
          anonymousClient(certified.gateway),
          new Client(certified.gateway.url, 'cst_made-up'),
        ])
          for (const body of [asked, '{"subject":']) {
            const { status, headers } = await client.post(path, body);
            assert.equal(status, 401, path);
            assert.match(headers.get('www-authenticate') ?? '', /^Bearer/);
          }
    });

    it('to be logged in is not enough, nor to read decisions', async () => {
      for (const who of ['user', 'admin', 'auditor'])
        for (const path of all)
          assert.equal((await (await logIn(certified.gateway, who)).post(path, asked)).status, 403, who);
    });

    it('a role that may evaluate may ask, and do nothing else', async () => {
      const role = await addRole(certified.root);
      await addRule(certified.root, { role, action: 'evaluate', subject: 'castellan.decision' });
      const { client } = await person(certified.gateway, { roles: [role] });
      for (const path of all) assert.equal((await client.post(path, asked)).status, 200);
      assert.equal((await client.get('/api/v1/admin/decisions')).status, 403);
      assert.equal((await client.post('/api/v1/admin/policy/explain', {})).status, 403);
    });

    it('a service asks with an API key whose role may evaluate, and with no other one, nor with one that was revoked', async () => {
      const { gateway, root } = certified;
      const role = await addRole(root);
      await addRule(root, { role, action: 'evaluate', subject: 'castellan.decision' });
      const asking = await mint(gateway, root, { roles: [role] });
      const other = await mint(gateway, root, { roles: ['user', 'auditor', 'admin'] });
      for (const path of all) {
        assert.equal((await anonymousClient(gateway).post(path, asked)).status, 401, path);
        assert.equal((await other.client.post(path, asked)).status, 403, path);
        assert.equal((await asking.client.post(path, asked)).status, 200, path);
      }
      assert.equal((await asking.client.post(evaluationPath, asked)).body.decision, true);
      ok(await root.delete(`${keysPath}/${asking.id}`), 204);
      for (const path of all) assert.equal((await asking.client.post(path, asked)).status, 401, path);
    });

    it('who may not evaluate cannot let themselves do it', async () => {
      const admin = await logIn(certified.gateway, 'admin');
      const rule = { role: 'admin', action: 'evaluate', subject: 'castellan.decision' };
      assert.equal((await admin.post('/api/v1/admin/rules', rule)).body.code, 'privilege_escalation');
    });

    it('with AUTHZEN_PUBLIC whoever reaches it may ask, and the start warns of it', async () => {
      const open = await startGateway({ env: { AUTHZEN_PUBLIC: 'true' } });
      const stranger = anonymousClient(open);
      const { status, body, headers } = await stranger.post(evaluationPath, {
        subject: editor,
        action: { name: 'read' },
        resource: review,
      });
      const warning = open
        .logged()
        .split('\n')
        .find((line) => line.includes('AUTHZEN_PUBLIC'));
      const others = await stranger.get('/api/v1/admin/rules');
      await open.close();
      assert.equal(status, 200);
      assert.equal(body.decision, true);
      assert.equal(headers.get('castellan-revision'), '1');
      assert.equal(others.status, 401);
      assert.equal(JSON.parse(warning ?? '{}').level, 40);
      assert.equal(certified.gateway.logged().includes('AUTHZEN_PUBLIC'), false);
    });
  });

  describe('by roles that were not given', () => {
    const subject = (properties: object) => ({ type: 'user', id: demoId(7), properties });

    it('roles smuggled in as properties are no roles', async () => {
      const asked = {
        action: { name: 'read' },
        resource: { type: 'castellan.rule', id: 'superadmin-everything' },
      };
      assert.equal(await decisionOf({ subject: { type: 'user', id: demoId(1) }, ...asked }), true);
      for (const smuggled of [
        { roles: ['superadmin'] },
        { role: 'superadmin' },
        { attributes: { roles: ['superadmin'] } },
        { Roles: ['superadmin'] },
        { accessVersion: 9, type: 'user', id: demoId(1) },
      ])
        assert.equal(
          await decisionOf({ subject: subject(smuggled), ...asked }),
          false,
          JSON.stringify(smuggled),
        );
    });

    it('nor does a rule that asks for principal.roles see them', async () => {
      const rule = {
        role: 'everyone',
        action: 'read',
        subject: 'record',
        when: { 'principal.roles': 'superadmin' },
      };
      await withRule(certified.root, rule, async () => {
        for (const who of [
          subject({ roles: ['superadmin'] }),
          { type: 'record', id: 'x', properties: { roles: ['superadmin'] } },
        ])
          assert.equal(await decisionOf({ subject: who, action: read, resource: record1 }), false);
        assert.equal(
          await decisionOf({ subject: { type: 'user', id: demoId(1) }, action: read, resource: record1 }),
          true,
        );
      });
    });

    it('roles beside the properties are passed over', async () => {
      const who = { type: 'user', id: demoId(7), roles: ['superadmin'] };
      assert.equal(await decisionOf({ subject: who, action: { name: 'update' }, resource: review }), false);
    });

    it('a subject of another type with the id of an account has none of its roles', async () => {
      const asked = { action: { name: 'read' }, resource: review };
      assert.equal(await decisionOf({ subject: editor, ...asked }), true);
      for (const type of ['record', 'document', 'User', 'USER', 'user ', 'castellan.session', ''])
        assert.equal(await decisionOf({ subject: { type, id: editor.id }, ...asked }), false, type);
    });

    it('a type that reaches into a name is no other principal', async () => {
      for (const subject of [
        { type: 'user:alice', id: '' },
        { type: '', id: 'user:alice' },
        { type: 'user', id: ':alice' },
        { type: 'user:', id: 'alice' },
        { type: 'user', id: 'alice ' },
      ])
        assert.equal(await decisionOf({ subject, action: read, resource: record1 }), false, subject.type);
      assert.equal(await decisionOf({ subject: alice, action: read, resource: record1 }), true);
    });
  });

  describe('by who is not there', () => {
    const anything = { action: { name: 'read' }, resource: record1 };
    const open = { role: 'everyone', action: 'read', subject: 'record' };

    it('an id that no account has is denied, though everyone may', async () => {
      await withRule(certified.root, open, async () => {
        for (const id of [noOne, 'nobody', '', '%', '*'])
          for (const properties of [{}, { isActive: true, email: 'x@example.com' }])
            assert.equal(
              await decisionOf({ subject: { type: 'user', id, properties }, ...anything }),
              false,
              id,
            );
        assert.equal(
          await decisionOf({ subject: { type: 'anonymous', id: 'anonymous' }, ...anything }),
          true,
        );
      });
    });

    it('a deactivated account is denied, and no property calls it back', async () => {
      const { id } = await person(certified.gateway, { roles: ['superadmin'] });
      const subject = { type: 'user', id };
      assert.equal(await decisionOf({ subject, ...anything }), true);
      ok(await certified.root.delete(`${usersPath}/${id}`), 204);
      assert.equal(await decisionOf({ subject, ...anything }), false);
      assert.equal(
        await decisionOf({ subject: { ...subject, properties: { isActive: true } }, ...anything }),
        false,
      );
      const { body } = await certified.root.post(actionSearchPath, { subject, resource: record1 });
      assert.deepEqual(body.results, []);
    });

    it('an API key that is unknown, revoked or expired is denied, though everyone may and a rule names it', async () => {
      const { gateway, root } = certified;
      const why = async (id: string, properties = {}) =>
        ok(await root.post(evaluationPath, { subject: { type: 'api-key', id, properties }, ...anything }))
          .body;
      await withRule(root, open, async () => {
        const [revoked, expired] = [await mint(gateway, root), await mint(gateway, root)];
        for (const { id } of [revoked, expired]) {
          await addRule(root, { ...open, role: undefined, principal: `api-key:${id}` });
          assert.equal((await why(id)).decision, true);
        }
        ok(await root.delete(`${keysPath}/${revoked.id}`), 204);
        const past = { created_at: new Date(Date.now() - 60_000), expires_at: new Date(Date.now() - 1) };
        await gateway.services.db('api_keys').where({ id: expired.id }).update(past);
        for (const id of [revoked.id, expired.id, noOne, 'nobody', '', '%'])
          for (const properties of [{}, { revokedAt: null, expiresAt: null, roles: ['superadmin'] }]) {
            const { decision, context } = await why(id, properties);
            assert.equal(decision, false, id);
            assert.equal(context.reason_admin[403], `nothing is known of the subject api-key:${id}`);
          }
      });
    });

    it('an API key has the roles that are stored, whatever the case of its id, and nothing that is sent', async () => {
      const { gateway, root } = certified;
      const { id } = await mint(gateway, root, { roles: ['auditor'] });
      const asked = (rest: object) =>
        decisionOf({ subject: { type: 'api-key', id, ...rest }, action: read, resource: review });
      assert.equal(await asked({}), true);
      assert.equal(await asked({ id: id.toUpperCase() }), true);
      const when = { 'principal.department': 'editorial' };
      const rule = { role: 'authenticated', action: 'write', subject: 'record', when };
      await withRule(root, rule, async () => {
        const properties = { department: 'editorial', roles: ['superadmin'] };
        const subject = { type: 'api-key', id, properties };
        assert.equal(await decisionOf({ subject, action: { name: 'write' }, resource: record1 }), false);
      });
      const key = { type: 'castellan.api-key', id };
      assert.equal(
        await decisionOf({ subject: { type: 'user', id: demoId(1) }, action: read, resource: key }),
        true,
      );
      assert.equal(
        await decisionOf({
          subject: { type: 'user', id: demoId(1) },
          action: read,
          resource: { ...key, id: noOne },
        }),
        false,
      );
      ok(await root.patch(`${keysPath}/${id}`, { roles: [] }));
      assert.equal(await asked({}), false);
    });

    it('a role that was taken away is gone with the next question', async () => {
      const { id } = await person(certified.gateway, { roles: ['auditor'] });
      const asked = { subject: { type: 'user', id }, action: read, resource: review };
      assert.equal(await decisionOf(asked), true);
      ok(await certified.root.delete(`${usersPath}/${id}/roles/auditor`), 204);
      assert.equal(await decisionOf(asked), false);
    });

    it('whoever is nobody gets no properties', async () => {
      const rule = {
        role: 'everyone',
        action: 'read',
        subject: 'record',
        when: { 'principal.role': 'admin' },
      };
      await withRule(certified.root, rule, async () => {
        const nobody = { type: 'anonymous', id: 'x', properties: { role: 'admin', roles: ['superadmin'] } };
        assert.equal(await decisionOf({ subject: nobody, ...anything }), false);
      });
    });
  });

  describe('by properties', () => {
    it('that claim another id or type', async () => {
      const { id } = await certified.gateway.services
        .db('documents')
        .where({ title: 'Interview' })
        .first('id');
      const asked = (properties: object) => ({
        subject: { type: 'user', id: demoId(7), properties },
        action: read,
        resource: { type: 'document', id },
      });
      assert.equal(await decisionOf({ ...asked({}), subject: editor }), true);
      assert.equal(await decisionOf(asked({ id: demoId(4), type: 'user' })), false);
      assert.equal(await decisionOf(asked({ 'principal.id': demoId(4), subject: editor })), false);
      const claiming = (properties: object) => ({
        subject: alice,
        action: read,
        resource: { ...record1, properties },
      });
      const rule = {
        principal: 'user:bob',
        action: 'delete',
        subject: 'record',
        conditions: { id: 'record-9' },
      };
      await withRule(certified.root, rule, async () => {
        const bobs = (id: string, properties: object) => ({
          subject: { type: 'user', id: 'bob' },
          action: { name: 'delete' },
          resource: { type: 'record', id, properties },
        });
        assert.equal(await decisionOf(bobs('record-9', {})), true);
        assert.equal(await decisionOf(bobs('record-1', { id: 'record-9' })), false);
        assert.equal(await decisionOf(bobs('record-9', { id: 'record-1' })), true);
      });
      assert.equal(await decisionOf(claiming({ type: 'document', id: 'other' })), true);
      assert.equal(
        await decisionOf({ ...claiming({}), action: { name: 'write', properties: { name: 'read' } } }),
        true,
      );
      assert.equal(
        await decisionOf({
          ...claiming({}),
          action: { name: 'delete', properties: { name: 'read', soft: false } },
        }),
        false,
      );
    });

    for (const key of ['__proto__', 'constructor', 'prototype'])
      it(`that pollute prototypes by ${key} are refused whole`, async () => {
        const part = `{"${key}":{"status":"archived","isAdmin":true,"soft":true}}`;
        for (const text of [
          `{"subject":{"type":"user","id":"alice","properties":${part}},"action":{"name":"read"},"resource":{"type":"record","id":"1"}}`,
          `{"subject":{"type":"user","id":"alice"},"action":{"name":"read","properties":${part}},"resource":{"type":"record","id":"1"}}`,
          `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"1","properties":${part}}}`,
          `{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"1"},"context":${part}}`,
          `{"evaluations":[{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"1","properties":${part}}}]}`,
        ])
          for (const path of [evaluationPath, evaluationsPath])
            assert.equal((await certified.root.post(path, text)).body.code, 'malformed_json');
        assert.equal('isAdmin' in {}, false);
      });

    it('types and actions that are names of Object.prototype are no types and no actions', async () => {
      for (const name of ['toString', 'hasOwnProperty', 'valueOf', '__proto__', 'constructor'])
        for (const part of [
          { subject: { type: name, id: 'x' } },
          { resource: { type: name, id: 'x' } },
          { action: { name } },
        ])
          assert.equal(
            await decisionOf({ subject: alice, action: read, resource: record1, ...part }),
            false,
            name,
          );
    });

    it('of a wrong type are a doubt, not an absence: no deny is slipped past with them', async () => {
      const role = await addRole(certified.root);
      const { id } = await person(certified.gateway, { roles: [role] });
      const subject = { type: 'user', id };
      await addRule(certified.root, { role, action: 'delete', subject: 'record' });
      await addRule(certified.root, {
        role,
        action: 'delete',
        subject: 'record',
        inverted: true,
        conditions: { status: 'archived' },
      });
      await addRule(certified.root, {
        role,
        action: 'delete',
        subject: 'record',
        inverted: true,
        when: { 'principal.role': 'intern' },
      });
      await addRule(certified.root, {
        role,
        action: 'delete',
        subject: 'record',
        inverted: true,
        when: { 'context.mfa': false },
      });
      await addRule(certified.root, {
        role,
        action: 'delete',
        subject: 'record',
        inverted: true,
        when: { 'context.time': { $gt: '2030-01-01T00:00:00Z' } },
      });
      const asked = { subject, action: { name: 'delete' }, resource: record1 };
      assert.equal(await decisionOf(asked), true);
      assert.equal(
        await decisionOf({ ...asked, resource: { ...record1, properties: { status: 1 } } }),
        false,
      );
      assert.equal(
        await decisionOf({ ...asked, subject: { ...subject, properties: { role: ['intern'] } } }),
        false,
      );
      assert.equal(await decisionOf({ ...asked, context: { mfa: 'false' } }), false);
      assert.equal(await decisionOf({ ...asked, context: { time: 'never' } }), false);
      assert.equal(await decisionOf({ ...asked, context: { time: '2031-01-01T00:00:00Z' } }), false);
      assert.equal(await decisionOf({ ...asked, context: { time: '2029-12-31T23:59:00-00:30' } }), false);
    });

    it('win over what is stored for that question only', async () => {
      const { id } = await person(certified.gateway, {
        roles: ['editor'],
        attributes: { department: 'sales' },
      });
      const asked = (properties?: object) => ({
        subject: { type: 'user', id, ...(properties && { properties }) },
        action: read,
        resource: review,
      });
      assert.equal(await decisionOf(asked()), false);
      assert.equal(await decisionOf(asked({ department: 'editorial' })), true);
      assert.equal(await decisionOf(asked()), false);
      const both = {
        evaluations: [asked({ department: 'editorial' }), asked(), asked({ department: 'legal' })],
      };
      const { body } = ok(await certified.root.post(evaluationsPath, both));
      assert.deepEqual(
        body.evaluations.map(({ decision }: { decision: boolean }) => decision),
        [true, false, false],
      );
    });
  });

  describe('by size', () => {
    const one = { subject: alice, action: read, resource: record1 };
    const many = (count: number, item: unknown = {}) => ({
      ...one,
      evaluations: Array.from({ length: count }, () => item),
    });

    it('1,001 evaluations are refused whole, 1,000 are answered', async () => {
      const answer = await certified.root.post(evaluationsPath, many(1001));
      assert.equal(answer.status, 400);
      assert.deepEqual(
        answer.body.errors.map(({ pointer }: { pointer: string }) => pointer),
        ['/evaluations'],
      );
      const { body } = ok(await certified.root.post(evaluationsPath, many(1000)));
      assert.equal(body.evaluations.length, 1000);
      assert.ok(body.evaluations.every(({ decision }: { decision: boolean }) => decision));
    });

    it('a large default is read once, not once for each of a thousand', async () => {
      const properties = Object.fromEntries(
        Array.from({ length: 900 }, (_, at) => [`p${at}`, 'x'.repeat(900)]),
      );
      const body = {
        ...many(1000),
        subject: { ...alice, properties },
        resource: { ...record1, properties },
        context: {},
      };
      const text = JSON.stringify({ ...body, resource: record1 });
      const startedMs = performance.now();
      ok(await certified.root.post(evaluationsPath, text));
      assert.ok(performance.now() - startedMs < 3000);
    });

    it('a thousand evaluations about as many accounts and rows take two queries', async () => {
      const { db } = certified.gateway.services;
      const evaluations = Array.from({ length: 1000 }, (_, at) => ({
        subject: { type: 'user', id: demoId(at) },
        resource: { type: at % 2 ? 'document' : 'user', id: demoId(at + 1) },
      }));
      const queries: string[] = [];
      const listen = ({ sql }: { sql: string }) => void queries.push(sql);
      db.on('query', listen);
      const { body } = ok(await certified.root.post(evaluationsPath, { action: read, evaluations }));
      db.removeListener('query', listen);
      assert.equal(body.evaluations.length, 1000);
      const asked = queries.filter((sql) => /accounts a WHERE a\.id = ANY|"documents"/i.test(sql));
      assert.equal(asked.length, 2, queries.join('\n'));
    });

    it('nesting and keys without end are refused', async () => {
      const deep = `${'{"a":'.repeat(100)}1${'}'.repeat(100)}`;
      const text = JSON.stringify(one).replace('"alice"', `"alice","properties":${deep}`);
      assert.equal((await certified.root.post(evaluationPath, text)).status, 400);
    });
  });

  describe('by a page', () => {
    const asked = { subject: alice, resource: record1 };
    const search = (body: object, client = certified.root) => client.post(actionSearchPath, body);
    const tokenOf = ({ body }: Answer): string => body.page.next_token;
    const refused = ({ status, body }: Answer, pointer: string) => {
      assert.equal(status, 400);
      assert.deepEqual(
        body.errors.map((error: { pointer: string }) => error.pointer),
        [pointer],
      );
    };

    it('a token is good for no other query, no other limit and no other caller', async () => {
      const token = tokenOf(await search({ ...asked, page: { limit: 1 } }));
      assert.equal((await search({ ...asked, page: { token } })).status, 200);
      assert.equal((await search({ ...asked, page: { token, limit: 1 } })).status, 200);
      refused(await search({ ...asked, page: { token, limit: 2 } }), '/page/limit');
      for (const part of [
        { subject: { type: 'user', id: 'bob' } },
        { resource: { type: 'record', id: 'record-2' } },
        { context: { ip: '10.0.0.1' } },
        { subject: { ...alice, properties: { role: 'x' } } },
      ])
        refused(await search({ ...asked, ...part, page: { token } }), '/page/token');
      const { client } = await person(certified.gateway, { roles: ['superadmin'] });
      refused(await search({ ...asked, page: { token } }, client), '/page/token');
    });

    it('a token that nobody was given is refused', async () => {
      for (const content of [
        null,
        [],
        ['x', 1, null],
        'x',
        { digest: 1 },
        ['x', -1, 'read'],
        ['x', 1, 'a\0'],
      ])
        refused(
          await search({
            ...asked,
            page: { token: Buffer.from(JSON.stringify(content)).toString('base64url') },
          }),
          '/page/token',
        );
      refused(await search({ ...asked, page: { token: '%%%' } }), '/page/token');
    });

    it('a limit of 0 shows nothing and says that more follows; one beyond the maximum is the maximum', async () => {
      const { body } = await search({ ...asked, page: { limit: 0 } });
      assert.deepEqual(body.results, []);
      assert.notEqual(body.page.next_token, '');
      const token = body.page.next_token;
      assert.deepEqual((await search({ ...asked, page: { token, limit: 0 } })).body, body);
      assert.equal((await search({ ...asked, page: { token } })).body.results.length, 2);
      const most = await search({ ...asked, page: { limit: 1_000_000 } });
      assert.deepEqual(most.body, {
        page: { next_token: '', count: 2 },
        results: [{ name: 'read' }, { name: 'write' }],
      });
      refused(await search({ ...asked, page: { limit: 1.5 } }), '/page/limit');
      refused(await search({ ...asked, page: { limit: 1e300 } }), '/page/limit');
    });

    it('a token survives an action that comes in between', async () => {
      const { policy } = certified.gateway.services.live.snapshot;
      const token = tokenOf(await search({ ...asked, page: { limit: 1 } }));
      const type = ok(await certified.root.get('/api/v1/admin/resource-types/record')).body;
      ok(
        await certified.root.patch('/api/v1/admin/resource-types/record', {
          actions: [...type.actions, 'archive', 'share'],
        }),
      );
      await addRule(certified.root, {
        principal: 'user:alice',
        action: ['archive', 'share'],
        subject: 'record',
      });
      const { body } = await search({ ...asked, page: { token } });
      assert.deepEqual(body.results, [{ name: 'share' }]);
      await restorePolicy(certified.gateway, policy);
    });
  });

  describe('by the Host header', () => {
    /** As no client would send it. */
    const metadataOf = (url: string, headers: Record<string, string>, path = metadataPath) =>
      new Promise<{ status: number; text: string }>((resolve, reject) => {
        httpRequest(new URL(path, url), { headers }, (res) => {
          let text = '';
          res.on('data', (chunk) => {
            text += chunk;
          });
          res.on('end', () => resolve({ status: res.statusCode ?? 0, text }));
        })
          .on('error', reject)
          .end();
      });
    const poisoned = {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
      'x-forwarded-port': '666',
      forwarded: 'host=evil.example;proto=https',
    };

    it('metadata never speak of another place, with or without PUBLIC_URL', async () => {
      const { url } = certified.gateway;
      const { port } = new URL(url);
      const { text } = await metadataOf(url, poisoned);
      assert.equal(JSON.parse(text).policy_decision_point, `http://localhost:${port}`);
      assert.equal(JSON.parse(text).access_evaluation_endpoint, `http://localhost:${port}${evaluationPath}`);
      const env = { PUBLIC_URL: 'https://pdp.example.com/', TRUSTED_PROXIES: '127.0.0.1' };
      const behind = await startGateway({ env });
      const answered = await metadataOf(behind.url, poisoned);
      await behind.close();
      assert.equal(JSON.parse(answered.text).policy_decision_point, 'https://pdp.example.com');
      assert.doesNotMatch(text + answered.text, /evil|:666\b/);
    });

    it('with a path in PUBLIC_URL they are where the specification has them, and nowhere else', async () => {
      const behind = await startGateway({ env: { PUBLIC_URL: 'https://pdp.example.com/tenant1/(a)?x=1#y' } });
      const there = await metadataOf(behind.url, poisoned, `${metadataPath}/tenant1/(a)`);
      const taken = await metadataOf(behind.url, {});
      const elsewhere = await metadataOf(behind.url, {}, `${metadataPath}/tenant2`);
      await behind.close();
      const { signed_metadata: signed, ...metadata } = JSON.parse(there.text);
      const claims = JSON.parse(Buffer.from(signed.split('.')[1], 'base64url').toString());
      assert.equal(claims.policy_decision_point, 'https://pdp.example.com/tenant1/(a)');
      assert.deepEqual(metadata, {
        policy_decision_point: 'https://pdp.example.com/tenant1/(a)',
        access_evaluation_endpoint: 'https://pdp.example.com/tenant1/(a)/access/v1/evaluation',
        access_evaluations_endpoint: 'https://pdp.example.com/tenant1/(a)/access/v1/evaluations',
        search_subject_endpoint: 'https://pdp.example.com/tenant1/(a)/access/v1/search/subject',
        search_resource_endpoint: 'https://pdp.example.com/tenant1/(a)/access/v1/search/resource',
        search_action_endpoint: 'https://pdp.example.com/tenant1/(a)/access/v1/search/action',
      });
      assert.equal(taken.text, there.text);
      assert.equal(elsewhere.status, 404);
    });
  });
});
