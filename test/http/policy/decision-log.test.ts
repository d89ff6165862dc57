import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { dropOldDecisions, makeDecisionPartitions } from '../../../src/audit/decision-partitions.ts';
import {
  anonymousClient,
  Client,
  type GatewayOptions,
  logIn,
  startGateway,
  type TestGateway,
} from '../../harness.ts';
import { addRule, allItems, assertProblem, demoId, ok, person, rulesPath, withRule } from '../admin/staff.ts';

const path = '/api/v1/admin/decisions';
const idHeader = 'castellan-decision-id';

/** What is written about a request of this id. */
async function writtenFor({ services: { db, decisionLog } }: TestGateway, requestId: string) {
  await decisionLog.flush();
  return db('decisions').where({ requestId });
}

async function countOf({ services: { db, decisionLog } }: TestGateway): Promise<number> {
  await decisionLog.flush();
  return Number((await db('decisions').count())[0]?.count);
}

async function sampleOf(gateway: TestGateway, name: string): Promise<number> {
  const { body } = await anonymousClient(gateway).get('/metrics');
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(body)?.[1]);
}

const dropped = (gateway: TestGateway) => sampleOf(gateway, 'castellan_decision_log_dropped_total');

async function withGateway<T>(
  options: GatewayOptions,
  use: (gateway: TestGateway) => Promise<T>,
): Promise<T> {
  const gateway = await startGateway(options);
  try {
    return await use(gateway);
  } finally {
    await gateway.close();
  }
}

describe('the decision log', function () {
  this.timeout(30_000);
  let gateway: TestGateway;
  let admin: Client;
  let user: Client;

  before(async () => {
    gateway = await startGateway({ env: { DECISION_LOG: 'all' } });
    admin = await logIn(gateway, 'superadmin');
    user = (await person(gateway)).client;
  });
  after(() => gateway.close());

  /** A document of nobody whom these tests know; what a request of it leaves in the log. */
  async function newDocument(columns: Record<string, unknown> = {}): Promise<string> {
    const document = {
      title: 'Logged',
      status: 'draft',
      ownerId: demoId(1),
      department: 'legal',
      ...columns,
    };
    const [row] = await gateway.services.db('documents').insert(document).returning('id');
    return row.id;
  }

  async function refusedOn(client: Client, document: string): Promise<string> {
    const answer = await client.get(`/api/v1/documents/${document}`);
    assertProblem(answer, 403, 'access_denied');
    return answer.headers.get(idHeader) ?? '';
  }

  it('finds a refusal by the id in its header, at once, with reason, facts and explanation', async () => {
    const document = await newDocument();
    const rule = {
      role: 'user',
      action: 'read',
      subject: 'document',
      inverted: true,
      priority: 5,
      conditions: { department: 'legal' },
      reason: 'Legal reads its own',
    };
    await withRule(admin, rule, async ({ id: ruleId }) => {
      const answer = await user.get(`/api/v1/documents/${document}`, { 'x-request-id': 'asked-for-legal' });
      assertProblem(answer, 403, 'access_denied');
      assert.equal(answer.body.detail, 'Legal reads its own');
      const { body } = ok(await admin.get(`${path}/${answer.headers.get(idHeader)}`));
      assert.deepEqual([body.allow, body.ruleId, body.reason], [false, ruleId, 'Legal reads its own']);
      assert.deepEqual([body.action, body.resource], ['read', `document:${document}`]);
      assert.equal(body.requestId, 'asked-for-legal');
      assert.equal(String(body.revision), answer.headers.get('castellan-revision'));
      assert.equal(body.facts.resource.department, 'legal');
      assert.deepEqual(body.facts.roles, ['user']);
      assert.equal(body.facts.context.method, 'GET');
      const [settling] = body.explanation.rules;
      assert.deepEqual([settling.id, settling.outcome], [ruleId, 'settles']);
    });
  });

  it('explains by the revision that decided, not by the rules of today', async () => {
    const document = await newDocument();
    const rule = { role: 'user', action: 'read', subject: 'document', conditions: { title: 'Another' } };
    const { id: ruleId } = await addRule(admin, rule);
    const id = await refusedOn(user, document);
    ok(await admin.patch(`${rulesPath}/${ruleId}`, { conditions: { title: 'Logged' } }));
    ok(await user.get(`/api/v1/documents/${document}`));
    const { body } = ok(await admin.get(`${path}/${id}`));
    const explained = body.explanation.rules.find((one: { id: string }) => one.id === ruleId);
    assert.equal(explained.outcome, 'not_met');
    assert.deepEqual(explained.failures[0].expected, 'Another');
    assert.equal(body.explanation.decision.allow, false);
    ok(await admin.delete(`${rulesPath}/${ruleId}`), 204);
  });

  it('tells no id where it would tell that something is there, nor to nobody', async () => {
    const document = await newDocument();
    const hiding = { databaseUrl: gateway.databaseUrl, env: { HIDE_FORBIDDEN: 'true' } };
    await withGateway(hiding, async (other) => {
      const answer = await new Client(other.url, user.token).get(`/api/v1/documents/${document}`);
      assertProblem(answer, 404, 'not_found');
      assert.equal(answer.headers.has(idHeader), false);
    });
    const nobody = await anonymousClient(gateway).get('/api/v1/documents');
    assertProblem(nobody, 401, 'unauthenticated');
    assert.equal(nobody.headers.has(idHeader), false);
  });

  it('gives the refusal of one part of a policy change an id, and logs no part that was allowed', async () => {
    const keeper = await person(gateway, { roles: ['admin'] });
    const rules = ['one', 'two'].map((id) => ({
      id: `part-${id}`,
      role: 'user',
      action: 'read',
      subject: 'document',
    }));
    const deny = { role: 'admin', action: 'create', subject: 'castellan.rule', inverted: true, priority: 9 };
    await withRule(admin, { ...deny, conditions: { id: 'part-two' } }, async () => {
      const answer = await keeper.client.post(
        '/api/v1/admin/policy/import',
        { version: 1, rules },
        {
          'x-request-id': 'import-in-parts',
        },
      );
      assertProblem(answer, 403, 'access_denied');
      const { body } = ok(await admin.get(`${path}/${answer.headers.get(idHeader)}`));
      assert.equal(body.resource, 'castellan.rule:part-two');
      const { items } = ok(
        await admin.get(`${path}?principal=user:${keeper.id}&resourceType=castellan.rule`),
      ).body;
      assert.equal(items.length, 1);
    });
  });

  it('is not filled by lists: 200 rows that may not be read leave not one entry', async () => {
    const { db } = gateway.services;
    const reader = await person(gateway);
    const rule = { principal: `user:${reader.id}`, action: 'read', subject: 'castellan.rule' };
    await withRule(admin, { ...rule, conditions: { id: 'part-of-none' } }, async () => {
      const hidden = Array.from({ length: 200 }, (_, at) => ({
        id: `hidden-${at}`,
        roleKey: 'user',
        action: '"read"',
        subject: '"document"',
      }));
      await db('rules').insert(hidden);
      const before = await countOf(gateway);
      assert.deepEqual(await allItems(reader.client, rulesPath), []);
      assert.equal(await countOf(gateway), before);
      await db('rules')
        .whereIn(
          'id',
          hidden.map(({ id }) => id),
        )
        .delete();
    });
  });

  it('holds no secret, and nothing long that no rule asks about', async () => {
    const type = {
      type: 'letter',
      actions: ['read'],
      attributes: Object.fromEntries(
        ['id', 'apiToken', 'body', 'summary'].map((name) => [name, { type: 'string' }]),
      ),
    };
    ok(await admin.post('/api/v1/admin/resource-types', type), 201);
    await addRule(admin, { role: 'user', action: 'read', subject: 'letter', conditions: { summary: 'x' } });
    const { decisions, live } = gateway.services;
    const facts = {
      id: 'l1',
      apiToken: 'cst_do-not-keep',
      body: 'b'.repeat(501),
      summary: 's'.repeat(20_000),
    };
    const request = requestAbout('letter', facts);
    const { id = '' } = await decisions.decide(live.snapshot, request);
    const { body } = ok(await admin.get(`${path}/${id}`));
    assert.deepEqual(body.facts.resource, { id: 'l1', summary: facts.summary });
    assert.deepEqual(body.omitted.sort(), ['resource.apiToken', 'resource.body']);
    const { rows } = await gateway.services.db.raw('SELECT d::text AS text FROM decisions d WHERE id = ?', [
      id,
    ]);
    assert.doesNotMatch(rows[0].text, /do-not-keep|bbbb/);
  });

  function requestAbout(type: string, attributes: Record<string, unknown>) {
    const principal = {
      type: 'user',
      id: demoId(7),
      roles: ['user'],
      attributes: {},
      ancestors: [],
      digest: randomUUID(),
    };
    return { principal, action: { name: 'read' }, resource: { type, attributes, misfits: [] }, context: {} };
  }

  it('takes texts that jsonb does not, and one row that cannot be written holds up no other', async () => {
    const { decisions, live, db, decisionLog } = gateway.services;
    const odd = await decisions.decide(
      live.snapshot,
      requestAbout('document', { title: 'a\u0000b\ud800c\\u0000' }),
    );
    const before = await dropped(gateway);
    await db.raw(
      `ALTER TABLE decisions ADD CONSTRAINT no_such CHECK (1 / CASE action WHEN 'fly' THEN 0 ELSE 1 END = 1)`,
    );
    const bad = await decisions.decide(live.snapshot, {
      ...requestAbout('document', {}),
      action: { name: 'fly' },
    });
    const good = await decisions.decide(live.snapshot, requestAbout('document', {}));
    await decisionLog.flush();
    await db.raw('ALTER TABLE decisions DROP CONSTRAINT no_such');
    const { body } = ok(await admin.get(`${path}/${odd.id}`));
    assert.equal(body.facts.resource.title, 'a\ufffdb\ufffdc\\u0000');
    ok(await admin.get(`${path}/${good.id}`));
    assertProblem(await admin.get(`${path}/${bad.id}`), 404, 'not_found');
    assert.equal(await dropped(gateway), before + 1);
  });

  describe('as a list', () => {
    it('is closed to ordinary users, its single entries too', async () => {
      const id = await refusedOn(user, await newDocument());
      assertProblem(await user.get(path), 403, 'access_denied');
      assertProblem(await user.get(`${path}/${id}`), 403, 'access_denied');
      assertProblem(await user.get(`${path}/${randomUUID()}`), 403, 'access_denied');
    });

    it('answers 404 for an id that is not there', async () => {
      assertProblem(await admin.get(`${path}/${randomUUID()}`), 404, 'not_found');
      assertProblem(await admin.get(`${path}/no-uuid`), 400, 'invalid_request', '/params/id');
    });

    it('shows the newest first, page by page, narrowed by every filter', async () => {
      const asker = await person(gateway);
      const documents = [await newDocument(), await newDocument(), await newDocument()];
      const ids = [];
      for (const document of documents) ids.push(await refusedOn(asker.client, document));
      await countOf(gateway);
      const of = `${path}?principal=user:${asker.id}`;
      const all = await allItems(admin, of, 1);
      assert.deepEqual(new Set(all.map(({ id }) => id)), new Set(ids));
      const instants = all.map(({ at }) => at);
      assert.deepEqual(instants, [...instants].sort().reverse());
      const idsOf = async (more: string) => (await allItems(admin, `${of}&${more}`)).map(({ id }) => id);
      assert.deepEqual(await idsOf(`resourceType=document&resourceId=${documents[1]}`), [ids[1]]);
      assert.equal((await idsOf('action=read&allow=false')).length, 3);
      assert.deepEqual(await idsOf('allow=true'), []);
      assert.deepEqual(await idsOf('action=update'), []);
      assert.deepEqual(await idsOf('to=2020-01-01T00:00:00Z'), []);
      assert.deepEqual(await idsOf('from=2999-01-01T00:00:00Z'), []);
      assertProblem(await admin.get(`${of}&cursor=bm8`), 400, 'invalid_request', '/query/cursor');
    });

    it('shows whoever may read some of it those entries alone, and no field beside those granted', async () => {
      await refusedOn(user, await newDocument());
      const id = await refusedOn((await person(gateway)).client, await newDocument());
      const reader = await person(gateway);
      const may = { principal: `user:${reader.id}`, action: 'read', subject: 'castellan.decision' };
      await countOf(gateway);
      const fields = ['id', 'allow', 'at'];
      await withRule(admin, { ...may, fields, conditions: { allow: false, id } }, async () => {
        const { items } = ok(await reader.client.get(path)).body;
        assert.deepEqual(items.map(Object.keys), [['id', 'at', 'allow']]);
        assert.equal(items[0].id, id);
        const { body } = ok(await reader.client.get(`${path}/${id}`));
        assert.deepEqual(Object.keys(body).sort(), [...fields].sort());
        // A filter on what may not be read would tell it.
        assert.deepEqual(ok(await reader.client.get(`${path}?action=read`)).body.items, []);
      });
      await withRule(admin, { ...may, conditions: { id: { $regex: `^${id}$` } } }, async () => {
        const { items } = ok(await reader.client.get(path)).body;
        assert.deepEqual(
          items.map((item: { id: string }) => item.id),
          [id],
        );
      });
    });
  });
});

describe('what the decision log keeps', function () {
  this.timeout(60_000);

  const asked = async (gateway: TestGateway) => {
    const { client } = await person(gateway);
    ok(
      await client.post('/api/v1/orders', { amount: 1, currency: 'EUR', region: 'EU' }, idOf('allowed')),
      201,
    );
    const refused = await client.get('/api/v1/admin/rules', idOf('refused'));
    assertProblem(refused, 403, 'access_denied');
    const kept = [
      (await writtenFor(gateway, 'allowed')).length > 0,
      (await writtenFor(gateway, 'refused')).length > 0,
    ];
    return { kept, id: refused.headers.get(idHeader) };
  };
  const idOf = (requestId: string) => ({ 'x-request-id': requestId });

  const modes: [Record<string, string>, allows: boolean, denials: boolean][] = [
    [{}, false, true],
    [{ DECISION_LOG: 'denials' }, false, true],
    [{ DECISION_LOG: 'off' }, false, false],
    [{ DECISION_LOG: 'all' }, true, true],
    [{ DECISION_LOG: 'sample', DECISION_LOG_SAMPLE: '0' }, false, true],
    [{ DECISION_LOG: 'sample', DECISION_LOG_SAMPLE: '1' }, true, true],
  ];
  for (const [env, allows, denials] of modes)
    it(`with ${JSON.stringify(env)}: allows ${allows}, denials ${denials}`, () =>
      withGateway({ env }, async (gateway) => {
        const { kept, id } = await asked(gateway);
        assert.deepEqual(kept, [allows, denials]);
        assert.equal(id !== null, denials);
      }));

  it('is written by two nodes to one table', () =>
    withGateway({}, (one) =>
      withGateway({ databaseUrl: one.databaseUrl }, async (other) => {
        const { client } = await person(one);
        const nodes = [client, new Client(other.url, client.token)];
        const refused = await Promise.all(nodes.map((node) => node.get(rulesPath)));
        await Promise.all([one.services.decisionLog.flush(), other.services.decisionLog.flush()]);
        const admin = await logIn(one, 'superadmin');
        for (const { headers } of refused) ok(await admin.get(`${path}/${headers.get(idHeader)}`));
        assert.equal((await admin.get(`${path}?action=read`)).body.items.length, 2);
      }),
    ));

  it('at the stop, is written', async () => {
    const gateway = await startGateway({ env: { DECISION_LOG_FLUSH_MS: '3600000' } });
    await withGateway({ databaseUrl: gateway.databaseUrl }, async (other) => {
      const { client } = await person(gateway);
      assertProblem(await client.get(rulesPath, idOf('last')), 403, 'access_denied');
      assert.equal(gateway.services.decisionLog.waiting, 1);
      await gateway.close();
      assert.equal((await writtenFor(other, 'last')).length, 1);
    });
  });

  it('when the table is held by somebody else, fits in the buffer; the rest is counted, and nobody waits', () =>
    withGateway({ env: { DECISION_LOG_BUFFER: '10', DECISION_LOG_FLUSH_MS: '20' } }, async (gateway) => {
      const { db, decisionLog } = gateway.services;
      const { client } = await person(gateway);
      const lock = await db.transaction();
      await lock.raw('LOCK TABLE decisions IN ACCESS EXCLUSIVE MODE');
      let left = 0;
      try {
        const startedMs = performance.now();
        for (let n = 0; n < 25; n++)
          assertProblem(await client.get(rulesPath, idOf(`held-${n}`)), 403, 'access_denied');
        assert.ok(performance.now() - startedMs < 4000, 'requests waited for the log');
        assert.ok(decisionLog.waiting <= 10);
        assert.equal(await dropped(gateway), 25 - decisionLog.waiting);
        left = decisionLog.waiting;
      } finally {
        await lock.rollback();
      }
      await decisionLog.flush();
      assert.equal(await countOf(gateway), left);
      assert.equal(await sampleOf(gateway, 'castellan_decision_log_written_total'), left);
      assert.equal(decisionLog.waiting, 0);
    }));

  it('when the table is gone, is kept in the buffer, told once, and written when it is there again', () =>
    withGateway({ env: { DECISION_LOG_FLUSH_MS: '3600000' } }, async (gateway) => {
      const { db, decisionLog } = gateway.services;
      const { client } = await person(gateway);
      await db.raw('ALTER TABLE decisions RENAME TO elsewhere');
      assertProblem(await client.get(rulesPath, idOf('patient')), 403, 'access_denied');
      await decisionLog.flush();
      await decisionLog.flush();
      assert.equal(decisionLog.waiting, 1);
      assert.equal(gateway.logged().match(/decision log cannot be written/g)?.length, 1);
      await db.raw('ALTER TABLE elsewhere RENAME TO decisions');
      assert.equal((await writtenFor(gateway, 'patient')).length, 1);
      assert.equal(await dropped(gateway), 0);
    }));

  it('goes with its day when its time is over, and not before', () =>
    withGateway({}, async ({ services: { db } }) => {
      const days = ['2025-03-01', '2025-03-02', '2025-03-03'];
      // Nodes that begin at once must not trip over each other.
      await Promise.all([makeDecisionPartitions(db, days), makeDecisionPartitions(db, days)]);
      const on = (iso: string) => dropOldDecisions(db, 30, Date.parse(iso));
      assert.deepEqual(await on('2025-03-31T23:59:59Z'), []);
      assert.deepEqual(await on('2025-04-01T00:00:00Z'), ['decisions_2025_03_01']);
      assert.deepEqual((await on('2025-04-03T00:00:00Z')).sort(), [
        'decisions_2025_03_02',
        'decisions_2025_03_03',
      ]);
    }));

  it('finds the day of an entry made where nobody made it ahead', () =>
    withGateway({}, async (gateway) => {
      await dropOldDecisions(gateway.services.db, 1, Date.now() + 10 * 24 * 3600 * 1000);
      const { client } = await person(gateway);
      assertProblem(await client.get(rulesPath, idOf('made-late')), 403, 'access_denied');
      assert.equal((await writtenFor(gateway, 'made-late')).length, 1);
    }));
});
