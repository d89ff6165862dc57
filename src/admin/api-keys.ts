/** /admin/api-keys: the keys of services, kept by those whom the policy lets. */
import Joi from 'joi';
import { apiKeyAttributes } from '../decision/principals.ts';
import { endpoint, type GuardedCall, type GuardedEndpoint, type LoadCall } from '../enforcement/access.ts';
import { showReadable } from '../enforcement/mask.ts';
import { AppError, invalidField } from '../errors.ts';
import { type PageQuery, pageKeys, pageShape } from '../http/page.ts';
import type { Services } from '../services.ts';
import { callerIdOf } from '../sessions/request-access.ts';
import { type ApiKey, apiKeys, findApiKey, presentApiKey } from './api-key.ts';
import {
  type ApiKeyChange,
  type ApiKeyCreation,
  changeApiKey,
  createApiKey,
  revokeKey,
  rotateKey,
} from './change-api-key.ts';
import { listReadable } from './list-readable.ts';

const path = '/api/v1/admin/api-keys';
const resource = 'castellan.api-key';
const params = Joi.object({ id: Joi.string().uuid().required() });
const fields = {
  // No control characters: names are shown in terminals and logs.
  name: Joi.string()
    .trim()
    .normalize('NFC')
    .min(1)
    .max(100)
    .pattern(/^\P{C}*$/u, 'printable'),
  roles: Joi.array().items(Joi.string().max(100)).unique().max(50),
  expiresAt: Joi.date()
    .iso()
    .greater('now')
    .messages({ 'date.greater': 'must be in the future' })
    .allow(null)
    .description('null: it lasts until it is revoked'),
};

/** `POST /admin/api-keys`; the command line checks by it, too. */
export const apiKeyCreation = Joi.object<ApiKeyCreation>({
  name: fields.name.required(),
  roles: fields.roles.required(),
  expiresAt: fields.expiresAt.default(null),
});
const change = Joi.object<ApiKeyChange>(fields).min(1);

const MOST_OVERLAP_SECONDS = 30 * 24 * 60 * 60;

/** `POST /admin/api-keys/:id/rotate` */
export const rotation = Joi.object<{ overlapSeconds: number }>({
  overlapSeconds: Joi.number()
    .integer()
    .min(0)
    .max(MOST_OVERLAP_SECONDS)
    .default(0)
    .description('so long the secret before is accepted as well'),
});

const instant = Joi.date().iso().allow(null);
const shape = Joi.object({
  id: Joi.string().uuid(),
  name: Joi.string(),
  prefix: Joi.string().description('how the secret begins'),
  roles: Joi.array().items(Joi.string()),
  createdBy: Joi.string().uuid().allow(null).description('an account or an API key; null: a command'),
  createdAt: Joi.date().iso(),
  rotatedAt: instant,
  expiresAt: instant,
  lastUsedAt: instant.description('exact to a minute'),
  revokedAt: instant,
  previous: Joi.object({ prefix: Joi.string(), expiresAt: Joi.date().iso() })
    .allow(null)
    .description('the secret before the last rotation, while it is accepted'),
});
const reply = { status: 200, description: 'The key, without the fields that may not be read', shape };
const minted = Joi.object({ apiKey: shape, token: Joi.string().description('shown this once') });

/** List, mint, read, change, rotate, revoke. */
export function apiKeyEndpoints(services: Services): GuardedEndpoint[] {
  const load = async ({ params: { id = '' } }: LoadCall) => {
    const key = await findApiKey(services.db, id);
    return key && apiKeyAttributes(key);
  };
  const access = (action: string) => ({ action, resource, load });
  const errors = ['privilege_escalation', 'conflict'] as const;
  return [
    endpoint<undefined, PageQuery>({
      method: 'get',
      path,
      summary: 'List API keys, the revoked ones too',
      access: { action: 'read', resource },
      query: Joi.object(pageKeys),
      reply: { status: 200, description: 'A page', shape: pageShape(shape) },
      handle: async (call) => ({ status: 200, body: await listApiKeys(services, call) }),
    }),
    endpoint<ApiKeyCreation>({
      method: 'post',
      path,
      summary: 'Make an API key; its token is shown this once',
      body: apiKeyCreation,
      access: {
        action: 'create',
        resource,
        load: ({ body, req }) => apiKeyAttributes({ ...body, createdBy: callerIdOf(req) ?? null }),
        writes: ({ sentFields }) => sentFields,
      },
      reply: { status: 201, description: 'The key and its token', shape: minted },
      errors,
      handle: async (call) => {
        const { key, token } = await createApiKey(services, call);
        const body = { apiKey: await present(services, call, key), token };
        return { status: 201, body, headers: { Location: `${path}/${key.id}` } };
      },
    }),
    endpoint({
      method: 'get',
      path: `${path}/:id`,
      summary: 'Read an API key',
      params,
      access: access('read'),
      reply,
      handle: async (call) => ({ status: 200, body: await presentStored(services, call) }),
    }),
    endpoint<ApiKeyChange>({
      method: 'patch',
      path: `${path}/:id`,
      summary: 'Change an API key: its name, its roles, when it expires',
      params,
      body: change,
      access: { ...access('update'), writes: ({ sentFields }) => sentFields },
      reply,
      errors,
      handle: async (call) => {
        await changeApiKey(services, call);
        return { status: 200, body: await presentStored(services, call) };
      },
    }),
    endpoint<{ overlapSeconds: number }>({
      method: 'post',
      path: `${path}/:id/rotate`,
      summary: 'Make a new secret; the one before is accepted for the overlap, and else no more',
      params,
      body: rotation,
      access: access('rotate'),
      reply: { status: 200, description: 'The key and its new token', shape: minted },
      errors,
      handle: async (call) => {
        const { key, token } = await rotateKey(services, call);
        return { status: 200, body: { apiKey: await present(services, call, key), token } };
      },
    }),
    endpoint({
      method: 'delete',
      path: `${path}/:id`,
      summary: 'Revoke an API key, on every node; the row stays',
      params,
      access: access('delete'),
      reply: { status: 204, description: 'It is revoked' },
      errors: ['privilege_escalation'],
      handle: async (call) => {
        await revokeKey(services, call);
        return { status: 204 };
      },
    }),
  ];
}

function listApiKeys(services: Services, call: GuardedCall<unknown, PageQuery>) {
  return listReadable<ApiKey, object>(services, call, {
    page: (after, size) => {
      const page = apiKeys(services.db).orderBy('id').limit(size);
      if (after === undefined) return page;
      if (Joi.string().uuid().validate(after).error)
        throw invalidField('/query/cursor', 'must be a nextCursor of this list');
      return page.where('id', '>', after);
    },
    nameOf: ({ id }) => id,
    resource,
    attributesOf: apiKeyAttributes,
    present: (key) => present(services, call, key),
  });
}

/** The key as the caller may read it. */
function present(
  { decisions, gatekeeper }: Services,
  { req, context: { snapshot } }: Pick<GuardedCall, 'req' | 'context'>,
  key: ApiKey,
) {
  const question = { action: 'read', resource };
  const request = gatekeeper.accessRequest(req, snapshot, question, apiKeyAttributes(key));
  return showReadable(decisions, snapshot, request, presentApiKey(key));
}

async function presentStored(services: Services, call: GuardedCall<unknown>) {
  const key = await findApiKey(services.db, call.params.id ?? '');
  if (!key) throw new AppError('not_found');
  return present(services, call, key);
}
