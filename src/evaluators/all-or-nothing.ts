/** Evaluators that only say yes or no to a request as a whole: its fields follow from that. */
import type { AccessRequest } from '../decision/access-request.ts';
import type { Evaluator, Verdict } from '../decision/evaluator.ts';
import type { Snapshot } from '../policy/snapshot.ts';

type Evaluate = (snapshot: Snapshot, request: AccessRequest) => Promise<Verdict> | Verdict;

/** Where a request is allowed, all of its fields are; it is not asked about a second time. Anything may be possible. */
export function allOrNothing(name: string, evaluate: Evaluate): Evaluator {
  const verdicts = new WeakMap<AccessRequest, { snapshot: Snapshot; verdict: Promise<Verdict> | Verdict }>();
  const remember: Evaluate = (snapshot, request) => {
    const verdict = evaluate(snapshot, request);
    verdicts.set(request, { snapshot, verdict });
    return verdict;
  };
  return {
    name,
    evaluate: remember,
    permittedFields: async (snapshot, request, fields) => {
      const known = verdicts.get(request);
      const verdict = known?.snapshot === snapshot ? known.verdict : remember(snapshot, request);
      return new Set((await verdict).allow === true ? fields : []);
    },
    possible: () => true,
  };
}
