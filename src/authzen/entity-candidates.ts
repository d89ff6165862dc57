/** Candidates that are entities: narrowed by PostgreSQL as far as it can be asked, which loses none. */
import type { Knex } from 'knex';
import { entityOfResource } from '../decision/entities.ts';
import type { Column, Source } from '../enforcement/source.ts';
import {
  columnProblems,
  conditionProblem,
  type FilterOptions,
  filterOf,
  rulesAbout,
  translate,
  where,
} from '../enforcement/sql-filter.ts';
import { invalidField } from '../errors.ts';
import type { AbilityRule } from '../policy/ability.ts';
import { ALWAYS, type Condition } from '../policy/condition.ts';
import { type EntityName, referenceTo } from '../policy/entity.ts';
import { findEntities } from '../policy/entity-store.ts';
import type { AttributeSpec, ResourceType } from '../policy/policy.ts';
import type { Database } from '../storage/postgres.ts';
import { type CandidateSource, namedOnly, STORED } from './scan.ts';
import { rowsOf } from './table-candidates.ts';

const TABLE = 'entities';

/** Entities of the type that have one of the roles, by whatever they belong to, or one of these ids; all where nothing is said. */
export function entityHolders(
  db: Database,
  type: string,
  holders: { roles: readonly string[]; names: readonly string[] } | undefined,
): CandidateSource {
  const narrow = (rows: Knex.QueryBuilder) => {
    rows.where(`${TABLE}.type`, type);
    if (holders) rows.whereRaw(isHolder, [[...holders.names], [...holders.roles]]);
  };
  return rowsOf(db, { table: TABLE, path: `${TABLE}.id`, type: 'text', narrow });
}

const isHolder = `(entities.id = ANY (?::text[]) OR (entities.type, entities.id) IN (
  WITH RECURSIVE holding AS (
    SELECT type, id FROM entity_roles WHERE role_key = ANY (?::text[])
    UNION SELECT p.type, p.id FROM holding h JOIN entity_parents p ON (p.parent_type, p.parent_id) = (h.type, h.id)
  ) SELECT type, id FROM holding))`;

/** All entities, as resources that are administered: by their references, in the order of type and id. */
export function entityReferences(db: Database): CandidateSource {
  return {
    name: STORED,
    isStored: true,
    next: async (afterId, limit) => {
      const after = afterId === undefined ? undefined : entityOfResource(afterId);
      if (afterId !== undefined && !after)
        throw invalidField('/page/token', 'is not a next_token of this search');
      const rows = db(TABLE).select('type', 'id').orderBy(['type', 'id']).limit(limit);
      if (after) rows.whereRaw('(type, id) > (?, ?)', [after.type, after.id]);
      const found: EntityName[] = await rows;
      return found.map(referenceTo);
    },
  };
}

/** Entities of the type that the rules could let through and that are stored with what the search asks for. */
export function entityRows(
  db: Database,
  type: ResourceType,
  rules: Pick<FilterOptions, 'ability' | 'action' | 'properties' | 'context'> | undefined,
  tests: readonly Condition[],
): CandidateSource {
  const source = sourceOf(type);
  const isAskable = (condition: Condition) => conditionProblem(condition, { type, source }) === undefined;
  const about = rules ? rulesAbout(rules.ability.rules, rules.action, type.type) : [];
  const ability = rules && { ...rules.ability, rules: about.flatMap((rule) => widened(rule, isAskable)) };
  const narrow = (candidates: Knex.QueryBuilder) => {
    if (rules && ability) where(candidates, filterOf({ ...rules, ability, type, source }));
    for (const test of tests.filter(isAskable)) where(candidates, translate(test, { type, source }));
  };
  return rowsOf(db, { table: asTable(db, type), path: `${TABLE}.id`, type: 'text', narrow });
}

/**
 * The rule as far as a table can be asked. What it cannot, such as what something lies in, is asked of each entity that is
 * loaded: until then an allow allows more and a deny denies less, so that none is lost.
 */
function widened(rule: AbilityRule, isAskable: (condition: Condition) => boolean): AbilityRule[] {
  if (isAskable(rule.condition)) return [rule];
  return rule.effect === 'allow' ? [{ ...rule, condition: ALWAYS }] : [];
}

/** Those of the names that no entity has. */
export async function notKept(
  db: Database,
  type: string,
  names: readonly string[],
): Promise<CandidateSource> {
  const kept = await findEntities(
    db,
    names.map((id) => ({ type, id })),
  );
  const ids = new Set(kept.map(({ id }) => id));
  return namedOnly(names.filter((name) => !ids.has(name)));
}

/** Each attribute as a column of its type: what is stored was checked against the declaration. */
const columnTypes: Readonly<Record<AttributeSpec['type'], { type: Column['type']; cast: string }>> = {
  string: { type: 'text', cast: '' },
  uuid: { type: 'uuid', cast: '::uuid' },
  boolean: { type: 'boolean', cast: '::boolean' },
  integer: { type: 'double', cast: '::float8' },
  number: { type: 'double', cast: '::float8' },
  date: { type: 'timestamptz', cast: '::timestamptz' },
  array: { type: 'jsonb', cast: '::jsonb' },
  object: { type: 'jsonb', cast: '::jsonb' },
};

/** One for each type: filters are kept with it. */
const sources = new WeakMap<ResourceType, Source>();

function sourceOf(type: ResourceType): Source {
  const known = sources.get(type);
  if (known) return known;
  const columns = Object.entries(type.attributes).map(([name, spec]): [string, Column] => [
    name,
    { column: name, type: columnTypes[spec.type].type },
  ]);
  const all = { ...Object.fromEntries(columns), id: { column: 'id', type: 'text' } as const };
  // An id that is a UUID, which is kept as text, and a list of dates or of UUIDs: rules about these are asked of what is loaded.
  const not = new Set(columnProblems(type, { table: TABLE, columns: all }).map(({ attribute }) => attribute));
  const asked = Object.entries(all).filter(([name]) => !not.has(name));
  const made: Source = { table: TABLE, columns: Object.fromEntries(asked) };
  sources.set(type, made);
  return made;
}

/** CASE: nothing else keeps PostgreSQL from reading the attributes of another type first, which need not be of these. */
function asTable(db: Database, { type, attributes }: ResourceType): Knex.Raw {
  const own = Object.entries(attributes).filter(([name]) => name !== 'id');
  const columns = own.map(
    ([, spec]) => `, CASE WHEN e.type = ? THEN (e.attributes->>?)${columnTypes[spec.type].cast} END AS ??`,
  );
  const bindings = own.flatMap(([name]) => [type, name, name]);
  return db.raw(`(SELECT e.id${columns.join('')} FROM entities e WHERE e.type = ?) AS ??`, [
    ...bindings,
    type,
    TABLE,
  ]);
}
