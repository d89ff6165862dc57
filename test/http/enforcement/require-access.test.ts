/** requireAccess on an Express app of somebody's own: the same gate as the gateway's endpoints. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { problemHandler } from '../../../src/http/problem.ts';
import { authenticate } from '../../../src/sessions/authenticate.ts';
import { anonymousClient, Client, logIn, startGateway, type TestGateway } from '../../harness.ts';

describe('requireAccess in an Express app', () => {
  let gateway: TestGateway;
  let server: Server;
  let author: string | undefined;
  let url: string;

  const papers: Record<string, object> = {
    mine: {
      id: '00000000-0000-4000-8000-0000000000a1',
      ownerId: '00000000-0000-4000-8000-000000000004',
      status: 'draft',
    },
    theirs: {
      id: '00000000-0000-4000-8000-0000000000a2',
      ownerId: '00000000-0000-4000-8000-000000000007',
      status: 'draft',
    },
    disguised: {
      id: '00000000-0000-4000-8000-0000000000a3',
      ownerId: '00000000-0000-4000-8000-000000000007',
      status: 'draft',
      __caslSubjectType__: 'order',
      type: 'order',
    },
    unfit: {
      id: '00000000-0000-4000-8000-0000000000a4',
      ownerId: ['00000000-0000-4000-8000-000000000004'],
      status: 'draft',
    },
  };

  before(async () => {
    gateway = await startGateway();
    const { services } = gateway;
    author = (await logIn(gateway, 'author')).token;
    const app = express();
    const { sessions, apiKeys, isSecure } = services;
    app.use(authenticate({ sessions, apiKeys, allowedOrigins: [], isSecure }));
    const load = (req: express.Request) => papers[String(req.params.name)];
    app.get(
      '/papers/:name',
      services.requireAccess({ action: 'read', resource: 'document', load }),
      (req, res) => {
        res.json({ resource: req.access?.resource, rule: req.access?.decision?.ruleId });
      },
    );
    app.get(
      '/papers',
      services.requireAccess({ action: 'read', resource: 'document' }),
      (_req, res) => void res.json([]),
    );
    app.get(
      '/unknown',
      services.requireAccess({ action: 'read', resource: 'no-such-type', load: () => ({ id: '1' }) }),
      (_req, res) => void res.json({}),
    );
    app.get(
      '/broken',
      services.requireAccess({
        action: 'read',
        resource: 'document',
        load: () => Promise.reject(new Error('secret detail')),
      }),
      (_req, res) => void res.json({}),
    );
    app.use(problemHandler);
    server = createServer(app);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(async () => {
    await new Promise((resolve) => server.close(resolve));
    await gateway.close();
  });

  it('lets those in whom a rule allows, and hands resource and decision to the handler', async () => {
    const { status, body, headers } = await new Client(url, author).get('/papers/mine');
    assert.equal(status, 200);
    assert.deepEqual(body, { resource: papers.mine, rule: 'user-reads-own' });
    assert.equal(headers.get('castellan-revision'), '1');
  });

  it('answers 401 when nobody is identified, whether the resource is there or not', async () => {
    for (const path of ['/papers/mine', '/papers/none', '/papers']) {
      const { status, body } = await anonymousClient({ url }).get(path);
      assert.deepEqual([status, body.code], [401, 'unauthenticated'], path);
    }
  });

  it('answers 403 when the principal may not, as problem+json', async () => {
    const { status, body, headers } = await new Client(url, author).get('/papers/theirs');
    assert.deepEqual([status, body.code], [403, 'access_denied']);
    assert.match(headers.get('content-type') ?? '', /application\/problem\+json/);
  });

  it('answers 404 when there is no such resource', async () => {
    assert.equal((await new Client(url, author).get('/papers/none')).status, 404);
  });

  it('lets those pass to a collection who could do it to some resource of the type', async () => {
    assert.equal((await new Client(url, author).get('/papers')).status, 200);
  });

  it('a resource does not choose its own type', async () => {
    assert.equal((await new Client(url, author).get('/papers/disguised')).status, 403);
  });

  it('doubt denies: an attribute of the wrong type, a resource type that nobody registered', async () => {
    assert.equal((await new Client(url, author).get('/papers/unfit')).status, 403);
    assert.equal((await new Client(url, author).get('/unknown')).status, 403);
  });

  it("a resource that cannot be loaded is nobody's to see, and says nothing of why", async () => {
    const { status, body } = await new Client(url, author).get('/broken');
    assert.equal(status, 500);
    assert.ok(!JSON.stringify(body).includes('secret detail'));
  });
});
