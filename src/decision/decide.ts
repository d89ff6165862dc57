/** The only road to a decision. */
import type { Snapshot } from '../policy/snapshot.ts';
import type { AccessRequest } from './access-request.ts';
import type { Decision } from './decision.ts';
import type { Evaluator } from './evaluator.ts';

/** What is told of each decision, for metrics and the decision log. */
export interface DecisionRecord {
  request: AccessRequest;
  decision: Decision;
  evaluator: string;
  durationMs: number;
  /** Set when it was denied because of doubt, not by a rule. */
  doubt: unknown;
}

export interface DecideOptions {
  evaluators: ReadonlyMap<string, Evaluator>;
  record(entry: DecisionRecord): void;
}

export interface DecisionPoint {
  /** Decides under one snapshot. Never throws: any doubt denies. */
  decide(snapshot: Snapshot, request: AccessRequest): Promise<Decision>;
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
  ): Promise<boolean>;
}

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
  const certain = (snapshot: Snapshot, { resource, action }: AccessRequest): Evaluator => {
    const evaluator = evaluatorFor(snapshot, resource.type, action.name);
    if (resource.misfits.length > 0)
      throw new Error(`attributes of the wrong type: ${resource.misfits.join(', ')}`);
    return evaluator;
  };
  return {
    decide: async (snapshot, request) => {
      const startedMs = performance.now();
      let name = 'none';
      let doubt: unknown;
      let verdict: { allow: boolean; ruleId: string | null; reason?: string } = {
        allow: false,
        ruleId: null,
      };
      try {
        const evaluator = certain(snapshot, request);
        name = evaluator.name;
        const given = evaluator.evaluate(snapshot, request);
        // To await what is there already takes as long as all the rest.
        verdict = 'then' in given ? await given : given;
      } catch (cause) {
        doubt = cause;
      }
      const decision: Decision = {
        allow: verdict.allow === true,
        reason: verdict.reason ?? defaultReason(verdict, doubt),
        ruleId: verdict.ruleId,
        revision: snapshot.revision,
      };
      record({ request, decision, evaluator: name, durationMs: performance.now() - startedMs, doubt });
      return decision;
    },
    permittedFields: async (snapshot, request, fields) => {
      try {
        return await certain(snapshot, request).permittedFields(snapshot, request, fields);
      } catch {
        return new Set();
      }
    },
    possible: async (snapshot, { principal }, action, type) => {
      try {
        return await evaluatorFor(snapshot, type, action).possible(snapshot, principal, action, type);
      } catch {
        return false;
      }
    },
  };
}

function defaultReason(verdict: { allow: boolean; ruleId: string | null }, doubt: unknown): string {
  if (doubt) return 'The decision is in doubt, so it is denied';
  if (verdict.allow) return 'A rule allows it';
  return verdict.ruleId ? 'A rule denies it' : 'No rule allows it';
}
