/** The rows of the demo API. */
import { Model } from 'objection';
import type { Source } from '../enforcement/source.ts';

abstract class DemoRow extends Model {
  declare id: string;
  declare createdAt: Date;
}

export type DocumentStatus = 'draft' | 'review' | 'published' | 'archived';

export class DocumentRow extends DemoRow {
  static override tableName = 'documents';
  static resource = 'document';
  static source = {
    table: 'documents',
    sortedBy: '-createdAt',
    columns: {
      id: { column: 'id', type: 'uuid', notNull: true },
      title: { column: 'title', type: 'text', notNull: true },
      body: { column: 'body', type: 'text', notNull: true },
      status: { column: 'status', type: 'text', notNull: true },
      ownerId: { column: 'owner_id', type: 'uuid', notNull: true },
      department: { column: 'department', type: 'text' },
      notes: { column: 'notes', type: 'text' },
      createdAt: { column: 'created_at', type: 'timestamptz', notNull: true, checked: true },
      updatedAt: { column: 'updated_at', type: 'timestamptz', notNull: true, checked: true },
    },
  } satisfies Source;
  declare title: string;
  declare body: string;
  declare status: DocumentStatus;
  declare ownerId: string;
  declare department: string | null;
  declare notes: string | null;
  declare updatedAt: Date;
}

export class OrderRow extends DemoRow {
  static override tableName = 'orders';
  static resource = 'order';
  static source = {
    table: 'orders',
    sortedBy: '-createdAt',
    columns: {
      id: { column: 'id', type: 'uuid', notNull: true },
      amount: { column: 'amount', type: 'numeric(14,2)', notNull: true, checked: true },
      currency: { column: 'currency', type: 'text', notNull: true },
      region: { column: 'region', type: 'text', notNull: true },
      status: { column: 'status', type: 'text', notNull: true },
      createdBy: { column: 'created_by', type: 'uuid', notNull: true },
      createdAt: { column: 'created_at', type: 'timestamptz', notNull: true, checked: true },
    },
  } satisfies Source;
  declare amount: number;
  declare currency: string;
  declare region: string;
  declare status: 'open' | 'approved';
  declare createdBy: string;

  /** Postgres gives numerics as text. */
  override $parseDatabaseJson(json: Record<string, unknown>): Record<string, unknown> {
    const parsed = super.$parseDatabaseJson(json);
    return 'amount' in parsed ? { ...parsed, amount: Number(parsed.amount) } : parsed;
  }
}
