/** The evaluators that the policy cases are put to, one line each: how a policy is made theirs, and what they cannot say. */

import type { Evaluator } from '../../src/decision/evaluator.ts';
import { makeEvaluators } from '../../src/evaluators/index.ts';
import { makeAbility } from '../../src/policy/ability.ts';
import type { Policy } from '../../src/policy/policy.ts';
import type { Snapshot } from '../../src/policy/snapshot.ts';
import { type Case, type CaseFile, policyOf } from './case-files.ts';
import { asKnownElsewhere, nearPolicyOf, startElsewhere, whyNotElsewhere } from './elsewhere.ts';
import { cedarPolicyOf, whyNotInCedar } from './in-cedar.ts';

/** What the cases of an evaluator are asked by. */
export interface Opened {
  evaluatorAt(atMs: number): Evaluator;
  /** Puts the policy of a file in force, where that is not in the snapshot. */
  take?(file: CaseFile): Promise<void>;
  /** Makes who asks known, where the request does not say all of it. */
  know?(asked: Case): Promise<void>;
  close?(): Promise<void>;
}

export interface EvaluatorUnderTest {
  name: string;
  /** The file's policy as this evaluator decides by it. */
  policyOf(file: CaseFile): Policy;
  /** The same case under that policy, where its names are other ones. */
  caseOf?(asked: Case): Case;
  /** Why the case cannot be put to it; undefined: it can. */
  whyNot?(file: CaseFile, snapshot: Snapshot, asked: Case): string | undefined;
  /** Whether a case that it cannot say is asked all the same: it must not be allowed where the rules deny. */
  isNeverWider?: boolean;
  /** It decides about a request as a whole, and tells of what could be only in doubt. */
  isWhole?: boolean;
  /** Its name for a rule. */
  ruleIdOf?(rule: string): string;
  open(): Promise<Opened>;
}

/** One that is made in this process, as the gateway makes it. */
async function openHere(name: string): Promise<Opened> {
  return {
    evaluatorAt: (atMs) => {
      const evaluators = makeEvaluators({
        abilityOf: (under, principal) => makeAbility(under, principal, atMs),
      });
      const found = evaluators.get(name);
      if (!found) throw new Error(`${name} is no evaluator`);
      return found;
    },
  };
}

export const evaluatorsUnderTest: readonly EvaluatorUnderTest[] = [
  { name: 'casl', policyOf: (file) => policyOf(file, 'casl'), open: () => openHere('casl') },
  {
    name: 'cedar',
    policyOf: cedarPolicyOf,
    whyNot: whyNotInCedar,
    isNeverWider: true,
    isWhole: true,
    open: () => openHere('cedar'),
  },
  {
    name: 'authzen-remote',
    policyOf: nearPolicyOf,
    caseOf: asKnownElsewhere,
    whyNot: (_file, _snapshot, asked) => whyNotElsewhere(asked),
    isWhole: true,
    ruleIdOf: (rule) => `remote:${rule}`,
    open: startElsewhere,
  },
];
