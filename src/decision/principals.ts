/** Accounts and API keys as principals: read with their roles, in one query. */
import type { Principal } from '../policy/ability.ts';
import { ACCOUNT_TYPE, API_KEY_TYPE } from '../policy/built-in.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Database, Transaction } from '../storage/postgres.ts';
import { principalOf } from './access-request.ts';

/** What an account is made a principal of. */
export interface AccountFacts {
  id: string;
  email: string;
  firstName: string;
  lastName: string;
  patronymic: string | null;
  isActive: boolean;
  attributes: Record<string, unknown>;
  accessVersion: number;
  createdAt: Date;
  /** Those that it has at the time; roles that have expired are none. */
  roles: string[];
  /** When each of them that ends does so, ms since the epoch; null where none does. */
  roleEnds: Readonly<Record<string, number>> | null;
}

/** Columns of `accounts` (as a) and its roles at an instant (SQL), to be selected by whoever needs a principal. */
export const accountFactColumnsAt = (instant: string) => `
  a.id, a.email, a.first_name AS "firstName", a.last_name AS "lastName", a.patronymic, a.is_active AS "isActive",
  a.attributes, a.access_version::float8 AS "accessVersion", a.created_at AS "createdAt",
  ARRAY(SELECT role_key FROM role_assignments r
    WHERE r.account_id = a.id AND (r.expires_at IS NULL OR r.expires_at > ${instant}) ORDER BY role_key) AS roles,
  (SELECT jsonb_object_agg(role_key, round(extract(epoch FROM r.expires_at) * 1000)) FROM role_assignments r
    WHERE r.account_id = a.id AND r.expires_at > ${instant}) AS "roleEnds"`;

/** Not `now()`: that is when the transaction began, and whoever waited in it for a lock may have lost a role meanwhile. */
export const accountFactColumns = accountFactColumnsAt('clock_timestamp()');

/** The accounts of these ids, as many as there are. */
export async function findAccountFacts(
  db: Database | Transaction,
  ids: readonly string[],
): Promise<AccountFacts[]> {
  const { rows } = await db.raw(`SELECT ${accountFactColumns} FROM accounts a WHERE a.id = ANY (?::uuid[])`, [
    ids as string[],
  ]);
  return rows;
}

/** The account as principal under a snapshot. Declared attributes of the account itself win over those stored beside. */
export function accountPrincipal(facts: AccountFacts, snapshot: Snapshot): Principal {
  return principalOf(
    {
      type: ACCOUNT_TYPE,
      id: facts.id,
      roles: facts.roles,
      attributes: accountAttributes(facts),
      accessVersion: facts.accessVersion,
    },
    snapshot.types.get(ACCOUNT_TYPE),
  );
}

/** What rules can see of an account beside its attributes: these columns and no other, such as the password's hash. */
type VisibleFacts = Pick<
  AccountFacts,
  'id' | 'email' | 'firstName' | 'lastName' | 'patronymic' | 'isActive' | 'createdAt' | 'attributes'
>;

/** The account as a resource of type `user`: its own columns win over stored attributes of the same name. */
export function accountAttributes(facts: VisibleFacts): Record<string, unknown> {
  const { attributes, id, email, firstName, lastName, patronymic, isActive, createdAt } = facts;
  return { ...attributes, id, email, firstName, lastName, patronymic, isActive, createdAt };
}

/** What an API key is made a principal of. */
export interface ApiKeyFacts {
  id: string;
  /** Of no account, and for people only: rules go by the id. */
  name: string;
  accessVersion: number;
  roles: string[];
}

/** Columns of `api_keys` (as k), to be selected by whoever needs a principal. */
export const apiKeyFactColumns = `
  k.id, k.name, k.access_version::float8 AS "accessVersion",
  ARRAY(SELECT role_key FROM api_key_roles r WHERE r.key_id = k.id ORDER BY role_key) AS roles`;

/** What an administrator sees of an API key beside that; one that is about to be made has not all of it yet. */
export interface VisibleApiKeyFacts extends Pick<ApiKeyFacts, 'name'> {
  id?: string;
  roles: readonly string[];
  createdBy: string | null;
  createdAt?: Date;
  expiresAt: Date | null;
  lastUsedAt?: Date | null;
  revokedAt?: Date | null;
}

export type StoredApiKey = ApiKeyFacts & VisibleApiKeyFacts;

/** The API keys of these ids, as many as there are, whether they are in force or not. */
export async function findApiKeyFacts(db: Database, ids: readonly string[]): Promise<StoredApiKey[]> {
  const { rows } = await db.raw(
    `SELECT ${apiKeyFactColumns}, k.created_by AS "createdBy", k.created_at AS "createdAt",
       k.expires_at AS "expiresAt", k.last_used_at AS "lastUsedAt", k.revoked_at AS "revokedAt"
     FROM api_keys k WHERE k.id = ANY (?::uuid[])`,
    [ids as string[]],
  );
  return rows;
}

/** The API key as a resource of type `castellan.api-key`. */
export function apiKeyAttributes(key: VisibleApiKeyFacts): Record<string, unknown> {
  const { id, name, roles, createdBy, createdAt, expiresAt, lastUsedAt, revokedAt } = key;
  return { id, name, roles, createdBy, createdAt, expiresAt, lastUsedAt, revokedAt };
}

/** The API key as principal: its id and its roles, and no attributes. */
export function apiKeyPrincipal({ id, roles, accessVersion }: ApiKeyFacts): Principal {
  return principalOf({ type: API_KEY_TYPE, id, roles, attributes: {}, accessVersion }, undefined);
}
