import assert from 'node:assert/strict';
import express from 'express';
import { mayUseCookie } from '../../../src/http/origin.ts';
import { type SmallApp, startSmallApp } from './small-app.ts';

describe('a request that only a cookie identifies', () => {
  let app: SmallApp;
  before(async () => {
    const router = express.Router();
    router.all('/', ({ method, headers, protocol }, res) => {
      const ownOrigin = `${protocol}://${headers.host}`;
      res.json(mayUseCookie({ method, headers, ownOrigin }, ['https://console.example.com']));
    });
    app = await startSmallApp({ router });
  });
  after(() => app.close());

  const mayUse = async (method: string, headers: Record<string, string>) => {
    const { body } = await app.client.send(method, '/', method === 'POST' ? {} : undefined, headers);
    return body;
  };

  it('may change something when it comes from the same origin, or was typed by a person', async () => {
    assert.equal(await mayUse('POST', { 'sec-fetch-site': 'same-origin' }), true);
    assert.equal(await mayUse('POST', { 'sec-fetch-site': 'none' }), true);
    assert.equal(await mayUse('POST', { origin: app.url }), true);
  });

  it('may change something from an origin that is allowed', async () => {
    const headers = { origin: 'https://console.example.com', 'sec-fetch-site': 'cross-site' };
    assert.equal(await mayUse('POST', headers), true);
  });

  it('may change something when no browser sent it', async () => {
    assert.equal(await mayUse('POST', {}), true);
  });

  for (const [attack, headers] of [
    ['a form on another site', { 'sec-fetch-site': 'cross-site' }],
    ['a page of a neighbouring host', { 'sec-fetch-site': 'same-site' }],
    ['another origin, in an old browser', { origin: 'https://evil.example' }],
    ['a frame without an origin', { origin: 'null' }],
    [
      'an origin that only begins like an allowed one',
      { origin: 'https://console.example.com.evil.example' },
    ],
    ['another scheme or port of the same host', { origin: 'http://127.0.0.1:1' }],
    [
      'another site that is of the same origin by its word only',
      { 'sec-fetch-site': 'cross-site', origin: 'http://x' },
    ],
  ] as const)
    it(`may not change anything when it comes from ${attack}`, async () => {
      assert.equal(await mayUse('POST', headers), false);
      for (const method of ['PUT', 'PATCH', 'DELETE'])
        assert.equal(await mayUse(method, headers), false, method);
    });

  it('may read from anywhere: the browser keeps the answer from the other page', async () => {
    assert.equal(
      await mayUse('GET', { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }),
      true,
    );
  });
});
