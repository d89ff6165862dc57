/** Requests that are let in for what they say of themselves: that they are a health check, or of the house. */
import assert from 'node:assert/strict';
import { rawRequest } from '../../http/gateway/upstream.ts';
import { assertRefused } from './arrived.ts';
import { field } from './field.ts';

const probes = [
  ...[
    'GoogleHC/1.0',
    'kube-probe/1.31',
    'ELB-HealthChecker/2.0',
    'Amazon-Route53-Health-Check-Service',
    'Envoy/HC',
    'HAProxy',
  ],
  ...['Consul Health Check', 'Prometheus/3.0.0', 'Traefik', 'UptimeRobot/2.0', 'Castellan', 'node', ''],
];

describe('health-check User-Agent (GHSA-5hvv-m4w4-gf6v)', () => {
  before(field);

  it('lets nobody in: neither the agent, nor a header, nor a word in the query says who asks', async () => {
    const { attack } = await field();
    const said = [
      'X-Health-Check: 1',
      'X-Probe: readiness',
      'Purpose: prefetch',
      'X-Internal: true',
      'X-Forwarded-For: 127.0.0.1',
      'X-Remote-User: root',
      'Via: castellan',
    ];
    for (const header of [...probes.map((agent) => `User-Agent: ${agent}`), ...said])
      for (const target of ['/admin', '/files/a', '/admin?/livez', '/files/healthz'])
        assertRefused(
          await attack(rawRequest(target, { headers: [header] })),
          `${target} with ${header}`,
          401,
        );
  });

  it('what is told to probes is told at their paths alone, and nothing of an upstream', async () => {
    const { attack } = await field();
    for (const target of ['/livez', '/readyz']) {
      const { status, arrived } = await attack(rawRequest(target));
      assert.equal(status, 200);
      assert.deepEqual(arrived, []);
    }
    for (const target of ['/ping', '/health', '/healthz', '/ready', '/livez/x', '/livezx'])
      assertRefused(
        await attack(rawRequest(target, { headers: ['User-Agent: kube-probe/1.31'] })),
        target,
        404,
      );
  });
});
