/** Candidates that are entities: narrowed by PostgreSQL as far as it can be asked, which loses none. */
import type { Knex } from 'knex';
import { entityOfResource } from '../decision/entities.ts';
import {
  conditionProblem,
  type FilterOptions,
  filterOf,
  type Rows,
  rulesAbout,
  translate,
  where,
} from '../enforcement/sql-filter.ts';
import { invalidField } from '../errors.ts';
import type { AbilityRule } from '../policy/ability.ts';
import { ANCESTORS } from '../policy/built-in.ts';
import { ALWAYS, type Condition, pathsOf } from '../policy/condition.ts';
import { type EntityName, referenceTo } from '../policy/entity.ts';
import { findEntities } from '../policy/entity-store.ts';
import type { ResourceType } from '../policy/policy.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Database } from '../storage/postgres.ts';
import { ancestorFilter } from './ancestor-filter.ts';
import { entitiesAsTable, sourceOf, ENTITIES as TABLE } from './entity-table.ts';
import { type CandidateSource, namedOnly, STORED } from './scan.ts';
import { rowsOf } from './table-candidates.ts';

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

/** What rules say of a type whose entities are searched. */
export type RulesAsked = Pick<FilterOptions, 'ability' | 'action' | 'properties' | 'context'>;

/** So many of a search are decided on by themselves before PostgreSQL is asked what all of them lie in. */
const FEW = 100;

/**
 * Entities of the type that the rules could let through and that are stored with what the search asks for. Where most lie
 * in what the rules ask for the first few fill the page, and where few do it takes little to find all that lies there.
 */
export function entityRows(
  db: Database,
  type: ResourceType,
  { types }: Pick<Snapshot, 'types'>,
  asked: RulesAsked | undefined,
  tests: readonly Condition[],
): CandidateSource {
  const rules = asked && { ...asked, about: rulesAbout(asked.ability.rules, asked.action, type.type) };
  const rows = { type, source: sourceOf(type) };
  const wider = rowsFor(db, rows, rules, tests);
  if (!rules?.about.some(({ condition }) => pathsOf(condition).includes(ANCESTORS))) return wider;
  const exact = rowsFor(db, { ...rows, above: ancestorFilter(type, types) }, rules, tests);
  let looked = 0;
  return {
    ...wider,
    next: (afterId, limit) => {
      const source = looked < FEW ? wider : exact;
      looked += limit;
      return source.next(afterId, limit);
    },
  };
}

function rowsFor(
  db: Database,
  rows: Rows,
  rules: (RulesAsked & { about: readonly AbilityRule[] }) | undefined,
  tests: readonly Condition[],
): CandidateSource {
  const isAskable = (condition: Condition) => conditionProblem(condition, rows) === undefined;
  const ability = rules && {
    ...rules.ability,
    rules: rules.about.flatMap((rule) => widened(rule, isAskable)),
  };
  const narrow = (candidates: Knex.QueryBuilder) => {
    if (rules && ability) where(candidates, filterOf({ ...rules, ability, ...rows }));
    for (const test of tests.filter(isAskable)) where(candidates, translate(test, rows));
  };
  const { text, bindings } = entitiesAsTable(rows.type, TABLE);
  return rowsOf(db, { table: db.raw(text, [...bindings]), path: `${TABLE}.id`, type: 'text', narrow });
}

/**
 * The rule as far as a table can be asked. What it cannot, such as how much something lies in, is asked of each entity that
 * is loaded: until then an allow allows more and a deny denies less, so that none is lost.
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
