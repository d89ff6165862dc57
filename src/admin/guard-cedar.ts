/**
 * What others than `casl` permit cannot be held against what somebody holds as rules can: whoever changes what they decide
 * by may `escalate`, and whoever touches an account is plainly permitted by Cedar all that it could be (design 4.7).
 */

import { type CedarPolicies, cedarPoliciesOf } from '../evaluators/cedar-policies.ts';
import { couldConcern } from '../evaluators/cedar-possible.ts';
import type { Principal } from '../policy/ability.ts';
import { ACCOUNT_TYPE } from '../policy/built-in.ts';
import { ROLE_TYPE } from '../policy/cedar/names.ts';
import type { Statement } from '../policy/cedar/statements.ts';
import { partText } from '../policy/compile.ts';
import type { Gap } from '../policy/containment.ts';
import type { ResourceType } from '../policy/policy.ts';
import type { Publication } from '../policy/publish.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Giver } from './giver.ts';
import { rewiredRoles } from './guard-denies.ts';
import { seesLineage, unseenType } from './guard-unseen.ts';
import { requireNoGap } from './require-holds.ts';

/** Throws `privilege_escalation` where a publication changes what Cedar or others permit, unless the giver may `escalate` on the policy. */
export async function guardCedar(giver: Giver, publication: Publication): Promise<void> {
  const { before } = publication;
  await requireNoGap(giver, before, gapInPublication(publication), {
    type: 'castellan.policy',
    attributes: {},
  });
}

function gapInPublication(publication: Publication): Gap {
  const { before, after, diff } = publication;
  const { added, changed, removed } = diff.cedar;
  const [part] = [...added, ...removed, ...changed.map((change) => change.after)];
  if (part) return `what the Cedar part ${part.id} permits cannot be held against what you may`;
  const types = [
    ...[...diff.resourceTypes.added, ...diff.resourceTypes.removed].filter(
      (type) => isBeyondRules(type) || (isOfPrincipals(type) && isDecidedBeyondRules(before)),
    ),
    ...diff.resourceTypes.changed.flatMap((change) => (meansElse(change, before) ? [change.after] : [])),
  ];
  if (types[0])
    return `what is permitted on ${types[0].type} is not said by rules, and cannot be held against what you may`;
  const [role] = rewiredRoles(publication);
  return role && [before, after].some((snapshot) => hasPolicies(snapshot) || seesLineage(snapshot))
    ? `what others than rules permit to the role ${role.key} cannot be held against what you may`
    : undefined;
}

function isBeyondRules({ evaluator }: ResourceType): boolean {
  return evaluator !== 'casl';
}

/** Whose roles and attributes an issuer says. */
function isOfPrincipals({ identity }: ResourceType): boolean {
  return identity !== undefined;
}

function isDecidedBeyondRules(snapshot: Snapshot): boolean {
  return hasPolicies(snapshot) || unseenType(snapshot) !== undefined;
}

/** Whether others than rules may mean something else by a change of a type: of what they decide about, or of who asks. */
function meansElse(change: { before: ResourceType; after: ResourceType }, snapshot: Snapshot): boolean {
  const isTheirs = isBeyondRules(change.before) || isBeyondRules(change.after);
  if (isTheirs) return textOf(change.before) !== textOf(change.after);
  if (!isDecidedBeyondRules(snapshot)) return false;
  if (isOfPrincipals(change.before) || isOfPrincipals(change.after))
    return textOf(change.before) !== textOf(change.after);
  if (change.after.type !== ACCOUNT_TYPE) return false;
  const shapeOf = ({ attributes }: ResourceType, name: string) =>
    JSON.stringify([attributes[name]?.type, attributes[name]?.items]);
  return Object.keys(change.before.attributes).some(
    (name) => shapeOf(change.before, name) !== shapeOf(change.after, name),
  );
}

function textOf(type: ResourceType): string {
  return partText({ ...type, description: '' });
}

/** Whether Cedar is given any policies. */
export function hasPolicies({ policy: { cedar } }: Snapshot): boolean {
  return cedar.some(({ policies = '' }) => policies.trim() !== '');
}

/** What Cedar could permit to `other` and may not permit to the giver, now and for good; undefined: plainly nothing. */
export function cedarGap({ principal, lasting }: Giver, snapshot: Snapshot, other: Principal): Gap {
  if (!hasPolicies(snapshot)) return undefined;
  const policies = cedarPoliciesOf(snapshot);
  for (const holder of new Set([principal, lasting])) {
    if (isSame(holder, other)) continue;
    const beyond = [...policies.statements.values()].find(
      (statement) => !isAsFree(statement, { holder, other, snapshot, policies }),
    );
    if (beyond)
      return `${other.type}:${other.id} may be permitted by the policy ${beyond.id} of Cedar what you are not`;
  }
  return undefined;
}

function isSame(holder: Principal, other: Principal): boolean {
  return (
    holder.type === other.type &&
    holder.id === other.id &&
    [...holder.roles].sort().join() === [...other.roles].sort().join() &&
    JSON.stringify(holder.attributes) === JSON.stringify(other.attributes)
  );
}

interface Compared {
  holder: Principal;
  other: Principal;
  snapshot: Snapshot;
  policies: CedarPolicies;
}

/** Whether a policy plainly leaves the holder as free as the other: of a permit, it is about both; of a forbid, not about the holder. */
function isAsFree(statement: Statement, { holder, other, ...rest }: Compared): boolean {
  const isAbout = (principal: Principal) => couldConcern(statement, { ...rest, principal });
  const [theirs, own] = statement.effect === 'permit' ? [other, holder] : [holder, other];
  if (!isAbout(theirs)) return true;
  const mayAsk = statement.readsPrincipal || (statement.readsThrough && rest.policies.entities.size > 0);
  return !mayAsk && isSurelyAbout(statement, { ...rest, principal: own });
}

/** Not only that it could be: what is in an entity, and which entities are in it, is not gone into. */
function isSurelyAbout(statement: Statement, asked: Parameters<typeof couldConcern>[1]): boolean {
  const within = statement.scope.principal?.within;
  if (within && (within.type !== ROLE_TYPE || asked.policies.entities.size > 0)) return false;
  return couldConcern(statement, asked);
}
