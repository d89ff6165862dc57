/** Two gateways: one hands what is decided about a resource type to the other. */
import assert from 'node:assert/strict';
import { type Client, logIn, startGateway, type TestGateway } from '../../harness.ts';
import { mint } from '../admin/keys.ts';
import { addRule, demoId, fresh, ok, rulesPath, typesPath } from '../admin/staff.ts';
import { actionSearchPath, evaluationPath, evaluationsPath } from './fixture.ts';

const editor = { type: 'user', id: demoId(3) };
const memo = (id: string, properties: object = {}) => ({ type: 'memo', id, properties });
const type = {
  type: 'memo',
  actions: ['read', 'archive'],
  attributes: { id: { type: 'string' }, status: { type: 'string' } },
};

describe('a resource type that another Castellan decides about', () => {
  let far: TestGateway;
  let near: TestGateway;
  let farRoot: Client;
  let nearRoot: Client;
  let keyId: string;

  before(async () => {
    far = await startGateway();
    farRoot = await logIn(far, 'superadmin');
    ok(await farRoot.post(typesPath, type), 201);
    await addRule(farRoot, {
      id: 'live-memos',
      role: 'editor',
      action: 'read',
      subject: 'memo',
      conditions: { status: 'live' },
    });
    await addRule(farRoot, {
      id: 'no-archive',
      role: 'editor',
      action: 'archive',
      subject: 'memo',
      inverted: true,
      reason: 'Memos are kept',
    });
    const role = { key: fresh('asks'), name: 'Asks', description: '', inherits: [] };
    ok(await farRoot.post('/api/v1/admin/roles', role), 201);
    await addRule(farRoot, { role: role.key, action: 'evaluate', subject: 'castellan.decision' });
    const { id, token } = await mint(far, farRoot, { roles: [role.key] });
    keyId = id;
    near = await startGateway({
      env: {
        AUTHZEN_REMOTE_URL: far.url,
        AUTHZEN_REMOTE_AUTHORIZATION: `Bearer ${token}`,
        DECISION_LOG: 'all',
      },
    });
    nearRoot = await logIn(near, 'superadmin');
    ok(await nearRoot.post(typesPath, { ...type, evaluator: 'authzen-remote' }), 201);
    // Here a rule allows everything: that it is not asked is what these tests are about.
    await addRule(nearRoot, { role: 'everyone', action: 'manage', subject: 'memo' });
  });
  after(async () => {
    await near.close();
    await far.close();
  });

  const ask = async (body: object) => ok(await nearRoot.post(evaluationPath, body)).body;
  const calls = async () => {
    const { body } = ok(await nearRoot.get('/metrics'));
    const line = /^castellan_authzen_remote_calls_total\{outcome="answered"\} (\d+)$/m.exec(body);
    return Number(line?.[1] ?? 0);
  };

  it('is allowed and denied by the rules over there, with its words and its rule', async () => {
    const live = await ask({
      subject: editor,
      action: { name: 'read' },
      resource: memo('1', { status: 'live' }),
    });
    assert.equal(live.decision, true);
    assert.equal(live.context.ruleId, 'remote:live-memos');
    const old = await ask({
      subject: editor,
      action: { name: 'read' },
      resource: memo('1', { status: 'old' }),
    });
    assert.equal(old.decision, false);
    const kept = await ask({ subject: editor, action: { name: 'archive' }, resource: memo('1') });
    assert.deepEqual(kept.context.reason_user, { 403: 'Memos are kept' });
    assert.equal(kept.context.reason_admin[403], 'rule remote:no-archive denies it');
  });

  it('is asked about once in a batch, and once in a search for actions', async () => {
    const before = await calls();
    const evaluations = ['live', 'old', 'live'].map((status, at) => ({
      resource: memo(String(at), { status }),
    }));
    const { body } = ok(
      await nearRoot.post(evaluationsPath, { subject: editor, action: { name: 'read' }, evaluations }),
    );
    assert.deepEqual(
      body.evaluations.map(({ decision }: { decision: boolean }) => decision),
      [true, false, true],
    );
    assert.equal(await calls(), before + 1);
    const found = ok(
      await nearRoot.post(actionSearchPath, { subject: editor, resource: memo('1', { status: 'live' }) }),
    );
    assert.deepEqual(found.body.results, [{ name: 'read' }]);
    assert.equal(await calls(), before + 2);
  });

  it('has all fields or none, without a second call', async () => {
    const before = await calls();
    const principal = { type: 'user', id: editor.id };
    const explained = async (status: string) => {
      const resource = { type: 'memo', id: '1', status };
      const { body } = ok(
        await nearRoot.post('/api/v1/admin/policy/explain', { principal, action: 'read', resource }),
      );
      return [body.decision.allow, body.fields];
    };
    assert.deepEqual(await explained('live'), [true, { id: true, status: true }]);
    assert.deepEqual(await explained('old'), [false, { id: false, status: false }]);
    assert.equal(await calls(), before + 2);
  });

  it('is denied in doubt, told why, when the other does not know who we are any more', async () => {
    ok(await farRoot.delete(`/api/v1/admin/api-keys/${keyId}`), 204);
    const denied = await ask({
      subject: editor,
      action: { name: 'read' },
      resource: memo('1', { status: 'live' }),
    });
    assert.equal(denied.decision, false);
    const logged = ok(await nearRoot.get(`/api/v1/admin/decisions/${denied.context.decisionId}`)).body;
    assert.equal(logged.doubt, 'the other decision point: it answered 401');
    assert.equal(logged.evaluator, 'authzen-remote');
    assert.match(
      ok(await nearRoot.get('/metrics')).body,
      /castellan_decisions_total\{outcome="doubt",evaluator="authzen-remote"\} 1/,
    );
  });

  it('is denied on a node that has no other decision point, which says so', async () => {
    const alone = await startGateway({ databaseUrl: near.databaseUrl });
    try {
      const root = await logIn(alone, 'superadmin');
      const asked = { subject: editor, action: { name: 'read' }, resource: memo('1', { status: 'live' }) };
      assert.equal(ok(await root.post(evaluationPath, asked)).body.decision, false);
      assert.match(
        alone.logged(),
        /AUTHZEN_REMOTE_URL is not set, so everything about memo is denied on this node/,
      );
      const ready = ok(await root.get('/readyz')).body;
      assert.match(JSON.stringify(ready), /AUTHZEN_REMOTE_URL is not set, so everything about memo/);
    } finally {
      await alone.close();
    }
  });

  it('is none of the types that the gateway asks about itself: another engine could lock everybody out', async () => {
    const answer = await nearRoot.patch(`${typesPath}/castellan.rule`, { evaluator: 'authzen-remote' });
    assert.equal(answer.status, 422);
    assert.match(answer.body.detail, /must stay casl/);
    assert.equal((await nearRoot.get(rulesPath)).status, 200);
  });
});
