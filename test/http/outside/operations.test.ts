import assert from 'node:assert/strict';
import { type CutProxy, startCutProxy } from '../../cut-proxy.ts';
import {
  anonymousClient,
  eventually,
  logIn,
  makeDatabase,
  startGateway,
  type TestGateway,
} from '../../harness.ts';

/** The samples of a Prometheus text: `name{labels}` -> value. */
function samplesOf(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

describe('what operators see', () => {
  let gateway: TestGateway;

  before(async () => {
    gateway = await startGateway();
  });
  after(() => gateway.close());

  const metrics = async () => samplesOf((await anonymousClient(gateway).get('/metrics')).body);
  const sum = (samples: Map<string, number>, start: string) =>
    [...samples].filter(([name]) => name.startsWith(start)).reduce((total, [, value]) => total + value, 0);

  it('/livez answers as long as the process does', async () => {
    const { status, body } = await anonymousClient(gateway).get('/livez');
    assert.deepEqual({ status, body }, { status: 200, body: { status: 'ok' } });
  });

  it('/readyz says of each part that it works, and which revision is in force', async () => {
    const { status, body } = await anonymousClient(gateway).get('/readyz');
    assert.equal(status, 200);
    assert.equal(body.status, 'ok');
    assert.equal(body.checks.postgres.ok, true);
    assert.match(body.checks.policy.detail, /^revision \d+$/);
    assert.match(body.checks.feed.detail, /listening/);
  });

  it('/metrics counts logins by outcome', async () => {
    const before = await metrics();
    await logIn(gateway, 'editor');
    await assert.rejects(logIn(gateway, 'editor', 'not the password'));
    const after = await metrics();
    const grown = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0);
    assert.equal(grown('castellan_logins_total{outcome="ok"}'), 1);
    assert.equal(grown('castellan_logins_total{outcome="refused"}'), 1);
  });

  it('/metrics counts decisions by outcome and evaluator, times them, and says where abilities were found', async () => {
    const before = await metrics();
    const author = await logIn(gateway, 'author');
    const made = await author.post('/api/v1/documents', { title: 'Counted' });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const path = `/api/v1/documents/${made.body.id}`;
    assert.equal((await author.get(path)).status, 200);
    assert.equal((await (await logIn(gateway, 'user')).get(path)).status, 403);
    const after = await metrics();
    const grown = (start: string) => sum(after, start) - sum(before, start);
    assert.ok(grown('castellan_decisions_total{outcome="allow",evaluator="casl"}') >= 2);
    assert.ok(grown('castellan_decisions_total{outcome="deny",evaluator="casl"}') >= 1);
    for (let decided = 0; decided < 16; decided++) await author.get(path);
    const timed = await metrics();
    const timedMore = (name: string) => (timed.get(name) ?? 0) - (before.get(name) ?? 0);
    assert.ok(timedMore('castellan_decision_seconds_count{evaluator="casl"}') >= 1, 'every 16th is timed');
    assert.ok(timedMore('castellan_decision_seconds_sum{evaluator="casl"}') > 0);
    assert.ok(grown('castellan_ability_lookups_total{tier="made"}') >= 2);
    assert.ok(grown('castellan_ability_lookups_total{tier="process"}') >= 1);
  });

  it('/metrics says the revision in force, the lag of the feed, and how long requests took', async () => {
    const admin = await logIn(gateway, 'superadmin');
    const rule = { id: 'measured', role: 'everyone', action: 'read', subject: 'order' };
    const { status, body } = await admin.post('/api/v1/admin/rules', rule);
    assert.equal(status, 201, JSON.stringify(body));
    const shown = await admin.get('/api/v1/admin/rules/measured');
    const samples = await metrics();
    const revision = samples.get('castellan_policy_revision');
    assert.equal(revision, Number(shown.headers.get('castellan-revision')));
    assert.ok(revision && revision > 1);
    const lag = samples.get('castellan_feed_lag_seconds');
    assert.ok(lag !== undefined && lag >= 0 && lag < 10, `a lag of ${lag} s`);
    assert.equal(samples.get('castellan_feed_listening'), 1);
    assert.ok((samples.get('castellan_http_request_seconds_count{method="GET",status="200"}') ?? 0) > 0);
    assert.ok([...samples.keys()].some((name) => name.startsWith('castellan_process_cpu')));
  });

  it('/metrics names nobody: no account, no path, no address is in a label', async () => {
    const text: string = (await anonymousClient(gateway).get('/metrics')).body;
    assert.doesNotMatch(text, /@|\/api\/|127\.0\.0\.1/);
  });
});

describe('a node whose database is gone', () => {
  let gateway: TestGateway;
  let proxy: CutProxy;

  before(async () => {
    const url = new URL(await makeDatabase());
    proxy = await startCutProxy({ host: url.hostname, port: Number(url.port || 5432) });
    url.hostname = '127.0.0.1';
    url.port = String(proxy.port);
    const env = { POLICY_STALE_SECONDS: '1', POLICY_POLL_MS: '100' };
    gateway = await startGateway({ databaseUrl: url.href, env });
  });
  after(async () => {
    proxy.heal();
    await gateway.close();
    await proxy.close();
  });

  const ready = () => anonymousClient(gateway).get('/readyz');

  it('says so in /readyz, and says nothing of where it is or what was asked', async () => {
    assert.equal((await ready()).status, 200);
    proxy.cut();
    const { status, body } = await ready();
    assert.equal(status, 503);
    assert.equal(body.checks.postgres.ok, false);
    assert.match(body.checks.postgres.detail, /^(failed: \w+|no answer within \d+ ms)$/);
    assert.doesNotMatch(JSON.stringify(body), /SELECT|127\.0\.0\.1/i);
  });

  it('says after a while that its policy is not confirmed, answers 503 instead of deciding, and stays alive', async () => {
    const detail = await eventually('a stale policy', async () => {
      const { policy } = (await ready()).body.checks;
      return policy.ok ? undefined : String(policy.detail);
    });
    assert.match(detail, /^not confirmed for \d+ s$/);
    const { status, body } = await anonymousClient(gateway).get('/api/v1/documents');
    assert.deepEqual({ status, code: body.code }, { status: 503, code: 'policy_stale' });
    assert.equal((await anonymousClient(gateway).get('/livez')).status, 200);
  });

  it('is ready again by itself', async () => {
    proxy.heal();
    await eventually('readiness', async () => (await ready()).status === 200, 10_000);
  });
});
