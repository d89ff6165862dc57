/** People for the account tests: what a registration form holds, and what a browser would do with the cookie. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Account } from '../../../src/accounts/account.ts';
import { Session } from '../../../src/sessions/session.ts';
import {
  type Answer,
  type Client,
  type GatewayOptions,
  startGateway,
  type TestGateway,
} from '../../harness.ts';

export interface Form {
  email: string;
  password: string;
  passwordRepeat: string;
  firstName: string;
  lastName: string;
  [more: string]: unknown;
}

/** A filled-in registration form of somebody new; `password` fills in its repetition too. */
export function form(over: Record<string, unknown> = {}): Form {
  const password =
    typeof over.password === 'string' ? over.password : `quiet harbour ${randomBytes(4).toString('hex')}`;
  return {
    email: `p-${randomBytes(6).toString('hex')}@example.org`,
    password,
    passwordRepeat: password,
    firstName: 'Nadia',
    lastName: 'Brook',
    ...over,
  };
}

/** Registers; the form that was sent and the account. */
export async function register(client: Client, over: Record<string, unknown> = {}) {
  const sent = form(over);
  const { status, body } = await client.post('/api/v1/auth/register', sent);
  assert.equal(status, 201, JSON.stringify(body));
  return { ...sent, id: String(body.user.id) };
}

/** Sends a login. */
export function login(
  client: Client,
  { email, password }: { email: string; password: string },
  headers?: Record<string, string>,
): Promise<Answer> {
  return client.post('/api/v1/auth/login', { email, password }, headers);
}

/** Sends a login through a trusted proxy, as from `address`. */
export function loginFrom(
  client: Client,
  address: string,
  who: { email: string; password: string },
): Promise<Answer> {
  return login(client, who, { 'x-forwarded-for': address });
}

/** The only `Set-Cookie` of an answer, its attributes by name in lower case. */
export function setCookie(answer: Answer): {
  name: string;
  value: string;
  attributes: Record<string, string>;
} {
  const [header = '', ...more] = answer.headers.getSetCookie();
  assert.deepEqual(more, [], 'more than one cookie is set');
  const [pair = '', ...rest] = header.split('; ');
  const [name = '', value = ''] = pair.split('=');
  const attributes = Object.fromEntries(
    rest.map((part) => part.split('=')).map(([key = '', text = '']) => [key.toLowerCase(), text]),
  );
  return { name, value, attributes };
}

/** A problem+json of this code, whose field errors point there. */
export function assertProblem(answer: Answer, status: number, code: string, ...pointers: string[]): void {
  const { headers, body } = answer;
  assert.equal(answer.status, status, JSON.stringify(body));
  assert.equal(headers.get('content-type'), 'application/problem+json; charset=utf-8');
  assert.equal(body.code, code);
  assert.equal(body.status, status);
  assert.equal(headers.get('cache-control'), 'no-store');
  assert.deepEqual(
    (body.errors ?? []).map((error: { pointer: string }) => error.pointer),
    pointers,
  );
}

/**
 * A gateway that does not hear of changes from the database: it knows what it announces to itself, so that what it must
 * know at once is tested as such, and not rescued by the notification a moment later.
 */
export async function startDeafGateway(options?: GatewayOptions): Promise<TestGateway> {
  const gateway = await startGateway(options);
  await gateway.services.feed.close();
  return gateway;
}

/** The row of an account. */
export async function accountRow({ services }: TestGateway, id: string): Promise<Account> {
  const row = await Account.query(services.db).findById(id);
  assert.ok(row, 'the row is gone');
  return row;
}

/** Type, version and parameters of a password hash, the parameters by name: their order is not ours to choose. */
export function hashParameters(hash: string): string {
  const [, type, version, parameters = ''] = hash.split('$');
  return [type, version, ...parameters.split(',').sort()].join(' ');
}

/** The rows of an account's sessions, ended ones included. */
export async function sessionRows({ services }: TestGateway, accountId: string): Promise<Session[]> {
  return Session.query(services.db).where({ accountId }).orderBy('createdAt');
}

/** The audit entries about an account, the oldest first. */
export async function auditOf({ services }: TestGateway, id: string): Promise<AuditRow[]> {
  return services
    .db('audit_entries')
    .select('action', 'actor', 'address', 'before', 'after', 'actor_id as actorId', 'request_id as requestId')
    .where({ target_type: 'user', target_id: id })
    .orderBy('id');
}

interface AuditRow {
  action: string;
  actor: string;
  actorId: string;
  address: string;
  requestId: string;
  before: Record<string, unknown> | null;
  after: Record<string, unknown> | null;
}
