/** The only road to a decision. */
import type { Snapshot } from '../policy/snapshot.ts';
import type { AccessRequest } from './access-request.ts';
import type { Decision } from './decision.ts';
import type { Evaluator, Verdict } from './evaluator.ts';

/**
 * Whether the decision log hears of it, beside what its settings say: a question that only narrows a list is no access
 * ('never'); of one that is asked of each part of a change, only the refusal is ('denied').
 */
export type Logging = 'never' | 'denied';

/** What is told of each decision, for metrics and the decision log. */
export interface DecisionRecord {
  snapshot: Snapshot;
  request: AccessRequest;
  decision: Decision;
  evaluator: string;
  /** Of every `TIMED_EVERY`th decision; reading the clock twice takes as long as a third of deciding. */
  durationMs: number | undefined;
  /** Set when it was denied because of doubt, not by a rule. */
  doubt: unknown;
  logging: Logging | undefined;
}

export interface DecideOptions {
  evaluators: ReadonlyMap<string, Evaluator>;
  /** Told of each decision; the id by which it will be found in the decision log, where it is kept. */
  record(entry: DecisionRecord): string | undefined;
}

export interface DecisionPoint {
  /** Decides under one snapshot, at once where the evaluator does. Never throws: any doubt denies. */
  decide(snapshot: Snapshot, request: AccessRequest, logging?: Logging): Decision | Promise<Decision>;
  /** Those of `fields` that the request may touch; none in doubt. */
  permittedFields(
    snapshot: Snapshot,
    request: AccessRequest,
    fields: readonly string[],
  ): Promise<Set<string>>;
  /** Whether the principal could ever do it to some resource of the type; false in doubt. */
  possible(
    snapshot: Snapshot,
    request: Pick<AccessRequest, 'principal'>,
    action: string,
    type: string,
  ): boolean | Promise<boolean>;
}

/** One question on its way. */
interface Asked {
  snapshot: Snapshot;
  request: AccessRequest;
  evaluator: string;
  startedMs: number | undefined;
  logging: Logging | undefined;
}

const DENIED: Verdict = { allow: false, ruleId: null };
const TIMED_EVERY = 16;

export function decisionPoint({ evaluators, record }: DecideOptions): DecisionPoint {
  /** The evaluator for a type and action that the policy knows; throws otherwise. */
  const evaluatorFor = (snapshot: Snapshot, typeName: string, action: string): Evaluator => {
    const type = snapshot.types.get(typeName);
    if (!type) throw new Error(`unknown resource type ${typeName}`);
    if (!type.actions.includes(action)) throw new Error(`${typeName} has no action ${action}`);
    const evaluator = evaluators.get(type.evaluator);
    if (!evaluator) throw new Error(`no evaluator ${type.evaluator}`);
    return evaluator;
  };
  const certain = (snapshot: Snapshot, { resource, action, doubt }: AccessRequest): Evaluator => {
    const evaluator = evaluatorFor(snapshot, resource.type, action.name);
    if (doubt !== undefined) throw new Error(doubt);
    if (resource.misfits.length > 0)
      throw new Error(`attributes of the wrong type: ${resource.misfits.join(', ')}`);
    return evaluator;
  };
  let decided = 0;
  const conclude = (
    { snapshot, request, evaluator, startedMs, logging }: Asked,
    verdict: Verdict,
    doubt: unknown,
  ): Decision => {
    const allow = verdict.allow === true;
    const decision: Decision = {
      allow,
      reason: verdict.reason ?? defaultReason(allow, verdict.ruleId, doubt),
      ruleId: verdict.ruleId,
      revision: snapshot.revision,
    };
    const durationMs = startedMs === undefined ? undefined : performance.now() - startedMs;
    const id = record({ snapshot, request, decision, evaluator, durationMs, doubt, logging });
    if (id !== undefined) decision.id = id;
    return decision;
  };
  return {
    decide: (snapshot, request, logging) => {
      const startedMs = decided++ % TIMED_EVERY === 0 ? performance.now() : undefined;
      const asked: Asked = { snapshot, request, evaluator: 'none', startedMs, logging };
      try {
        const evaluator = certain(snapshot, request);
        asked.evaluator = evaluator.name;
        const verdict = evaluator.evaluate(snapshot, request);
        if (!(verdict instanceof Promise)) return conclude(asked, verdict, undefined);
        return verdict.then(
          (given) => conclude(asked, given, undefined),
          (doubt) => conclude(asked, DENIED, doubt),
        );
      } catch (doubt) {
        return conclude(asked, DENIED, doubt);
      }
    },
    permittedFields: async (snapshot, request, fields) => {
      try {
        return await certain(snapshot, request).permittedFields(snapshot, request, fields);
      } catch {
        return new Set();
      }
    },
    possible: (snapshot, { principal }, action, type) => {
      try {
        const possible = evaluatorFor(snapshot, type, action).possible(snapshot, principal, action, type);
        return possible instanceof Promise ? possible.catch(() => false) : possible;
      } catch {
        return false;
      }
    },
  };
}

/** What is said where an evaluator has no words. */
const unsaid = {
  doubt: 'The decision is in doubt, so it is denied',
  allowed: 'A rule allows it',
  denied: 'A rule denies it',
  noRule: 'No rule allows it',
};
const unsaidReasons = new Set(Object.values(unsaid));

/** Whether the reason of a decision is what its evaluator said. */
export function isSaid(reason: string): boolean {
  return !unsaidReasons.has(reason);
}

function defaultReason(allow: boolean, ruleId: string | null, doubt: unknown): string {
  if (doubt) return unsaid.doubt;
  if (allow) return unsaid.allowed;
  return ruleId ? unsaid.denied : unsaid.noRule;
}
