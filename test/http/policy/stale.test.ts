/** A node that cannot confirm which policy is in force stops deciding: 503 policy_stale, never an older answer. */
import assert from 'node:assert/strict';
import { AppError } from '../../../src/errors.ts';
import { type CutProxy, startCutProxy } from '../../cut-proxy.ts';
import { anonymousClient, eventually, startGateway, type TestGateway } from '../../harness.ts';
import { addRule, assertProblem, ok, person, rulesPath } from '../admin/staff.ts';
import { addRoutes, sendRaw, startUpstream, statusOf } from '../gateway/upstream.ts';

const documents = '/api/v1/documents';
const env = { POLICY_STALE_SECONDS: '1', POLICY_POLL_MS: '50' };

describe('a node whose poll fails', () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await startGateway({ env });
  });
  after(() => gateway.close());

  it('stops deciding within the time of the setting, says so, and goes on when the poll succeeds again', async () => {
    const { db } = gateway.services;
    const root = (await person(gateway, { roles: ['superadmin'] })).client;
    const { id, title } = await db('documents').where({ status: 'published' }).first();
    const ready = () => anonymousClient(gateway).get('/readyz');
    ok(await root.get(documents));
    assert.equal((await ready()).status, 200);

    await db.raw('ALTER TABLE changes RENAME TO changes_out_of_reach');
    try {
      await eventually('it stops deciding', async () => (await root.get(documents)).status === 503);
      for (const path of [
        documents,
        `${documents}/${id}`,
        '/api/v1/orders',
        rulesPath,
        '/api/v1/me/ability',
      ]) {
        const answer = await root.get(path);
        assertProblem(answer, 503, 'policy_stale');
        assert.equal(answer.headers.get('retry-after'), '1');
      }
      assertProblem(await root.patch(`${documents}/${id}`, { title: 'x' }), 503, 'policy_stale');
      assert.equal((await db('documents').where({ id }).first()).title, title);
      const health = await ready();
      assert.equal(health.status, 503);
      assert.match(JSON.stringify(health.body), /not confirmed for/);
      // What needs no decision is answered.
      ok(await root.get('/api/v1/me'));
      ok(await anonymousClient(gateway).get('/livez'));
    } finally {
      await db.raw('ALTER TABLE changes_out_of_reach RENAME TO changes');
    }
    await eventually('it decides again', async () => (await root.get(documents)).status === 200);
    assert.equal((await ready()).status, 200);
  });
});

describe('a node behind which there are services, and whose poll fails', () => {
  it('sends them nothing, opens no WebSocket, and closes those that are open', async () => {
    const gateway = await startGateway({ env: { ...env, TRUSTED_PROXIES: '127.0.0.1' } });
    const upstream = await startUpstream();
    let upgrades = 0;
    upstream.server.on('upgrade', (_req, socket) => {
      upgrades++;
      socket.on('error', () => {}).pipe(socket);
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    });
    const { db, upgrades: open } = gateway.services;
    const root = (await person(gateway, { roles: ['superadmin'] })).client;
    const document = { resource: 'document', action: 'read' };
    const toUpstream = { upstream: { targets: [upstream.url], webSocket: true } };
    await addRoutes(root, [
      { id: 'routed', path: '/routed', ...document, ...toUpstream },
      { id: 'for-all', path: '/for-all', methods: ['GET', 'POST'], public: true, ...toUpstream },
    ]);
    ok(await root.get('/routed'));
    const upgrade =
      'GET /for-all HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
    const first = sendRaw(gateway.url, upgrade);
    await eventually('it is open', () => upgrades === 1 && open.size === 1);
    await db.raw('ALTER TABLE changes RENAME TO changes_out_of_reach');
    try {
      await eventually('it stops deciding', async () => (await root.get(documents)).status === 503);
      const count = upstream.seen.length;
      for (const [method, path] of [
        ['GET', '/routed'],
        ['GET', '/for-all'],
        ['POST', '/for-all'],
      ] as const) {
        const answer = await root.send(method, path, method === 'POST' ? { title: 'x' } : undefined);
        assertProblem(answer, 503, 'policy_stale');
        assert.equal(answer.headers.get('retry-after'), '1');
        assert.equal(answer.headers.get('castellan-assertion'), null);
      }
      const asked = { 'x-original-method': 'GET', 'x-original-url': 'http://a.test/routed' };
      const refused = await root.get('/forward-auth/nginx', asked);
      assert.deepEqual([refused.status, refused.headers.get('castellan-assertion')], [403, '']);
      assert.equal(statusOf(await sendRaw(gateway.url, upgrade)), 503);
      await open.look();
      assert.equal(statusOf(await first), 101);
      assert.deepEqual([upstream.seen.length, upgrades], [count, 1]);
    } finally {
      await db.raw('ALTER TABLE changes_out_of_reach RENAME TO changes');
    }
    await eventually('it decides again', async () => (await root.get('/routed')).status === 200);
    await gateway.close();
    await upstream.close();
  });
});

describe('a node that is cut off from the database', () => {
  let here: TestGateway;
  let away: TestGateway;
  let wire: CutProxy;
  before(async () => {
    here = await startGateway();
    const url = new URL(here.databaseUrl);
    wire = await startCutProxy({ host: url.hostname, port: Number(url.port) });
    url.hostname = '127.0.0.1';
    url.port = String(wire.port);
    away = await startGateway({ databaseUrl: url.href, env });
  });
  after(async () => {
    wire.heal();
    await away.close();
    await wire.close();
    await here.close();
  });

  for (const failure of ['cut', 'stall'] as const)
    it(`(${failure}) gives no answer of a revision that was replaced, once it is stale, and the new one as soon as it is back`, async () => {
      const { db } = here.services;
      const root = (await person(here, { roles: ['superadmin'] })).client;
      const keeper = await person(away);
      const rule = await addRule(root, {
        principal: `user:${keeper.id}`,
        action: 'read',
        subject: 'castellan.rule',
      });
      // Answered from memory alone: a rule that is none needs nothing from the database.
      const ask = () => keeper.client.post(`${rulesPath}/validate`, {});
      await eventually('the other node has the rule', async () => (await ask()).status === 200);

      wire[failure]();
      ok(await root.delete(`${rulesPath}/${rule.id}`), 204);
      const replaced = here.services.live.snapshot.revision - 1;
      try {
        await eventually('it stops deciding', async () => isStale(away));
        // Policy_stale, or unavailable where the feed noticed a gap, for then who asks is read anew.
        for (let again = 0; again < 10; again++) assert.equal((await ask()).status, 503);
      } finally {
        wire.heal();
      }
      const answer = await eventually(
        'it decides again',
        async () => {
          const found = await ask();
          assert.notEqual(found.status, 200, 'it was answered by the rule that is gone');
          return found.status === 403 ? found : undefined;
        },
        15_000,
      );
      assert.ok(Number(answer.headers.get('castellan-revision')) > replaced);
      assert.equal(
        Number((await db('revisions').max('number as number').first())?.number),
        away.services.live.snapshot.revision,
      );
    });
});

/** Whether the node itself says that it may decide no more: what it answers may have other reasons. */
function isStale({ services: { live } }: TestGateway): boolean {
  try {
    live.pin();
    return false;
  } catch (cause) {
    return cause instanceof AppError && cause.code === 'policy_stale';
  }
}
