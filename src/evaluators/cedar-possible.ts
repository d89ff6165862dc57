/** Whether a policy of Cedar could ever permit something: only what its head plainly rules out is ruled out. */
import type { Principal } from '../policy/ability.ts';
import { cedarTypeOf, ROLE_TYPE } from '../policy/cedar/names.ts';
import type { Scope, Statement } from '../policy/cedar/statements.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { CedarPolicies } from './cedar-policies.ts';
import { rolesOf } from './cedar-request.ts';

interface Asked {
  snapshot: Snapshot;
  principal: Principal;
  action: string;
  type: string;
  policies: CedarPolicies;
}

/** True in doubt: conditions, groups of actions and entities stored with the policy are not gone into. */
export function couldApply({ effect, scope }: Statement, asked: Asked): boolean {
  return (
    effect === 'permit' &&
    (scope.action === undefined || scope.action === asked.action) &&
    fits(scope.resource, { type: cedarTypeOf(asked.type) }) &&
    couldConcern({ scope }, asked)
  );
}

/** Whether a policy, by its head, could be about the principal. True in doubt. */
export function couldConcern(
  { scope }: Pick<Statement, 'scope'>,
  asked: Pick<Asked, 'snapshot' | 'principal' | 'policies'>,
): boolean {
  const { type, id } = asked.principal;
  return fits(scope.principal, { type: cedarTypeOf(type), id }) && hasRole(scope, asked);
}

function fits(wanted: Scope['principal'], found: { type: string | undefined; id?: string }): boolean {
  if (wanted?.type !== undefined && wanted.type !== found.type) return false;
  return wanted?.id === undefined || found.id === undefined || wanted.id === found.id;
}

/** Entities that are stored may have roles as parents, too. */
function hasRole(
  { principal }: Scope,
  { snapshot, principal: asking, policies }: Pick<Asked, 'snapshot' | 'principal' | 'policies'>,
): boolean {
  const within = principal?.within;
  if (within?.type !== ROLE_TYPE || policies.entities.size > 0) return true;
  return rolesOf(snapshot, asking).includes(within.id);
}
