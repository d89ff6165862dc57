/** `decide` in process beside plain CASL's `can`, on the same rules and the same questions. */
import { createMongoAbility, subject } from '@casl/ability';
import { abilityCache } from '../src/decision/ability-cache.ts';
import type { AccessRequest } from '../src/decision/access-request.ts';
import { type DecisionPoint, decisionPoint } from '../src/decision/decide.ts';
import { toPlainAbility } from '../src/evaluators/casl-rules.ts';
import { makeEvaluators } from '../src/evaluators/index.ts';
import { makeMetrics } from '../src/http/metrics.ts';
import { makeAbility } from '../src/policy/ability.ts';
import { memoryCache } from '../src/storage/memory-cache.ts';
import { figure, median, printHeader, printTable, ratio, spread } from './report.ts';
import { type Run, takeTurns } from './rounds.ts';
import { type Asked, principal, type RuleSet, requestOf, type Shape, shapes } from './rule-sets.ts';

const SIZES = [10, 100, 1000, 10_000];
/** Many short rounds: those that something else on the machine falls into do not move the median. */
const ROUNDS = 25;
const ROUND_MS = 12;
/** The clock is looked at after so many questions: after each it would be a part of what is measured. */
const BATCH = 64;
/** Principals never seen before, made for a cold round before its clock starts. */
const STRANGERS = 200;

/** A rule set, and its questions as each side takes them. */
interface Case {
  set: RuleSet;
  requests: AccessRequest[];
  plainRules: ReturnType<typeof toPlainAbility>['rules'];
  tagged: [action: string, object: object][];
}

printHeader(
  'decide: CPU time of one decision in process beside plain @casl/ability, with the same rules and questions',
);
for (const [shape, { meaning }] of Object.entries(shapes)) {
  console.log(`Rules "${shape}": ${meaning}.`);
  const cases = new Map(SIZES.map((size) => [size, makeCase(shapes[shape as Shape].make(size))]));
  const shares = await Promise.all([...cases.values()].map(allowedShare));
  console.log(
    `Allowed of the questions: ${shares.map((share) => `${Math.round(share * 100)} %`).join(', ')}.\n`,
  );
  await compare('warm', cases, warmRuns);
  await compare('cold', cases, coldRuns);
}
process.exit(0);

function makeCase(set: RuleSet): Case {
  const { snapshot, asked } = set;
  const asker = principal(snapshot);
  const plain = toPlainAbility(makeAbility(snapshot, asker, Date.now()), snapshot.types);
  if (plain.serverOnly.length > 0) throw new Error('plain CASL cannot say all of these rules');
  return {
    set,
    requests: asked.map((one) => requestOf(snapshot, asker, one)),
    plainRules: plain.rules,
    tagged: asked.map((one) => [one.action, tag(one)]),
  };
}

/** What plain CASL is asked about: attributes as the rules compare them, tagged with their type. */
function tag({ type, object }: Asked): object {
  const { createdAt, ...rest } = object;
  return subject(type, { ...rest, ...(createdAt instanceof Date && { createdAt: createdAt.toISOString() }) });
}

/** Makes sure that both sides give the same answers, some of each, before anything is timed. */
async function allowedShare({ set, requests, plainRules, tagged }: Case): Promise<number> {
  const { decide } = newDecisionPoint();
  const plain = createMongoAbility(plainRules);
  const answers = await Promise.all(requests.map((request) => decide(set.snapshot, request)));
  for (const [index, [action, object]] of tagged.entries()) {
    if (answers[index]?.allow !== plain.can(action, object))
      throw new Error(`they disagree about question ${index} of ${plainRules.length} rules`);
  }
  const allowed = answers.filter(({ allow }) => allow).length;
  if (allowed === 0 || allowed === answers.length) throw new Error('not a mix of allowed and denied');
  return allowed / answers.length;
}

function newDecisionPoint(metrics?: ReturnType<typeof makeMetrics>): DecisionPoint {
  const abilityOf = abilityCache({
    shared: memoryCache(),
    onLookup: (tier) => metrics?.abilityLookups.add(tier),
  });
  return decisionPoint({
    evaluators: makeEvaluators({ abilityOf }),
    record: ({ decision: { allow }, evaluator, durationMs }) => {
      metrics?.decisions.add(allow ? 'allow' : 'deny', evaluator);
      if (durationMs !== undefined) metrics?.decisionSeconds.observe({ evaluator }, durationMs / 1000);
    },
  });
}

/** One principal asks on and on. */
function warmRuns({ set: { snapshot, asked }, requests, plainRules, tagged }: Case): Record<string, Run> {
  const plain = createMongoAbility(plainRules);
  const { decide } = newDecisionPoint();
  const counted = newDecisionPoint(makeMetrics());
  const asker = principal(snapshot);
  return {
    'plain can': (ms) => nsEach(ms, tagged, ([action, object]) => plain.can(action, object)),
    decide: (ms) => nsEachAwaited(ms, requests, (request) => decide(snapshot, request)),
    'decide, counted for /metrics': (ms) =>
      nsEachAwaited(ms, requests, (request) => counted.decide(snapshot, request)),
    "resourceOf (the caller's object cleaned), decide": (ms) =>
      nsEachAwaited(ms, asked, (one) => decide(snapshot, requestOf(snapshot, asker, one))),
  };
}

/** Each question by somebody never seen: their rules are found, settled and compiled. */
function coldRuns({ set: { snapshot }, requests, plainRules, tagged }: Case): Record<string, Run> {
  let strangers = 0;
  return {
    'createMongoAbility, can': (ms) =>
      nsEach(ms, tagged, ([action, object]) => createMongoAbility(plainRules).can(action, object), {
        batch: 1,
      }),
    'decide, principal never seen': (ms) => {
      const { decide } = newDecisionPoint();
      const unseen = requests
        .slice(0, STRANGERS)
        .map((request) => ({ ...request, principal: principal(snapshot, ++strangers) }));
      return nsEachAwaited(ms, unseen, (request) => decide(snapshot, request), { batch: 1, once: true });
    },
  };
}

interface Asking {
  batch?: number;
  /** No question is asked twice: it ends when there is none left. */
  once?: boolean;
}

/** CPU time for each question, in ns: what else the machine does in between is not counted. */
function nsEach<T>(
  ms: number,
  questions: readonly T[],
  ask: (question: T) => unknown,
  { batch = BATCH }: Asking = {},
): number {
  const untilMs = performance.now() + ms;
  const started = process.cpuUsage();
  let count = 0;
  do {
    for (const end = count + batch; count < end; ) ask(questions[count++ % questions.length] as T);
  } while (performance.now() < untilMs);
  return cpuNs(started) / count;
}

async function nsEachAwaited<T>(
  ms: number,
  questions: readonly T[],
  ask: (question: T) => unknown,
  { batch = BATCH, once = false }: Asking = {},
): Promise<number> {
  const untilMs = performance.now() + ms;
  const started = process.cpuUsage();
  let count = 0;
  do {
    for (const end = count + batch; count < end; ) {
      const answer = ask(questions[count++ % questions.length] as T);
      // As every caller does: what is there already is not waited for.
      if (answer instanceof Promise) await answer;
    }
  } while (performance.now() < untilMs && !(once && count >= questions.length));
  return cpuNs(started) / count;
}

function cpuNs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) * 1000;
}

/** Prints a table; the first of the runs is what the others are held against. */
async function compare(
  title: string,
  cases: ReadonlyMap<number, Case>,
  runsOf: (made: Case) => Record<string, Run>,
): Promise<void> {
  const rows: string[][] = [];
  for (const [size, made] of cases) {
    const results = await takeTurns(runsOf(made), { rounds: ROUNDS, roundMs: ROUND_MS });
    const [base = []] = Object.values(results);
    for (const [name, ns] of Object.entries(results)) {
      rows.push([
        ns === base ? size.toLocaleString('en') : '',
        name,
        figure(median(ns)),
        spread(ns),
        figure(Math.min(...ns)),
        figure(1e9 / median(ns)),
        ns === base ? '' : figure(ratio(ns, base)),
        ns === base ? '' : figure(Math.min(...ns) / Math.min(...base)),
      ]);
    }
  }
  printTable(
    [
      `${title}: rules`,
      '',
      'ns each',
      'most rounds',
      'fastest',
      'per second',
      'time / plain',
      'fastest / plain',
    ],
    rows,
    { texts: 2 },
  );
}
