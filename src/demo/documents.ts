/** The demo's documents: owner, department, status, and confidential notes that not everybody may read. */
import Joi from 'joi';
import { endpoint, type GuardedCall, type GuardedEndpoint, type LoadCall } from '../enforcement/access.ts';
import { type ListQuery, listAccessible, listQuery } from '../enforcement/list.ts';
import { maskFields } from '../enforcement/mask.ts';
import {
  changeRow,
  createRow,
  deleteAccessible,
  deleteRow,
  updateAccessible,
  updateRow,
} from '../enforcement/write.ts';
import { pageShape } from '../http/page.ts';
import type { Services } from '../services.ts';
import { identityOf } from '../sessions/request-access.ts';
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

const list = {
  filters: { status: shape.extract('status'), ownerId: shape.extract('ownerId'), department: Joi.string() },
  sorts: ['createdAt', 'updatedAt', 'title', 'status', 'department', 'notes'],
  searchIn: ['title', 'body', 'notes'],
  sortedBy: DocumentRow.source.sortedBy,
};
const bulk = Joi.object(list.filters).min(1).messages({ 'object.min': 'must name at least one filter' });
const count = (name: string) => Joi.object({ [name]: Joi.number().integer() });

/** List, read, create, change, delete, publish; change and delete many. */
export function documentEndpoints(services: Services): GuardedEndpoint[] {
  const { db } = services;
  const load = ({ params: { id = '' } }: LoadCall) => DocumentRow.query(db).findById(id);
  const one = {
    params,
    reply: { status: 200, description: 'The document, without the fields that may not be read', shape },
  };
  return [
    endpoint<undefined, ListQuery>({
      method: 'get',
      path,
      summary: 'List the documents you may read',
      access: { action: 'read', resource: 'document' },
      query: listQuery(list),
      reply: { status: 200, description: 'A page', shape: pageShape(shape) },
      handle: async (call) => ({
        status: 200,
        body: await listAccessible(services, call, { ...list, model: DocumentRow }),
      }),
    }),
    endpoint<Partial<DocumentBody>, ListQuery>({
      method: 'patch',
      path,
      summary: 'Change those of the documents asked for that you may change',
      access: { action: 'update', resource: 'document' },
      query: bulk,
      body: change,
      reply: { status: 200, description: 'How many', shape: count('changed') },
      handle: async (call) => {
        const columns = { ...call.body, updatedAt: new Date() };
        const options = { filters: list.filters, fields: call.sentFields, columns };
        return {
          status: 200,
          body: { changed: await updateAccessible<DocumentRow>(services, call, DocumentRow, options) },
        };
      },
    }),
    endpoint<undefined, ListQuery>({
      method: 'delete',
      path,
      summary: 'Delete those of the documents asked for that you may delete',
      access: { action: 'delete', resource: 'document' },
      query: bulk,
      reply: { status: 200, description: 'How many', shape: count('deleted') },
      handle: async (call) => ({
        status: 200,
        body: { deleted: await deleteAccessible(services, call, DocumentRow, list.filters) },
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
        const row = await createRow<DocumentRow>(services, call, DocumentRow, columnsOfNew);
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
        const columns = { ...call.body, updatedAt: new Date() };
        return answer(
          services,
          call,
          await updateRow<DocumentRow>(services, call, DocumentRow, columns),
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
      handle: async (call) => {
        await deleteRow(services, call, DocumentRow);
        return { status: 204 };
      },
    }),
    endpoint({
      ...one,
      method: 'post',
      path: `${path}/:id/publish`,
      summary: 'Publish a document',
      access: { action: 'publish', resource: 'document', load },
      handle: async (call) => {
        const columns = { status: 'published' as const, updatedAt: new Date() };
        return answer(
          services,
          call,
          await changeRow<DocumentRow>(services, call, DocumentRow, () => columns),
          200,
        );
      },
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
