/** What something lies in, asked in SQL: from the entities that meet a condition down to all that lies below them. */
import {
  bind,
  type Expression,
  FALSE,
  type Fragment,
  join,
  raw,
  render,
  sql,
  TRUE,
  test,
} from '../enforcement/sql/expression.ts';
import { Untranslatable } from '../enforcement/sql/untranslatable.ts';
import { translate } from '../enforcement/sql-filter.ts';
import { allOf, anyOf, type Condition, notOf } from '../policy/condition.ts';
import { isEntityType } from '../policy/entity.ts';
import { compileCondition } from '../policy/matcher.ts';
import type { ResourceType } from '../policy/policy.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import { ENTITIES, entitiesAsTable, sourceOf } from './entity-table.ts';

/** What the query calls an entity that others lie in. */
const ABOVE = 'above';

/**
 * Of a condition on one ancestor: the entities of the type that have such a one, nearer or further. It throws
 * `Untranslatable` where a type that could be meant has attributes that a table cannot be asked about.
 */
export function ancestorFilter(
  { type: searched }: ResourceType,
  types: Snapshot['types'],
): (of: Condition) => Expression {
  const isKept = ({ type }: ResourceType) => isEntityType(type, { types, isInTable: () => false });
  const kept = [...types.values()].filter(isKept).map(asAncestor);
  return (of) => {
    const asked = kept.map((type) => ({ type, met: met(of, type) }));
    if (asked.every((one) => one.met === TRUE)) return test(liesInAny(searched));
    const begin = asked.flatMap((one) => (one.met === FALSE ? [] : [childrenOf(one.type, one.met)]));
    const names = kept.map(({ type }) => type);
    return begin.length === 0 ? FALSE : test(isBelow(searched, names, join(begin, ' UNION ALL ')));
  };
}

/** Ids are text, whatever the type says of them: all have the one form of their type. */
const ancestors = new WeakMap<ResourceType, ResourceType>();

function asAncestor(type: ResourceType): ResourceType {
  const known = ancestors.get(type);
  if (known) return known;
  const made: ResourceType = { ...type, attributes: { ...type.attributes, id: { type: 'string' } } };
  ancestors.set(type, made);
  return made;
}

function met(of: Condition, type: ResourceType): Expression {
  return translate(ofType(of, type), { type, source: sourceOf(type), as: ABOVE });
}

/** What is left to ask of an ancestor of that type: its name is known, and attributes that it does not declare are missing. */
function ofType(condition: Condition, type: ResourceType): Condition {
  switch (condition.kind) {
    case 'fixed':
      return condition;
    case 'all':
      return allOf(condition.of.map((part) => ofType(part, type)));
    case 'any':
      return anyOf(condition.of.map((part) => ofType(part, type)));
    case 'not':
      return notOf(ofType(condition.of, type));
    default: {
      const [name = ''] = condition.path.split('.');
      if (name === '') throw new Untranslatable('an ancestor as a whole');
      if (name !== 'type' && Object.hasOwn(type.attributes, name)) return condition;
      return { kind: 'fixed', value: compileCondition(condition)({ __proto__: null, type: type.type }) };
    }
  }
}

/** What lies right in those of the type that meet the condition. In most types lies nothing: their entities are not looked at. */
function childrenOf(type: ResourceType, condition: Expression): Fragment {
  const of = bind(type.type, 'text');
  if (condition === TRUE) return sql`SELECT type, id FROM entity_parents WHERE parent_type = ${of}`;
  const isParent = sql`EXISTS (SELECT FROM entity_parents WHERE parent_type = ${of})`;
  const matching = sql`SELECT ${of} AS type, ${raw(ABOVE)}.id FROM ${entitiesAsTable(type, ABOVE)}
    WHERE ${isParent} AND ${render(condition)}`;
  return sql`SELECT p.type, p.id FROM (${matching}) AS f ${children}`;
}

/** `OFFSET 0`: looked up by index, one by one. The planner cannot know how few there are, and would read whole tables. */
const children = raw(`CROSS JOIN LATERAL (
  SELECT type, id FROM entity_parents WHERE (parent_type, parent_id) = (f.type, f.id) OFFSET 0) AS p`);

/**
 * By an array, though a query would do: of that the planner expects so much that it may look through all of it for each
 * candidate, of an array little. Most of what is found has a type in which nothing lies, and is not asked what does.
 */
function isBelow(type: string, types: readonly string[], begin: Fragment): Fragment {
  const parents = sql`SELECT t.type FROM unnest(${bind([...types], 'text[]')}) AS t (type)
    CROSS JOIN LATERAL (SELECT FROM entity_parents WHERE parent_type = t.type LIMIT 1) AS parent`;
  return sql`${raw(ENTITIES)}.id IN (SELECT unnest(ARRAY(
    WITH RECURSIVE found AS (
      SELECT * FROM (${begin}) AS first UNION SELECT p.type, p.id
      FROM (SELECT * FROM found WHERE type = ANY (ARRAY(${parents}))) AS f ${children}
    ) SELECT id FROM found WHERE type = ${bind(type, 'text')})))`;
}

function liesInAny(type: string): Fragment {
  return sql`EXISTS (SELECT FROM entity_parents AS p
    WHERE p.type = ${bind(type, 'text')} AND p.id = ${raw(ENTITIES)}.id)`;
}
