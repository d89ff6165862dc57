/** Registration, login, logout. */
import Joi from 'joi';
import { endpoint, type GuardedEndpoint } from '../enforcement/access.ts';
import { AppError, type ErrorCode } from '../errors.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { identityOf } from '../sessions/request-access.ts';
import { presentUser } from './account.ts';
import { originOf } from './account-actor.ts';
import { callerOf } from './caller.ts';
import type { AccountParts } from './check-password.ts';
import { type LoggedIn, logIn } from './log-in.ts';
import {
  type Credentials,
  credentials,
  type Registration,
  registration,
  userShape,
} from './profile-schemas.ts';
import { register } from './register.ts';
import { clearedCookie, sessionCookie } from './session-cookie.ts';

const loginShape = userShape.keys({ token: Joi.string(), expiresAt: Joi.date().iso() });

/** What is counted of a login that did not succeed; other failures are nobody's attempt. */
const outcomes: Partial<Record<ErrorCode, string>> = {
  invalid_credentials: 'refused',
  too_many_attempts: 'throttled',
};

/** `/api/v1/auth` */
export function authEndpoints(parts: AccountParts): GuardedEndpoint[] {
  const { db, feed, metrics, isSecure } = parts;
  return [
    endpoint<Registration>({
      method: 'post',
      path: '/api/v1/auth/register',
      summary: 'Make an account',
      access: 'public',
      body: registration,
      reply: { status: 201, description: 'The account; it is not logged in', shape: userShape },
      errors: ['email_taken', 'too_many_attempts', 'overloaded'],
      handle: async ({ req, body }) => {
        const { account, roles } = await register(parts, body, originOf(req));
        return { status: 201, body: { user: presentUser(account, roles) } };
      },
    }),
    endpoint<Credentials>({
      method: 'post',
      path: '/api/v1/auth/login',
      summary: 'Begin a session; the one that is sent along ends',
      access: 'public',
      body: credentials,
      reply: { status: 200, description: 'The token, also as an HttpOnly cookie', shape: loginShape },
      errors: ['invalid_credentials', 'cross_site_request', 'too_many_attempts', 'overloaded'],
      handle: async ({ req, body }) => {
        const previousSessionId = identityOf(req)?.sessionId;
        const origin = { ip: req.ip, userAgent: req.get('user-agent'), previousSessionId };
        const loggedIn = await counted(logIn(parts, body, origin), metrics.logins);
        const { token, expiresAt, account, roles } = loggedIn;
        return {
          status: 200,
          body: { token, expiresAt, user: presentUser(account, roles) },
          headers: { 'Set-Cookie': sessionCookie(token, expiresAt, isSecure(req)) },
        };
      },
    }),
    endpoint({
      method: 'post',
      path: '/api/v1/auth/logout',
      summary: 'End the session, on every node',
      access: 'account',
      reply: { status: 204, description: 'It is over' },
      errors: ['cross_site_request'],
      handle: async ({ req }) => {
        const { accountId, sessionId } = callerOf(req);
        feed.announce(await endSessions(db, { accountId, only: sessionId }));
        return { status: 204, headers: { 'Set-Cookie': clearedCookie(isSecure(req)) } };
      },
    }),
  ];
}

async function counted(
  login: Promise<LoggedIn>,
  logins: AccountParts['metrics']['logins'],
): Promise<LoggedIn> {
  try {
    const loggedIn = await login;
    logins.inc({ outcome: 'ok' });
    return loggedIn;
  } catch (cause) {
    const outcome = cause instanceof AppError ? outcomes[cause.code] : undefined;
    if (outcome) logins.inc({ outcome });
    throw cause;
  }
}
