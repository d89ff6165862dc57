/** The demo's documents: owner, department, status, and confidential notes that not everybody may read. */
import Joi from 'joi';
import { endpoint, type GuardedCall, type GuardedEndpoint, type LoadCall } from '../enforcement/access.ts';
import { maskFields } from '../enforcement/mask.ts';
import { AppError } from '../errors.ts';
import { type PageQuery, pageKeys } from '../http/page.ts';
import type { Services } from '../services.ts';
import { identityOf } from '../sessions/request-access.ts';
import { listAccessible } from './list-accessible.ts';
import { DocumentRow, type DocumentStatus } from './models.ts';

interface DocumentBody {
  title: string;
  body: string;
  status: DocumentStatus;
  department?: string | null;
  notes?: string | null;
}

const path = '/api/v1/documents';
const params = Joi.object({ id: Joi.string().uuid().required() });
const fields = {
  title: Joi.string().trim().min(1).max(200),
  body: Joi.string().allow('').max(100_000),
  status: Joi.string().valid('draft', 'review', 'archived'),
  department: Joi.string().max(100).allow(null),
  notes: Joi.string().allow('', null).max(10_000),
};
const creation = Joi.object<DocumentBody>({
  ...fields,
  title: fields.title.required(),
  body: fields.body.default(''),
  status: fields.status.default('draft'),
});
const change = Joi.object<Partial<DocumentBody>>(fields).min(1);
const shape = Joi.object({
  id: Joi.string().uuid(),
  ...fields,
  status: Joi.string().valid('draft', 'review', 'published', 'archived'),
  ownerId: Joi.string().uuid(),
  createdAt: Joi.date().iso(),
  updatedAt: Joi.date().iso(),
});

/** Attribute -> column, for lists. */
export const documentColumns = {
  id: 'id',
  title: 'title',
  body: 'body',
  status: 'status',
  ownerId: 'owner_id',
  department: 'department',
  notes: 'notes',
  createdAt: 'created_at',
  updatedAt: 'updated_at',
};

/** List, read, create, change, delete, publish. */
export function documentEndpoints(services: Services): GuardedEndpoint[] {
  const { db } = services;
  const load = ({ params: { id = '' } }: LoadCall) =>
    DocumentRow.query(db).findById(id).select('*', db.raw('xmin::text AS row_version'));
  const one = {
    params,
    reply: { status: 200, description: 'The document, without the fields that may not be read', shape },
  };
  return [
    endpoint<undefined, PageQuery>({
      method: 'get',
      path,
      summary: 'List the documents you may read',
      access: { action: 'read', resource: 'document' },
      query: Joi.object(pageKeys),
      reply: {
        status: 200,
        description: 'A page',
        shape: Joi.object({ items: Joi.array().items(shape), nextCursor: Joi.string().allow(null) }),
      },
      handle: async (call) => ({
        status: 200,
        body: await listAccessible(services, call, {
          model: DocumentRow,
          resource: 'document',
          columns: documentColumns,
        }),
      }),
    }),
    endpoint({
      ...one,
      method: 'get',
      path: `${path}/:id`,
      summary: 'Read a document',
      access: { action: 'read', resource: 'document', load },
      handle: (call) => answer(services, call, call.context.loaded as DocumentRow, 200),
    }),
    endpoint<DocumentBody>({
      method: 'post',
      path,
      summary: 'Write a document',
      body: creation,
      access: {
        action: 'create',
        resource: 'document',
        load: (call) => newDocument(call),
        writes: ({ sentFields }) => sentFields,
      },
      reply: { status: 201, description: 'The document', shape },
      handle: async (call) => {
        const { createdAt: _now, ...columnsOfNew } = newDocument(call);
        const row = await DocumentRow.query(db).insert(columnsOfNew).returning('*');
        return { ...(await answer(services, call, row, 201)), headers: { Location: `${path}/${row.id}` } };
      },
    }),
    endpoint<Partial<DocumentBody>>({
      ...one,
      method: 'patch',
      path: `${path}/:id`,
      summary: 'Change a document',
      body: change,
      access: { action: 'update', resource: 'document', load, writes: ({ sentFields }) => sentFields },
      handle: async (call) => {
        const changed = { ...(call.context.loaded as DocumentRow), ...call.body };
        await services.gatekeeper.requireAllowedAfter(call.context, changed);
        return answer(
          services,
          call,
          await patch(services, call.context.loaded as DocumentRow, call.body),
          200,
        );
      },
    }),
    endpoint({
      method: 'delete',
      path: `${path}/:id`,
      summary: 'Delete a document',
      params,
      access: { action: 'delete', resource: 'document', load },
      reply: { status: 204, description: 'It is gone' },
      errors: ['conflict'],
      handle: async ({ context }) => {
        if ((await unchanged(db, context.loaded as DocumentRow).delete()) === 0) throw changedMeanwhile();
        return { status: 204 };
      },
    }),
    endpoint({
      ...one,
      method: 'post',
      path: `${path}/:id/publish`,
      summary: 'Publish a document',
      access: { action: 'publish', resource: 'document', load },
      handle: async (call) =>
        answer(
          services,
          call,
          await patch(services, call.context.loaded as DocumentRow, { status: 'published' }),
          200,
        ),
    }),
  ];
}

/** A new document belongs to whoever writes it, and to their department unless they say another. */
function newDocument({ body, req }: Pick<GuardedCall<DocumentBody>, 'body' | 'req'>) {
  const account = identityOf(req)?.account;
  const department = body.department === undefined ? account?.attributes.department : body.department;
  return {
    ...body,
    department: typeof department === 'string' ? department : null,
    ownerId: account?.id ?? '',
    createdAt: new Date(),
  };
}

/** Writes only the row that was decided on: one that somebody changed in between is another question. */
async function patch(
  { db }: Services,
  decidedOn: DocumentRow,
  changes: Partial<DocumentRow>,
): Promise<DocumentRow> {
  const [row] = [
    await unchanged(db, decidedOn)
      .patch({ ...changes, updatedAt: new Date() })
      .returning('*'),
  ].flat();
  if (!row) throw changedMeanwhile();
  return row;
}

function unchanged(db: Services['db'], { id, rowVersion }: DocumentRow) {
  return DocumentRow.query(db).findById(id).whereRaw('xmin::text = ?', [rowVersion]);
}

function changedMeanwhile(): AppError {
  return new AppError('conflict', { message: 'it was changed or deleted in the meantime; read it again' });
}

/** The document as the caller may read it. Whoever could do something to it but may not read it sees nothing of it. */
async function answer(
  services: Services,
  { req, context: { snapshot } }: GuardedCall<unknown>,
  row: DocumentRow,
  status: number,
) {
  const request = services.gatekeeper.accessRequest(
    req,
    snapshot,
    { action: 'read', resource: 'document' },
    row,
  );
  return { status, body: await maskFields(services.decisions, snapshot, request, row.toJSON()) };
}
