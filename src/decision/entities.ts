/** Entities as principals and resources: read with all that they lie in or belong to, in one query. */

import type { Principal } from '../policy/ability.ts';
import { canonicalName, type EntityName, entityNamed, referenceTo } from '../policy/entity.ts';
import {
  bindNames,
  entityColumns,
  findEntities,
  type StoredEntity,
  withAbove,
} from '../policy/entity-store.ts';
import type { Facts } from '../policy/matcher.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Database, Transaction } from '../storage/postgres.ts';
import { cleanAncestors, principalOf } from './access-request.ts';

/** An entity with what it has from above. */
export interface KnownEntity {
  own: StoredEntity;
  /** Its own and those of its ancestors. */
  roles: readonly string[];
  /** Each once, nearest first, clean. */
  ancestors: readonly Facts[];
  /** Attributes of ancestors that do not fit what is declared: a decision over them is in doubt. */
  misfits: readonly string[];
}

/** By name: what there is of it. */
export type FindEntity = (name: EntityName) => KnownEntity | undefined;

/** Reads the entities of these names and their ancestors: one query, however many and however deep. */
export async function loadEntities(
  db: Database | Transaction,
  snapshot: Snapshot,
  names: readonly EntityName[],
): Promise<FindEntity> {
  if (names.length === 0) return () => undefined;
  const canonical = names.map((name) => canonicalName(name, snapshot.types));
  const found = await readEntities(db, snapshot, canonical);
  return (name) => found(referenceTo(canonicalName(name, snapshot.types)));
}

/** The same for names in their one form, found by reference. */
export async function readEntities(
  db: Database | Transaction,
  snapshot: Snapshot,
  names: readonly EntityName[],
): Promise<(reference: string) => KnownEntity | undefined> {
  const { rows }: { rows: StoredEntity[] } = await db.raw(withAncestors, bindNames(names));
  const stored = new Map(rows.map((row) => [referenceTo(row), row]));
  const known = new Map<string, KnownEntity>();
  const aboveOf = findAbove(stored, snapshot);
  return (reference) => {
    const own = stored.get(reference);
    const found = known.get(reference) ?? (own && complete(own, aboveOf(own.parents)));
    if (found) known.set(reference, found);
    return found;
  };
}

/**
 * Reads batch after batch, by names in their one form, of what does not change meanwhile: what lies above many is read, and
 * put together, once for all of them.
 */
export function entityReader(
  db: Database | Transaction,
  snapshot: Snapshot,
): (names: readonly EntityName[]) => Promise<FindEntity> {
  const above = new Map<string, StoredEntity>();
  const aboveOf = findAbove(above, snapshot);
  return async (names) => {
    const stored = new Map((await findEntities(db, names)).map((row) => [referenceTo(row), row]));
    const parents = new Set([...stored.values()].flatMap((own) => own.parents));
    const news = [...parents].filter((reference) => !above.has(reference)).map(entityNamed);
    if (news.length > 0) {
      const { rows }: { rows: StoredEntity[] } = await db.raw(withAncestors, bindNames(news));
      for (const row of rows) above.set(referenceTo(row), row);
    }
    return (name) => {
      const own = stored.get(referenceTo(name));
      return own && complete(own, aboveOf(own.parents));
    };
  };
}

/** By index again, not by reading whole tables. */
const withAncestors = `${withAbove}
  SELECT found.* FROM above a CROSS JOIN LATERAL (
    SELECT ${entityColumns} FROM entities e WHERE (e.type, e.id) = (a.type, a.id) OFFSET 0
  ) found`;

/** An ancestor as rules see it, and what of it does not fit. */
type Clean = (entity: StoredEntity) => { ancestors: readonly Facts[]; misfits: readonly string[] };

/** A folder is an ancestor of all that lies in it, and is cleaned once for all of it. */
function cleanOnce(snapshot: Snapshot): Clean {
  const made = new Map<StoredEntity, ReturnType<Clean>>();
  return (entity) => {
    const { type, id, attributes } = entity;
    const clean = made.get(entity) ?? cleanAncestors([{ ...attributes, type, id }], snapshot);
    made.set(entity, clean);
    return clean;
  };
}

/** What somebody has from all that lies above. */
type Above = Pick<KnownEntity, 'roles' | 'ancestors' | 'misfits'>;

/** What lies in one folder has one list of ancestors: a hundred thousand files in it are no hundred thousand lists. */
function findAbove(
  stored: ReadonlyMap<string, StoredEntity>,
  snapshot: Snapshot,
): (parents: readonly string[]) => Above {
  const clean = cleanOnce(snapshot);
  const known = new Map<string, Above>();
  return (parents) => {
    const key = JSON.stringify(parents);
    const above = known.get(key) ?? aboveOf(ancestorsOf(parents, stored), clean);
    known.set(key, above);
    return above;
  };
}

function aboveOf(entities: readonly StoredEntity[], clean: Clean): Above {
  const cleaned = entities.map(clean);
  return {
    roles: [...new Set(entities.flatMap(({ roles }) => roles))],
    ancestors: Object.freeze(cleaned.flatMap(({ ancestors }) => ancestors)),
    misfits: cleaned.flatMap(({ misfits }) => misfits),
  };
}

function complete(own: StoredEntity, { roles, ancestors, misfits }: Above): KnownEntity {
  return { own, roles: [...new Set([...own.roles, ...roles])].sort(), ancestors, misfits };
}

/** Breadth first, each once. */
function ancestorsOf(parents: readonly string[], stored: ReadonlyMap<string, StoredEntity>): StoredEntity[] {
  const found = new Map<string, StoredEntity>();
  const add = (references: readonly string[]) => {
    for (const reference of references) {
      const entity = stored.get(reference);
      if (entity && !found.has(reference)) found.set(reference, entity);
    }
  };
  add(parents);
  for (const entity of found.values()) add(entity.parents);
  return [...found.values()];
}

/** The entity as principal; of one that is not stored, nothing is known but its name. */
export function entityPrincipal(
  name: EntityName,
  known: KnownEntity | undefined,
  snapshot: Snapshot,
  properties: Record<string, unknown> = {},
): Principal {
  return principalOf(
    {
      ...name,
      roles: known?.roles ?? [],
      attributes: { ...known?.own.attributes, ...properties, id: name.id },
      ...(known && { ancestors: known.ancestors }),
      accessVersion: known?.own.version ?? 0,
    },
    snapshot.types.get(name.type),
  );
}

/** The type of entities as resources that are administered. */
export const ENTITY_RESOURCE = 'castellan.entity';

/** The entity as a resource of type `castellan.entity`: its id is its reference. */
export function entityAttributes({
  type,
  id,
  attributes,
  roles,
  parents,
}: Omit<StoredEntity, 'version' | 'createdAt' | 'updatedAt'>): Record<string, unknown> {
  return { id: referenceTo({ type, id }), type, attributes, roles, parents };
}

/** The entity that a resource of type `castellan.entity` is; undefined: that is no reference. */
export function entityOfResource(id: string): EntityName | undefined {
  return id.includes(':') ? entityNamed(id) : undefined;
}
