/** The demo's lists: the rows that the caller may read, chosen by Postgres, each without the fields that may not be read. */
import type { Model, ModelClass } from 'objection';
import type { GuardedCall } from '../enforcement/access.ts';
import { maskFields } from '../enforcement/mask.ts';
import { accessibleBy } from '../enforcement/sql-filter.ts';
import { invalidField } from '../errors.ts';
import { decodeCursor, type PageQuery, toPage } from '../http/page.ts';
import { misfit } from '../policy/attributes.ts';
import type { Services } from '../services.ts';

export interface ListOptions<Row extends Model> {
  model: ModelClass<Row>;
  resource: string;
  /** Attribute -> column. */
  columns: Readonly<Record<string, string>>;
}

/** What Postgres says of a text that is no instant, such as in a cursor that nobody was given. */
const noInstant = new Set(['22007', '22008']);

/** A page of rows, newest first. A cursor holds a place, not a filter: what is shown is decided anew for each page. */
export async function listAccessible<Row extends Model & { id: string }>(
  { db, abilityOf, gatekeeper, decisions }: Services,
  { req, query, context: { snapshot, principal } }: GuardedCall<unknown, PageQuery>,
  { model, resource, columns }: ListOptions<Row>,
) {
  const question = { action: 'read', resource };
  const { context } = gatekeeper.accessRequest(req, snapshot, question, {});
  const ability = await abilityOf(snapshot, principal);
  // The cursor keeps the microseconds that a JavaScript date would lose.
  const select = db(model.tableName).select('*', db.raw('created_at::text AS place'));
  accessibleBy(select, { ability, ...question, context, columns });
  if (query.cursor !== undefined) {
    const [place = '', id = ''] = decodeCursor(query.cursor, 2);
    if (misfit(id, { type: 'uuid' })) throw wrongCursor();
    select.whereRaw('(created_at, id) < (?::timestamptz, ?::uuid)', [place, id]);
  }
  const rows: { id: string; place: string }[] = await select
    .orderByRaw('created_at DESC, id DESC')
    .limit(query.limit + 1)
    .catch((cause) => {
      if (query.cursor !== undefined && noInstant.has(cause.code)) throw wrongCursor();
      throw cause;
    });
  const page = toPage(
    rows,
    query.limit,
    ({ place, id }) => [place, id],
    ({ place: _place, ...row }) => model.fromDatabaseJson(row),
  );
  const items = page.items.map((row) =>
    maskFields(decisions, snapshot, gatekeeper.accessRequest(req, snapshot, question, row), row.toJSON()),
  );
  return { items: await Promise.all(items), nextCursor: page.nextCursor };
}

function wrongCursor() {
  return invalidField('/query/cursor', 'must be a nextCursor of this list');
}
