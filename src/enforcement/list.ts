/** Lists of resources: the rows that the caller may read, chosen by Postgres, each without the fields that may not be read. */
import { createHash } from 'node:crypto';
import Joi from 'joi';
import type { Knex } from 'knex';
import type { Model } from 'objection';
import { AppError, invalidField } from '../errors.ts';
import { decodeCursor, encodeCursor, type PageQuery, pageKeys } from '../http/page.ts';
import { canonical } from '../policy/attributes.ts';
import { allOf, type Condition, type Scalar } from '../policy/condition.ts';
import type { Services } from '../services.ts';
import type { GuardedCall } from './access.ts';
import { maskFields } from './mask.ts';
import type { Column } from './source.ts';
import { all, type Expression } from './sql/expression.ts';
import {
  type FilterOptions,
  filterOf,
  filterSql,
  type ResourceModel,
  translate,
  where,
} from './sql-filter.ts';

export interface ListShape {
  /** Attributes that a query may ask for, one value each. */
  filters: Record<string, Joi.Schema>;
  /** Attributes that a list can be in the order of. */
  sorts: readonly string[];
  /** Attributes that `search` looks into. */
  searchIn?: readonly string[];
  /** `-` before it: descending. */
  sortedBy: string;
}

export interface ListQuery extends PageQuery {
  sort?: string;
  search?: string;
  total?: boolean;
  [filter: string]: unknown;
}

/** The query of a list: a page, an order, a search, the total, and a value for any of the filters. */
export function listQuery({ filters, sorts, searchIn, sortedBy }: ListShape): Joi.ObjectSchema {
  return Joi.object({
    ...pageKeys,
    ...filters,
    sort: Joi.string()
      .valid(...sorts.flatMap((attribute) => [attribute, `-${attribute}`]))
      .description(`"-" before it: descending; ${sortedBy} unless another is named`),
    total: Joi.boolean().description('whether to count what the whole list has'),
    ...(searchIn && {
      search: Joi.string()
        .max(200)
        .description(`a text in ${searchIn.join(' or ')}`),
    }),
  });
}

export interface ListOptions<Row extends Model> extends ListShape {
  model: ResourceModel<Row>;
  /** What else the query is narrowed by, or joined with. */
  narrow?(query: Knex.QueryBuilder): void;
}

/** What the list is in the order of, beside the columns of the table: called as none of them. */
const PLACE = '$place';

interface Page {
  items: object[];
  nextCursor: string | null;
  total?: number;
}

/**
 * A page of the list. What is asked for by a field is refused with `fields_denied` unless that field may be read on every
 * row that the list can show: its order, or the absence of a row, would tell of it. A cursor holds a place, no filter:
 * what is shown is decided anew for each page. It is good for one caller and one list.
 */
export async function listAccessible<Row extends Model & { id: string }>(
  services: Services,
  call: GuardedCall<unknown, ListQuery>,
  options: ListOptions<Row>,
): Promise<Page> {
  const { db, decisions, gatekeeper } = services;
  const { req, query, context } = call;
  const { model } = options;
  const filter = await filterFor(services, call, model);
  const sort = query.sort ?? options.sortedBy;
  requireReadable('sort', sort.replace('-', ''), filter);
  const asked = all([filterOf(filter), filtersIn(query, options.filters, filter)]);
  const rows = where(db(model.source.table), asked);
  if (query.search !== undefined) searchFor(rows, query.search, options.searchIn ?? [], filter);
  options.narrow?.(rows);
  const total = query.total ? await rows.clone().count({ count: '*' }) : undefined;
  const order = orderOf(sort, filter);
  const { limit: _limit, cursor: _cursor, total: _total, ...list } = query;
  const binding = bindingOf([context.principal.type, context.principal.id, model.resource, sort, list]);
  if (query.cursor !== undefined) goOnAfter(rows, query.cursor, binding, order);
  const found: { id: string; [PLACE]: string | null }[] = await inOrder(rows, order)
    .select(`${model.source.table}.*`, db.raw('??::text AS ??', [order.path, PLACE]))
    .limit(query.limit + 1)
    .catch((cause) => {
      // Data exceptions (class 22): what stands in the cursor is no value of the column.
      if (query.cursor !== undefined && String(cause.code).startsWith('22')) throw wrongCursor();
      throw cause;
    });
  const shown = found.slice(0, query.limit);
  const last = found.length > query.limit ? shown.at(-1) : undefined;
  const question = { action: 'read', resource: model.resource };
  const items = shown.map(({ [PLACE]: _place, ...columns }) => {
    const row = model.fromDatabaseJson(columns);
    const request = gatekeeper.accessRequest(req, context.snapshot, question, row);
    return maskFields(decisions, context.snapshot, request, row.toJSON());
  });
  return {
    items: await Promise.all(items),
    nextCursor: last ? encodeCursor([binding, last[PLACE] === null ? '' : `=${last[PLACE]}`, last.id]) : null,
    ...(total && { total: Number(total[0]?.['count']) }),
  };
}

/** The rows that the caller may do the action to. */
export async function filterFor(
  { abilityOf, gatekeeper }: Services,
  { req, context: { snapshot, principal } }: GuardedCall<unknown, unknown>,
  { resource, source }: ResourceModel,
  action = 'read',
): Promise<FilterOptions> {
  const type = snapshot.types.get(resource);
  if (!type) throw new AppError('internal_error', { detail: `unknown resource type ${resource}` });
  const { context } = gatekeeper.accessRequest(req, snapshot, { action, resource }, {});
  return { ability: await abilityOf(snapshot, principal), action, context, type, source };
}

/** What a query asks of the rows by its filters. Throws `fields_denied` for one that may not be read on each of them. */
export function filtersIn(
  query: ListQuery,
  filters: ListShape['filters'],
  filter: FilterOptions,
): Expression {
  const tests = Object.keys(filters)
    .filter((attribute) => query[attribute] !== undefined)
    .map((attribute): Condition => {
      requireReadable(attribute, attribute, filter);
      const value = canonical(query[attribute], filter.type.attributes[attribute]?.type) as Scalar;
      return { kind: 'test', path: attribute, operator: '$eq', value };
    });
  return translate(allOf(tests), filter);
}

function requireReadable(parameter: string, attribute: string, filter: FilterOptions): void {
  if (!isReadable(attribute, filter)) throw denied(parameter, attribute);
}

/**
 * Whether the attribute, with all its parts, may be read on each row of the list: the same rules, and no others, let both
 * be read. What the type does not declare is shown to nobody.
 */
function isReadable(attribute: string, filter: FilterOptions): boolean {
  if (attribute !== 'id' && !Object.hasOwn(filter.type.attributes, attribute)) return false;
  const whole = JSON.stringify(filterSql(filter));
  return withParts([attribute], filter).every(
    (field) => JSON.stringify(filterSql({ ...filter, field })) === whole,
  );
}

/** The fields, and their parts that rules name: who is denied a part does not have the whole. */
export function withParts(fields: readonly string[], { ability }: FilterOptions): string[] {
  const named = new Set(ability.rules.flatMap((rule) => rule.fields ?? []));
  const parts = [...named].filter((name) => fields.some((field) => name.startsWith(`${field}.`)));
  return [...fields, ...parts];
}

function denied(parameter: string, attribute: string): AppError {
  const message = `you may not read ${attribute} on every row of this list`;
  return new AppError('fields_denied', { message, errors: [{ pointer: `/query/${parameter}`, message }] });
}

/** Texts that contain it, whatever the case; `%` and `_` stand for themselves. It looks where it may be read. */
function searchFor(
  rows: Knex.QueryBuilder,
  text: string,
  searchIn: readonly string[],
  filter: FilterOptions,
): void {
  const readable = searchIn.filter((attribute) => isReadable(attribute, filter));
  if (readable.length === 0) throw denied('search', searchIn.join(' or '));
  const { table, columns } = filter.source;
  const pattern = `%${text.replaceAll(/[\\%_]/g, '\\$&')}%`;
  rows.where((either) => {
    for (const attribute of readable)
      either.orWhereRaw('??::text ILIKE ?', [`${table}.${columns[attribute]?.column}`, pattern]);
  });
}

export interface Order {
  /** The column, with its table. */
  path: string;
  column: Column;
  idPath: string;
  idType: string;
  isDescending: boolean;
}

/** The order by an attribute, `-` before it: descending. */
export function orderOf(name: string, { source: { table, columns } }: Pick<FilterOptions, 'source'>): Order {
  const column = columns[name.replace('-', '')];
  const id = columns['id'];
  if (!column || !id)
    throw new AppError('internal_error', { detail: `no column to order ${table} by ${name}` });
  return {
    path: `${table}.${column.column}`,
    column,
    idPath: `${table}.${id.column}`,
    idType: castOf(id),
    isDescending: name.startsWith('-'),
  };
}

/** What is missing comes last. Rows of one place are in the order of their ids. */
export function inOrder(
  rows: Knex.QueryBuilder,
  { path, column, idPath, isDescending }: Order,
): Knex.QueryBuilder {
  const direction = isDescending ? 'DESC' : 'ASC';
  return rows.orderByRaw(`?? ${direction}${column.notNull ? '' : ' NULLS LAST'}, ?? ${direction}`, [
    path,
    idPath,
  ]);
}

function goOnAfter(rows: Knex.QueryBuilder, cursor: string, binding: string, order: Order): void {
  const [bound = '', written = '', id = ''] = decodeCursor(cursor, 3);
  if (bound !== binding) throw wrongCursor();
  const { path, column, idPath, idType, isDescending } = order;
  const after = isDescending ? '<' : '>';
  if (written === '') {
    rows.whereRaw(`(?? IS NULL AND ?? ${after} ?::${idType})`, [path, idPath, id]);
    return;
  }
  const further = `(??, ??) ${after} (?::${castOf(column)}, ?::${idType})`;
  const bindings = [path, idPath, written.slice(1), id];
  if (column.notNull) rows.whereRaw(further, bindings);
  else rows.whereRaw(`(${further} OR ?? IS NULL)`, [...bindings, path]);
}

/** The type of a parameter to compare with the column. */
function castOf({ type }: Column): string {
  return type
    .replace('integer', 'bigint')
    .replace('double', 'float8')
    .replace(/\(.*\)/, '');
}

/** Says whose cursor it is, and of which list: a place in another's list says nothing here. */
function bindingOf(of: unknown): string {
  return createHash('sha256').update(JSON.stringify(of)).digest('base64url').slice(0, 16);
}

function wrongCursor(): AppError {
  return invalidField('/query/cursor', 'must be a nextCursor of this list, given to you');
}
