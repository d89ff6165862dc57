/** Changes of resources that nobody can slip through: decided on the row as it is, locked, and as it becomes. */
import type { Model, PartialModelObject } from 'objection';
import { AppError } from '../errors.ts';
import type { Services } from '../services.ts';
import type { Transaction } from '../storage/postgres.ts';
import type { GuardedCall } from './access.ts';
import { filterFor, filtersIn, type ListQuery, type ListShape, withParts } from './list.ts';
import { all, type Expression, not, render } from './sql/expression.ts';
import { accessibleBy, filterOf, type ResourceModel, where } from './sql-filter.ts';

type Row = Model & { id: string };

/** A row made in one transaction with the decision on it as it was stored. Throws `access_denied`; then there is none. */
export function createRow<M extends Row>(
  { db, gatekeeper }: Services,
  { context }: GuardedCall<unknown, unknown>,
  model: ResourceModel<M>,
  columns: PartialModelObject<M>,
): Promise<M> {
  return db.transaction(async (trx) => {
    const row = (await model.query(trx).insert(columns).returning('*')) as M;
    await gatekeeper.requireAllowedOn(context, row);
    return row;
  });
}

/**
 * Changes the row that the call was let in for. It is locked and decided on again: somebody may have changed it after it
 * was loaded. Throws `not_found`, `access_denied`, and what `columnsOf` throws; then nothing has changed.
 */
export function changeRow<M extends Row>(
  { db, gatekeeper }: Services,
  { context }: GuardedCall<unknown, unknown>,
  model: ResourceModel<M>,
  columnsOf: (row: M) => PartialModelObject<M>,
): Promise<M> {
  return db.transaction(async (trx) => {
    const row = await lockRow(trx, model, (context.loaded as M).id);
    await gatekeeper.requireAllowedOn(context, row);
    return patchRow(trx, model, row.id, columnsOf(row));
  });
}

/**
 * Updates the row that the call was let in for: decided on as it is, locked, with the fields that are written, and as it
 * becomes, so that nobody changes a row into one that they could not change. Throws `not_found`, `access_denied`,
 * `fields_denied`; then nothing has changed.
 */
export function updateRow<M extends Row>(
  { db, gatekeeper }: Services,
  { context, sentFields }: GuardedCall<unknown, unknown>,
  model: ResourceModel<M>,
  columns: PartialModelObject<M>,
): Promise<M> {
  return db.transaction(async (trx) => {
    const row = await lockRow(trx, model, (context.loaded as M).id);
    await gatekeeper.requireFields(await gatekeeper.requireAllowedOn(context, row), sentFields);
    const changed = await patchRow(trx, model, row.id, columns);
    await gatekeeper.requireAllowedAfter(context, changed);
    return changed;
  });
}

/** Deletes the row that the call was let in for, locked and decided on again. Throws `not_found`, `access_denied`. */
export function deleteRow<M extends Row>(
  { db, gatekeeper }: Services,
  { context }: GuardedCall<unknown, unknown>,
  model: ResourceModel<M>,
): Promise<void> {
  return db.transaction(async (trx) => {
    const row = await lockRow(trx, model, (context.loaded as M).id);
    await gatekeeper.requireAllowedOn(context, row);
    await model.query(trx).where('id', row.id).delete();
  });
}

async function patchRow<M extends Row>(
  trx: Transaction,
  model: ResourceModel<M>,
  id: string,
  columns: PartialModelObject<M>,
): Promise<M> {
  const [row] = [await model.query(trx).where('id', id).patch(columns).returning('*')].flat() as M[];
  if (!row) throw new AppError('not_found');
  return row;
}

async function lockRow<M extends Row>(trx: Transaction, model: ResourceModel<M>, id: string): Promise<M> {
  const [row] = (await model.query(trx).where('id', id).forUpdate()) as M[];
  if (!row) throw new AppError('not_found');
  return row;
}

interface BulkUpdate<M extends Row> {
  filters: ListShape['filters'];
  fields: readonly string[];
  columns: PartialModelObject<M>;
}

/**
 * Changes those of the rows that the query asks for, by its filters, that the caller may update in each of the fields; how
 * many. Throws `access_denied` where one of them would become a row that the caller could not update; then none has changed.
 */
export async function updateAccessible<M extends Row>(
  services: Services,
  call: GuardedCall<unknown, ListQuery>,
  model: ResourceModel<M>,
  { filters, fields, columns }: BulkUpdate<M>,
): Promise<number> {
  const filter = await filterFor(services, call, model, 'update');
  const asked = await askedIn(services, call, model, filters);
  const may = [filterOf(filter), ...withParts(fields, filter).map((field) => filterOf({ ...filter, field }))];
  const lost = render(not(filterOf({ ...filter, as: 'changed' })));
  return services.db.transaction(async (trx) => {
    const update = where(model.query(trx), all([asked, ...may]))
      .patch(columns)
      .returning('*');
    const [counted]: { changed: number; lost: number }[] = await trx
      .with('changed', update.toKnexQuery())
      .from('changed')
      .select(trx.raw('count(*)::int AS changed'))
      .select(trx.raw(`(count(*) FILTER (WHERE ${lost.text}))::int AS lost`, [...lost.bindings]));
    if (counted && counted.lost > 0)
      throw new AppError('access_denied', {
        message: `afterwards you could not change ${counted.lost} of them any more`,
      });
    return counted?.changed ?? 0;
  });
}

/** Deletes those of the rows that the query asks for, by its filters, that the caller may delete; how many. */
export async function deleteAccessible<M extends Row>(
  services: Services,
  call: GuardedCall<unknown, ListQuery>,
  model: ResourceModel<M>,
  filters: ListShape['filters'],
): Promise<number> {
  const { ability, context } = await filterFor(services, call, model, 'delete');
  const options = { types: call.context.snapshot.types, db: services.db, context };
  const rows = accessibleBy(ability, 'delete', model, options);
  return Number(await where(rows, await askedIn(services, call, model, filters)).delete());
}

/** Which rows are meant: of those that the caller may read, as a list with these filters would show them. */
async function askedIn(
  services: Services,
  call: GuardedCall<unknown, ListQuery>,
  model: ResourceModel,
  filters: ListShape['filters'],
): Promise<Expression> {
  const readable = await filterFor(services, call, model);
  return all([filterOf(readable), filtersIn(call.query, filters, readable)]);
}
