/** Entities of one type as a table that has a column for each attribute, so that rules about them become SQL. */
import type { Column, Source } from '../enforcement/source.ts';
import type { Fragment } from '../enforcement/sql/expression.ts';
import { columnProblems } from '../enforcement/sql-filter.ts';
import type { AttributeSpec, ResourceType } from '../policy/policy.ts';

export const ENTITIES = 'entities';

/** How an attribute is read out of what is stored: where a cast could fail, `fits` says of which values it does not. */
interface Kept {
  type: Column['type'];
  cast: string;
  fits?: string;
}

const number: Kept = { type: 'double', cast: '::float8', fits: "jsonb_typeof(e.attributes->?) = 'number'" };

/**
 * Each attribute as a column of its type: what is stored was checked against the declaration. Were there one that does not
 * fit it, it would be NULL and no error of every search: a decision over it, or over what lies in it, is in doubt and denies.
 */
const columnTypes: Readonly<Record<AttributeSpec['type'], Kept>> = {
  string: { type: 'text', cast: '' },
  uuid: {
    type: 'uuid',
    cast: '::uuid',
    fits: "e.attributes->>? ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'",
  },
  boolean: { type: 'boolean', cast: '::boolean', fits: "jsonb_typeof(e.attributes->?) = 'boolean'" },
  integer: number,
  number,
  date: {
    type: 'timestamptz',
    cast: '::timestamptz',
    fits: "e.attributes->>? ~ '^[0-9]{4}-(0[1-9]|1[012])-([012][0-9]|3[01])'",
  },
  array: { type: 'jsonb', cast: '::jsonb' },
  object: { type: 'jsonb', cast: '::jsonb' },
};

/** One for each type: filters are kept with it. */
const sources = new WeakMap<ResourceType, Source>();

/** The columns that can be asked about. */
export function sourceOf(type: ResourceType): Source {
  const known = sources.get(type);
  if (known) return known;
  const columns = Object.entries(type.attributes).map(([name, spec]): [string, Column] => [
    name,
    { column: name, type: columnTypes[spec.type].type },
  ]);
  const all = { ...Object.fromEntries(columns), id: { column: 'id', type: 'text' } as const };
  // An id that is a UUID, which is kept as text, and a list of dates or of UUIDs: rules about these are asked of what is loaded.
  const not = new Set(
    columnProblems(type, { table: ENTITIES, columns: all }).map(({ attribute }) => attribute),
  );
  const asked = Object.entries(all).filter(([name]) => !not.has(name));
  const made: Source = { table: ENTITIES, columns: Object.fromEntries(asked) };
  sources.set(type, made);
  return made;
}

/** CASE: nothing else keeps PostgreSQL from reading the attributes of another type first, which need not be of these. */
export function entitiesAsTable({ type, attributes }: ResourceType, as: string): Fragment {
  const own = Object.entries(attributes).flatMap(([name, spec]) =>
    name === 'id' ? [] : [{ name, ...columnTypes[spec.type] }],
  );
  const columns = own.map(
    ({ cast, fits }) =>
      `, CASE WHEN e.type = ?${fits ? ` AND ${fits}` : ''} THEN (e.attributes->>?)${cast} END AS ??`,
  );
  const bindings = own.flatMap(({ name, fits }) => [type, ...(fits ? [name] : []), name, name]);
  return {
    text: `(SELECT e.id${columns.join('')} FROM entities e WHERE e.type = ?) AS ??`,
    bindings: [...bindings, type, as],
  };
}
