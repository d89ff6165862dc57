/**
 * What another decision point or an evaluator of a team's own permits is not seen here, and so cannot be held against what
 * somebody holds (design 4.7): it may go by any role, and by any attribute that is declared for accounts.
 */
import { REMOTE } from '../evaluators/authzen-remote.ts';
import type { Principal } from '../policy/ability.ts';
import { builtInTypes } from '../policy/built-in.ts';
import { CEDAR_EVALUATOR } from '../policy/cedar/check-cedar.ts';
import type { Gap } from '../policy/containment.ts';
import { changedKeys } from '../policy/diff.ts';
import type { ResourceType } from '../policy/policy.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Giver } from './giver.ts';

/** Whether what is permitted on the type is seen neither in rules nor in policies of Cedar. */
function isUnseen({ evaluator }: Pick<ResourceType, 'evaluator'>): boolean {
  return evaluator !== 'casl' && evaluator !== CEDAR_EVALUATOR;
}

/** The first type of a snapshot that is decided about unseen. */
export function unseenType({ types }: Snapshot): ResourceType | undefined {
  return [...types.values()].find(isUnseen);
}

/** Whether something unseen may go by what roles inherit: another decision point is told of roles as they are given. */
export function seesLineage({ types }: Snapshot): boolean {
  return [...types.values()].some((type) => isUnseen(type) && type.evaluator !== REMOTE);
}

/**
 * What may be permitted unseen by the first of these roles that the giver does not have, now and for good. One that they
 * only inherit does not count: it is not told elsewhere that they have it.
 */
export function unseenGap({ principal, lasting }: Giver, snapshot: Snapshot, roles: readonly string[]): Gap {
  const type = unseenType(snapshot);
  const role = roles.find((key) => ![principal, lasting].every((holder) => holder.roles.includes(key)));
  if (!type || role === undefined) return undefined;
  return `what ${type.evaluator} permits on ${type.type} may go by the role ${role}, which you do not have yourself`;
}

/** What may be permitted unseen by attributes that differ. Names and e-mail do not count: people choose their own. */
export function unseenAttributesGap(
  snapshot: Snapshot,
  before: Pick<Principal, 'attributes'>,
  after: Pick<Principal, 'type' | 'attributes'>,
): Gap {
  const type = unseenType(snapshot);
  const own = builtInTypes.find((builtIn) => builtIn.type === after.type)?.attributes ?? {};
  const name = changedKeys(before.attributes, after.attributes).find((key) => !Object.hasOwn(own, key));
  if (!type || name === undefined) return undefined;
  return `what ${type.evaluator} permits on ${type.type} may go by the attribute ${name} of an account`;
}
