/** What Cedar says of a request, for explanations. */
import type { AccessRequest } from '../decision/access-request.ts';
import type { CedarExplanation } from '../decision/explain.ts';
import { CEDAR_EVALUATOR } from '../policy/cedar/check-cedar.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { askCedar } from './cedar.ts';

/** The determining policies and the errors; undefined where another evaluator decides. Never throws. */
export function explainCedar(snapshot: Snapshot, request: AccessRequest): CedarExplanation | undefined {
  if (snapshot.types.get(request.resource.type)?.evaluator !== CEDAR_EVALUATOR) return undefined;
  if (request.doubt !== undefined || request.resource.misfits.length > 0)
    return { determining: [], errors: [] };
  try {
    const { determining, errors } = askCedar(snapshot, request);
    return { determining, errors };
  } catch (cause) {
    return {
      determining: [],
      errors: [{ id: null, message: cause instanceof Error ? cause.message : String(cause) }],
    };
  }
}
