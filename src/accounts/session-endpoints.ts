/** The caller's own sessions: listed, and ended one by one or all but this one. */
import Joi from 'joi';
import type { QueryBuilder } from 'objection';
import { endpoint, type GuardedCall, type GuardedEndpoint } from '../enforcement/access.ts';
import { AppError, invalidField } from '../errors.ts';
import type { Reply } from '../http/endpoint.ts';
import { decodeCursor, type PageQuery, pageKeys, toPage } from '../http/page.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { Session } from '../sessions/session.ts';
import { callerOf } from './caller.ts';
import type { AccountParts } from './check-password.ts';
import { clearedCookie } from './session-cookie.ts';

const path = '/api/v1/me/sessions';
const shape = Joi.object({
  items: Joi.array().items(
    Joi.object({
      id: Joi.string().uuid(),
      createdAt: Joi.date().iso(),
      lastSeenAt: Joi.date().iso(),
      expiresAt: Joi.date().iso(),
      address: Joi.string().allow(null),
      userAgent: Joi.string().allow(null),
      current: Joi.boolean(),
    }),
  ),
  nextCursor: Joi.string().allow(null),
});

/** `/api/v1/me/sessions` */
export function sessionEndpoints(parts: AccountParts): GuardedEndpoint[] {
  const { db, feed } = parts;
  return [
    endpoint<undefined, PageQuery>({
      method: 'get',
      path,
      summary: 'Your live sessions, the newest first',
      access: 'account',
      query: Joi.object(pageKeys),
      reply: { status: 200, description: 'A page', shape },
      handle: (call) => list(parts, call),
    }),
    endpoint({
      method: 'delete',
      path: `${path}/:id`,
      summary: 'End one of your sessions',
      access: 'account',
      reply: { status: 204, description: 'It is over' },
      errors: ['not_found', 'cross_site_request'],
      handle: (call) => endOne(parts, call),
    }),
    endpoint({
      method: 'delete',
      path,
      summary: 'End all your sessions but this one',
      access: 'account',
      reply: { status: 204, description: 'They are over' },
      errors: ['cross_site_request'],
      handle: async ({ req }) => {
        const { accountId, sessionId } = callerOf(req);
        feed.announce(await endSessions(db, { accountId, except: sessionId }));
        return { status: 204 };
      },
    }),
  ];
}

/** By the millisecond, which is as exact as a cursor tells it. */
const newestFirst = "date_trunc('milliseconds', created_at) DESC, id DESC";

async function list(
  parts: AccountParts,
  { req, query: { limit, cursor } }: GuardedCall<undefined, PageQuery>,
): Promise<Reply> {
  const { accountId, sessionId } = callerOf(req);
  const query = liveSessions(parts, accountId)
    .orderByRaw(newestFirst)
    .limit(limit + 1);
  if (cursor !== undefined)
    query.whereRaw("(date_trunc('milliseconds', created_at), id) < (?, ?)", readCursor(cursor));
  const keyOf = ({ createdAt, id }: Session) => [createdAt.toISOString(), id];
  return { status: 200, body: toPage(await query, limit, keyOf, (session) => present(session, sessionId)) };
}

function readCursor(cursor: string): [Date, string] {
  const [createdAt = '', id = ''] = decodeCursor(cursor, 2);
  const date = new Date(createdAt);
  if (Number.isNaN(date.getTime()) || !isUuid(id))
    throw invalidField('/query/cursor', 'must be a nextCursor of this list');
  return [date, id];
}

/** Neither ended, nor too old, nor unused for too long. */
function liveSessions({ db, config }: AccountParts, accountId: string): QueryBuilder<Session> {
  const now = Date.now();
  return Session.query(db)
    .where({ accountId })
    .whereNull('endedAt')
    .where('expiresAt', '>', new Date(now))
    .where('lastSeenAt', '>', new Date(now - config.sessionIdleSeconds * 1000));
}

function present({ id, createdAt, lastSeenAt, expiresAt, address, userAgent }: Session, currentId: string) {
  return { id, createdAt, lastSeenAt, expiresAt, address, userAgent, current: id === currentId };
}

async function endOne(parts: AccountParts, { req, params: { id = '' } }: GuardedCall): Promise<Reply> {
  const { accountId, sessionId } = callerOf(req);
  const live = isUuid(id) && (await liveSessions(parts, accountId).findById(id).select('id'));
  const changes = live ? await endSessions(parts.db, { accountId, only: id }) : [];
  if (changes.length === 0) throw new AppError('not_found');
  parts.feed.announce(changes);
  if (id.toLowerCase() !== sessionId) return { status: 204 };
  return { status: 204, headers: { 'Set-Cookie': clearedCookie(parts.isSecure(req)) } };
}

function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}
