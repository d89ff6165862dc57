/** Decisions as AuthZEN tells them. */
import type { AccessRequest } from '../decision/access-request.ts';
import { isSaid } from '../decision/decide.ts';
import type { Decision } from '../decision/decision.ts';
import type { Snapshot } from '../policy/snapshot.ts';

/** Section 5.5. */
export interface DecisionMessage {
  decision: boolean;
  context: Record<string, unknown>;
}

/**
 * The decision with its reasons, by status as the specification shows them (section 5.5.2): the words of the rule's author
 * are for whoever asked the application, what settled it is for those who keep the policy.
 */
export function answerOf(snapshot: Snapshot, request: AccessRequest, decision: Decision): DecisionMessage {
  const { allow, ruleId, revision, id } = decision;
  const status = allow ? '200' : '403';
  const words = wordsOf(snapshot, request, decision);
  return {
    decision: allow,
    context: {
      reason_admin: { [status]: settledBy(snapshot, request, decision) },
      reason_user: { [status]: words ?? (allow ? 'This is allowed' : 'This is not allowed') },
      ...(ruleId !== null && { ruleId }),
      revision,
      ...(id !== undefined && { decisionId: id }),
    },
  };
}

/** Another engine tells of rules of its own, and in its own words. */
function wordsOf(
  { rules, types }: Snapshot,
  { resource }: AccessRequest,
  { ruleId, reason }: Decision,
): string | undefined {
  const isOurs = types.get(resource.type)?.evaluator === 'casl';
  if (isOurs && ruleId !== null && rules.has(ruleId)) return rules.get(ruleId)?.reason;
  return isSaid(reason) ? reason : undefined;
}

/** An evaluation that is not one: denied in its place, and nothing was decided (section 7.2.1). */
export function badEvaluation(message: string): DecisionMessage {
  return { decision: false, context: { error: { status: 400, message } } };
}

function settledBy(snapshot: Snapshot, request: AccessRequest, { allow, ruleId, reason }: Decision): string {
  if (ruleId !== null) return `rule ${ruleId} ${allow ? 'allows' : 'denies'} it`;
  const { action, resource, doubt } = request;
  const type = snapshot.types.get(resource.type);
  if (!type) return `${resource.type} is not a known resource type`;
  if (!type.actions.includes(action.name)) return `${action.name} is not a known action of ${resource.type}`;
  if (doubt !== undefined) return doubt;
  if (resource.misfits.length > 0)
    return `of the resource, ${resource.misfits.join(', ')} do not fit what is declared`;
  return reason;
}
