/** What comes down to entities from what they lie in: where rules look at nothing else there, only roles. */
import { referenceTo } from '../policy/entity.ts';
import { type Place, readPlacesAbove } from '../policy/entity-parents.ts';
import type { EntityDiff } from '../policy/entity-store.ts';
import type { Transaction } from '../storage/postgres.ts';

/**
 * Whether roles come down from any of these parents, given by reference: as things lie now, or as they come to lie by a
 * difference that is not written yet. Both at once: rather too often than once too seldom.
 */
export async function rolesFromAbove(
  trx: Transaction,
  { added, changed, removed }: EntityDiff,
): Promise<(parents: readonly string[]) => boolean> {
  const states = [...added, ...changed.flatMap(({ before, after }) => [before, after]), ...removed];
  const parents = new Set(states.flatMap((state) => state.parents));
  const giving = givingRoles([...states, ...(await readPlacesAbove(trx, parents))]);
  return (references) => references.some((reference) => giving.has(reference));
}

/** Those with roles, and all below them. */
function givingRoles(places: readonly Place[]): Set<string> {
  const giving = new Set(places.filter(({ roles }) => roles.length > 0).map(referenceTo));
  if (giving.size === 0) return giving;
  const below = new Map<string, string[]>();
  for (const place of places)
    for (const parent of place.parents) {
      const children = below.get(parent);
      if (children) children.push(referenceTo(place));
      else below.set(parent, [referenceTo(place)]);
    }
  // A set goes on to what is added to it meanwhile.
  for (const reference of giving) for (const child of below.get(reference) ?? []) giving.add(child);
  return giving;
}
