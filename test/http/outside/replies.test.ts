import assert from 'node:assert/strict';
import { accountEndpoints } from '../../../src/accounts/endpoints.ts';
import { adminEndpoints } from '../../../src/admin/endpoints.ts';
import { authzenEndpoints } from '../../../src/authzen/endpoints.ts';
import { demoEndpoints } from '../../../src/demo/endpoints.ts';
import { type Client, logIn, startGateway, type TestGateway } from '../../harness.ts';

describe('the described replies', () => {
  let gateway: TestGateway;
  let admin: Client;

  before(async () => {
    gateway = await startGateway();
    admin = await logIn(gateway, 'superadmin');
  });
  after(() => gateway.close());

  const tables = () => [
    ...accountEndpoints(gateway.services),
    ...adminEndpoints(gateway.services),
    ...authzenEndpoints(gateway.services),
    ...demoEndpoints(gateway.services),
  ];

  it('give the shape of every reply that has a body', () => {
    const without = tables()
      .filter(({ reply }) => (reply.status === 204) === (reply.shape !== undefined))
      .map(({ method, path }) => `${method} ${path}`);
    assert.deepEqual(without, []);
  });

  it('are what is answered, field by field: what a shape does not name is not told', async () => {
    await admin.patch('/api/v1/me', { firstName: 'Audited' });
    const { body: minted } = await admin.post('/api/v1/admin/api-keys', { name: 'shown', roles: ['user'] });
    await admin.post('/api/v1/admin/resource-types', { type: 'device' });
    await admin.put('/api/v1/admin/entities/device/shown', {});
    const ids = {
      'api-keys': minted.apiKey.id,
      entities: 'device/shown',
      audit: await firstOf('/api/v1/admin/audit'),
      users: '00000000-0000-4000-8000-000000000003',
      rules: 'superadmin-everything',
      roles: 'editor',
      'resource-types': 'document',
      documents: await firstOf('/api/v1/documents'),
      routes: 'press-proof',
      orders: await firstOf('/api/v1/orders'),
      decisions: await refusal(),
      revisions: '1',
    };
    let compared = 0;
    for (const { method, path, reply } of tables()) {
      if (method !== 'get' || !reply.shape) continue;
      const kind = path.split('/:')[0]?.split('/').at(-1) ?? '';
      const id = new Map<string, string>(Object.entries(ids)).get(kind) ?? '';
      const { status, body } = await admin.get(path.replace(/:\w+(\/:\w+)?/, id));
      assert.equal(status, reply.status, `${path} ${JSON.stringify(body)}`);
      const { error } = reply.shape.validate(body, { abortEarly: false });
      assert.equal(error?.message, undefined, path);
      compared++;
    }
    assert.ok(compared > 10);
  });

  /** The id of a decision in the log. */
  async function refusal(): Promise<string> {
    const user = await logIn(gateway, 'user');
    return (await user.get('/api/v1/admin/rules')).headers.get('castellan-decision-id') ?? '';
  }

  async function firstOf(path: string): Promise<string> {
    const { body } = await admin.get(path);
    return String(body.items[0].id);
  }
});
