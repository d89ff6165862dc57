import assert from 'node:assert/strict';
import Joi from 'joi';
import { AppError } from '../../../src/errors.ts';
import type { Guard } from '../../../src/http/endpoint.ts';
import { type SmallApp, type SmallEndpoint, startSmallApp } from './small-app.ts';

const reply = { status: 200, description: 'What was sent' };
const base = { access: 'public', reply } as const;
const endpoints: SmallEndpoint[] = [
  {
    ...base,
    method: 'get',
    path: '/things/:id',
    summary: 'Read a thing',
    params: Joi.object({ id: Joi.string().max(20).required() }),
    handle: ({ params }) => ({ status: 200, body: { id: params.id } }),
  },
  { ...base, method: 'delete', path: '/things/:id', summary: 'Delete it', handle: () => ({ status: 204 }) },
  {
    ...base,
    method: 'post',
    path: '/things',
    summary: 'Make a thing',
    body: Joi.object({
      name: Joi.string().required(),
      size: Joi.number().integer(),
      parts: Joi.array().items(Joi.object({ 'a/b~c': Joi.string() })),
    }),
    query: Joi.object({ dry: Joi.boolean() }),
    handle: ({ body, query, sentFields }) => ({ status: 201, body: { body, query, sentFields } }),
  },
  {
    ...base,
    method: 'get',
    path: '/cached',
    summary: 'Something that may be kept',
    handle: () => ({ status: 200, body: {}, headers: { 'Cache-Control': 'private, no-cache' } }),
  },
];

describe('endpoints', () => {
  let app: SmallApp;
  before(async () => {
    app = await startSmallApp({ endpoints });
  });
  after(() => app.close());

  it('answer HEAD like GET, without a body', async () => {
    const { status, body } = await app.client.send('HEAD', '/things/1');
    assert.deepEqual({ status, body }, { status: 200, body: '' });
  });

  it('refuse other methods with 405 and say in Allow which there are', async () => {
    for (const [method, path, allow] of [
      ['POST', '/things/1', 'GET, DELETE, HEAD, OPTIONS'],
      ['PATCH', '/things/1', 'GET, DELETE, HEAD, OPTIONS'],
      ['GET', '/things', 'POST, OPTIONS'],
      ['HEAD', '/things', 'POST, OPTIONS'],
    ] as const) {
      const { status, headers, body } = await app.client.send(method, path);
      assert.equal(status, 405);
      assert.equal(headers.get('allow'), allow);
      if (method !== 'HEAD') assert.equal(body.code, 'method_not_allowed');
    }
  });

  it('answer OPTIONS with 204 and Allow', async () => {
    const { status, headers } = await app.client.send('OPTIONS', '/things/1');
    assert.equal(status, 204);
    assert.equal(headers.get('allow'), 'GET, DELETE, HEAD, OPTIONS');
  });

  it('are not to be kept by any cache unless they say so', async () => {
    for (const answer of [
      await app.client.get('/things/1'),
      await app.client.delete('/things/1'),
      await app.client.post('/things', {}),
      await app.client.get('/nowhere'),
    ])
      assert.equal(answer.headers.get('cache-control'), 'no-store');
    assert.equal((await app.client.get('/cached')).headers.get('cache-control'), 'private, no-cache');
  });

  it('tell everything that is wrong with the input at once, each with its JSON pointer', async () => {
    const { status, body } = await app.client.post('/things', { size: 1.5, parts: [{ 'a/b~c': 1 }], x: 1 });
    assert.equal(status, 400);
    assert.equal(body.code, 'invalid_request');
    const pointers = body.errors.map(({ pointer }: { pointer: string }) => pointer);
    assert.deepEqual(pointers.sort(), ['/name', '/parts/0/a~1b~0c', '/size', '/x']);
  });

  it('tell no more than 50 of the things that are wrong: an answer must not be many times its request', async () => {
    const keys = Array.from({ length: 1000 }, (_, index) => [`k${index}`, 1]);
    const { body } = await app.client.post('/things', Object.fromEntries(keys));
    assert.equal(body.errors.length, 50);
  });

  it('refuse query parameters that they do not know', async () => {
    const { status, body } = await app.client.get('/things/1?debug=true');
    assert.equal(status, 400);
    assert.equal(body.errors[0].pointer, '/query/debug');
    assert.equal((await app.client.post('/things?dry=true&dry=false', { name: 'a' })).status, 400);
    assert.deepEqual((await app.client.post('/things?dry=true', { name: 'a' })).body.query, { dry: true });
  });

  it('refuse a path that is not valid percent-encoding, there or nowhere', async () => {
    for (const path of ['/things/%zz', '/things/%', '/things/%c0%80', '/nowhere/%ff']) {
      const { status, body } = await app.client.get(path);
      assert.deepEqual({ status, code: body.code }, { status: 400, code: 'invalid_request' }, path);
    }
    assert.equal((await app.client.get('/things/%C5%BE')).body.id, 'ž');
  });

  it('refuse U+0000 in path and query: Postgres would fail on it', async () => {
    for (const path of ['/things/a%00b', '/things/a?x=%00']) {
      const { status, body } = await app.client.get(path);
      assert.deepEqual({ status, code: body.code }, { status: 400, code: 'invalid_request' }, path);
    }
    assert.equal((await app.client.get('/things/a%2500')).body.id, 'a%00');
  });

  it('know what was sent from what was filled in', async () => {
    const { body } = await app.client.post('/things', { name: 'a' });
    assert.deepEqual(body.sentFields, ['name']);
  });
});

describe('the guard of an endpoint', () => {
  let app: SmallApp;
  const seen: string[] = [];
  const guard: Guard<'public', undefined> = {
    beforeInput: async (req) => {
      seen.push('beforeInput');
      if (req.headers['x-refuse']) throw new AppError('unauthenticated');
    },
    admit: async ({ body }) => {
      seen.push(`admit ${JSON.stringify(body)}`);
      throw new AppError('access_denied');
    },
  };
  before(async () => {
    app = await startSmallApp({ endpoints, guard });
  });
  after(() => app.close());
  beforeEach(() => void seen.splice(0));

  it('speaks before the input is read: a stranger does not learn what would be valid', async () => {
    const { status } = await app.client.post('/things', '{"__proto__":', { 'x-refuse': '1' });
    assert.equal(status, 401);
    assert.deepEqual(seen, ['beforeInput']);
  });

  it('speaks again when the input is known, before anything is done', async () => {
    assert.equal((await app.client.post('/things', { name: 'a' })).status, 403);
    assert.deepEqual(seen, ['beforeInput', 'admit {"name":"a"}']);
  });

  it('is not asked about an input that is not valid', async () => {
    assert.equal((await app.client.post('/things', { name: 1 })).status, 400);
    assert.deepEqual(seen, ['beforeInput']);
  });
});
