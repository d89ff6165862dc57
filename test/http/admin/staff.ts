/** People and parts of the policy for the tests of administration: made in the database, so that no password is hashed. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Policy } from '../../../src/policy/policy.ts';
import { publish } from '../../../src/policy/publish.ts';
import { type Answer, Client, type TestGateway } from '../../harness.ts';
import { issueSession } from '../../issue-session.ts';

export const rulesPath = '/api/v1/admin/rules';
export const rolesPath = '/api/v1/admin/roles';
export const typesPath = '/api/v1/admin/resource-types';
export const usersPath = '/api/v1/admin/users';

/** The id of the n-th account of the demo. */
export function demoId(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
}

/** A name that no other test uses. */
export function fresh(prefix: string): string {
  return `${prefix}-${randomBytes(4).toString('hex')}`;
}

export interface Person {
  id: string;
  email: string;
  client: Client;
}

export interface PersonParts {
  roles?: readonly string[];
  attributes?: Record<string, unknown>;
}

/** Somebody new with these roles and attributes, logged in. Their password is known to nobody. */
export async function person(
  { url, services: { db } }: TestGateway,
  { roles = ['user'], attributes = {} }: PersonParts = {},
): Promise<Person> {
  const email = `${fresh('p')}@example.org`;
  const [row] = await db('accounts')
    .insert({
      email,
      emailKey: email,
      passwordHash: '$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5$bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm8',
      firstName: 'Noor',
      lastName: 'Vale',
      attributes: JSON.stringify(attributes),
    })
    .returning('id');
  const id: string = row.id;
  if (roles.length > 0)
    await db('role_assignments').insert(roles.map((role) => ({ accountId: id, roleKey: role })));
  return { id, email, client: new Client(url, await newToken(db, id)) };
}

/** A further session of an account. */
export async function sessionOf({ url, services: { db } }: TestGateway, accountId: string): Promise<Client> {
  return new Client(url, await newToken(db, accountId));
}

async function newToken(db: TestGateway['services']['db'], accountId: string): Promise<string> {
  const given = { accountId, address: null, userAgent: null, lifetimeSeconds: 3600 };
  return (await issueSession(db, given)).token;
}

/** A problem+json of this code, whose field errors point there (in any order). */
export function assertProblem(answer: Answer, status: number, code: string, ...pointers: string[]): void {
  const { headers, body } = answer;
  assert.equal(answer.status, status, JSON.stringify(body));
  assert.equal(body.code, code);
  assert.equal(body.status, status);
  assert.equal(headers.get('content-type'), 'application/problem+json; charset=utf-8');
  assert.equal(headers.get('cache-control'), 'no-store');
  const found: string[] = (body.errors ?? []).map((error: { pointer: string }) => error.pointer);
  assert.deepEqual(found.sort(), [...pointers].sort());
}

/** The answer of a request that must go well. */
export function ok(answer: Answer, status = 200): Answer {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  return answer;
}

/** Adds a rule; what was answered. */
export async function addRule(client: Client, rule: Record<string, unknown>) {
  return ok(await client.post(rulesPath, rule), 201).body;
}

/** Adds a role of a new name; its key. */
export async function addRole(client: Client, rest: Record<string, unknown> = {}): Promise<string> {
  const key = fresh('role');
  ok(await client.post(rolesPath, { key, ...rest }), 201);
  return key;
}

/** Adds a rule for as long as `use` runs. */
export async function withRule<T>(
  client: Client,
  rule: Record<string, unknown>,
  use: (rule: { id: string }) => Promise<T>,
): Promise<T> {
  const added = await addRule(client, rule);
  try {
    return await use(added);
  } finally {
    ok(await client.delete(`${rulesPath}/${added.id}`), 204);
  }
}

/** What is there of the policy and of the traces that a change leaves. */
export async function stateOf({ services: { db, live } }: TestGateway) {
  const count = async (table: string) => Number((await db(table).count())[0]?.count);
  return {
    inForce: live.snapshot.revision,
    digest: live.snapshot.digest,
    rules: await count('rules'),
    roles: await count('roles'),
    resourceTypes: await count('resource_types'),
    revisions: await count('revisions'),
    auditEntries: await count('audit_entries'),
    changes: await count('changes'),
    accounts: await count('accounts'),
    assignments: await count('role_assignments'),
  };
}

/** The entries of the audit trail about one thing, the oldest first. */
export async function auditOf({ services: { db } }: TestGateway, targetType: string, targetId: string) {
  return db('audit_entries').where({ targetType, targetId }).orderBy('id');
}

/** Every item of a list, page by page. */
export async function allItems(client: Client, path: string, limit = 200) {
  const items = [];
  let cursor: string | null = null;
  do {
    const more: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const { body } = ok(await client.get(`${path}${path.includes('?') ? '&' : '?'}limit=${limit}${more}`));
    items.push(...body.items);
    cursor = body.nextCursor;
  } while (cursor !== null);
  return items;
}

/** A cursor as nobody was given it. */
export function forgedCursor(content: unknown): string {
  return Buffer.from(JSON.stringify(content)).toString('base64url');
}

/** An answer without what differs in every answer. */
export function told({ status, body }: Answer): object {
  const { requestId: _differs, ...rest } = body;
  return { status, ...rest };
}

/** Puts a policy in force whatever stands against it, and takes their roles from all but the demo's people. */
export async function restorePolicy(
  { services: { db, live, sessions } }: TestGateway,
  policy: Policy,
): Promise<void> {
  await db('role_assignments')
    .whereIn('accountId', db('accounts').select('id').whereRaw("email NOT LIKE '%@example.com'"))
    .delete();
  await publish({ db, live, author: { id: null, name: 'test' }, change: () => policy });
  sessions.forgetAll();
}
