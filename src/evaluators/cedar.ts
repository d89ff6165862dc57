/** The evaluator `cedar`: Cedar's own engine decides, by policies that are part of the revision. */
import type { AccessRequest } from '../decision/access-request.ts';
import type { Evaluator, Verdict } from '../decision/evaluator.ts';
import { isSafePath } from '../policy/condition.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { type CedarPolicies, cedarPoliciesOf, withPolicies } from './cedar-policies.ts';
import { couldApply } from './cedar-possible.ts';
import { cedarRequest } from './cedar-request.ts';

/** What Cedar says of a request, with what it says it by. */
export interface CedarAnswer {
  allow: boolean;
  /** The policies that determine it, by id. */
  determining: { id: string; effect: 'permit' | 'forbid'; reason?: string }[];
  errors: { id: string; message: string }[];
}

export function cedarEvaluator(): Evaluator {
  return {
    name: 'cedar',
    evaluate: (snapshot, request) => verdictOf(askCedar(snapshot, request)),
    permittedFields: (snapshot, request, fields) =>
      // Cedar has no fields: who may do it may do it to all of them.
      new Set(verdictOf(askCedar(snapshot, request)).allow ? fields.filter(isSafePath) : []),
    possible: (snapshot, principal, action, type) => {
      const policies = cedarPoliciesOf(snapshot);
      return [...policies.statements.values()].some((statement) =>
        couldApply(statement, { snapshot, principal, action, type, policies }),
      );
    },
  };
}

/** Puts the request to Cedar. Throws where it has no answer. */
export function askCedar(snapshot: Snapshot, request: AccessRequest): CedarAnswer {
  const policies = cedarPoliciesOf(snapshot);
  if (policies.statements.size === 0) return { allow: false, determining: [], errors: [] };
  const { entities, ...asked } = cedarRequest(snapshot, request, policies);
  const answer = withPolicies(policies, (cedar) =>
    cedar.statefulIsAuthorized({
      ...asked,
      entities,
      preparsedPolicySetId: policies.slot,
      ...(policies.schema !== undefined && { preparsedSchemaName: policies.slot, validateRequest: true }),
    }),
  );
  if (answer.type === 'failure')
    throw new Error(
      `Cedar does not take the request: ${answer.errors.map(({ message }) => message).join('; ')}`,
    );
  const { decision, diagnostics } = answer.response;
  return {
    allow: decision === 'allow',
    determining: diagnostics.reason.toSorted().map((id) => determining(id, policies)),
    errors: diagnostics.errors.map(({ policyId, error }) => ({ id: policyId, message: error.message })),
  };
}

function determining(id: string, { statements }: CedarPolicies): CedarAnswer['determining'][number] {
  const { effect = 'forbid', reason } = statements.get(id) ?? {};
  return { id, effect, ...(reason !== undefined && { reason }) };
}

/**
 * Cedar passes over a policy that it cannot evaluate, were it a forbid. Here any such error denies: as doubt, unless a
 * forbid denies anyway. Throws in doubt.
 */
function verdictOf({ allow, determining, errors }: CedarAnswer): Verdict {
  const [first] = determining;
  const [error] = errors;
  if (error && (allow || !first))
    throw new Error(`Cedar could not evaluate the policy ${error.id}: ${error.message}`);
  if (!first) return { allow: false, ruleId: null };
  const { id: ruleId, reason } = determining.find((policy) => policy.reason !== undefined) ?? first;
  return { allow, ruleId, ...(reason !== undefined && { reason }) };
}
