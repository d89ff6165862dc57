/** The rows of the demo API. */
import { Model } from 'objection';

abstract class DemoRow extends Model {
  declare id: string;
  declare createdAt: Date;
}

export type DocumentStatus = 'draft' | 'review' | 'published' | 'archived';

export class DocumentRow extends DemoRow {
  static override tableName = 'documents';
  declare title: string;
  declare body: string;
  declare status: DocumentStatus;
  declare ownerId: string;
  declare department: string | null;
  declare notes: string | null;
  declare updatedAt: Date;
  /** Of the transaction that wrote the row; only where it was asked for. */
  declare rowVersion: string;
}

export class OrderRow extends DemoRow {
  static override tableName = 'orders';
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
