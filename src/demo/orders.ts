/** The demo's orders: anybody places one, somebody else approves it, up to a limit of their own. */
import Joi from 'joi';
import { endpoint, type GuardedCall, type GuardedEndpoint, type LoadCall } from '../enforcement/access.ts';
import { maskFields } from '../enforcement/mask.ts';
import { AppError } from '../errors.ts';
import { type PageQuery, pageKeys } from '../http/page.ts';
import type { Services } from '../services.ts';
import { identityOf } from '../sessions/request-access.ts';
import { listAccessible } from './list-accessible.ts';
import { OrderRow } from './models.ts';

interface OrderBody {
  amount: number;
  currency: string;
  region: string;
}

const path = '/api/v1/orders';
const params = Joi.object({ id: Joi.string().uuid().required() });
const creation = Joi.object<OrderBody>({
  amount: Joi.number().strict().positive().precision(2).max(999_999_999_999).required(),
  currency: Joi.string()
    .pattern(/^[A-Z]{3}$/, 'ISO 4217')
    .required(),
  region: Joi.string().trim().min(1).max(50).required(),
});
const shape = Joi.object({
  id: Joi.string().uuid(),
  amount: Joi.number(),
  currency: Joi.string(),
  region: Joi.string(),
  status: Joi.string().valid('open', 'approved'),
  createdBy: Joi.string().uuid(),
  createdAt: Joi.date().iso(),
});

/** Attribute -> column, for lists. */
export const orderColumns = {
  id: 'id',
  amount: 'amount',
  currency: 'currency',
  region: 'region',
  status: 'status',
  createdBy: 'created_by',
  createdAt: 'created_at',
};

/** List, read, place, approve. */
export function orderEndpoints(services: Services): GuardedEndpoint[] {
  const { db } = services;
  const load = ({ params: { id = '' } }: LoadCall) => OrderRow.query(db).findById(id);
  const one = { params, reply: { status: 200, description: 'The order', shape } };
  return [
    endpoint<undefined, PageQuery>({
      method: 'get',
      path,
      summary: 'List the orders you may read',
      access: { action: 'read', resource: 'order' },
      query: Joi.object(pageKeys),
      reply: {
        status: 200,
        description: 'A page',
        shape: Joi.object({ items: Joi.array().items(shape), nextCursor: Joi.string().allow(null) }),
      },
      handle: async (call) => ({
        status: 200,
        body: await listAccessible(services, call, {
          model: OrderRow,
          resource: 'order',
          columns: orderColumns,
        }),
      }),
    }),
    endpoint({
      ...one,
      method: 'get',
      path: `${path}/:id`,
      summary: 'Read an order',
      access: { action: 'read', resource: 'order', load },
      handle: async (call) => ({
        status: 200,
        body: await readable(services, call, call.context.loaded as OrderRow),
      }),
    }),
    endpoint<OrderBody>({
      method: 'post',
      path,
      summary: 'Place an order',
      body: creation,
      access: { action: 'create', resource: 'order', load: newOrder, writes: ({ sentFields }) => sentFields },
      reply: { status: 201, description: 'The order', shape },
      handle: async (call) => {
        const row = await OrderRow.query(db).insert(newOrder(call)).returning('*');
        return {
          status: 201,
          body: await readable(services, call, row),
          headers: { Location: `${path}/${row.id}` },
        };
      },
    }),
    endpoint({
      ...one,
      method: 'post',
      path: `${path}/:id/approve`,
      summary: 'Approve an order',
      access: { action: 'approve', resource: 'order', load },
      errors: ['conflict'],
      handle: async (call) => {
        const approved = await OrderRow.query(db)
          .findById(call.params.id ?? '')
          .where({ status: 'open' })
          .patch({ status: 'approved' })
          .returning('*');
        const [row] = [approved].flat();
        if (!row) throw new AppError('conflict', { message: 'it is approved already' });
        return { status: 200, body: await readable(services, call, row) };
      },
    }),
  ];
}

function newOrder({ body, req }: LoadCall<OrderBody>) {
  return { ...body, status: 'open' as const, createdBy: identityOf(req)?.account.id ?? '' };
}

async function readable(
  services: Services,
  { req, context: { snapshot } }: GuardedCall<unknown>,
  row: OrderRow,
) {
  const request = services.gatekeeper.accessRequest(
    req,
    snapshot,
    { action: 'read', resource: 'order' },
    row,
  );
  return maskFields(services.decisions, snapshot, request, row.toJSON());
}
