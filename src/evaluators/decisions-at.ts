/** Decisions as they would be at an instant: for cases, explanations and drafts; recorded and cached nowhere else. */
import { type DecisionPoint, decisionPoint } from '../decision/decide.ts';
import { type Ability, makeAbility, type Principal } from '../policy/ability.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { type MoreEvaluators, makeEvaluators } from './index.ts';

/**
 * A decision point for that instant; abilities are made once for each snapshot and principal, as long as it is kept. What is
 * elsewhere, such as another decision point, is asked as it is now.
 */
export function decisionsAt(atMs: number, more: MoreEvaluators = {}): DecisionPoint {
  const made = new WeakMap<Snapshot, Map<string, Ability>>();
  const abilityOf = (snapshot: Snapshot, principal: Principal): Ability => {
    const ofSnapshot = made.get(snapshot) ?? new Map<string, Ability>();
    made.set(snapshot, ofSnapshot);
    const ability = ofSnapshot.get(principal.digest) ?? makeAbility(snapshot, principal, atMs);
    ofSnapshot.set(principal.digest, ability);
    return ability;
  };
  return decisionPoint({ evaluators: makeEvaluators({ abilityOf, ...more }), record: () => undefined });
}
