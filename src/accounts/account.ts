/** The account: its row, the key that makes an e-mail unique, and what is shown of it. */
import { Model } from 'objection';
import type { Database, Transaction } from '../storage/postgres.ts';

export class Account extends Model {
  static override tableName = 'accounts';
  static override jsonAttributes = ['attributes'];
  declare id: string;
  declare email: string;
  declare emailKey: string;
  declare passwordHash: string;
  declare firstName: string;
  declare lastName: string;
  declare patronymic: string | null;
  declare isActive: boolean;
  declare deactivatedAt: Date | null;
  /** Set where somebody deleted their own account: nobody brings it back. */
  declare deletedAt: Date | null;
  declare attributes: Record<string, unknown>;
  declare createdAt: Date;
  declare updatedAt: Date;
}

/** What is answered of an account. */
export interface PresentedUser {
  id: string;
  email: string;
  firstName: string;
  lastName: string;
  patronymic: string | null;
  isActive: boolean;
  roles: string[];
  attributes: Record<string, unknown>;
  createdAt: Date;
  updatedAt: Date;
}

/**
 * The e-mail without regard to case and to how its letters are composed: two that have one key are one e-mail.
 * Normalised again at the end, because lower case can decompose. Takes time with the square of the length: bound it.
 */
export function emailKey(email: string): string {
  return email.trim().normalize('NFC').toLowerCase().normalize('NFC');
}

/** The account as it is answered, column by column, so that a new column is not shown by accident. */
export function presentUser(account: Account, roles: readonly string[]): PresentedUser {
  return {
    id: account.id,
    email: account.email,
    firstName: account.firstName,
    lastName: account.lastName,
    patronymic: account.patronymic ?? null,
    isActive: account.isActive,
    roles: [...roles],
    attributes: account.attributes,
    createdAt: account.createdAt,
    updatedAt: account.updatedAt,
  };
}

/** The keys of the roles given to an account, without those inherited, in order. */
export async function rolesOf(db: Database | Transaction, accountId: string): Promise<string[]> {
  return db('role_assignments')
    .where({ account_id: accountId })
    .whereRaw('(expires_at IS NULL OR expires_at > now())')
    .orderBy('role_key')
    .pluck('role_key');
}
