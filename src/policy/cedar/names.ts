/** How Castellan's names are Cedar's. */
import type { ResourceType } from '../policy.ts';

/** Words that are no identifiers in Cedar. */
const reserved = new Set(['true', 'false', 'if', 'then', 'else', 'in', 'is', 'like', 'has', '__cedar']);

/** Roles are entities of this type. No resource type is written with a capital, so none can be taken for a role. */
export const ROLE_TYPE = 'Role';

/** Actions are entities of this type. */
export const ACTION_TYPE = 'Action';

const typeName = /^[a-z][a-z0-9.-]{0,62}$/;

/**
 * The entity type for a type of resources or principals: `castellan.rule` is `castellan::rule`, `api-key` is `api_key`;
 * a word that Cedar keeps to itself gets `_` behind it, a piece that begins with no letter gets `_` before it. Undefined
 * where it is no type name of Castellan.
 */
export function cedarTypeOf(type: string): string | undefined {
  if (!typeName.test(type)) return undefined;
  return type
    .split('.')
    .map((piece) => piece.replaceAll('-', '_'))
    .map((piece) => (/^[a-z]/.test(piece) ? piece : `_${piece}`))
    .map((piece) => (reserved.has(piece) ? `${piece}_` : piece))
    .join('::');
}

/** Types that would be one in Cedar; what is about one would be about the other. */
export function sameInCedar(types: readonly ResourceType[]): [first: number, second: number][] {
  const known = new Map<string, number>();
  return types.flatMap(({ type }, index): [number, number][] => {
    const name = cedarTypeOf(type) ?? type;
    const first = known.get(name);
    if (first !== undefined) return [[first, index]];
    known.set(name, index);
    return [];
  });
}
