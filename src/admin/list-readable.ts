/** Lists of administration: pages by name, with only the rows that the caller may read. */
import type { GuardedCall } from '../enforcement/access.ts';
import { decodeCursor, encodeCursor, type PageQuery } from '../http/page.ts';
import type { Services } from '../services.ts';

export type ReadablePage = PageQuery;

export interface ReadableOptions<Row, Item> {
  /** Rows in the order of their names: the first `size` after the one named `after`. */
  page(after: string | undefined, size: number): PromiseLike<Row[]>;
  nameOf(row: Row): string;
  resource: string;
  /** Fields that the list is filtered by: a row is shown only to those who may read them, or the filter would tell. */
  filteredBy?: readonly string[];
  /** The row as a resource, for the decision. */
  attributesOf(row: Row): object;
  present(row: Row): Promise<Item> | Item;
}

/** A page is full, or the last: rows that may not be read are skipped over, batch by batch. */
export async function listReadable<Row, Item>(
  { decisions, gatekeeper }: Services,
  { req, query: { limit, cursor }, context: { snapshot } }: GuardedCall<unknown, PageQuery>,
  options: ReadableOptions<Row, Item>,
): Promise<{ items: Item[]; nextCursor: string | null }> {
  const items: Item[] = [];
  let after = cursor === undefined ? undefined : decodeCursor(cursor, 1)[0];
  for (;;) {
    const rows = await options.page(after, limit + 1);
    for (const [index, row] of rows.entries()) {
      if (items.length === limit) return { items, nextCursor: encodeCursor([String(after)]) };
      const request = gatekeeper.accessRequest(
        req,
        snapshot,
        { action: 'read', resource: options.resource },
        options.attributesOf(row),
      );
      const fields = options.filteredBy ?? [];
      const { allow } = await decisions.decide(snapshot, request, 'never');
      const told = await decisions.permittedFields(snapshot, request, fields);
      if (allow && fields.every((field) => told.has(field))) items.push(await options.present(row));
      after = options.nameOf(row);
      if (index === rows.length - 1 && rows.length <= limit) return { items, nextCursor: null };
    }
    if (rows.length === 0) return { items, nextCursor: null };
  }
}
