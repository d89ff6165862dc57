/** Candidates that are rows of a table: read in the order of their ids, from where the last batch ended. */
import type { Knex } from 'knex';
import { invalidField } from '../errors.ts';
import type { Database } from '../storage/postgres.ts';
import { type CandidateSource, STORED } from './scan.ts';

export interface TableOptions {
  /** Or a query that is called as one. */
  table: string | Knex.Raw;
  /** The column of the id, with its table, and the type of a parameter to compare with it. */
  path: string;
  type: string;
  /** What else rows must meet: never more than a decision would ask of them. */
  narrow?(rows: Knex.QueryBuilder): void;
}

/** Rows, none of which is skipped or shown twice because others come or go. */
export function rowsOf(db: Database, { table, path, type, narrow }: TableOptions): CandidateSource {
  return {
    name: STORED,
    isStored: true,
    next: async (afterId, limit) => {
      const rows = db(table)
        .select({ id: db.raw('??::text', [path]) })
        .orderBy(path)
        .limit(limit);
      if (afterId !== undefined) rows.whereRaw(`?? > ?::${type}`, [path, afterId]);
      narrow?.(rows);
      const found: { id: string }[] = await rows.catch((cause) => {
        // Data exceptions (class 22): what stands in the token is no id of this table.
        if (afterId !== undefined && String(cause.code).startsWith('22'))
          throw invalidField('/page/token', 'is not a next_token of this search');
        throw cause;
      });
      return found.map(({ id }) => id);
    },
  };
}

/** All accounts, active or not. */
export function accountRows(db: Database, narrow?: TableOptions['narrow']): CandidateSource {
  return rowsOf(db, {
    table: 'accounts',
    path: 'accounts.id',
    type: 'uuid',
    ...(narrow && { narrow }),
  });
}

/** All API keys, in force or not. */
export function apiKeyRows(db: Database, narrow?: TableOptions['narrow']): CandidateSource {
  return rowsOf(db, {
    table: 'api_keys',
    path: 'api_keys.id',
    type: 'uuid',
    ...(narrow && { narrow }),
  });
}
