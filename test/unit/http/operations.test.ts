import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { Router } from 'express';
import { makeMetrics } from '../../../src/http/metrics.ts';
import { type Check, operationsRouter, timeRequests } from '../../../src/http/operations.ts';
import { eventually } from '../../harness.ts';
import { type SmallApp, startSmallApp } from './small-app.ts';

describe('/readyz', () => {
  const checks: Check[] = [];
  let app: SmallApp;

  before(async () => {
    app = await startSmallApp({
      router: operationsRouter({ metrics: makeMetrics(), checks, refreshGauges: () => {} }),
    });
  });
  after(() => app.close());
  beforeEach(() => void checks.splice(0));

  const fine: Check = { name: 'policy', check: () => ({ ok: true, detail: 'revision 7' }) };

  it('answers 200 and what each check says while all is well', async () => {
    checks.push(fine);
    const { status, headers, body } = await app.client.get('/readyz');
    assert.equal(status, 200);
    assert.equal(headers.get('cache-control'), 'no-store');
    assert.deepEqual(body, { status: 'ok', checks: { policy: { ok: true, detail: 'revision 7' } } });
  });

  it('answers 503 and says which check failed', async () => {
    checks.push(fine, { name: 'feed', check: () => ({ ok: false, detail: 'not confirmed for 61 s' }) });
    const { status, body } = await app.client.get('/readyz');
    assert.equal(status, 503);
    assert.equal(body.status, 'unavailable');
    assert.deepEqual(body.checks.feed, { ok: false, detail: 'not confirmed for 61 s' });
    assert.equal(body.checks.policy.ok, true);
  });

  it('tells the code of what a check throws and logs the rest: no SQL, no address', async () => {
    const cause = Object.assign(new Error('SELECT 1 - connect ECONNREFUSED 10.1.2.3:5432'), {
      code: 'ECONNREFUSED',
    });
    checks.push(
      { name: 'postgres', check: () => Promise.reject(cause) },
      {
        name: 'redis',
        check: () => {
          throw new TypeError('SELECT 1');
        },
      },
    );
    const { status, body } = await app.client.get('/readyz');
    assert.equal(status, 503);
    assert.deepEqual(body.checks, {
      postgres: { ok: false, detail: 'failed: ECONNREFUSED' },
      redis: { ok: false, detail: 'failed: TypeError' },
    });
    assert.ok(
      app.logged().some(({ check, err }) => check === 'postgres' && JSON.stringify(err).includes('10.1.2.3')),
    );
  });

  it('does not wait for a check that hangs', async () => {
    checks.push({ name: 'postgres', check: () => new Promise(() => {}) });
    const { status, body } = await app.client.get('/readyz');
    assert.equal(status, 503);
    assert.deepEqual(body.checks.postgres, { ok: false, detail: 'no answer within 3000 ms' });
  });

  it('and /livez and /metrics refuse what is not a read', async () => {
    for (const path of ['/livez', '/readyz', '/metrics']) {
      const { status, headers } = await app.client.post(path, {});
      assert.equal(status, 405);
      assert.equal(headers.get('allow'), 'GET, HEAD, OPTIONS');
    }
  });

  it('leaves /livez alone: a node that cannot work is not to be killed for it', async () => {
    checks.push({ name: 'postgres', check: () => ({ ok: false }) });
    assert.equal((await app.client.get('/livez')).status, 200);
  });
});

describe('the time of requests', () => {
  it('is measured also where the client goes away, before the answer or in it, or with its turn to be answered to come', async () => {
    const metrics = makeMetrics();
    let arrived: () => void = () => {};
    const app = await startSmallApp({
      router: Router()
        .use(timeRequests(metrics), (_req, _res, next) => next(arrived()))
        .get('/whole', (_req, res) => void res.end('hi'))
        .get('/begun', (_req, res) => void res.write('hi'))
        .get('/silent', () => {}),
    });
    const counted = async () => {
      const { values } = await metrics.requestSeconds.get();
      return values
        .filter(({ metricName }) => metricName?.endsWith('_count'))
        .map(({ labels, value }) => [labels.method, labels.status, value]);
    };
    assert.equal((await app.client.get('/whole')).status, 200);
    assert.deepEqual(await counted(), [['GET', '200', 1]]);
    for (const [path, count, behind] of [
      ['/silent', 1, ''],
      ['/begun', 2, ''],
      ['/silent', 4, 'GET /whole HTTP/1.1\r\nHost: a.test\r\n\r\n'],
    ] as const) {
      const arrival = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      const socket = connect(app.port, '127.0.0.1');
      socket.write(`GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n${behind}`);
      await (path === '/silent' ? arrival : once(socket, 'data'));
      socket.destroy();
      await eventually(path, async () =>
        (await counted()).some(([, status, n]) => status === 'aborted' && n === count),
      );
    }
    await app.close();
    assert.deepEqual(await counted(), [
      ['GET', '200', 1],
      ['GET', 'aborted', 4],
    ]);
  });
});
