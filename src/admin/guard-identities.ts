/** Nobody gives what they do not hold (design 4.7), by way of whom the policy believes: what the word of an issuer gives. */

import { rulesOfRole } from '../policy/ability.ts';
import { principalFacts } from '../policy/built-in.ts';
import type { Gap } from '../policy/containment.ts';
import type { ResourceType, RoleByClaim } from '../policy/policy.ts';
import type { Publication } from '../policy/publish.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Giver } from './giver.ts';
import { givesOrDenies, readOfPrincipal, requireAssign, takesOrGives } from './guard-escalation.ts';
import { requireHolds, requireNoGap, type Target } from './require-holds.ts';

/** A type before and after; undefined: it is not there, or believes nobody. */
interface Change {
  was: ResourceType | undefined;
  is: ResourceType | undefined;
}

const policyTarget: Target = { type: 'castellan.policy', attributes: {} };

/**
 * A publication: a role that claims give is given to whomever an issuer says, so it takes what giving it takes, and the same
 * for taking it; attributes that rules read and claims may fill take `escalate` on the policy. Throws `access_denied`,
 * `privilege_escalation`.
 */
export async function guardIdentities(giver: Giver, publication: Publication): Promise<void> {
  const { before, after, diff } = publication;
  const { added, changed, removed } = diff.resourceTypes;
  const changes: Change[] = [
    ...added.map((is) => ({ was: undefined, is })),
    ...changed.map((change) => ({ was: change.before, is: change.after })),
    ...removed.map((was) => ({ was, is: undefined })),
  ];
  for (const change of changes) {
    if (!change.was?.identity && !change.is?.identity) continue;
    await guardRoles(giver, publication, change);
    await requireNoGap(giver, before, attributesGap(change, before, after), policyTarget);
  }
}

async function guardRoles(giver: Giver, { before, after }: Publication, { was, is }: Change): Promise<void> {
  const [had, has] = [mappingOf(was), mappingOf(is)];
  const given = [...has].filter(([text]) => !had.has(text)).map(([, { role }]) => role);
  const taken = [...had].filter(([text]) => !has.has(text)).map(([, { role }]) => role);
  for (const role of new Set(given)) {
    await requireAssign(giver, before, role, after);
    await requireHolds(giver, before, rulesOfRole(after, role).flatMap(givesOrDenies), policyTarget);
  }
  for (const role of new Set(taken)) {
    await requireAssign(giver, before, role);
    await requireHolds(giver, before, rulesOfRole(before, role).flatMap(takesOrGives), policyTarget);
  }
  if (given.length + taken.length === 0) return;
  // Rules elsewhere that ask for roles mean something else for those who have these.
  const asking = [...after.rules.values()].filter((rule) => readOfPrincipal(rule).includes('roles'));
  await requireHolds(giver, before, asking.flatMap(takesOrGives), policyTarget);
}

/** By what is said in whole: another issuer, claim or value is another gift. */
function mappingOf(type: ResourceType | undefined): Map<string, RoleByClaim> {
  const { issuer, roles = [] } = type?.identity ?? {};
  return new Map(
    roles.map((entry) => [JSON.stringify([issuer, entry.claim, entry.value, entry.role]), entry]),
  );
}

/** What claims may fill or fill no longer, or otherwise, and a rule reads of whoever asks. */
function attributesGap({ was, is }: Change, before: Snapshot, after: Snapshot): Gap {
  const [had, has] = [believedOf(was), believedOf(is)];
  const names = new Set([...had.keys(), ...has.keys()]);
  const read = new Set(
    [...before.rules.values(), ...after.rules.values()]
      .flatMap(readOfPrincipal)
      .map((path) => path.split('.')[0]),
  );
  const changed = [...names].filter((name) => had.get(name) !== has.get(name) && read.has(name));
  return changed.length > 0
    ? `rules read ${changed.join(', ')} of principals, and the word of an issuer would count otherwise`
    : undefined;
}

/** What claims can fill: each attribute, with whose word it is and how it is declared. */
function believedOf(type: ResourceType | undefined): Map<string, string> {
  if (!type?.identity) return new Map();
  const { issuer } = type.identity;
  return new Map(
    Object.entries(type.attributes)
      .filter(([name]) => !Object.hasOwn(principalFacts, name))
      .map(([name, { type: kind, items }]) => [name, JSON.stringify([issuer, kind, items])]),
  );
}
