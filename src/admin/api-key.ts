/** API keys: their rows with their roles, how they are written, and what is shown of them. */
import { Model, type QueryBuilder, UniqueViolationError } from 'objection';
import { type AuditActor, recordAudit } from '../audit/record.ts';
import { AppError } from '../errors.ts';
import { hashToken, newApiKeyToken, shownPrefix } from '../sessions/token.ts';
import type { Database, Transaction } from '../storage/postgres.ts';

export class ApiKey extends Model {
  static override tableName = 'api_keys';
  declare id: string;
  declare name: string;
  declare prefix: string;
  declare tokenHash: Buffer;
  declare previousPrefix: string | null;
  declare previousTokenHash: Buffer | null;
  declare previousExpiresAt: Date | null;
  /** An account or an API key; null: a command. */
  declare createdBy: string | null;
  declare createdAt: Date;
  declare rotatedAt: Date | null;
  declare expiresAt: Date | null;
  declare lastUsedAt: Date | null;
  declare revokedAt: Date | null;
  declare accessVersion: number;
  /** Of another table, selected along. */
  declare roles: string[];
}

/** What is answered of a key. */
export interface PresentedApiKey {
  id: string;
  name: string;
  prefix: string;
  roles: string[];
  createdBy: string | null;
  createdAt: Date;
  rotatedAt: Date | null;
  expiresAt: Date | null;
  lastUsedAt: Date | null;
  revokedAt: Date | null;
  /** The secret before the last rotation, while it is still accepted. */
  previous: { prefix: string; expiresAt: Date } | null;
}

export interface NewApiKey {
  name: string;
  roles: readonly string[];
  expiresAt: Date | null;
  createdBy: string | null;
}

/** A key with its secret, which is nowhere to be had again. */
export interface MintedApiKey {
  key: ApiKey;
  token: string;
}

/** All keys, each with its roles. */
export function apiKeys(db: Database | Transaction): QueryBuilder<ApiKey> {
  return ApiKey.query(db).select(
    'api_keys.*',
    db.raw('access_version::float8 AS access_version'),
    db.raw(
      'ARRAY(SELECT role_key FROM api_key_roles r WHERE r.key_id = api_keys.id ORDER BY role_key) AS roles',
    ),
  );
}

export async function findApiKey(db: Database | Transaction, id: string): Promise<ApiKey | undefined> {
  return apiKeys(db).findById(id);
}

/** The key, which nobody else changes until the transaction ends. Throws `not_found`. */
export async function lockApiKey(trx: Transaction, id: string): Promise<ApiKey> {
  const key = await apiKeys(trx).findById(id).forUpdate();
  if (!key) throw new AppError('not_found', { message: `there is no API key ${id}` });
  return key;
}

/** The key as it is answered, column by column. */
export function presentApiKey(key: ApiKey): PresentedApiKey {
  const { id, name, prefix, roles, createdBy, createdAt, rotatedAt, expiresAt, lastUsedAt, revokedAt } = key;
  const { previousPrefix, previousExpiresAt } = key;
  const overlaps = previousPrefix !== null && previousExpiresAt !== null && previousExpiresAt > new Date();
  return {
    ...{ id, name, prefix, roles, createdBy, createdAt, rotatedAt, expiresAt, lastUsedAt, revokedAt },
    previous: overlaps ? { prefix: previousPrefix, expiresAt: previousExpiresAt } : null,
  };
}

/** Writes a new key. Throws `conflict` for a name that a key in force has. */
export async function insertApiKey(
  trx: Transaction,
  { roles, ...columns }: NewApiKey,
): Promise<MintedApiKey> {
  const token = newApiKeyToken();
  const secret = { prefix: shownPrefix(token), tokenHash: hashToken(token) };
  const { id } = await ApiKey.query(trx)
    .insert({ ...columns, ...secret })
    .catch(explainNameTaken);
  await writeRoles(trx, id, roles);
  return { key: await lockApiKey(trx, id), token };
}

/** Changes name, end and roles; the key as it is then. Throws as above. */
export async function updateApiKey(
  trx: Transaction,
  { id }: ApiKey,
  { roles, ...columns }: Partial<Pick<NewApiKey, 'name' | 'roles' | 'expiresAt'>>,
): Promise<ApiKey> {
  if (Object.keys(columns).length > 0)
    await ApiKey.query(trx).findById(id).patch(columns).catch(explainNameTaken);
  if (roles) {
    await trx('api_key_roles').where({ key_id: id }).delete();
    await writeRoles(trx, id, roles);
  }
  return lockApiKey(trx, id);
}

/** Gives a key a new secret. The one before is accepted for the overlap, and then no more; one before that at once no more. */
export async function rotateApiKey(
  trx: Transaction,
  { id, prefix, tokenHash }: ApiKey,
  overlapSeconds: number,
): Promise<MintedApiKey> {
  const token = newApiKeyToken();
  const now = Date.now();
  const overlaps = overlapSeconds > 0;
  await ApiKey.query(trx)
    .findById(id)
    .patch({
      prefix: shownPrefix(token),
      tokenHash: hashToken(token),
      previousPrefix: overlaps ? prefix : null,
      previousTokenHash: overlaps ? tokenHash : null,
      previousExpiresAt: overlaps ? new Date(now + overlapSeconds * 1000) : null,
      rotatedAt: new Date(now),
    });
  return { key: await lockApiKey(trx, id), token };
}

/** From now on no secret of the key is accepted. It keeps no role, so that its roles can go. */
export async function revokeApiKey(trx: Transaction, { id }: ApiKey): Promise<ApiKey> {
  await ApiKey.query(trx).findById(id).patch({ revokedAt: new Date() });
  await trx('api_key_roles').where({ key_id: id }).delete();
  return lockApiKey(trx, id);
}

/** Throws `conflict` for a key that was revoked: nothing brings it back. */
export function requireUnrevoked({ revokedAt }: ApiKey): void {
  if (revokedAt)
    throw new AppError('conflict', { message: 'this API key was revoked, and that is for good' });
}

/** Writes down who did what to a key: the last thing of a transaction. */
export async function auditApiKey(
  trx: Transaction,
  actor: AuditActor,
  verb: 'create' | 'update' | 'rotate' | 'revoke',
  { before, after }: { before?: ApiKey; after: ApiKey },
): Promise<void> {
  await recordAudit(trx, {
    actor,
    action: `api-key.${verb}`,
    target: { type: 'castellan.api-key', id: after.id },
    ...(before && { before: told(before) }),
    after: told(after),
  });
}

function told(key: ApiKey): object {
  const { name, prefix, roles, expiresAt, revokedAt, previous } = presentApiKey(key);
  return { name, prefix, roles, expiresAt, revokedAt, previous };
}

async function writeRoles(trx: Transaction, id: string, roles: readonly string[]): Promise<void> {
  if (roles.length > 0)
    await trx('api_key_roles').insert(roles.map((role) => ({ key_id: id, role_key: role })));
}

/** Throws `conflict`, pointing at `/name`; rethrows everything else. */
function explainNameTaken(cause: unknown): never {
  if (!(cause instanceof UniqueViolationError && cause.constraint === 'api_keys_by_name')) throw cause;
  const message = 'is the name of another API key';
  throw new AppError('conflict', {
    message: `the name ${message}`,
    errors: [{ pointer: '/name', message }],
    cause,
  });
}
