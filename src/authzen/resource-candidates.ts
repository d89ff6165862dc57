/** What could be found by a search for resources, by their type. */
import type { Knex } from 'knex';
import type { AccessRequest } from '../decision/access-request.ts';
import { ENTITY_RESOURCE } from '../decision/entities.ts';
import { orderOf } from '../enforcement/list.ts';
import { isStoredType } from '../enforcement/load-stored.ts';
import type { Source } from '../enforcement/source.ts';
import { Untranslatable } from '../enforcement/sql/untranslatable.ts';
import { filterOf, type Rows, rulesAbout, TRANSLATED, translate, where } from '../enforcement/sql-filter.ts';
import type { Ability } from '../policy/ability.ts';
import { ACCOUNT_TYPE } from '../policy/built-in.ts';
import type { Condition } from '../policy/condition.ts';
import type { ResourceType } from '../policy/policy.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Services } from '../services.ts';
import { entityReferences, entityRows, notKept } from './entity-candidates.ts';
import { type CandidateSource, listed } from './scan.ts';
import { accountRows, apiKeyRows, rowsOf } from './table-candidates.ts';

/** Resources of which type somebody may do it to: the request is theirs, about no resource. */
export interface ResourcesWanted {
  snapshot: Snapshot;
  type: ResourceType;
  request: AccessRequest;
  /** What each of them must be stored with. */
  tests: readonly Condition[];
}

/** By type: the parts of the policy are those of the snapshot, whatever is published meanwhile. */
const partsByType: Readonly<Record<string, (snapshot: Snapshot) => Iterable<string>>> = {
  'castellan.rule': ({ rules }) => rules.keys(),
  'castellan.role': ({ roles }) => roles.keys(),
  'castellan.resource-type': ({ types }) => types.keys(),
  'castellan.route': ({ policy }) => policy.routes.map(({ id }) => id),
};

/**
 * Of a registered table the rows that the rules let through, chosen by PostgreSQL. Of what else is kept here everything,
 * or what the rules name where they allow it on nothing else. Of other types the entities, and what the rules name and is none.
 */
export async function resourceSources(
  services: Pick<Services, 'db' | 'sources' | 'abilityOf'>,
  wanted: ResourcesWanted,
): Promise<CandidateSource[]> {
  const { db, sources, abilityOf } = services;
  const { snapshot, type, request } = wanted;
  const source = sources.get(type.type);
  const isOurs = type.evaluator === TRANSLATED;
  const ability = isOurs ? await abilityOf(snapshot, request.principal) : undefined;
  if (source) return [rowsOfSource(db, source, wanted, ability)];
  const isStored = isStoredType(services, type.type);
  const named = ability && namedBy(ability, request.action.name, type.type);
  if (!isStored) {
    const { action, context } = request;
    const { name, properties = {} } = action;
    const rules = ability && { ability, action: name, properties, context };
    return [
      entityRows(db, type, snapshot, rules, wanted.tests),
      await notKept(db, type.type, named?.ids ?? []),
    ];
  }
  if (named?.isAll) return [listed(named.ids)];
  if (type.type === ACCOUNT_TYPE) return [accountRows(db)];
  if (type.type === 'castellan.api-key') return [apiKeyRows(db)];
  if (type.type === ENTITY_RESOURCE) return [entityReferences(db)];
  const parts = Object.hasOwn(partsByType, type.type) ? partsByType[type.type] : undefined;
  return parts ? [listed(parts(snapshot))] : [];
}

/** Rules of another evaluator cannot be asked of the table: then each row is a candidate. */
function rowsOfSource(
  db: Services['db'],
  source: Source,
  { type, request: { action, context }, tests }: ResourcesWanted,
  ability: Ability | undefined,
): CandidateSource {
  const { idPath: path, idType } = orderOf('id', { source });
  const { name, properties = {} } = action;
  const filter = ability && filterOf({ ability, action: name, properties, context, type, source });
  const narrow = (rows: Knex.QueryBuilder) => {
    if (filter) where(rows, filter);
    for (const test of tests) narrowBy(rows, test, { type, source });
  };
  return rowsOf(db, { table: source.table, path, type: idType, narrow });
}

/** What the table cannot be asked is asked of each row that is loaded. */
function narrowBy(rows: Knex.QueryBuilder, test: Condition, of: Rows): void {
  try {
    where(rows, translate(test, of));
  } catch (cause) {
    if (!(cause instanceof Untranslatable)) throw cause;
  }
}

/** The ids that rules name where they allow it, and whether they allow it on nothing else. */
function namedBy({ rules }: Ability, action: string, type: string): { ids: string[]; isAll: boolean } {
  const allowing = rulesAbout(rules, action, type).filter(({ effect }) => effect === 'allow');
  const ids = allowing.map(({ condition }) => idsIn(condition));
  return { ids: ids.flatMap((some) => some ?? []), isAll: !ids.includes(undefined) };
}

/** The ids of which a resource must have one to meet the condition; undefined: it says nothing of the id. */
function idsIn(condition: Condition): string[] | undefined {
  switch (condition.kind) {
    case 'all':
      return condition.of.map(idsIn).find((ids) => ids !== undefined);
    case 'any': {
      const each = condition.of.map(idsIn);
      return each.includes(undefined) ? undefined : each.flatMap((ids) => ids ?? []);
    }
    case 'test': {
      const { path, operator, value } = condition;
      if (path !== 'id' || (operator !== '$eq' && operator !== '$in')) return undefined;
      return [value].flat().flatMap((id) => (typeof id === 'string' ? [id] : []));
    }
    default:
      return undefined;
  }
}
