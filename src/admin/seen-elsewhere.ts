/**
 * What evaluators other than `casl` see of an entity as principal. What they permit cannot be held against what somebody
 * holds as rules can, so a change of what they see takes what it takes with an account (design 4.7).
 */
import { REMOTE } from '../evaluators/authzen-remote.ts';
import { cedarPoliciesOf } from '../evaluators/cedar-policies.ts';
import { effectiveRoles, type Principal } from '../policy/ability.ts';
import { CEDAR_EVALUATOR } from '../policy/cedar/check-cedar.ts';
import type { Gap } from '../policy/containment.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Giver } from './giver.ts';
import { cedarGap, hasPolicies } from './guard-cedar.ts';

/** What others than `casl` see of principals. Of roles they see all, and of the type and the id, which do not change. */
export interface Sight {
  /** Whether anything is decided by them. */
  isThere: boolean;
  /** Attributes that policies of Cedar could read. */
  byCedar: ReadonlySet<string>;
  /** An evaluator that is given every attribute, and what it makes of them is not known here. */
  unknown: string | undefined;
  /** Whether that is given the ancestors, with their attributes, too. */
  ancestors: boolean;
  /** Ids that heads of policies name. */
  ids: ReadonlySet<string>;
}

/** What is seen under a snapshot. */
export function sightOf(snapshot: Snapshot): Sight {
  const statements = hasPolicies(snapshot) ? [...cedarPoliciesOf(snapshot).statements.values()] : [];
  const others = [...snapshot.types.values()]
    .map(({ evaluator }) => evaluator)
    .filter((evaluator) => evaluator !== 'casl' && evaluator !== CEDAR_EVALUATOR);
  // One of a team's own is given the whole request; another decision point is told nothing of ancestors.
  const own = others.find((evaluator) => evaluator !== REMOTE);
  return {
    isThere: statements.length > 0 || others.length > 0,
    byCedar: new Set(statements.flatMap(({ attributesRead }) => attributesRead)),
    unknown: own ?? others[0],
    ancestors: own !== undefined,
    ids: new Set(statements.flatMap(({ scope }) => scope.principal?.id ?? [])),
  };
}

/** Whether one of them sees an attribute of the principal itself. */
export function isSeen({ byCedar, unknown }: Sight, attribute: string): boolean {
  return unknown !== undefined || byCedar.has(attribute);
}

/** What they see of a principal itself beside its roles, to be compared. */
export function seenOf(sight: Sight, { attributes }: Principal): unknown {
  if (!sight.isThere) return null;
  const seen = Object.entries(attributes).filter(([name]) => isSeen(sight, name));
  return seen.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** A principal before and after, and whether more of it is seen to differ than its roles. */
interface Seen {
  was: Principal;
  is: Principal;
  isSeenElsewhere: boolean;
}

/**
 * What others than `casl` could permit to the principal, as it was or as it becomes, and may not permit to the giver. Of one
 * that is not known, roles that the giver has count as held; what it makes of attributes nobody holds.
 */
export function gapElsewhere(
  giver: Giver,
  snapshot: Snapshot,
  { unknown }: Sight,
  { was, is, isSeenElsewhere }: Seen,
): Gap {
  const differing = [...without(is.roles, was.roles), ...without(was.roles, is.roles)];
  if (!isSeenElsewhere && differing.length === 0) return undefined;
  const own = [giver.principal, giver.lasting].map(({ roles }) => effectiveRoles(snapshot, roles));
  const isHeld = !isSeenElsewhere && differing.every((role) => own.every((held) => held.has(role)));
  if (unknown !== undefined && !isHeld)
    return `what the evaluator ${unknown} permits to ${is.type}:${is.id} cannot be held against what you may`;
  return cedarGap(giver, snapshot, was) ?? cedarGap(giver, snapshot, is);
}

/** Those of the first that the second has not. */
export function without(roles: readonly string[], others: readonly string[]): string[] {
  return roles.filter((role) => !others.includes(role));
}
