import assert from 'node:assert/strict';
import {
  type Answer,
  anonymousClient,
  type Client,
  logIn,
  startGateway,
  type TestGateway,
} from '../../harness.ts';
import { failWritesTo } from './failing-database.ts';

describe('seen from outside', () => {
  let gateway: TestGateway;
  let anonymous: Client;
  let admin: Client;

  before(async () => {
    gateway = await startGateway({ env: { BODY_LIMIT_BYTES: '400000', TRUSTED_PROXIES: '127.0.0.1' } });
    anonymous = anonymousClient(gateway);
    admin = await logIn(gateway, 'superadmin');
  });
  after(() => gateway.close());

  describe('every answer', () => {
    it('carries the headers that keep a browser from guessing, framing, leaking and running what it should not', async () => {
      const paths = [
        '/api/v1/me',
        '/api/v1/documents',
        '/docs',
        '/openapi.json',
        '/livez',
        '/nowhere',
        '/%zz',
      ];
      for (const path of paths) {
        const { headers } = await anonymous.get(path);
        assert.equal(headers.get('x-content-type-options'), 'nosniff', path);
        assert.match(headers.get('content-security-policy') ?? '', /default-src '(self|none)'/, path);
        assert.equal(headers.get('x-frame-options'), 'DENY', path);
        assert.equal(headers.get('referrer-policy'), 'no-referrer', path);
        assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin', path);
        assert.equal(headers.get('strict-transport-security'), null, path);
        assert.equal(headers.get('access-control-allow-origin'), null, path);
      }
    });

    it('tells a browser to stay on TLS, once it came over TLS', async () => {
      const { headers } = await anonymous.get('/api/v1/me', { 'x-forwarded-proto': 'https' });
      assert.match(headers.get('strict-transport-security') ?? '', /^max-age=\d{8}/);
    });

    it('does not say what it is made with', async () => {
      for (const path of ['/api/v1/me', '/nowhere', '/docs', '/metrics']) {
        const { headers } = await anonymous.get(path);
        assert.equal(headers.get('x-powered-by'), null);
        assert.equal(headers.get('server'), null);
      }
    });

    it('carries the request id, the same as in its problem and in the log', async () => {
      const { headers, body } = await anonymous.get('/api/v1/me', { 'x-request-id': 'seen-from-outside' });
      assert.equal(headers.get('x-request-id'), 'seen-from-outside');
      assert.equal(body.requestId, 'seen-from-outside');
      assert.ok(gateway.logged().includes('"reqId":"seen-from-outside"'));
      assert.match((await anonymous.get('/livez')).headers.get('x-request-id') ?? '', /^[\w-]{36}$/);
    });

    it('is kept by no cache when it is personal', async () => {
      const credentials = { email: 'editor@example.com', password: 'editorpass' };
      const personal: Record<string, Answer> = {
        me: await admin.get('/api/v1/me'),
        sessions: await admin.get('/api/v1/me/sessions'),
        documents: await admin.get('/api/v1/documents'),
        orders: await admin.get('/api/v1/orders'),
        users: await admin.get('/api/v1/admin/users'),
        rules: await admin.get('/api/v1/admin/rules'),
        login: await anonymous.post('/api/v1/auth/login', credentials),
        'a refused login': await anonymous.post('/api/v1/auth/login', { ...credentials, password: 'x' }),
        'a stranger': await anonymous.get('/api/v1/me'),
        'what is not there': await admin.get('/api/v1/documents/7b0e3c5a-5f0f-4d0e-9f6b-0d6a1d2f3c4b'),
      };
      for (const [what, { headers }] of Object.entries(personal))
        assert.equal(headers.get('cache-control'), 'no-store', what);
      assert.match(
        (await admin.get('/api/v1/me/ability')).headers.get('cache-control') ?? '',
        /no-store|private, no-cache/,
      );
    });

    it('to a query that fails says nothing of it; the log says all, with the request id', async () => {
      const repair = await failWritesTo(gateway.services.db, 'documents');
      const answer = await admin.post(
        '/api/v1/documents',
        { title: 'Lost' },
        { 'x-request-id': 'disk-full' },
      );
      await repair();
      assert.equal(answer.status, 500);
      assert.deepEqual(Object.keys(answer.body).sort(), [
        'code',
        'detail',
        'requestId',
        'status',
        'title',
        'type',
      ]);
      assert.doesNotMatch(
        JSON.stringify([answer.body, [...answer.headers]]),
        /insert|space|device|node_modules|\.ts/i,
      );
      const lines = gateway
        .logged()
        .split('\n')
        .filter((line) => line.includes('disk-full'));
      assert.ok(lines.some((line) => line.includes('no space left on device')));
    });
  });

  describe('a body', () => {
    const login = '/api/v1/auth/login';

    const codeOf = async (answer: Promise<Answer>) => {
      const { status, body } = await answer;
      return `${status} ${body.code}`;
    };

    for (const key of ['__proto__', 'constructor', 'prototype', '\\u005f_proto__'])
      it(`with the key ${key} is refused: it would pollute prototypes`, async () => {
        const text = `{"email":"a@example.com","password":"x","${key}":{"isActive":true}}`;
        assert.equal(await codeOf(anonymous.post(login, text)), '400 malformed_json');
        assert.equal(
          await codeOf(admin.post('/api/v1/admin/rules', `{"conditions":{"a":${text}}}`)),
          '400 malformed_json',
        );
        assert.equal('isActive' in {}, false);
      });

    it('with a key twice is refused: the check would see one value and the handler another', async () => {
      const text = '{"email":"a@example.com","email":"b@example.com","password":"x"}';
      assert.equal(await codeOf(anonymous.post(login, text)), '400 malformed_json');
    });

    it('of a hundred thousand brackets is refused, and the process lives', async () => {
      for (const text of [
        '['.repeat(100_000),
        '['.repeat(100_000) + ']'.repeat(100_000),
        '{"a":'.repeat(60_000),
      ])
        assert.equal(await codeOf(anonymous.post(login, text)), '400 malformed_json');
      assert.equal((await anonymous.get('/livez')).status, 200);
    });

    it('larger than the limit of the settings is refused', async () => {
      const text = JSON.stringify({ email: 'a@example.com', password: 'x'.repeat(400_000) });
      assert.equal(await codeOf(anonymous.post(login, text)), '413 body_too_large');
    });

    it('that is no JSON is refused by its type: a form of another site can send it without asking', async () => {
      const headers = { 'content-type': 'text/plain' };
      const text = '{"email":"editor@example.com","password":"editorpass"}';
      assert.equal(await codeOf(anonymous.post(login, text, headers)), '415 unsupported_media_type');
    });

    it('with what Postgres cannot hold is refused, wherever it would be stored', async () => {
      const form = {
        email: 'nul@example.org',
        password: 'quiet harbour 12',
        passwordRepeat: 'quiet harbour 12',
      };
      for (const lastName of ['a\0b', 'a\ud800b'])
        assert.equal(
          await codeOf(anonymous.post('/api/v1/auth/register', { ...form, firstName: 'A', lastName })),
          '400 malformed_json',
        );
      assert.equal(await codeOf(admin.post('/api/v1/documents', { title: 'a\0b' })), '400 malformed_json');
    });

    it('of another encoding than UTF-8 is refused', async () => {
      const body = Buffer.from('{"email":"\xe9@example.com","password":"x"}', 'latin1');
      const headers = { 'content-type': 'application/json; charset=latin1' };
      const response = await fetch(gateway.url + login, { method: 'POST', body, headers });
      assert.equal(response.status, 400);
    });
  });

  describe('an address', () => {
    for (const path of [
      '/api/v1/documents/%zz',
      '/api/v1/admin/roles/%c0%80',
      '/%',
      '/api/v1/admin/roles/a%00b',
    ])
      it(`like ${path} is a bad request, not a failure`, async () => {
        const { status, body } = await admin.get(path);
        assert.deepEqual({ status, code: body.code }, { status: 400, code: 'invalid_request' });
      });

    it('that is there refuses other methods with 405 and Allow, whoever asks', async () => {
      for (const [method, path, allow] of [
        ['PUT', '/api/v1/orders', 'GET, POST, HEAD, OPTIONS'],
        ['GET', '/api/v1/auth/login', 'POST, OPTIONS'],
        ['DELETE', '/openapi.json', 'GET, HEAD, OPTIONS'],
        ['POST', '/docs', 'GET, HEAD, OPTIONS'],
        ['POST', '/metrics', 'GET, HEAD, OPTIONS'],
      ] as const) {
        const { status, headers, body } = await anonymous.send(method, path);
        assert.deepEqual({ status, code: body.code }, { status: 405, code: 'method_not_allowed' }, path);
        assert.equal(headers.get('allow'), allow);
      }
    });

    it('that is there answers HEAD like GET and OPTIONS with Allow', async () => {
      for (const path of ['/api/v1/documents', '/docs', '/readyz'])
        assert.deepEqual(
          [(await admin.send('HEAD', path)).status, (await admin.send('OPTIONS', path)).status],
          [200, 204],
          path,
        );
    });

    it('is told apart by capitals', async () => {
      assert.equal((await admin.get('/API/v1/documents')).status, 404);
    });

    for (const list of ['/api/v1/documents', '/api/v1/orders', '/api/v1/admin/users', '/api/v1/admin/rules'])
      it(`of ${list} with a made-up cursor is a bad request, not a failure of the database`, async () => {
        const made = [['x'], ['x', 'y'], ['2025-02-30 00:00:00+00', '7b0e3c5a-5f0f-4d0e-9f6b-0d6a1d2f3c4b']];
        for (const key of made) {
          const cursor = Buffer.from(JSON.stringify(key)).toString('base64url');
          const { status } = await admin.get(`${list}?cursor=${cursor}`);
          assert.ok(status === 400 || status === 200, `${status}`);
        }
      });
  });
});
