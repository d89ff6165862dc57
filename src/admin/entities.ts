/** /admin/entities: principals and resources of other systems, kept here for decisions about them. */
import Joi from 'joi';
import { ENTITY_RESOURCE, entityAttributes } from '../decision/entities.ts';
import { endpoint, type GuardedCall, type GuardedEndpoint, type LoadCall } from '../enforcement/access.ts';
import { showReadable } from '../enforcement/mask.ts';
import { AppError, invalidField } from '../errors.ts';
import { type PageQuery, pageKeys, pageShape } from '../http/page.ts';
import { entityId, entityNamed, entityPartsSchema, entitySchema, referenceTo } from '../policy/entity.ts';
import { findEntities, listEntities, type StoredEntity } from '../policy/entity-store.ts';
import type { Services } from '../services.ts';
import { type EntityParts, isPart, namedIn, removeEntity, writeEntity } from './change-entity.ts';
import { type EntityImport, importEntities, LINES } from './import-entities.ts';
import { listReadable } from './list-readable.ts';
import { etagOf } from './publish-change.ts';

const path = '/api/v1/admin/entities';
const one = `${path}/:type/:id`;
const resource = ENTITY_RESOURCE;
const params = Joi.object({ type: Joi.string().max(63).required(), id: entityId.required() });
/** What was read may be sent back. */
const asRead = {
  type: Joi.any(),
  id: Joi.any(),
  version: Joi.any(),
  createdAt: Joi.any(),
  updatedAt: Joi.any(),
};
const written = entityPartsSchema.keys(asRead).prefs({ convert: false });
const shape = entitySchema.keys({
  version: Joi.number().integer(),
  createdAt: Joi.date().iso(),
  updatedAt: Joi.date().iso(),
});
const reply = { status: 200, description: 'The entity, its version as ETag', shape };
const writeErrors = ['privilege_escalation', 'stale_version', 'access_denied', 'fields_denied'] as const;

type EntityFilter = PageQuery & { type?: string };

/** List, read, write, change, remove, import. */
export function entityEndpoints(services: Services): GuardedEndpoint[] {
  const load = async ({ params: given }: LoadCall) => {
    const found = await findStored(services, given);
    return found && entityAttributes(found);
  };
  const access = (action: string) => ({ action, resource, load });
  return [
    endpoint<undefined, EntityFilter>({
      method: 'get',
      path,
      summary: 'List entities, of one type or of all',
      access: { action: 'read', resource },
      query: Joi.object({ ...pageKeys, type: Joi.string().max(63) }),
      reply: { status: 200, description: 'A page', shape: pageShape(shape) },
      handle: async (call) => ({ status: 200, body: await listStored(services, call) }),
    }),
    endpoint<unknown, EntityImport>({
      method: 'post',
      path: `${path}/import`,
      summary: 'Write many entities, as a document or as lines of JSON: all of them or none',
      access: { action: 'update', resource },
      query: Joi.object({
        mode: Joi.string()
          .valid('merge', 'replace')
          .default('merge')
          .description('merge: the others stay; replace: what is not named goes'),
      }),
      bodyShape: Joi.object({ entities: Joi.array().items(entitySchema).required() }).unknown(true),
      bodyOptions: { limitBytes: services.config.policyLimitBytes, parsers: { [LINES]: (text) => text } },
      reply: {
        status: 200,
        description: 'How many it added, changed and removed',
        shape: Joi.object({
          added: Joi.number().integer(),
          changed: Joi.number().integer(),
          removed: Joi.number().integer(),
          unchanged: Joi.number().integer(),
        }),
      },
      errors: ['privilege_escalation', 'entity_in_use'],
      handle: (call) => importEntities(services, call),
    }),
    endpoint({
      method: 'get',
      path: one,
      summary: 'Read an entity',
      params,
      access: access('read'),
      reply,
      handle: async (call) => ({ status: 200, ...(await answer(services, call)) }),
    }),
    endpoint<EntityParts>({
      method: 'put',
      path: one,
      summary: 'Write an entity, in place of what is there of it; 201 where it is new',
      params,
      body: written,
      access: {
        action: 'update',
        resource,
        // One that is not there is asked about as it would be.
        load: async (call) => (await load(call)) ?? entityAttributes({ ...namedBy(call), ...call.body }),
      },
      reply,
      errors: writeErrors,
      handle: async (call) => {
        const { isNew } = await writeEntity(services, call, () => sorted(partsIn(call)));
        return { status: isNew ? 201 : 200, ...(await answer(services, call)) };
      },
    }),
    endpoint<EntityParts>({
      method: 'patch',
      path: one,
      summary: 'Change an entity: each of attributes, roles and parents that is given is replaced as a whole',
      params,
      body: written,
      access: access('update'),
      reply,
      errors: writeErrors,
      handle: async (call) => {
        await writeEntity(services, call, (before) => before && sorted({ ...before, ...sentIn(call) }));
        return { status: 200, ...(await answer(services, call)) };
      },
    }),
    endpoint({
      method: 'delete',
      path: one,
      summary: 'Remove an entity, and its roles with it',
      params,
      access: access('delete'),
      reply: { status: 204, description: 'It is gone' },
      errors: [...writeErrors, 'entity_in_use'],
      handle: async (call) => {
        await removeEntity(services, call);
        return { status: 204 };
      },
    }),
  ];
}

function namedBy({ params: { type = '', id = '' } }: Pick<LoadCall, 'params'>) {
  return { type, id };
}

/** What a body says. Throws `invalid_request` where it names another entity than the path. */
function partsIn({ body, params }: GuardedCall<EntityParts>): EntityParts {
  for (const key of ['type', 'id']) {
    const said: unknown = Reflect.get(body, key);
    if (said !== undefined && said !== params[key]) throw invalidField(`/${key}`, `must stay ${params[key]}`);
  }
  return body;
}

/** The parts that were sent, without those that a schema adds. */
function sentIn(call: GuardedCall<EntityParts>): Partial<EntityParts> {
  const parts = Object.entries(partsIn(call));
  return Object.fromEntries(parts.filter(([key]) => isPart(key) && call.sentFields.includes(key)));
}

/** As they are kept: what is sent in another order changes nothing. */
function sorted({ attributes, roles, parents }: EntityParts): EntityParts {
  return { attributes, roles: [...roles].sort(), parents: [...parents].sort() };
}

async function findStored(
  { db, live }: Services,
  given: Record<string, string>,
): Promise<StoredEntity | undefined> {
  const [found] = await findEntities(db, [namedIn(given, live.snapshot)]);
  return found;
}

async function answer(services: Services, call: GuardedCall<unknown>) {
  const found = await findStored(services, call.params);
  if (!found) throw new AppError('not_found');
  return { body: await present(services, call, found), headers: { ETag: etagOf(found.version) } };
}

/** The entity as the caller may read it. */
function present(
  { decisions, gatekeeper }: Services,
  { req, context: { snapshot } }: Pick<GuardedCall, 'req' | 'context'>,
  entity: StoredEntity,
) {
  const question = { action: 'read', resource };
  const request = gatekeeper.accessRequest(req, snapshot, question, entityAttributes(entity));
  return showReadable(decisions, snapshot, request, entity);
}

function listStored(services: Services, call: GuardedCall<unknown, EntityFilter>) {
  const { type } = call.query;
  return listReadable<StoredEntity, object>(services, call, {
    page: (after, limit) =>
      listEntities(services.db, { type, after: after === undefined ? undefined : entityNamed(after), limit }),
    nameOf: referenceTo,
    resource,
    filteredBy: type === undefined ? [] : ['type'],
    attributesOf: entityAttributes,
    present: (entity) => present(services, call, entity),
  });
}
