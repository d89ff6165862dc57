/** A second evaluator beside the first: what it says is told, and changes nothing. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, eventually, logIn, startGateway, type TestGateway } from '../../harness.ts';
import { addRule, assertProblem, demoId, ok, person, typesPath } from '../admin/staff.ts';

const path = '/api/v1/admin/decisions/disagreements';
const evaluators = {
  throws: `evaluate() { throw new Error('the shadow is down'); }`,
  hangs: `evaluate: (_s, { resource }) => resource.type === 'thing-spared' ? { allow: true } : new Promise(() => {})`,
  lies: `evaluate: (_s, { action }) => ({ allow: action.name !== 'read', ruleId: 'liars-rule', reason: 'I say so' })`,
  meddles: `evaluate(_s, request) {
    request.resource.attributes.status = 'open';
    request.principal.attributes.email = 'x@example.org';
    request.context.time = '2000-01-01T00:00:00Z';
    try { request.principal.roles.push('superadmin'); } catch {}
    return { allow: true };
  }`,
};

describe('a shadow', () => {
  const folder = mkdtempSync(join(tmpdir(), 'castellan-shadows-'));
  /** Another decision point, which fails at everything but vaults. */
  const other = createServer(async (req, res) => {
    const chunks = [];
    for await (const chunk of req) chunks.push(chunk);
    const isVault = Buffer.concat(chunks).includes('"type":"vault"');
    res.writeHead(isVault ? 200 : 500).end('{"decision":true}');
  });
  let gateway: TestGateway;
  let root: Client;

  before(async () => {
    const modules = Object.entries(evaluators).map(([name, body]) => {
      const file = join(folder, `${name}.mjs`);
      writeFileSync(file, `export default { name: '${name}', ${body} };`);
      return file;
    });
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    gateway = await startGateway({
      env: {
        AUTHZEN_REMOTE_URL: `http://127.0.0.1:${(other.address() as AddressInfo).port}`,
        EVALUATORS: modules.join(','),
        SHADOW_TIMEOUT_MS: '30',
        SHADOW_CONCURRENCY: '2',
        SHADOW_QUEUE: '3',
        DECISION_LOG: 'all',
      },
    });
    root = await logIn(gateway, 'superadmin');
    for (const name of Object.keys(evaluators)) {
      const type = {
        type: `thing-${name}`,
        actions: ['read', 'update'],
        attributes: { id: { type: 'string' }, status: { type: 'string' } },
        shadow: name,
      };
      ok(await root.post(typesPath, type), 201);
      await addRule(root, {
        role: 'user',
        action: 'read',
        subject: type.type,
        conditions: { status: 'open' },
      });
    }
  });
  after(async () => {
    await gateway.close();
    other.close();
    rmSync(folder, { recursive: true });
  });

  const ask = async (name: string, action: string, status = 'open') => {
    const subject = { type: 'user', id: demoId(3) };
    const resource = { type: `thing-${name}`, id: '1', properties: { status } };
    return ok(await root.post('/access/v1/evaluation', { subject, action: { name: action }, resource })).body;
  };
  const count = async (evaluator: string, outcome: string): Promise<number> => {
    const { body } = ok(await root.get('/metrics'));
    const line = `castellan_shadow_decisions_total{evaluator="${evaluator}",outcome="${outcome}"} `;
    return Number(body.split(line)[1]?.split('\n')[0] ?? 0);
  };
  const listed = async (name: string) => ok(await root.get(`${path}?resourceType=thing-${name}`)).body.items;

  it('that lies changes nothing; both explanations are listed, logged and counted', async () => {
    const allowed = await ask('lies', 'read');
    assert.equal(allowed.decision, true);
    assert.equal((await ask('lies', 'update')).decision, false);
    await eventually('both are counted', async () => (await count('lies', 'disagreed')) === 2);
    const [second, first] = await listed('lies');
    const { id: _id, at: _at, requestId: _request, revision: _revision, ruleId, ...rest } = first;
    assert.ok(ruleId);
    assert.deepEqual(rest, {
      principal: `user:${demoId(3)}`,
      action: 'read',
      resource: 'thing-lies:1',
      allow: true,
      reason: 'A rule allows it',
      evaluator: 'casl',
      doubt: null,
      decisionId: allowed.context.decisionId,
      shadow: { evaluator: 'lies', allow: false, ruleId: 'liars-rule', reason: 'I say so' },
    });
    assert.deepEqual([second.allow, second.shadow.allow], [false, true]);
    assert.match(gateway.logged(), /"shadow":\{"evaluator":"lies","allow":false.*the shadow disagrees/);
  });

  it('that throws fails no decision, and is in doubt', async () => {
    assert.equal((await ask('throws', 'read')).decision, true);
    assert.equal((await ask('throws', 'read', 'closed')).decision, false);
    await eventually('both are counted', async () => (await count('throws', 'doubt')) === 2);
    const found = await listed('throws');
    assert.deepEqual(
      found.map(({ shadow }: { shadow: object }) => shadow),
      [{ evaluator: 'throws', allow: false, ruleId: null, doubt: 'the shadow is down' }],
    );
  });

  it('that hangs delays no decision, and holds a bounded number of them; the rest is dropped and counted', async () => {
    const subject = { type: 'user', id: demoId(3) };
    const evaluations = Array.from({ length: 20 }, (_, at) => ({
      resource: { type: 'thing-hangs', id: String(at), properties: { status: 'open' } },
    }));
    const asked = { subject, action: { name: 'read' }, evaluations };
    const { body } = ok(await root.post('/access/v1/evaluations', asked));
    assert.ok(body.evaluations.every(({ decision }: { decision: boolean }) => decision));
    assert.equal(await count('hangs', 'dropped'), 15);
    await eventually('the others are given up', async () => (await count('hangs', 'doubt')) === 5);
  });

  it('that hangs keeps no other from being asked, nor itself about another type', async () => {
    const spared = { type: 'thing-spared', actions: ['read'], attributes: { id: { type: 'string' } } };
    ok(await root.post(typesPath, { ...spared, shadow: 'hangs' }), 201);
    const before = {
      lies: await count('lies', 'disagreed'),
      hangs: await count('hangs', 'disagreed'),
      doubt: await count('hangs', 'doubt'),
    };
    const about = (name: string, id: string) => ({
      resource: { type: `thing-${name}`, id, properties: name === 'spared' ? {} : { status: 'open' } },
    });
    const evaluations = [
      ...Array.from({ length: 20 }, (_, at) => about('hangs', String(at))),
      about('lies', '1'),
      about('spared', '1'),
    ];
    const subject = { type: 'user', id: demoId(3) };
    ok(await root.post('/access/v1/evaluations', { subject, action: { name: 'read' }, evaluations }));
    assert.equal(await count('lies', 'dropped'), 0);
    await eventually(
      'both are counted',
      async () =>
        (await count('lies', 'disagreed')) === before.lies + 1 &&
        (await count('hangs', 'disagreed')) === before.hangs + 1,
    );
    await eventually(
      'the others are given up',
      async () => (await count('hangs', 'doubt')) === before.doubt + 5,
    );
    ok(await root.delete(`${typesPath}/thing-spared`), 204);
  });

  it('that fails again and again does not keep the same engine from deciding elsewhere', async () => {
    const parts = { actions: ['read'], attributes: { id: { type: 'string' } } };
    ok(await root.post(typesPath, { type: 'thing-watched', ...parts, shadow: 'authzen-remote' }), 201);
    ok(await root.post(typesPath, { type: 'vault', ...parts, evaluator: 'authzen-remote' }), 201);
    for (let asked = 1; asked <= 6; asked++) {
      await ask('watched', 'read');
      await eventually('it is counted', async () => (await count('authzen-remote', 'doubt')) === asked);
    }
    const subject = { type: 'user', id: demoId(3) };
    const asked = { subject, action: { name: 'read' }, resource: { type: 'vault', id: '1' } };
    assert.equal(ok(await root.post('/access/v1/evaluation', asked)).body.decision, true);
    assert.match(JSON.stringify(ok(await root.get('/readyz')).body), /"authzen-remote"[^}]*"asked"/);
    ok(await root.delete(`${typesPath}/thing-watched`), 204);
  });

  it('that meddles with what it is given changes nothing of the request', async () => {
    const explained = await ask('meddles', 'read', 'closed');
    assert.equal(explained.decision, false);
    await eventually('it is counted', async () => (await count('meddles', 'disagreed')) === 1);
    const logged = ok(await root.get(`/api/v1/admin/decisions/${explained.context.decisionId}`)).body;
    assert.equal(logged.facts.resource.status, 'closed');
    assert.deepEqual(logged.facts.roles.includes('superadmin'), false);
    assert.equal((await ask('meddles', 'read')).decision, true);
  });

  it('is told of to those who may read decisions, and to nobody else', async () => {
    const { client } = await person(gateway);
    assertProblem(await client.get(path), 403, 'access_denied');
    const page = ok(await root.get(`${path}?limit=1`)).body;
    assert.equal(page.items.length, 1);
    const next = ok(await root.get(`${path}?limit=1&cursor=${page.nextCursor}`)).body;
    assert.notEqual(next.items[0].id, page.items[0].id);
    const forged = Buffer.from('["1 2"]').toString('base64url');
    assertProblem(await root.get(`${path}?cursor=${forged}`), 400, 'invalid_request', '/query/cursor');
  });

  it('is an evaluator that is there and not the first itself; left out again it is gone from the document', async () => {
    const type = `${typesPath}/thing-lies`;
    assertProblem(await root.patch(type, { shadow: 'nobody' }), 422, 'policy_invalid', '/shadow');
    assertProblem(await root.patch(type, { shadow: 'casl' }), 422, 'policy_invalid', '/shadow');
    assert.equal(ok(await root.get(type)).body.shadow, 'lies');
    const without = ok(await root.patch(type, { shadow: null })).body;
    assert.equal('shadow' in without, false);
    const counted = await count('lies', 'disagreed');
    await ask('lies', 'read');
    assert.equal(await count('lies', 'disagreed'), counted);
    const { body } = ok(await root.get('/api/v1/admin/policy/export?format=json'));
    const document = typeof body === 'string' ? JSON.parse(body) : body;
    const kept = document.resourceTypes
      .filter((one: object) => 'shadow' in one)
      .map((one: { type: string }) => one.type);
    assert.deepEqual(kept.sort(), ['thing-hangs', 'thing-meddles', 'thing-throws']);
  });

  it('attack: whoever may change types, without escalate, has everything that is asked told to an engine of their own', async () => {
    const admin = await logIn(gateway, 'admin');
    const before = gateway.services.live.snapshot.revision;
    const attempts = [
      await admin.patch(`${typesPath}/document`, { shadow: 'meddles' }),
      await admin.patch(`${typesPath}/thing-throws`, { shadow: 'meddles' }),
      await admin.patch(`${typesPath}/thing-throws`, { shadow: null }),
      await admin.post(typesPath, { type: 'thing-new', actions: ['read'], shadow: 'meddles' }),
      await admin.post('/api/v1/admin/policy/import', {
        version: 1,
        resourceTypes: [{ type: 'thing-new', actions: ['read'], shadow: 'meddles' }],
      }),
    ];
    for (const answer of attempts) assertProblem(answer, 403, 'privilege_escalation');
    assert.equal(gateway.services.live.snapshot.revision, before);
  });

  it('is none of the types that the gateway asks about itself: it would be told who everybody is', async () => {
    for (const type of ['user', 'castellan.api-key'])
      assertProblem(
        await root.patch(`${typesPath}/${type}`, { shadow: 'meddles' }),
        422,
        'policy_invalid',
        '/shadow',
      );
  });
});
