/** The session row. */
import { Model, snakeCaseMappers } from 'objection';

export class Session extends Model {
  static override tableName = 'sessions';
  static override columnNameMappers = snakeCaseMappers();
  declare id: string;
  declare accountId: string;
  declare tokenHash: Buffer;
  declare address: string | null;
  declare userAgent: string | null;
  declare createdAt: Date;
  declare lastSeenAt: Date;
  declare expiresAt: Date;
  declare endedAt: Date | null;
}
