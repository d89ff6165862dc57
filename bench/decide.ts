/** `decide` in process beside plain CASL's `can`, on the same rules and the same questions. */
import { createMongoAbility, type MongoAbility, subject } from '@casl/ability';
import { abilityCache } from '../src/decision/ability-cache.ts';
import type { AccessRequest } from '../src/decision/access-request.ts';
import { type DecisionPoint, decisionPoint } from '../src/decision/decide.ts';
import { toPlainAbility } from '../src/evaluators/casl-rules.ts';
import { makeEvaluators } from '../src/evaluators/index.ts';
import { makeAbility } from '../src/policy/ability.ts';
import { memoryCache } from '../src/storage/memory-cache.ts';
import { figure, median, printHeader, printTable, spread } from './report.ts';
import { type Asked, principal, type RuleSet, requestOf, type Shape, shapes } from './rule-sets.ts';

const SIZES = [10, 100, 1000, 10_000];
const ROUNDS = 9;
const ROUND_MS = 60;
const COLD_ROUND_MS = 100;
/** The clock is looked at after every so many questions: after each it would be a part of what is measured. */
const WARM_BATCH = 64;

/** Asks until `untilMs`; how many questions that were. */
type Run = (untilMs: number) => Promise<number> | number;

interface Case {
  set: RuleSet;
  requests: AccessRequest[];
  plainRules: ReturnType<typeof toPlainAbility>['rules'];
  tagged: [action: string, object: object][];
}

printHeader('decide: one decision in process, beside plain @casl/ability');
for (const shape of Object.keys(shapes) as Shape[]) {
  console.log(`Rules "${shape}": ${shapes[shape].meaning}.`);
  const warm: string[][] = [];
  const cold: string[][] = [];
  for (const size of SIZES) {
    const made = makeCase(shapes[shape].make(size));
    const { allowed, total } = await checkSameAnswers(made);
    const label = `${figure(size).replace('.00', '').replace('.0', '')} rules, ${Math.round((allowed / total) * 100)} % allowed`;
    warm.push(...rowsOf(label, await race(warmRuns(made), ROUND_MS)));
    cold.push(...rowsOf(label, await race(coldRuns(made), COLD_ROUND_MS)));
  }
  const heads = ['', 'ns per decision', 'spread of rounds', 'decisions/s', 'time / plain can'];
  console.log('warm');
  printTable(heads, warm);
  console.log('cold');
  printTable(heads, cold);
}

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

function newDecisionPoint(record: () => void = () => {}): DecisionPoint {
  const abilityOf = abilityCache({ shared: memoryCache() });
  return decisionPoint({ evaluators: makeEvaluators({ abilityOf }), record });
}

async function checkSameAnswers({ set, requests, plainRules, tagged }: Case) {
  const { decide } = newDecisionPoint();
  const plain = createMongoAbility(plainRules);
  let allowed = 0;
  for (const [index, request] of requests.entries()) {
    const { allow } = await decide(set.snapshot, request);
    const [action, object] = tagged[index] ?? ['', {}];
    if (allow !== plain.can(action, object)) throw new Error(`they disagree about question ${index}`);
    if (allow) allowed++;
  }
  if (allowed === 0 || allowed === requests.length) throw new Error('not a mix of allowed and denied');
  return { allowed, total: requests.length };
}

function warmRuns({ set, requests, plainRules, tagged }: Case): Record<string, Run> {
  const { snapshot, asked } = set;
  const plain: MongoAbility = createMongoAbility(plainRules);
  const bare = newDecisionPoint();
  const asker = requests[0]?.principal ?? principal(snapshot);
  return {
    'plain can': (untilMs) =>
      repeat(untilMs, tagged, WARM_BATCH, ([action, object]) => void plain.can(action, object)),
    decide: (untilMs) =>
      repeatAsync(untilMs, requests, WARM_BATCH, (request) => bare.decide(snapshot, request)),
    'resourceOf + decide': (untilMs) =>
      repeatAsync(untilMs, asked, WARM_BATCH, (one) =>
        bare.decide(snapshot, requestOf(snapshot, asker, one)),
      ),
  };
}

function coldRuns({ set, requests, plainRules, tagged }: Case): Record<string, Run> {
  const { snapshot } = set;
  let stranger = 0;
  return {
    'createMongoAbility + can': (untilMs) =>
      repeat(
        untilMs,
        tagged,
        1,
        ([action, object]) => void createMongoAbility(plainRules).can(action, object),
      ),
    decide: (untilMs) => {
      const { decide } = newDecisionPoint();
      return repeatAsync(untilMs, requests, 1, (request) =>
        decide(snapshot, { ...request, principal: principal(snapshot, ++stranger) }),
      );
    },
  };
}

function repeat<T>(
  untilMs: number,
  questions: readonly T[],
  batch: number,
  ask: (question: T) => void,
): number {
  let count = 0;
  do {
    for (const end = count + batch; count < end; ) ask(questions[count++ % questions.length] as T);
  } while (performance.now() < untilMs);
  return count;
}

async function repeatAsync<T>(
  untilMs: number,
  questions: readonly T[],
  batch: number,
  ask: (question: T) => Promise<unknown>,
): Promise<number> {
  let count = 0;
  do {
    for (const end = count + batch; count < end; ) await ask(questions[count++ % questions.length] as T);
  } while (performance.now() < untilMs);
  return count;
}

/** Each in turn, round after round, so that noise meets all of them; ns per question of each round. */
async function race(runs: Record<string, Run>, roundMs: number): Promise<Map<string, number[]>> {
  const times = new Map<string, number[]>();
  for (let round = -1; round < ROUNDS; round++) {
    for (const [name, run] of Object.entries(runs)) {
      const startedMs = performance.now();
      const count = await run(startedMs + roundMs);
      const ns = ((performance.now() - startedMs) * 1e6) / count;
      if (round >= 0) times.set(name, [...(times.get(name) ?? []), ns]);
    }
  }
  return times;
}

function rowsOf(label: string, times: Map<string, number[]>): string[][] {
  const [base] = times.values();
  return [...times].map(([name, rounds], index) => [
    `${index === 0 ? label : ''.padEnd(label.length)}  ${name}`,
    figure(median(rounds)),
    spread(rounds, figure),
    figure(1e9 / median(rounds)),
    index === 0 ? '' : figure(median(rounds) / median(base ?? [])),
  ]);
}
