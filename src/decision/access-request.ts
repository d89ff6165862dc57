/** The question: may this principal do this action to this resource, in this context? */
import { hash } from 'node:crypto';
import { ANONYMOUS_TYPE, type Principal } from '../policy/ability.ts';
import { canonical, canonicalId, cleanCopy, misfit } from '../policy/attributes.ts';
import { ANCESTORS } from '../policy/built-in.ts';
import type { Facts } from '../policy/matcher.ts';
import type { AttributeSpec, ResourceType } from '../policy/policy.ts';
import type { Snapshot } from '../policy/snapshot.ts';

/** What it is done to. `attributes` are clean: made by `resourceOf`, never the caller's own object. */
export interface Resource {
  readonly type: string;
  readonly attributes: Facts;
  /** Attributes whose values do not fit their declaration; a decision over them is in doubt, so it denies. */
  readonly misfits: readonly string[];
}

export interface AccessRequest {
  principal: Principal;
  action: { name: string; properties?: Facts };
  resource: Resource;
  context: Facts;
  /** Why it cannot be decided, such as a principal that is not known: it is denied then, whatever the rules say. */
  doubt?: string;
  /** The `X-Request-Id` of the HTTP request that asks: for the log, never a fact. */
  requestId?: string;
}

/**
 * A resource for a decision: the declared attributes of `given`, copied; nothing inherited, no accessor, no type that
 * the object claims for itself (design 4.1). `null` and undefined are absent. What it lies in is given by whoever read it
 * from the database, or was made by `cleanAncestors`; a property of that name is nothing.
 */
export function resourceOf(
  type: ResourceType,
  given: object,
  ancestors: readonly Facts[] = NO_ANCESTORS,
): Resource {
  const attributes: Record<string, unknown> = { __proto__: null };
  let misfits: string[] | undefined;
  for (const { name, spec } of declaredOf(type)) {
    if (!Object.hasOwn(given, name)) continue;
    const found = (given as Record<string, unknown>)[name];
    // What is judged and what is compared must be one copy: an accessor could answer each of them differently.
    const value = typeof found === 'object' && !(found instanceof Date) ? cleanCopy(found) : found;
    if (value === null || value === undefined) continue;
    if (misfit(value, spec) !== undefined) misfits = [...(misfits ?? []), name];
    else attributes[name] = canonical(value, spec.type, spec.items);
  }
  if (ancestors.length > 0) attributes[ANCESTORS] = ancestors;
  return { type: type.type, attributes, misfits: misfits ?? NO_MISFITS };
}

const NO_MISFITS: readonly string[] = Object.freeze([]);
const NO_ANCESTORS: readonly Facts[] = Object.freeze([]);

/** An ancestor as it is written or stored. */
export interface GivenAncestor {
  type: string;
  id: string;
  [attribute: string]: unknown;
}

/** Ancestors as rules see them: of each its type, its id and its declared attributes. In `misfits`: those that do not fit. */
export function cleanAncestors(
  given: readonly GivenAncestor[],
  snapshot: Pick<Snapshot, 'types'>,
): { ancestors: readonly Facts[]; misfits: string[] } {
  const misfits: string[] = [];
  const ancestors = given.map(({ type: name, ...attributes }) => {
    const type = typeOf(snapshot, name);
    const clean = resourceOf(type, attributes);
    misfits.push(...clean.misfits.map((misfit) => `${misfit} of ${name}:${attributes.id}`));
    const id = canonicalId(String(attributes.id), type);
    return Object.freeze(Object.assign(Object.create(null), clean.attributes, { type: name, id })) as Facts;
  });
  return { ancestors: Object.freeze(ancestors), misfits };
}

/** The type by its name. One that the policy does not know has neither actions nor attributes; `decide` denies it. */
export function typeOf({ types }: Pick<Snapshot, 'types'>, name: string): ResourceType {
  return (
    types.get(name) ?? {
      type: name,
      description: '',
      actions: [],
      attributes: {},
      source: null,
      evaluator: '',
    }
  );
}

/**
 * Attributes by name, `id` among them; made once for each type, since they are gone through for every request. Without
 * their lists of values: one that is not in the list is no doubt, since no rule can be about it.
 */
const declared = new WeakMap<ResourceType, readonly { name: string; spec: AttributeSpec }[]>();

function declaredOf(type: ResourceType): readonly { name: string; spec: AttributeSpec }[] {
  let list = declared.get(type);
  if (!list) {
    const specs: Record<string, AttributeSpec> = { id: { type: 'string' }, ...type.attributes };
    list = Object.entries(specs).map(([name, { enum: _anyOf, ...spec }]) => ({ name, spec }));
    declared.set(type, list);
  }
  return list;
}

export interface PrincipalInput {
  type: string;
  id: string;
  roles: readonly string[];
  attributes: object;
  /** Clean, as `cleanAncestors` makes them. */
  ancestors?: readonly Facts[];
  /** Raised by the database with every change of the account. */
  accessVersion: number;
}

/** A frozen principal with clean attributes: those declared are canonical, those that do not fit are absent. */
export function principalOf(input: PrincipalInput, type: ResourceType | undefined): Principal {
  const attributes = type
    ? resourceOf(type, input.attributes).attributes
    : (cleanCopy(input.attributes) as Facts);
  const roles = [...input.roles].sort();
  const id = canonicalId(input.id, type);
  const ancestors = input.ancestors ?? NO_ANCESTORS;
  const above = ancestors.length > 0 ? digestOfAncestors(ancestors) : '';
  const digest = digestOf([input.type, id, roles, attributes, input.accessVersion, above]);
  return Object.freeze({
    type: input.type,
    id,
    roles: Object.freeze(roles),
    attributes: Object.freeze(attributes),
    ancestors,
    digest,
  });
}

function digestOf(made: unknown): string {
  return hash('sha256', JSON.stringify(made), 'base64url');
}

/** Of a list that nobody changes: many lie in one folder, and share what lies above it. */
const digestsOfAncestors = new WeakMap<readonly Facts[], string>();

function digestOfAncestors(ancestors: readonly Facts[]): string {
  const digest = digestsOfAncestors.get(ancestors) ?? digestOf(ancestors);
  if (Object.isFrozen(ancestors)) digestsOfAncestors.set(ancestors, digest);
  return digest;
}

/** Nobody. */
export const anonymous: Principal = principalOf(
  { type: ANONYMOUS_TYPE, id: ANONYMOUS_TYPE, roles: [], attributes: {}, accessVersion: 0 },
  undefined,
);
