/** What Prometheus sees of this process. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Every metric, made once per process (or per app in tests). */
export function makeMetrics() {
  const registers = [new Registry()];
  const [registry] = registers as [Registry];
  collectDefaultMetrics({ register: registry, prefix: 'castellan_' });
  return {
    registry,
    decisions: new Counter({
      name: 'castellan_decisions_total',
      help: 'Decisions by outcome and evaluator',
      labelNames: ['outcome', 'evaluator'],
      registers,
    }),
    decisionSeconds: new Histogram({
      name: 'castellan_decision_seconds',
      help: 'Time a decision took',
      labelNames: ['evaluator'],
      buckets: [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1],
      registers,
    }),
    abilityLookups: new Counter({
      name: 'castellan_ability_lookups_total',
      help: 'Where abilities were found: process, redis, or made',
      labelNames: ['tier'],
      registers,
    }),
    revision: new Gauge({
      name: 'castellan_policy_revision',
      help: 'Revision in force on this node',
      registers,
    }),
    policyFailures: new Counter({
      name: 'castellan_policy_failures_total',
      help: 'Published revisions that this node could not put in force',
      registers,
    }),
    feedLagSeconds: new Gauge({
      name: 'castellan_feed_lag_seconds',
      help: 'Time since the change log was last read',
      registers,
    }),
    listening: new Gauge({
      name: 'castellan_feed_listening',
      help: '1 while the NOTIFY connection is up',
      registers,
    }),
    redisUp: new Gauge({
      name: 'castellan_redis_up',
      help: '1 while Redis answers; absent where none is configured',
      registers: [],
    }),
    logins: new Counter({
      name: 'castellan_logins_total',
      help: 'Logins by outcome',
      labelNames: ['outcome'],
      registers,
    }),
    requestSeconds: new Histogram({
      name: 'castellan_http_request_seconds',
      help: 'Time a request took',
      labelNames: ['method', 'status'],
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
      registers,
    }),
  };
}

export type Metrics = ReturnType<typeof makeMetrics>;
