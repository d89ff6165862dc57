/** The demo's orders: anybody places one, somebody else approves it, up to a limit of their own. */
import Joi from 'joi';
import { endpoint, type GuardedCall, type GuardedEndpoint, type LoadCall } from '../enforcement/access.ts';
import { type ListQuery, listAccessible, listQuery } from '../enforcement/list.ts';
import { maskFields } from '../enforcement/mask.ts';
import { changeRow, createRow } from '../enforcement/write.ts';
import { AppError } from '../errors.ts';
import { pageShape } from '../http/page.ts';
import type { Services } from '../services.ts';
import { identityOf } from '../sessions/request-access.ts';
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

const list = {
  filters: {
    status: shape.extract('status'),
    region: Joi.string(),
    currency: Joi.string(),
    createdBy: shape.extract('createdBy'),
  },
  sorts: ['createdAt', 'amount', 'region'],
  sortedBy: OrderRow.source.sortedBy,
};

/** List, read, place, approve. */
export function orderEndpoints(services: Services): GuardedEndpoint[] {
  const { db } = services;
  const load = ({ params: { id = '' } }: LoadCall) => OrderRow.query(db).findById(id);
  const one = { params, reply: { status: 200, description: 'The order', shape } };
  return [
    endpoint<undefined, ListQuery>({
      method: 'get',
      path,
      summary: 'List the orders you may read',
      access: { action: 'read', resource: 'order' },
      query: listQuery(list),
      reply: { status: 200, description: 'A page', shape: pageShape(shape) },
      handle: async (call) => ({
        status: 200,
        body: await listAccessible(services, call, { ...list, model: OrderRow }),
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
        const row = await createRow<OrderRow>(services, call, OrderRow, newOrder(call));
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
        const row = await changeRow<OrderRow>(services, call, OrderRow, ({ status }) => {
          if (status === 'approved') throw new AppError('conflict', { message: 'it is approved already' });
          return { status: 'approved' };
        });
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
