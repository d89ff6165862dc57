/** The evaluator contract: what turns a snapshot and a request into a verdict. One file per engine under `evaluators/`. */
import type { Principal } from '../policy/ability.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { AccessRequest } from './access-request.ts';

/** What an evaluator says; `decide` makes a decision of it. */
export interface Verdict {
  allow: boolean;
  ruleId: string | null;
  /** The words of the rule's author, where there are some. */
  reason?: string;
}

export interface Evaluator {
  /** The name by which resource types ask for it. */
  readonly name: string;
  /** Whether the request is allowed. Throwing denies. */
  evaluate(snapshot: Snapshot, request: AccessRequest): Promise<Verdict> | Verdict;
  /** Those of `fields` (dotted paths) for which the request is allowed. Throwing grants none. */
  permittedFields(
    snapshot: Snapshot,
    request: AccessRequest,
    fields: readonly string[],
  ): Promise<Set<string>> | Set<string>;
  /** Whether the principal could do the action to some resource of the type: for menus, and to turn away early. Never a decision. */
  possible(
    snapshot: Snapshot,
    principal: Principal,
    action: string,
    type: string,
  ): Promise<boolean> | boolean;
}
