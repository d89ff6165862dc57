import assert from 'node:assert/strict';
import express from 'express';
import { AppError, errorTable } from '../../../src/errors.ts';
import { sendRaw } from './raw-socket.ts';
import { type SmallApp, startSmallApp } from './small-app.ts';

const secret = 'insert into "accounts" values (1) - duplicate key';

class DriverError extends Error {
  code = '23505';
  status = 400;
  detail = 'Key (email)=(a@example.com) already exists.';
}

describe('a problem', () => {
  let app: SmallApp;

  before(async () => {
    const router = express.Router();
    router.get('/driver', () => {
      throw new DriverError(secret);
    });
    router.get('/hidden', () => {
      throw Object.assign(new Error(secret), { status: 404, expose: false });
    });
    router.get('/not-an-error', () => Promise.reject(secret));
    router.get('/detail', () => {
      throw new AppError('invalid_credentials', { detail: 'no such account', cause: new Error(secret) });
    });
    router.get('/unavailable', () => {
      throw new AppError('unavailable', { detail: secret, retryAfterSeconds: 0.2 });
    });
    router.get('/problems', () => {
      const problems = [{ pointer: '/rules/0', code: 'shape', message: 'is not a rule', suggestion: 'rule' }];
      throw new AppError('policy_invalid', { message: 'one problem', problems });
    });
    router.get('/half', (_req, res) => {
      res.status(200).set('Content-Type', 'application/json').write('{"items":[');
      throw new Error(secret);
    });
    app = await startSmallApp({ router });
  });
  after(() => app.close());

  it('has type, title, status, detail, code and requestId, and is application/problem+json', async () => {
    const { status, headers, body } = await app.client.get('/nowhere', { 'x-request-id': 'abc-1' });
    assert.equal(status, 404);
    assert.match(headers.get('content-type') ?? '', /^application\/problem\+json/);
    assert.deepEqual(body, {
      type: '/docs#not_found',
      title: errorTable.not_found.title,
      status: 404,
      detail: 'there is nothing at /nowhere',
      code: 'not_found',
      requestId: 'abc-1',
    });
  });

  for (const path of ['/driver', '/hidden', '/not-an-error']) {
    it(`that nobody foresaw says nothing of what happened (${path}): no SQL, no stack, no status of a driver`, async () => {
      const { status, body } = await app.client.get(path, { 'x-request-id': 'abc-2' });
      assert.equal(status, 500);
      const { title } = errorTable.internal_error;
      const expected = { title, status: 500, detail: title, code: 'internal_error', requestId: 'abc-2' };
      assert.deepEqual(body, { type: '/docs#internal_error', ...expected });
    });
  }

  it('that nobody foresaw is logged with its request id and its stack', async () => {
    await app.client.get('/driver', { 'x-request-id': 'abc-3' });
    const line = app.logged().find(({ reqId, err }) => reqId === 'abc-3' && err);
    assert.equal(line?.level, 50);
    assert.ok(JSON.stringify(line?.err).includes('duplicate key'));
    assert.match(JSON.stringify(line?.err), /problem\.test\.ts/);
  });

  it('keeps the detail for the log', async () => {
    const { status, headers, body } = await app.client.get('/detail', { 'x-request-id': 'abc-4' });
    assert.equal(status, 401);
    assert.equal(headers.get('www-authenticate'), 'Bearer realm="castellan"');
    assert.doesNotMatch(JSON.stringify(body), /no such account|insert/);
    assert.ok(app.logged().some(({ reqId, detail }) => reqId === 'abc-4' && detail === 'no such account'));
  });

  it('of a part that does not answer tells when to come again, in whole seconds, and not why', async () => {
    const { status, headers, body } = await app.client.get('/unavailable');
    assert.equal(status, 503);
    assert.equal(headers.get('retry-after'), '1');
    assert.doesNotMatch(JSON.stringify(body), /insert/);
  });

  it('of a policy lists the problems, and each as an error', async () => {
    const { status, body } = await app.client.get('/problems');
    assert.equal(status, 422);
    assert.deepEqual(body.errors, [{ pointer: '/rules/0', message: 'is not a rule' }]);
    assert.equal(body.problems[0].suggestion, 'rule');
  });

  it('in the middle of an answer cuts the connection: half an answer must not look whole', async () => {
    const { text } = await sendRaw(app.port, 'GET /half HTTP/1.1\r\nHost: x\r\nX-Request-Id: abc-5\r\n\r\n');
    assert.match(text, /^HTTP\/1\.1 200/);
    assert.doesNotMatch(text, /\r\n0\r\n\r\n$/);
    assert.doesNotMatch(text, /insert/);
    assert.ok(app.logged().some(({ reqId, err }) => reqId === 'abc-5' && err));
  });
});
