/** The session row. */
import { Model } from 'objection';

export class Session extends Model {
  static override tableName = 'sessions';
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
