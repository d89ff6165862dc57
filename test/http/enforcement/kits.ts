/** Kits: a resource type with parts in jsonb, as somebody's own service would put it behind the gateway's library. */
import type { AddressInfo } from 'node:net';
import express from 'express';
import Joi from 'joi';
import { Model } from 'objection';
import { DocumentRow } from '../../../src/demo/models.ts';
import { endpoint, type GuardedEndpoint } from '../../../src/enforcement/access.ts';
import { type ListQuery, listAccessible, listQuery } from '../../../src/enforcement/list.ts';
import type { Source } from '../../../src/enforcement/source.ts';
import { accessibleBy } from '../../../src/enforcement/sql-filter.ts';
import { updateAccessible, updateRow } from '../../../src/enforcement/write.ts';
import { mountEndpoints } from '../../../src/http/endpoint.ts';
import { problemHandler } from '../../../src/http/problem.ts';
import { makeServer } from '../../../src/http/server.ts';
import { authenticate } from '../../../src/sessions/authenticate.ts';
import { Client, type TestGateway } from '../../harness.ts';

export class KitRow extends Model {
  static override tableName = 'kits';
  static resource = 'kit';
  static source: Source = {
    table: 'kits',
    columns: {
      id: { column: 'id', type: 'uuid', notNull: true },
      name: { column: 'name', type: 'text', notNull: true },
      place: { column: 'place', type: 'text' },
      rank: { column: 'rank', type: 'double' },
      ownerId: { column: 'owner_id', type: 'uuid' },
      data: { column: 'data', type: 'jsonb' },
      scores: { column: 'scores', type: 'double[]' },
    },
  };
  declare id: string;
  declare name: string;
  declare data: object | null;
}

export const kitType = {
  type: 'kit',
  actions: ['read', 'update'],
  attributes: {
    id: { type: 'uuid' },
    name: { type: 'string' },
    place: { type: 'string', nullable: true },
    rank: { type: 'number', nullable: true },
    ownerId: { type: 'uuid', nullable: true },
    data: { type: 'object', nullable: true },
    scores: { type: 'array', items: 'number', nullable: true },
  },
};

const list = {
  filters: { name: Joi.string(), ownerId: Joi.string().uuid() },
  sorts: ['name', 'rank', 'data', 'scores'],
  searchIn: ['data'],
  sortedBy: 'name',
};
const change = Joi.object({ name: Joi.string(), data: Joi.object() });

function kitEndpoints(services: TestGateway['services']): GuardedEndpoint[] {
  const reply = { status: 200, description: '' };
  const params = Joi.object({ id: Joi.string().uuid() });
  const listed = (path: string, narrow?: Parameters<typeof listAccessible>[2]['narrow']) =>
    endpoint<undefined, ListQuery>({
      method: 'get',
      path,
      summary: '',
      access: { action: 'read', resource: 'kit' },
      query: listQuery(list),
      reply,
      handle: async (call) => ({
        status: 200,
        body: await listAccessible(services, call, {
          ...list,
          model: KitRow,
          ...(narrow && { narrow }),
        }),
      }),
    });
  return [
    listed('/kits'),
    endpoint<undefined, ListQuery>({
      method: 'get',
      path: '/kits-with-documents',
      summary: '',
      access: { action: 'read', resource: 'kit' },
      query: listQuery(list),
      reply,
      handle: async (call) => {
        const { snapshot, principal } = call.context;
        const ability = await services.abilityOf(snapshot, principal);
        const documents = accessibleBy(ability, 'read', DocumentRow, {
          types: snapshot.types,
          db: services.db,
          as: 'd',
        });
        return {
          status: 200,
          body: await listAccessible(services, call, {
            ...list,
            model: KitRow,
            narrow: (rows) =>
              void rows.whereIn('kits.owner_id', documents.distinct('d.owner_id').toKnexQuery()),
          }),
        };
      },
    }),
    endpoint<{ name?: string; data?: object }>({
      method: 'patch',
      path: '/kits/:id',
      summary: '',
      params,
      body: change,
      access: {
        action: 'update',
        resource: 'kit',
        load: ({ params: { id = '' } }) => KitRow.query(services.db).findById(id),
        writes: ({ sentFields }) => sentFields,
      },
      reply,
      handle: async (call) => ({
        status: 200,
        body: (await updateRow<KitRow>(services, call, KitRow, call.body)).toJSON(),
      }),
    }),
    endpoint<{ name?: string; data?: object }, ListQuery>({
      method: 'patch',
      path: '/kits',
      summary: '',
      query: Joi.object(list.filters).min(1),
      body: change,
      access: { action: 'update', resource: 'kit' },
      reply,
      handle: async (call) => {
        const options = { filters: list.filters, fields: call.sentFields, columns: call.body };
        return {
          status: 200,
          body: { changed: await updateAccessible<KitRow>(services, call, KitRow, options) },
        };
      },
    }),
  ];
}

export interface KitService {
  as(client: Client): Client;
  close(): Promise<void>;
}

/** Makes the table, and serves it on a port of its own, with the gateway's sessions and policy. */
export async function startKits({ services }: TestGateway): Promise<KitService> {
  await services.db.raw(`CREATE TABLE kits (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text NOT NULL, place text, rank double precision,
    owner_id uuid, data jsonb, scores double precision[]
  )`);
  const app = express().set('query parser', 'simple').set('etag', false);
  app.use(
    authenticate({
      sessions: services.sessions,
      apiKeys: services.apiKeys,
      allowedOrigins: [],
      isSecure: services.isSecure,
    }),
  );
  mountEndpoints(app, kitEndpoints(services), services.mounting);
  app.use(problemHandler);
  const { server, stop } = makeServer(app, { requestTimeoutMs: 10_000 });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    as: ({ token }) => new Client(url, token),
    close: () => stop(0),
  };
}
