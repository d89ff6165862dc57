/** What Prometheus sees of this process. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** A counter for what happens at every request. */
export class Tally<Label extends string> {
  readonly name: string;
  readonly #counts: Counts = new Map();
  readonly #labelNames: readonly Label[];

  constructor(name: string, help: string, labelNames: readonly Label[], registers: Registry[]) {
    this.name = name;
    this.#labelNames = labelNames;
    const tell = (counter: Counter) => {
      counter.reset();
      tellAll(this.#counts, [], (values, count) =>
        counter.inc(
          Object.fromEntries(this.#labelNames.map((label, at) => [label, values[at] ?? ''])),
          count,
        ),
      );
    };
    new Counter({
      name,
      help,
      labelNames: [...labelNames],
      registers,
      collect() {
        tell(this);
      },
    });
  }

  /** One more, of these values of the labels, in their order. prom-client would hash them, which takes longer than a decision. */
  add(...values: string[]): void {
    let counts = this.#counts;
    const last = values.length - 1;
    for (let at = 0; at < last; at++) {
      const value = values[at] ?? '';
      let below = counts.get(value);
      if (!(below instanceof Map)) {
        below = new Map();
        counts.set(value, below);
      }
      counts = below;
    }
    const value = values[last] ?? '';
    const count = counts.get(value);
    counts.set(value, typeof count === 'number' ? count + 1 : 1);
  }
}

type Counts = Map<string, number | Counts>;

function tellAll(counts: Counts, above: string[], tell: (values: string[], count: number) => void): void {
  for (const [value, below] of counts) {
    if (typeof below === 'number') tell([...above, value], below);
    else tellAll(below, [...above, value], tell);
  }
}

/** Every metric, made once per process (or per app in tests). */
export function makeMetrics() {
  const registers = [new Registry()];
  const [registry] = registers as [Registry];
  collectDefaultMetrics({ register: registry, prefix: 'castellan_' });
  return {
    registry,
    decisions: new Tally(
      'castellan_decisions_total',
      'Decisions by outcome and evaluator',
      ['outcome', 'evaluator'],
      registers,
    ),
    decisionSeconds: new Histogram({
      name: 'castellan_decision_seconds',
      help: 'Time a decision took, of every 16th',
      labelNames: ['evaluator'],
      buckets: [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1],
      registers,
    }),
    decisionLogWritten: new Counter({
      name: 'castellan_decision_log_written_total',
      help: 'Decisions written to the decision log',
      registers,
    }),
    decisionLogDropped: new Counter({
      name: 'castellan_decision_log_dropped_total',
      help: 'Decisions that were to be kept and are lost',
      registers,
    }),
    decisionLogWaiting: new Gauge({
      name: 'castellan_decision_log_waiting',
      help: 'Decisions that wait to be written',
      registers,
    }),
    shadowDecisions: new Counter({
      name: 'castellan_shadow_decisions_total',
      help: 'What shadows said: agreed, disagreed, were in doubt, or were dropped unasked',
      labelNames: ['evaluator', 'outcome'],
      registers,
    }),
    remoteCalls: new Counter({
      name: 'castellan_authzen_remote_calls_total',
      help: 'Calls to the other decision point: answered, failed, or refused by the open circuit',
      labelNames: ['outcome'],
      registers,
    }),
    abilityLookups: new Tally(
      'castellan_ability_lookups_total',
      'Where abilities were found: process, redis, or made',
      ['tier'],
      registers,
    ),
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
    issuersFailing: new Gauge({
      name: 'castellan_issuers_failing',
      help: 'Trusted issuers whose keys could not be had when they were last asked for',
      registers,
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
