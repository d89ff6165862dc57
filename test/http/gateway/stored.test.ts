/** What is stored of a resource wins over what a request says of it, and what should be stored and is not does not exist. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { startGateway, type TestGateway } from '../../harness.ts';
import { addRule, assertProblem, fresh, ok, type Person, person, typesPath } from '../admin/staff.ts';
import { addRoutes, startUpstream, type Upstream } from './upstream.ts';

describe('a route to what is stored', () => {
  let gateway: TestGateway;
  let upstream: Upstream;
  let user: Person;
  const type = fresh('parcel');

  before(async () => {
    gateway = await startGateway();
    upstream = await startUpstream();
    const root = (await person(gateway, { roles: ['superadmin'] })).client;
    user = await person(gateway, { roles: [] });
    const stage = { type: 'string' };
    ok(await root.post(typesPath, { type, actions: ['read'], attributes: { stage } }), 201);
    const reading = { role: 'authenticated', action: 'read' };
    await addRule(root, { ...reading, subject: type, conditions: { stage: 'open' } });
    await addRule(root, { ...reading, subject: 'document', conditions: { title: 'open' } });
    for (const [id, kept] of Object.entries({ shut: 'closed', free: 'open' }))
      ok(await root.put(`/api/v1/admin/entities/${type}/${id}`, { attributes: { stage: kept } }), 201);
    const about = { action: 'read', resourceId: `$\{path.id}`, upstream: upstream.url };
    await addRoutes(root, [
      {
        id: 'parcel',
        path: '/parcels/:id',
        resource: type,
        ...about,
        attributes: { stage: `$\{query.stage}` },
      },
      {
        id: 'doc',
        path: '/docs-of/:id',
        resource: 'document',
        ...about,
        attributes: { title: `$\{query.title}` },
      },
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  it('attributes that the client makes up: what is stored is decided on, whatever the request says', async () => {
    assertProblem(await user.client.get('/parcels/shut?stage=open'), 403, 'access_denied');
    ok(await user.client.get('/parcels/free?stage=closed'));
    ok(await user.client.get('/parcels/kept-elsewhere?stage=open'));
    assertProblem(await user.client.get('/parcels/kept-elsewhere?stage=closed'), 403, 'access_denied');
  });

  it('a resource that the client makes up: of a type with a table, one that has no row is denied', async () => {
    const count = upstream.seen.length;
    const denied = await user.client.get(`/docs-of/${randomUUID()}?title=open`);
    assertProblem(denied, 403, 'access_denied');
    assert.equal(upstream.seen.length, count);
  });
});
