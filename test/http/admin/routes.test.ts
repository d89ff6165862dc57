/** Routes over HTTP: kept, filtered, imported, put back; and nobody opens by one what they may not do themselves. */
import assert from 'node:assert/strict';
import { makeApp } from '../../../src/app.ts';
import type { Policy } from '../../../src/policy/policy.ts';
import { reservedPrefixOf } from '../../../src/policy/routes/reserved-prefixes.ts';
import { type Client, startGateway, type TestGateway } from '../../harness.ts';
import {
  addRole,
  addRule,
  allItems,
  assertProblem,
  auditOf,
  demoId,
  ok,
  person,
  restorePolicy,
  sessionOf,
} from './staff.ts';

const path = '/api/v1/admin/routes';
const policyPath = '/api/v1/admin/policy';

/** Whoever may read documents may GET it. */
const route = (rest: object = {}) => ({
  methods: ['GET'],
  path: '/reports/:id',
  resource: 'document',
  action: 'read',
  resourceId: `\${path.id}`,
  upstream: 'http://127.0.0.1:9',
  ...rest,
});
const open = (rest: object = {}) => ({ methods: ['GET'], path: '/open', public: true, ...rest });

describe('/admin/routes', () => {
  let gateway: TestGateway;
  let root: Client;
  let policy: Policy;

  before(async () => {
    gateway = await startGateway();
    root = await sessionOf(gateway, demoId(1));
    policy = gateway.services.live.snapshot.policy;
  });
  afterEach(() => restorePolicy(gateway, policy));
  after(() => gateway.close());

  /** Who may write routes and has one permission on documents. */
  async function keeper(rule: object = { action: 'read' }): Promise<Client> {
    const role = await addRole(root);
    await addRule(root, {
      role,
      action: ['read', 'create', 'update', 'delete'],
      subject: 'castellan.route',
    });
    await addRule(root, { role, action: ['read', 'update'], subject: 'castellan.policy' });
    await addRule(root, { role, subject: 'document', ...rule });
    return (await person(gateway, { roles: [role] })).client;
  }

  it('a route is added with an id that tells what it is about, in force at once, read, changed and removed', async () => {
    const added = ok(await root.post(path, route()), 201);
    assert.match(added.body.id, /^get-reports-id-[0-9a-f]{8}$/);
    const one = `${path}/${added.body.id}`;
    assert.equal(added.headers.get('location'), one);
    const { routes } = gateway.services.live.snapshot;
    assert.equal(routes.match(undefined, 'GET', ['reports', '7'])?.route.route.id, added.body.id);
    const etag = added.headers.get('etag') ?? '';
    const changed = ok(await root.patch(one, { headers: ['email'], resourceId: null }, { 'if-match': etag }));
    assert.deepEqual([changed.body.headers, changed.body.resourceId], [['email'], undefined]);
    assertProblem(await root.patch(one, { headers: [] }, { 'if-match': etag }), 412, 'stale_version');
    const full = { targets: ['http://127.0.0.1:9', 'https://[::1]'], retries: 0 };
    const replaced = ok(
      await root.put(
        one,
        route({ path: '/r', resourceId: demoId(7), upstream: full, attributes: { title: 'a' } }),
      ),
    );
    const {
      version: _version,
      createdAt: _created,
      updatedAt: _updated,
      ...stored
    } = ok(await root.get(one)).body;
    assert.deepEqual(stored, {
      id: added.body.id,
      ...route({ path: '/r', resourceId: demoId(7), upstream: full, attributes: { title: 'a' } }),
    });
    assert.equal(replaced.body.version, 3);
    assertProblem(await root.patch(one, { id: 'other' }), 422, 'policy_invalid', '/id');
    ok(await root.delete(one), 204);
    assertProblem(await root.get(one), 404, 'not_found');
    const entries = await auditOf(gateway, 'castellan.route', added.body.id);
    assert.deepEqual(
      entries.map(({ action }) => action),
      ['route.create', 'route.update', 'route.update', 'route.delete'],
    );
  });

  it('problems point into what was sent', async () => {
    ok(await root.post(path, route({ id: 'first' })), 201);
    assertProblem(
      await root.post(path, route({ id: 'second', path: '/reports/:other', resourceId: demoId(7) })),
      422,
      'policy_invalid',
      '/path',
    );
    assertProblem(await root.post(path, route({ path: '/api/v1/me/:id' })), 422, 'policy_invalid', '/path');
    assertProblem(
      await root.post(path, route({ path: '/x', action: 'raed' })),
      422,
      'policy_invalid',
      '/action',
      '/resourceId',
    );
    assertProblem(await root.post(path, route({ methods: ['get'] })), 422, 'policy_invalid', '/methods/0');
    assertProblem(await root.post(path, route({ id: 'first', path: '/z/:id' })), 409, 'conflict', '/id');
  });

  it('the list is paged by id and filtered by host, resource, action and whether they are public', async () => {
    const routes = [
      route({ id: 'a' }),
      route({ id: 'b', path: '/b/:id', host: 'b.example.com' }),
      route({ id: 'c', path: '/c/:id', action: 'update' }),
      open({ id: 'd' }),
      route({ id: 'e', path: '/e/:id', resource: 'order' }),
    ];
    ok(await root.post(`${policyPath}/import`, { version: 1, routes }));
    const ids = async (query: string) =>
      (await allItems(root, `${path}?${query}`, 2)).map(({ id }) => id).join('');
    assert.equal(await ids(''), 'abcdepresspress-proof');
    assert.equal(await ids('host=b.example.com'), 'b');
    assert.equal(await ids('resource=order'), 'e');
    assert.equal(await ids('action=update'), 'c');
    assert.equal(await ids('public=true'), 'dpress');
    assert.equal(await ids('public=false&action=read'), 'abepress-proof');
    assertProblem(await root.get(`${path}?path=x`), 400, 'invalid_request', '/query/path');
  });

  it('routes are exported and imported again without a change, compared, and restored', async () => {
    const { revision } = gateway.services.live.snapshot;
    const routes = [
      route({ id: 'a', attributes: { title: 'x' }, rateLimit: { requests: 1, windowSeconds: 1 } }),
      open({ id: 'b' }),
    ];
    const dry = ok(await root.post(`${policyPath}/import?dryRun=true`, { version: 1, routes })).body;
    assert.deepEqual(dry.summary, ['route a: added', 'route b: added']);
    ok(await root.post(`${policyPath}/import`, { version: 1, routes }));
    const yaml = String(ok(await root.get(`${policyPath}/export`)).body);
    assert.match(yaml, /^routes:\n {2}- id: a\n {4}methods:\n/m);
    const again = await root.post(`${policyPath}/import?mode=replace`, yaml, {
      'content-type': 'application/yaml',
    });
    assert.deepEqual(ok(again).body.changes, { added: 0, changed: 0, removed: 0 });
    ok(await root.post(`${policyPath}/revisions/${revision}/restore`, {}));
    assert.equal(gateway.services.live.snapshot.routes.size, policy.routes.length);
    ok(await root.post(`${policyPath}/revisions/${revision + 1}/restore`, {}));
    assert.equal(gateway.services.live.snapshot.routes.size, policy.routes.length + 2);
  });

  it('a resource type that a route decides about stays', async () => {
    ok(await root.post('/api/v1/admin/resource-types', { type: 'parcel', actions: ['read'] }), 201);
    ok(await root.post(path, route({ resource: 'parcel' })), 201);
    assertProblem(await root.delete('/api/v1/admin/resource-types/parcel'), 409, 'resource_type_in_use');
  });

  it('every endpoint of the gateway is under a prefix that no route can have', () => {
    const layers = makeApp(gateway.services).router.stack;
    const paths = layers.flatMap(({ route: own, handle }) => {
      const below: { route?: { path: string } }[] = Reflect.get(handle, 'stack') ?? [];
      return [own, ...below.map((layer) => layer.route)].flatMap((found) => found?.path ?? []);
    });
    assert.ok(paths.includes('/livez') && paths.includes('/schemas/policy.json') && paths.length > 40);
    assert.deepEqual(
      paths.filter((one) => !reservedPrefixOf(one.slice(1).split('/'))),
      [],
    );
  });

  it('the right to routes is asked for: without it nothing is read or written, not by an import either', async () => {
    const role = await addRole(root);
    await addRule(root, { role, action: 'manage', subject: ['document', 'castellan.policy'] });
    const { client } = await person(gateway, { roles: [role] });
    assertProblem(await client.post(path, route()), 403, 'access_denied');
    assertProblem(await client.get(path), 403, 'access_denied');
    assertProblem(
      await client.post(`${policyPath}/import`, { version: 1, routes: [route()] }),
      403,
      'access_denied',
    );
  });

  it('who holds what a route asks for, of every resource, may write it', async () => {
    const client = await keeper();
    const { id } = ok(await client.post(path, route()), 201).body;
    ok(await client.patch(`${path}/${id}`, { headers: ['roles'] }));
    ok(await client.delete(`${path}/${id}`), 204);
  });

  it('attack: nobody opens by a route what they do not hold, or hold only in part', async () => {
    const client = await keeper();
    const part = await keeper({ action: 'read', conditions: { status: 'published' } });
    for (const refused of [
      await client.post(path, route({ action: 'update' })),
      await client.post(path, open()),
      await client.post(`${policyPath}/import`, { version: 1, routes: [open()] }),
      await part.post(path, route()),
    ])
      assertProblem(refused, 403, 'privilege_escalation');
    assert.equal(gateway.services.live.snapshot.routes.size, policy.routes.length);
  });

  it('attack: rules on a type that Cedar decides about are not what somebody holds there', async () => {
    const type = { type: 'parcel', actions: ['read'], evaluator: 'cedar' };
    ok(await root.post('/api/v1/admin/resource-types', type), 201);
    const client = await keeper({ action: 'read', subject: 'parcel' });
    const parcels = route({ resource: 'parcel' });
    assertProblem(await client.post(path, parcels), 403, 'privilege_escalation');
    ok(await root.post(path, parcels), 201);
  });

  it('attack: a route that asks for more than one holds is not weakened, taken away, or gone before', async () => {
    const client = await keeper();
    ok(await root.post(path, route({ id: 'strong', path: '/s/:id', action: 'update' })), 201);
    ok(
      await root.post(path, route({ id: 'wide', path: '/w/*all', action: 'update', resourceId: demoId(7) })),
      201,
    );
    for (const refused of [
      await client.patch(`${path}/strong`, { action: 'read' }),
      await client.patch(`${path}/strong`, { upstream: 'http://127.0.0.1:1' }),
      await client.delete(`${path}/strong`),
      await client.post(path, route({ path: '/w/mine/:id' })),
      await client.post(path, route({ path: '/s/:id', host: 'mine.example.com' })),
    ])
      assertProblem(refused, 403, 'privilege_escalation');
  });

  it('attack: a route is not taken away so that a public one gets its requests; one before a public one only closes', async () => {
    const client = await keeper();
    ok(await root.post(path, open({ id: 'all', path: '/*all' })), 201);
    const { id } = ok(await client.post(path, route()), 201).body;
    assertProblem(await client.delete(`${path}/${id}`), 403, 'privilege_escalation');
    assertProblem(
      await client.patch(`${path}/${id}`, { path: '/elsewhere/:id' }),
      403,
      'privilege_escalation',
    );
    ok(await root.delete(`${path}/${id}`), 204);
  });
});
