/** Accounts made and changed by somebody else: one transaction each, never beyond what the changer holds. */
import type { Request } from 'express';
import { Account, emailKey } from '../accounts/account.ts';
import { explainTaken } from '../accounts/email-taken.ts';
import { refuseGuessable } from '../accounts/password-rules.ts';
import { recordAudit } from '../audit/record.ts';
import {
  type AccountFacts,
  accountAttributes,
  accountPrincipal,
  findAccountFacts,
} from '../decision/principals.ts';
import type { GuardedCall } from '../enforcement/access.ts';
import { AppError, type FieldError } from '../errors.ts';
import { misfit } from '../policy/attributes.ts';
import { ACCOUNT_TYPE, builtInTypes } from '../policy/built-in.ts';
import type { Change } from '../policy/change-feed.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Services } from '../services.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { identityOf } from '../sessions/request-access.ts';
import type { Transaction } from '../storage/postgres.ts';
import { giverOf } from './giver.ts';
import { guardAccount, guardAccountChange, guardAssignment, guardTakeover } from './guard-escalation.ts';
import { actorOf } from './publish-change.ts';
import { admitted, changeUnderLock } from './under-lock.ts';
import type { UserChange, UserCreation } from './user-schemas.ts';

/** Makes an account; its id. Throws `email_taken`, `privilege_escalation`, `invalid_request`. */
export async function createUser(
  services: Services,
  { req, body }: GuardedCall<UserCreation>,
): Promise<string> {
  const { config, passwords } = services;
  const { password, roles = config.registrationRoles, attributes, ...profile } = body;
  await refuseGuessable(password, '/password', profile);
  const passwordHash = await passwords.hash(password);
  const make = async (trx: Transaction, snapshot: Snapshot) => {
    requireKnownRoles(roles, snapshot);
    requireFitting(attributes, snapshot);
    const giver = giverOf(services, req, snapshot);
    const { id } = await Account.query(trx).insert({
      ...profile,
      emailKey: emailKey(profile.email),
      passwordHash,
      attributes: withoutNulls(attributes),
    });
    const made = accountPrincipal(await factsOf(trx, id), snapshot);
    if (body.roles) for (const role of roles) await guardAssignment(giver, snapshot, role, made);
    if (roles.length > 0)
      await trx('role_assignments').insert(roles.map((role) => ({ account_id: id, role_key: role })));
    if (body.roles || Object.keys(attributes).length > 0)
      await guardAccountChange(
        giver,
        snapshot,
        undefined,
        accountPrincipal(await factsOf(trx, id), snapshot),
      );
    await recordAudit(trx, {
      actor: actorOf(req),
      action: 'user.create',
      target: { type: 'user', id },
      after: { ...profile, roles, attributes },
    });
    return id;
  };
  return changeUnderLock(services, req, make).catch(explainTaken);
}

/** Changes profile, attributes and whether the account is active. Throws as above, and `policy_locks_out`. */
export async function changeUser(
  services: Services,
  call: Pick<GuardedCall<UserChange>, 'req' | 'res' | 'params' | 'body'>,
): Promise<void> {
  const { feed, gatekeeper } = services;
  const { req, body } = call;
  const id = call.params.id ?? '';
  const change = async (trx: Transaction, snapshot: Snapshot): Promise<Change[]> => {
    const account = await Account.query(trx).findById(id).forUpdate();
    if (!account) throw new AppError('not_found');
    if (body.email !== undefined) refuseOneself(req, id, 'PATCH /api/v1/me');
    await requireActivityChange(services, call, account);
    requireFitting(body.attributes ?? {}, snapshot);
    const giver = giverOf(services, req, snapshot);
    const was = accountPrincipal(await factsOf(trx, id), snapshot);
    await (body.email === undefined ? guardAccount : guardTakeover)(giver, snapshot, was);
    // After the guard: who may not touch the account is not told what became of it.
    if (body.isActive && account.deletedAt)
      throw new AppError('conflict', { message: 'whose account it was deleted it, and that is for good' });
    const named = () =>
      Object.fromEntries(Object.keys(body).map((key) => [key, account[key as keyof UserChange]]));
    const before = named();
    const { isActive } = account;
    await account.$query(trx).patch(columnsOf(account, body));
    const after = await factsOf(trx, id);
    await guardAccountChange(giver, snapshot, was, accountPrincipal(after, snapshot));
    // Whether it is active is asked of by actions of its own.
    if (Object.keys(body).some((key) => key !== 'isActive'))
      await gatekeeper.requireAllowedAfter(admitted(req), { ...accountAttributes(after), isActive });
    const ended = body.isActive === false ? await endSessions(trx, { accountId: id }) : [];
    await recordAudit(trx, {
      actor: actorOf(req),
      action: 'user.update',
      target: { type: 'user', id },
      before,
      after: named(),
    });
    return ended;
  };
  const ended = await changeUnderLock(services, req, change).catch(explainTaken);
  feed.announce([{ kind: 'principal', subject: id }, ...ended]);
}

/** Sets a password without knowing the old one, and ends every session. Throws `privilege_escalation`. */
export async function resetPassword(
  services: Services,
  { req, params: { id = '' }, body }: GuardedCall<{ newPassword: string }>,
): Promise<void> {
  refuseOneself(req, id, 'PUT /api/v1/me/password');
  const { db, feed, passwords } = services;
  const [facts] = await findAccountFacts(db, [id]);
  if (!facts) throw new AppError('not_found');
  await refuseGuessable(body.newPassword, '/newPassword', facts);
  const passwordHash = await passwords.hash(body.newPassword);
  const ended = await changeUnderLock(services, req, async (trx, snapshot) => {
    await guardTakeover(
      giverOf(services, req, snapshot),
      snapshot,
      accountPrincipal(await factsOf(trx, id), snapshot),
    );
    await Account.query(trx).findById(id).patch({ passwordHash, updatedAt: new Date() });
    const sessions = await endSessions(trx, { accountId: id });
    await recordAudit(trx, {
      actor: actorOf(req),
      action: 'user.reset-password',
      target: { type: 'user', id },
    });
    return sessions;
  });
  feed.announce(ended);
}

/** Logs an account out everywhere. Throws `privilege_escalation`: nobody shuts out somebody stronger. */
export async function endUserSessions(
  services: Services,
  { req, params: { id = '' } }: GuardedCall,
): Promise<void> {
  const { feed } = services;
  const ended = await changeUnderLock(services, req, async (trx, snapshot) => {
    await guardAccount(
      giverOf(services, req, snapshot),
      snapshot,
      accountPrincipal(await factsOf(trx, id), snapshot),
    );
    const sessions = await endSessions(trx, { accountId: id });
    await recordAudit(trx, {
      actor: actorOf(req),
      action: 'user.end-sessions',
      target: { type: 'user', id },
    });
    return sessions;
  });
  feed.announce(ended);
}

/** Attributes must be declared on the resource type `user`, beside the account's own, and fit. Throws `invalid_request`. */
export function requireFitting(attributes: Record<string, unknown>, snapshot: Snapshot): void {
  const declared = snapshot.types.get(ACCOUNT_TYPE)?.attributes ?? {};
  const own = builtInTypes.find(({ type }) => type === ACCOUNT_TYPE)?.attributes ?? {};
  const errors = Object.entries(attributes).flatMap(([name, value]): FieldError[] => {
    const pointer = `/attributes/${name}`;
    const spec = Object.hasOwn(declared, name) && !Object.hasOwn(own, name) ? declared[name] : undefined;
    if (!spec)
      return [
        { pointer, message: 'is not declared as an attribute beside the account on the resource type user' },
      ];
    const problem = value === null ? undefined : misfit(value, spec);
    return problem ? [{ pointer, message: problem }] : [];
  });
  if (errors.length > 0)
    throw new AppError('invalid_request', {
      message: errors.map(({ pointer, message }) => `${pointer} ${message}`).join('; '),
      errors,
    });
}

async function factsOf(trx: Transaction, id: string): Promise<AccountFacts> {
  const [facts] = await findAccountFacts(trx, [id]);
  if (!facts) throw new AppError('not_found');
  return facts;
}

/** What asks for the current password where it is one's own must not be had without it from here: a session can be stolen. */
function refuseOneself(req: Request, id: string, instead: string): void {
  if (identityOf(req)?.account?.id === id)
    throw new AppError('access_denied', { message: `of your own account, with ${instead}` });
}

/** Ending and giving back access are actions of their own. */
async function requireActivityChange(
  { gatekeeper }: Services,
  { req, res, body }: Pick<GuardedCall<UserChange>, 'req' | 'res' | 'body'>,
  account: Account,
): Promise<void> {
  if (body.isActive === undefined || body.isActive === account.isActive) return;
  const action = body.isActive ? 'reactivate' : 'deactivate';
  await gatekeeper.requireAllowed(req, res, { action, resource: ACCOUNT_TYPE }, accountAttributes(account));
}

function columnsOf(account: Account, { attributes, email, isActive, ...names }: UserChange) {
  return {
    ...names,
    ...(email !== undefined && { email, emailKey: emailKey(email) }),
    ...(attributes && { attributes: withoutNulls({ ...account.attributes, ...attributes }) }),
    ...(isActive !== undefined && {
      isActive,
      deactivatedAt: isActive ? null : (account.deactivatedAt ?? new Date()),
    }),
    updatedAt: new Date(),
  };
}

function withoutNulls(attributes: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== null));
}

/** Throws `invalid_request`, pointing at each role that is not there. */
export function requireKnownRoles(roles: readonly string[], snapshot: Snapshot): void {
  const errors = roles.flatMap((role, index) =>
    snapshot.roles.has(role) ? [] : [{ pointer: `/roles/${index}`, message: `there is no role ${role}` }],
  );
  if (errors.length > 0) throw new AppError('invalid_request', { message: errors[0]?.message, errors });
}
