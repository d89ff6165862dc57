import assert from 'node:assert/strict';
import express from 'express';
import { type SmallApp, startSmallApp } from './small-app.ts';

describe('the request id', () => {
  let app: SmallApp;
  before(async () => {
    const router = express.Router();
    router.get('/things', (_req, res) => void res.set('Set-Cookie', 'castellan=cookie-secret').json({}));
    app = await startSmallApp({ router });
  });
  after(() => app.close());

  it('is echoed', async () => {
    const id = '01J:abc_DEF-1.2';
    assert.equal((await app.client.get('/things', { 'x-request-id': id })).headers.get('x-request-id'), id);
  });

  for (const id of ['', 'a b', 'a"b', '{"level":60}', 'x'.repeat(129), 'ž'.repeat(3).normalize()])
    it(`is made anew instead of ${JSON.stringify(id.slice(0, 20))}: nobody writes into the log`, async () => {
      const headers = new Headers({ 'x-request-id': Buffer.from(id).toString('latin1') });
      const answered = (await fetch(`${app.url}/things`, { headers })).headers.get('x-request-id');
      assert.match(answered ?? '', /^[0-9a-f-]{36}$/);
    });

  it('is made where none is sent, another each time', async () => {
    const [one, two] = await Promise.all([app.client.get('/things'), app.client.get('/things')]);
    assert.match(one.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/);
    assert.notEqual(one.headers.get('x-request-id'), two.headers.get('x-request-id'));
  });

  it('is in the line of the request, which holds the path without query and no header', async () => {
    await app.client.get('/things?token=query-secret', {
      'x-request-id': 'one-line',
      authorization: 'Bearer header-secret',
      cookie: 'castellan=cookie-secret',
    });
    const lines = app.logged().filter(({ reqId }) => reqId === 'one-line');
    assert.equal(lines.length, 1);
    assert.deepEqual(lines[0]?.req, { id: 'one-line', method: 'GET', path: '/things' });
    assert.deepEqual(lines[0]?.res, { status: 200 });
    assert.doesNotMatch(JSON.stringify(app.logged()), /secret/);
  });
});
