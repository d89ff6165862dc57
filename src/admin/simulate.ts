/** `POST /admin/policy/simulate`: a draft beside what is live, before anybody publishes it. */
import Joi from 'joi';
import { anonymous } from '../decision/access-request.ts';
import { type AccountFacts, accountAttributes, accountPrincipal } from '../decision/principals.ts';
import { type CaseResult, type DecisionsAt, runCases } from '../decision/run-cases.ts';
import { type Effect, isNoEffect, simulation } from '../decision/simulate.ts';
import type { Sources } from '../enforcement/source.ts';
import { AppError, policyInvalid } from '../errors.ts';
import { ACCOUNT_TYPE } from '../policy/built-in.ts';
import { countDiff, describeDiff, diffPolicies } from '../policy/diff.ts';
import type { LivePolicy } from '../policy/live-policy.ts';
import type { Policy } from '../policy/policy.ts';
import { locateInDocument } from '../policy/publish.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Database } from '../storage/postgres.ts';
import { casesBrokenBy } from './broken-cases.ts';
import { type Examined, eachActiveAccount } from './each-account.ts';
import { type Flips, flippedDecisions } from './flipped-decisions.ts';
import { type SampleChanges, sampleChanges } from './sample-changes.ts';

export interface SimulateOptions {
  db: Database;
  sources: Sources;
  before: Snapshot;
  after: Snapshot;
  decisionsAt: DecisionsAt;
  /** How many logged decisions are decided again; 0: none. */
  decisions: number;
  /** Whether whoever asks may read all of an account, a row or a logged decision: of others nothing is told, not even how many. */
  mayRead(resource: string, attributes: object): Promise<boolean>;
  /** Told after each batch of accounts. */
  onProgress?(examined: number, total: number): void;
}

export interface PrincipalEffect extends Effect {
  account: AccountFacts;
  /** Of the sample resources of affected types: which they could act on only afterwards, and only before. */
  samples: SampleChanges[];
}

export interface Simulation {
  revision: number;
  changes: { added: number; changed: number; removed: number };
  summary: string[];
  /** Active accounts: how many there are, were looked at, may not be read by whoever asks, and gain or lose something. */
  accounts: Examined & { withheld: number; affected: number };
  /** Some of the affected; who they are is told by whoever shows them. */
  principals: PrincipalEffect[];
  /** What whoever is not identified gains and loses. */
  anonymous: Effect;
  roles: ({ role: string } & Effect)[];
  cases: {
    id: string;
    before: 'passed' | 'failed' | 'new';
    after: 'passed' | 'failed' | 'gone';
    message?: string;
  }[];
  decisions: Flips;
}

const MOST_LISTED = 100;
const MOST_LINES = 1000;

/** The draft compiled as the revision that it would be. Throws `policy_invalid`, pointers into the draft. */
export function compileDraft(live: LivePolicy, before: Snapshot, after: Policy, draft: Policy): Snapshot {
  try {
    return live.compile(after, before.revision + 1);
  } catch (cause) {
    if (!(cause instanceof AppError && cause.problems)) throw cause;
    const locate = locateInDocument(draft);
    throw policyInvalid(cause.problems.map((problem) => locate(problem, after)));
  }
}

/** Everything that changes for somebody. */
export async function simulate(options: SimulateOptions): Promise<Simulation> {
  const { before, after } = options;
  const atMs = Date.now();
  const diff = diffPolicies(before.policy, after.policy);
  const simulated = simulation({ before, after, atMs });
  const { accounts, principals } = await effectsOnAccounts(options, simulated);
  return {
    revision: before.revision,
    changes: countDiff(diff),
    summary: describeDiff(diff).slice(0, MOST_LINES),
    accounts,
    principals,
    anonymous: simulated.effectOn(() => anonymous) ?? { gains: [], losses: [] },
    roles: simulated.isEmpty ? [] : await simulated.effectsOnRoles(),
    cases: flippedCases(
      await runCases(before.policy.cases, before, options.decisionsAt),
      await runCases(after.policy.cases, after, options.decisionsAt),
      await casesBrokenBy(options, { before, after, diff }),
    ),
    decisions: await flippedDecisions(options),
  };
}

async function effectsOnAccounts(options: SimulateOptions, simulated: ReturnType<typeof simulation>) {
  const { db, before } = options;
  const principals: PrincipalEffect[] = [];
  let [affected, withheld] = [0, 0];
  const look = async (account: AccountFacts) => {
    // Asked of each, affected or not: otherwise the number would tell what an attribute is that may not be read.
    if (!(await options.mayRead(ACCOUNT_TYPE, accountAttributes(account)))) {
      withheld++;
      return;
    }
    const effect = simulated.effectOn((snapshot) => accountPrincipal(account, snapshot));
    if (!effect || isNoEffect(effect)) return;
    affected++;
    if (principals.length >= MOST_LISTED) return;
    const samples = await sampleChanges(options, accountPrincipal(account, before), effect);
    principals.push({ account, ...effect, samples });
  };
  const examined = await eachActiveAccount(db, simulated.isEmpty ? async () => {} : look, options.onProgress);
  return { accounts: { ...examined, withheld, affected }, principals };
}

/** The cases whose outcome is not what it was, or will not be when a rule begins or ends, or that guard against being taken out. */
function flippedCases(
  before: readonly CaseResult[],
  after: readonly CaseResult[],
  broken: readonly CaseResult[],
): Simulation['cases'] {
  const word = ({ passed }: CaseResult): 'passed' | 'failed' => (passed ? 'passed' : 'failed');
  const was = new Map(before.map((result) => [result.id, result]));
  const is = new Set(after.map(({ id }) => id));
  const gone = before.filter(({ id }) => !is.has(id));
  const failing = new Map(broken.map((result) => [result.id, result]));
  return [
    ...after.flatMap((now): Simulation['cases'] => {
      const old = was.get(now.id);
      const result = now.passed ? (failing.get(now.id) ?? now) : now;
      if (old && old.passed === result.passed) return [];
      const { id, message } = result;
      return [{ id, before: old ? word(old) : 'new', after: word(result), ...(message && { message }) }];
    }),
    ...gone.map((result) => {
      const message = failing.get(result.id)?.message;
      return { id: result.id, before: word(result), after: 'gone' as const, ...(message && { message }) };
    }),
  ];
}

const reachChange = Joi.object({
  resource: Joi.string(),
  action: Joi.string(),
  before: Joi.string(),
  after: Joi.string(),
  rules: Joi.array().items(Joi.string()),
  from: Joi.date().iso(),
});
const effect = { gains: Joi.array().items(reachChange), losses: Joi.array().items(reachChange) };

export const simulationShape = Joi.object({
  revision: Joi.number().integer(),
  changes: Joi.object({ added: Joi.number(), changed: Joi.number(), removed: Joi.number() }),
  summary: Joi.array().items(Joi.string()),
  accounts: Joi.object({
    total: Joi.number(),
    examined: Joi.number(),
    sampled: Joi.boolean(),
    withheld: Joi.number(),
    affected: Joi.number(),
  }),
  principals: Joi.array().items(
    Joi.object({
      principal: Joi.object().unknown(true),
      ...effect,
      samples: Joi.array().items(Joi.object().unknown(true)),
    }),
  ),
  anonymous: Joi.object(effect),
  roles: Joi.array().items(Joi.object({ role: Joi.string(), ...effect })),
  cases: Joi.array().items(Joi.object().unknown(true)),
  decisions: Joi.object({
    examined: Joi.number(),
    flips: Joi.array().items(Joi.object().unknown(true)),
  }).unknown(true),
});
