/** What a list asks of its table for each role of a policy, and how PostgreSQL goes about it. */
import type { Knex } from 'knex';
import { anonymous } from '../decision/access-request.ts';
import { inOrder, orderOf } from '../enforcement/list.ts';
import type { Source, Sources } from '../enforcement/source.ts';
import type { Fragment } from '../enforcement/sql/expression.ts';
import { filterSql, rulesAbout } from '../enforcement/sql-filter.ts';
import { requestFacts } from '../evaluators/rule-index.ts';
import { effectiveRoles, makeAbility, type Principal } from '../policy/ability.ts';
import { compileCondition } from '../policy/matcher.ts';
import type { ResourceType } from '../policy/policy.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Database } from '../storage/postgres.ts';
import { askers, principalPaths, standIn } from './stand-in.ts';

const ACTION = 'read';
const PAGE = 50;
const LONGEST_TEXT = 60;
const LONGEST_LIST = 10;

/** The list of a resource type as those with a role see it; several roles where it is the same for each. */
export interface ListSql {
  type: string;
  action: string;
  roles: string[];
  /** The rules that it is made of. */
  rules: string[];
  /** Rules of the roles that are not in it: for the stand-in they never match, or not now. */
  leftOut: string[];
  /** With the parameters put in, shortened: to be read, not to be run. */
  where: string;
  /** The first page, as it is run: with `$1`, and what is bound to it. */
  sql: string;
  bindings: readonly unknown[];
  /** PostgreSQL's own lines. */
  explain: string[];
}

export interface ListsSql {
  /** What stands for the attributes of whoever asks, where rules look at them. */
  standIns: Record<string, unknown>;
  lists: ListSql[];
}

/** Explains the first page of each list; nothing is read but the plans. */
export async function explainLists(db: Database, snapshot: Snapshot, sources: Sources): Promise<ListsSql> {
  const lists: ListSql[] = [];
  const asked = new Set<string>();
  for (const [name, source] of sources) {
    const type = snapshot.types.get(name);
    if (type?.evaluator !== 'casl') continue;
    const rules = rulesAbout([...snapshot.rules.values()], ACTION, name);
    for (const path of rules.flatMap(principalPaths)) asked.add(path);
    for (const [role, asker] of askers(snapshot, rules)) {
      const list = await explainList(db, snapshot, { type, source, role, asker });
      const same = lists.find((other) => isSame(other, list));
      if (same) same.roles.push(role);
      else lists.push(list);
    }
  }
  const { id, attributes } = standIn(snapshot, []);
  const told = Object.entries({ id, ...attributes }).filter(([attribute]) => asked.has(attribute));
  return { standIns: Object.fromEntries(told), lists };
}

function isSame(one: ListSql, other: ListSql): boolean {
  const told = ({ type, rules, leftOut, where }: ListSql) => JSON.stringify([type, rules, leftOut, where]);
  return told(one) === told(other);
}

interface List {
  type: ResourceType;
  source: Source;
  role: string;
  asker: Principal;
}

async function explainList(
  db: Database,
  snapshot: Snapshot,
  { type, source, role, asker }: List,
): Promise<ListSql> {
  const ability = makeAbility(snapshot, asker, Date.now());
  const facts = requestFacts({ action: { name: ACTION }, context: {} });
  const inForce = rulesAbout(ability.rules, ACTION, type.type).filter(({ when }) =>
    compileCondition(when)(facts),
  );
  const rules = inForce.map(({ id }) => id);
  const filter = filterSql({ ability, action: ACTION, context: {}, type, source });
  const page = inOrder(
    db(source.table).whereRaw(filter.text, [...filter.bindings]),
    orderOf(source.sortedBy ?? 'id', { source }),
  ).limit(PAGE);
  const { sql, bindings } = page.toSQL().toNative();
  const { rows } = await db.raw<{ rows: object[] }>(
    `EXPLAIN ${page.toSQL().sql}`,
    page.toSQL().bindings as Knex.RawBinding[],
  );
  return {
    type: type.type,
    action: ACTION,
    roles: [role],
    rules,
    leftOut: heldBy(snapshot, asker, type).filter((id) => !rules.includes(id)),
    where: readable(db, filter),
    sql,
    bindings,
    explain: rows.map((line) => String(Object.values(line)[0])),
  };
}

/** The rules about the list that somebody has by their roles, whatever keeps them from it. */
function heldBy(snapshot: Snapshot, { type, roles }: Principal, { type: resource }: ResourceType): string[] {
  const own = type === anonymous.type ? 'anonymous' : 'authenticated';
  const names = ['everyone', own, ...effectiveRoles(snapshot, roles)];
  const held = names.flatMap((name) => snapshot.rulesByRole.get(name) ?? []);
  return rulesAbout(held, ACTION, resource).map(({ id }) => id);
}

/** The SQL with literals where parameters are; long ones are cut. */
function readable(db: Database, { text, bindings }: Fragment): string {
  return db
    .raw(
      text,
      bindings.map((value) => shortened(db, value)),
    )
    .toString();
}

function shortened(db: Database, value: Knex.RawBinding): Knex.RawBinding {
  if (Array.isArray(value)) {
    const shown = value.slice(0, LONGEST_LIST).map((item) => shortened(db, item));
    const more = value.length > LONGEST_LIST ? `, … ${value.length - LONGEST_LIST} more` : '';
    return db.raw(`ARRAY[${shown.map(() => '?').join(', ')}${more}]`, shown);
  }
  return typeof value === 'string' && value.length > LONGEST_TEXT
    ? `${value.slice(0, LONGEST_TEXT)}…`
    : value;
}
