/** The caller's own account: profile, password, deletion, ability. */
import { createHash } from 'node:crypto';
import Joi from 'joi';
import { endpoint, type GuardedCall, type GuardedEndpoint } from '../enforcement/access.ts';
import { AppError } from '../errors.ts';
import { toPlainAbility } from '../evaluators/casl-rules.ts';
import type { Reply } from '../http/endpoint.ts';
import { principalFor } from '../sessions/authenticate.ts';
import { Account, presentUser, rolesOf } from './account.ts';
import { originOf } from './account-actor.ts';
import { callerOf } from './caller.ts';
import { changePassword } from './change-password.ts';
import { changeProfile } from './change-profile.ts';
import type { AccountParts } from './check-password.ts';
import { deactivateOneself } from './deactivate.ts';
import {
  type Confirmation,
  confirmation,
  type PasswordChange,
  type ProfileChange,
  passwordChange,
  profileChange,
  userShape,
} from './profile-schemas.ts';
import { clearedCookie } from './session-cookie.ts';

const path = '/api/v1/me';
const reply = { status: 200, description: 'The account', shape: userShape };
const passwordErrors = [
  'cross_site_request',
  'invalid_credentials',
  'too_many_attempts',
  'conflict',
  'overloaded',
] as const;
/** What an ability is answered as. */
export const abilityShape = Joi.object({
  revision: Joi.number().integer(),
  rules: Joi.array().items(Joi.object()).description('CASL rules: feed createMongoAbility as they are'),
  serverOnly: Joi.array().items(Joi.object()).description('rules that only the gateway can decide'),
});

/** `/api/v1/me` and what is below it, but for the sessions. */
export function meEndpoints(parts: AccountParts): GuardedEndpoint[] {
  return [
    endpoint({
      method: 'get',
      path,
      summary: 'Your account',
      access: 'account',
      reply,
      handle: async ({ req }) => {
        const account = await Account.query(parts.db).findById(callerOf(req).accountId);
        if (!account) throw new AppError('unauthenticated');
        return answer(parts, account);
      },
    }),
    endpoint<ProfileChange>({
      method: 'patch',
      path,
      summary: 'Change your name, or, with the current password, your e-mail',
      access: 'account',
      body: profileChange,
      reply,
      errors: [...passwordErrors, 'email_taken'],
      handle: async ({ req, body }) =>
        answer(parts, await changeProfile(parts, callerOf(req).accountId, body, originOf(req))),
    }),
    endpoint<PasswordChange>({
      method: 'put',
      path: `${path}/password`,
      summary: 'Change your password; every other session ends',
      access: 'account',
      body: passwordChange,
      reply: { status: 204, description: 'It is changed' },
      errors: passwordErrors,
      handle: async ({ req, body }) => {
        await changePassword(parts, callerOf(req), body, originOf(req));
        return { status: 204 };
      },
    }),
    endpoint<Confirmation>({
      method: 'delete',
      path,
      summary: 'Deactivate your account for good; every session ends, the e-mail stays taken',
      access: 'account',
      body: confirmation,
      reply: { status: 204, description: 'It is deactivated' },
      errors: [...passwordErrors, 'policy_locks_out'],
      handle: async ({ req, body }) => {
        await deactivateOneself(parts, callerOf(req).accountId, body.currentPassword, originOf(req));
        return { status: 204, headers: { 'Set-Cookie': clearedCookie(parts.isSecure(req)) } };
      },
    }),
    endpoint({
      method: 'get',
      path: `${path}/ability`,
      summary: 'What you may do, as CASL rules for a browser',
      access: 'authenticated',
      reply: { status: 200, description: 'The ability, with an ETag', shape: abilityShape },
      errors: ['policy_stale', 'revision_not_reached'],
      handle: (call) => answerAbility(parts, call),
    }),
  ];
}

async function answer({ db }: AccountParts, account: Account): Promise<Reply> {
  return { status: 200, body: { user: presentUser(account, await rolesOf(db, account.id)) } };
}

/**
 * The tag is of the body itself, so that it changes with whatever changes the answer, a new release included. It is
 * compared here and not by Express, for which a `Cache-Control: no-cache` in the request (`fetch` adds it) rules out 304.
 */
async function answerAbility(
  { gatekeeper, abilityOf }: AccountParts,
  { req, res }: GuardedCall,
): Promise<Reply> {
  const snapshot = await gatekeeper.pin(req, res);
  const ability = await abilityOf(snapshot, principalFor(req, snapshot));
  const body = toPlainAbility(ability, snapshot.types);
  const etag = `"${createHash('sha256').update(JSON.stringify(body)).digest('base64url')}"`;
  res.setHeader('ETag', etag);
  const seen = (req.headers['if-none-match'] ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return seen.includes(etag) ? { status: 304 } : { status: 200, body };
}
