/** What the decision point answers beyond the certification scenario: reasons, stored facts, semantics, the log. */
import assert from 'node:assert/strict';
import { eventually, logIn } from '../../harness.ts';
import { addRule, demoId, ok, restorePolicy, withRule } from '../admin/staff.ts';
import {
  actionSearchPath,
  alice,
  bob,
  type Certified,
  evaluationPath,
  evaluationsPath,
  read,
  record1,
  startCertified,
  write,
} from './fixture.ts';

const editor = { type: 'user', id: demoId(3) };

describe('the decision point', () => {
  let certified: Certified;
  before(async () => {
    certified = await startCertified({ DECISION_LOG: 'all', DECISION_LOG_FLUSH_MS: '20' });
  });
  after(() => certified.gateway.close());

  const evaluate = async (body: object) => ok(await certified.root.post(evaluationPath, body)).body;
  const evaluateAll = async (body: object) =>
    ok(await certified.root.post(evaluationsPath, body)).body.evaluations;
  const idOf = async (title: string): Promise<string> =>
    (await certified.gateway.services.db('documents').where({ title }).first('id')).id;

  it('says which rule of which revision decided, and why, to either side', async () => {
    const { revision } = certified.gateway.services.live.snapshot;
    const document = { type: 'document', id: await idOf('House style') };
    const denied = await evaluate({ subject: editor, action: { name: 'delete' }, resource: document });
    const { decisionId, ...context } = denied.context;
    assert.equal(denied.decision, false);
    assert.deepEqual(context, {
      reason_admin: { 403: 'rule nobody-deletes-published denies it' },
      reason_user: { 403: 'Published documents are archived, not deleted' },
      ruleId: 'nobody-deletes-published',
      revision,
    });
    assert.match(decisionId, /^[0-9a-f-]{36}$/);
    const allowed = await evaluate({ subject: editor, action: read, resource: document });
    assert.equal(allowed.decision, true);
    assert.match(allowed.context.reason_admin[200], /^rule \S+ allows it$/);
    const none = await evaluate({ subject: bob, action: write, resource: record1 });
    assert.deepEqual(none.context.reason_admin, { 403: 'No rule allows it' });
    assert.equal('ruleId' in none.context, false);
  });

  it('says what is not known, and denies it with 200', async () => {
    const asked = { subject: alice, action: read, resource: record1 };
    const unknown = '7b0e3c5a-5f0f-4d0e-9f6b-0d6a1d2f3c4b';
    const why = async (part: object) => {
      const { decision, context } = await evaluate({ ...asked, ...part });
      assert.equal(decision, false);
      return context.reason_admin[403];
    };
    const root = { type: 'user', id: demoId(1) };
    assert.equal(await why({ resource: { type: 'planet', id: '1' } }), 'planet is not a known resource type');
    assert.equal(await why({ action: { name: 'fly' } }), 'fly is not a known action of record');
    assert.equal(
      await why({ subject: { type: 'user', id: 'carol' } }),
      'nothing is known of the subject user:carol',
    );
    assert.equal(
      await why({ subject: { type: 'robot', id: '1' } }),
      'nothing is known of the subject robot:1',
    );
    assert.equal(
      await why({ subject: { type: 'user', id: demoId(8) } }),
      `the account user:${demoId(8)} is deactivated`,
    );
    const documents = { subject: root, resource: { type: 'document', id: unknown } };
    assert.equal(await why(documents), `there is no document ${unknown}`);
    assert.equal(
      await why({ ...documents, resource: { type: 'document', id: 'x' } }),
      'there is no document x',
    );
    assert.equal(
      await why({ resource: { ...record1, properties: { status: 5 } } }),
      'of the resource, status do not fit what is declared',
    );
    assert.equal(
      await why({ subject: { ...alice, properties: { role: 5 } } }),
      'of the subject, role do not fit what is declared',
    );
    assert.equal(
      await why({ context: { time: 'soon', ip: 5 } }),
      'of the context, time, ip do not fit what is declared',
    );
  });

  it('fills in what is stored of accounts and rows, whatever the case of their ids', async () => {
    const [interview, price] = [await idOf('Interview'), await idOf('Price list')];
    const subject = { type: 'user', id: editor.id.toUpperCase() };
    const isTrue = async (asked: object) =>
      assert.equal((await evaluate(asked)).decision, true, JSON.stringify(asked));
    const isFalse = async (asked: object) => assert.equal((await evaluate(asked)).decision, false);
    const update = { name: 'update' };
    await isTrue({ subject, action: update, resource: { type: 'document', id: interview.toUpperCase() } });
    await isFalse({ subject, action: update, resource: { type: 'document', id: price } });
    // For this question only.
    const properties = { department: 'editorial', status: 'review' };
    await isTrue({ subject, action: update, resource: { type: 'document', id: price, properties } });
    await isFalse({ subject, action: update, resource: { type: 'document', id: price } });
    const admin = { type: 'user', id: demoId(2) };
    await isTrue({ subject: admin, action: read, resource: { type: 'user', id: editor.id } });
    await isTrue({
      subject: admin,
      action: read,
      resource: { type: 'castellan.rule', id: 'superadmin-everything' },
    });
    await isFalse({ subject: admin, action: read, resource: { type: 'castellan.rule', id: 'no-such-rule' } });
  });

  it('decides about what is about to be made by its properties', async () => {
    const subject = { type: 'user', id: demoId(7) };
    const order = (createdBy: string) => ({
      type: 'order',
      id: 'new',
      properties: { createdBy, status: 'open' },
    });
    const create = { name: 'create' };
    assert.equal((await evaluate({ subject, action: create, resource: order(demoId(7)) })).decision, true);
    assert.equal((await evaluate({ subject, action: create, resource: order(demoId(6)) })).decision, false);
  });

  it('takes the facts of the request from the context that was sent, never from who asks', async () => {
    const resource = { type: 'document', id: await idOf('Interview'), properties: { status: 'review' } };
    const asked = { subject: editor, action: { name: 'publish' }, resource };
    assert.equal((await evaluate(asked)).decision, false); // although it is asked from 127.0.0.1
    assert.equal((await evaluate({ ...asked, context: { ip: '10.1.2.3' } })).decision, true);
    assert.equal((await evaluate({ ...asked, context: { ip: '203.0.113.1' } })).decision, false);
    const closing = { ip: '10.1.2.3', time: '2025-12-31T12:00:00Z' };
    const rule = {
      role: 'everyone',
      action: 'publish',
      subject: 'document',
      inverted: true,
      when: { 'context.time': { $lt: '2026-01-01T00:00:00Z' } },
    };
    await withRule(certified.root, rule, async () => {
      assert.equal((await evaluate({ ...asked, context: closing })).decision, false);
    });
  });

  it('stops where the semantic says', async () => {
    const items = [{ action: read }, { action: write }, { action: read }, {}, 'no object', { action: null }];
    const decisions = async (evaluations_semantic?: string, evaluations: unknown[] = items) =>
      (
        await evaluateAll({ subject: bob, resource: record1, evaluations, options: { evaluations_semantic } })
      ).map(({ decision }: { decision: boolean }) => decision);
    assert.deepEqual(await decisions(), [true, false, true, false, false, false]);
    assert.deepEqual(await decisions('execute_all'), [true, false, true, false, false, false]);
    assert.deepEqual(await decisions('deny_on_first_deny'), [true, false]);
    assert.deepEqual(await decisions('permit_on_first_permit'), [true]);
    assert.deepEqual(await decisions('deny_on_first_deny', [{ action: read }, {}, { action: read }]), [
      true,
      false,
    ]);
    assert.deepEqual(
      await decisions('permit_on_first_permit', [{}, { action: write }, { action: read }, {}]),
      [false, false, true],
    );
    for (const options of [
      { evaluations_semantic: 'first' },
      { evaluations_semantic: 1 },
      [],
      'execute_all',
    ]) {
      const body = { subject: bob, resource: record1, evaluations: items, options };
      assert.equal((await certified.root.post(evaluationsPath, body)).status, 400);
    }
    const more = { evaluations_semantic: 'execute_all', another_option: 'value' };
    const body = { subject: bob, action: read, resource: record1, evaluations: [{}], options: more };
    assert.equal((await evaluateAll(body)).length, 1);
  });

  it('says in its place what is wrong with a bad evaluation, and refuses what is wrong for all', async () => {
    const [good, without, wrong, ...noObjects] = await evaluateAll({
      subject: alice,
      action: read,
      evaluations: [{ resource: record1 }, {}, { resource: { type: 'record' } }, 5, null, []],
    });
    assert.equal(good.decision, true);
    assert.deepEqual(without, {
      decision: false,
      context: { error: { status: 400, message: 'resource missing, here and at the top' } },
    });
    assert.deepEqual(wrong.context.error, { status: 400, message: '"resource.id" is required' });
    for (const { context } of noObjects)
      assert.deepEqual(context.error, { status: 400, message: 'the item must be an object' });
    assert.equal(noObjects.length, 3);
    for (const part of [
      { subject: 'alice' },
      { subject: { type: 'user' } },
      { context: [] },
      { evaluations: {} },
    ]) {
      const body = { subject: alice, action: read, evaluations: [{ resource: record1 }], ...part };
      assert.equal((await certified.root.post(evaluationsPath, body)).status, 400, JSON.stringify(part));
    }
  });

  it('decides a whole batch by one revision, though the policy changes meanwhile', async () => {
    const evaluations = Array.from({ length: 1000 }, () => ({}));
    const body = { subject: alice, action: read, resource: record1, evaluations };
    const [answer] = await Promise.all([
      evaluateAll(body),
      addRule(certified.root, { principal: 'user:alice', action: 'read', subject: 'order' }),
    ]);
    const revisions = new Set(
      answer.map(({ context }: { context: { revision: number } }) => context.revision),
    );
    assert.equal(revisions.size, 1);
  });

  it('is decided at the revision asked for, or not at all', async () => {
    const body = { subject: alice, action: read, resource: record1 };
    const { revision } = certified.gateway.services.live.snapshot;
    const at = (n: number) =>
      certified.root.post(evaluationPath, body, { 'castellan-min-revision': String(n) });
    assert.equal((await at(revision)).headers.get('castellan-revision'), String(revision));
    assert.equal((await at(revision + 1)).body.code, 'revision_not_reached');
  });

  it('follows a change of the policy with the next question', async () => {
    const { policy } = certified.gateway.services.live.snapshot;
    const asked = { subject: bob, action: write, resource: record1 };
    assert.equal((await evaluate(asked)).decision, false);
    await addRule(certified.root, { principal: 'user:bob', action: 'write', subject: 'record' });
    assert.equal((await evaluate(asked)).decision, true);
    await restorePolicy(certified.gateway, policy);
    assert.equal((await evaluate(asked)).decision, false);
  });

  it('leaves its decisions in the decision log, and a search none', async () => {
    const { db } = certified.gateway.services;
    const headers = { 'x-request-id': 'asked-by-a-service' };
    await certified.root.post(evaluationPath, { subject: editor, action: read, resource: record1 }, headers);
    const search = { 'x-request-id': 'searched-by-a-service' };
    await certified.root.post(actionSearchPath, { subject: alice, resource: record1 }, search);
    const row = await eventually('the row', () =>
      db('decisions').where({ requestId: 'asked-by-a-service', resourceType: 'record' }).first(),
    );
    assert.deepEqual(
      [row.principalType, row.principalId, row.action, row.resourceId, row.allow],
      ['user', editor.id, 'read', 'record-1', false],
    );
    const found = await db('decisions').where({ requestId: 'searched-by-a-service', resourceType: 'record' });
    assert.deepEqual(found, []);
  });

  it('finds actions that evaluate to true, and all of them', async () => {
    const resource = { type: 'document', id: await idOf('Interview') };
    const context = { ip: '10.1.2.3' };
    for (const n of [1, 2, 3, 4, 5, 6, 7]) {
      const subject = { type: 'user', id: demoId(n) };
      const { body } = await certified.root.post(actionSearchPath, { subject, resource, context });
      const names = body.results.map(({ name }: { name: string }) => name);
      const { actions } = ok(await certified.root.get('/api/v1/admin/resource-types/document')).body;
      for (const name of actions)
        assert.equal(
          (await evaluate({ subject, action: { name }, resource, context })).decision,
          names.includes(name),
        );
    }
  });

  it('answers the same as the gateway itself does', async () => {
    const client = await logIn(certified.gateway, 'editor');
    const { body } = await client.get('/api/v1/documents');
    const shown = new Set(body.items.map(({ id }: { id: string }) => id));
    const ids: string[] = await certified.gateway.services.db('documents').pluck('id');
    const evaluations = ids.map((id) => ({ resource: { type: 'document', id } }));
    const answers = await evaluateAll({ subject: editor, action: read, evaluations });
    for (const [at, id] of ids.entries()) assert.equal(answers[at].decision, shown.has(id));
  });
});
