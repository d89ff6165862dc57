/** HIDE_FORBIDDEN at the gateway: what may not be asked for is not there, for whoever may not. */
import assert from 'node:assert/strict';
import { type Answer, startGateway, type TestGateway } from '../../harness.ts';
import { addRule, fresh, ok, type Person, person, typesPath } from '../admin/staff.ts';
import { addRoutes, startUpstream, type Upstream } from './upstream.ts';

describe('a route that must not be known of', () => {
  let gateway: TestGateway;
  let upstream: Upstream;
  let user: Person;

  before(async () => {
    gateway = await startGateway({ env: { HIDE_FORBIDDEN: 'true', TRUSTED_PROXIES: '127.0.0.1' } });
    upstream = await startUpstream();
    const root = (await person(gateway, { roles: ['superadmin'] })).client;
    user = await person(gateway);
    const type = fresh('secret');
    ok(
      await root.post(typesPath, {
        type,
        actions: ['read', 'open'],
        attributes: { place: { type: 'string' } },
      }),
      201,
    );
    await addRule(root, { role: 'user', action: 'read', subject: type, conditions: { id: 'mine' } });
    await addRoutes(root, [
      {
        id: 'vault',
        path: '/vault',
        methods: ['POST'],
        resource: type,
        action: 'open',
        attributes: { place: `$\{body/place}` },
        upstream: upstream.url,
      },
      {
        id: 'secret',
        path: '/secrets/:id',
        resource: type,
        action: 'read',
        resourceId: `$\{path.id}`,
        upstream: upstream.url,
        rateLimit: { requests: 100, windowSeconds: 60, per: 'principal' },
      },
    ]);
  });
  after(async () => {
    await gateway.close();
    await upstream.close();
  });

  /** All that could tell one from the other. */
  const told = ({ status, headers, body: { requestId: _differs, ...body } }: Answer) => ({
    status,
    body,
    names: [...headers.keys()].sort(),
  });

  it('is answered as a path without a route is, headers and all, but for who may', async () => {
    const hidden = told(await user.client.get('/secrets/theirs'));
    assert.equal(hidden.status, 404);
    assert.deepEqual(hidden, told(await user.client.get('/elsewhere/theirs')));
    assert.equal((await user.client.get('/secrets/mine')).status, 200);
  });

  it('is not told of to a proxy that asks either', async () => {
    const ask = (path: string) =>
      user.client.get('/forward-auth/caddy', {
        'x-forwarded-method': 'GET',
        'x-forwarded-proto': 'http',
        'x-forwarded-host': 'app.test',
        'x-forwarded-uri': path,
      });
    const hidden = told(await ask('/secrets/theirs'));
    assert.equal(hidden.status, 404);
    assert.deepEqual(hidden, told(await ask('/elsewhere/theirs')));
    assert.equal((await ask('/secrets/mine')).status, 200);
  });

  it('is not told of by its body, to those who could never do it', async () => {
    const hidden = told(await user.client.post('/vault', { place: 'x' }));
    assert.deepEqual(hidden, told(await user.client.post('/elsewhere', { place: 'x' })));
  });
});
