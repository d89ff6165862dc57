/** The resource that a request to a route is about. */
import assert from 'node:assert/strict';
import type { AppError } from '../../../../src/errors.ts';
import type { Route } from '../../../../src/policy/routes/route.ts';
import type { RouteSources } from '../../../../src/policy/routes/route-value.ts';
import { ALICE } from '../sample-policy.ts';
import { publicRoute, routeOf, segmentsOf, tableOf } from './sample-routes.ts';

function compiledOf(route: Route) {
  const found = tableOf(route).match(route.host, 'GET', segmentsOf(route.path));
  assert.ok(found);
  return found.route;
}

interface Given {
  path?: Record<string, string>;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: unknown;
}

function sources({ path = {}, query = {}, headers = {}, body }: Given): RouteSources {
  return { path, query: (name) => query[name], header: (name) => headers[name], body };
}

const read = (attributes: Route['attributes'], given: Given) =>
  compiledOf(routeOf('/:id', { resourceId: `$\{path.id}`, attributes })).resourceOf(sources(given))
    .attributes;

function refused(attributes: Route['attributes'], given: Given): string[] {
  try {
    read(attributes, given);
  } catch (error) {
    const { code, errors } = error as AppError;
    assert.equal(code, 'invalid_request');
    return (errors ?? []).map(({ pointer }) => pointer);
  }
  return [];
}

describe('the resource of a route', () => {
  it('comes from path, query, header, body and the route itself, each as the attribute declares it', () => {
    const attributes = {
      pages: `$\{query.pages}`,
      rating: `$\{query.rating}`,
      isPinned: `$\{query.pinned}`,
      publishedAt: `$\{header.x-published}`,
      ownerId: `$\{body/owner/id}`,
      tags: `$\{body/tags}`,
      department: `$\{body/a~1b/1}`,
      title: '007',
      status: 'draft',
    };
    const compiled = compiledOf(routeOf('/:id', { resourceId: `$\{path.id}`, attributes }));
    assert.equal(compiled.needsBody, true);
    assert.deepEqual(compiled.needsQuery, ['pages', 'rating', 'pinned']);
    const found = compiled.resourceOf(
      sources({
        path: { id: '007' },
        query: { pages: '12', rating: '-1.50', pinned: 'true' },
        headers: { 'x-published': '2026-01-31T12:00:00+01:00' },
        body: { owner: { id: ALICE.toUpperCase() }, tags: ['a'], 'a/b': ['x', 'y'] },
      }),
    );
    assert.equal(found.type, 'document');
    assert.equal(Object.getPrototypeOf(found.attributes), null);
    assert.deepEqual(
      { ...found.attributes },
      {
        id: '007',
        pages: 12,
        rating: -1.5,
        isPinned: true,
        publishedAt: '2026-01-31T11:00:00.000Z',
        ownerId: ALICE,
        tags: ['a'],
        department: 'y',
        title: '007',
        status: 'draft',
      },
    );
  });

  it('what is not there leaves its attribute out, and nothing inherited is there', () => {
    const attributes = {
      title: `$\{query.t}`,
      department: `$\{body/constructor/name}`,
      body: `$\{body/toString}`,
      notes: `$\{body/tags/-}`,
    };
    assert.deepEqual({ ...read(attributes, { path: { id: '1' }, body: { tags: ['a'] } }) }, { id: '1' });
    assert.deepEqual({ ...read(attributes, {}) }, {});
    assert.deepEqual({ ...read({ body: `$\{body/b}` }, { body: { b: null } }) }, {});
  });

  for (const [what, attribute, texts] of [
    [
      'integers',
      'pages',
      ['', ' 1', '1 ', '+1', '01', '1e3', '1.0', '0x1', '-0', '1_0', '9007199254740993', '١'],
    ],
    ['numbers', 'rating', ['', '.5', '5.', '1e3', '01', 'NaN', 'Infinity', '-0', '1,5', '9007199254740993']],
    ['booleans', 'isPinned', ['', 'True', '1', 'yes', 'true ']],
    ['dates', 'publishedAt', ['', 'today', '2026-02-30', '1767225600000']],
    ['UUIDs', 'ownerId', ['', 'x', `{${ALICE}}`, `${ALICE} `]],
  ] as const)
    it(`attack: ${what} have one spelling; others are refused, so that no upstream reads another value`, () => {
      for (const text of texts)
        assert.deepEqual(refused({ [attribute]: `$\{query.q}` }, { query: { q: text } }), ['/query/q'], text);
    });

  it('values of a body are not turned into another type', () => {
    const body = { a: { '/': '1' }, n: null, big: 2 ** 53 };
    assert.deepEqual(refused({ pages: `$\{body/a/~1}` }, { body }), ['/body/a/~1']);
    assert.deepEqual(refused({ title: `$\{body/a}` }, { body }), ['/body/a']);
    assert.deepEqual(refused({ title: `$\{body/n}` }, { body }), ['/body/n']);
    assert.deepEqual(refused({ pages: `$\{body/big}` }, { body }), ['/body/big']);
    assert.deepEqual(refused({ tags: `$\{body/t}` }, { body: { t: [1] } }), ['/body/t']);
  });

  it('a key of the body that some parsers take for the one that is read is refused: they know no case', () => {
    const attributes = { title: `$\{body/a/kind}` };
    for (const body of [
      { a: { kind: 'x', Kind: 'y' } },
      { a: { KIND: 'y' } },
      { a: { Kind: 'y' } },
      { a: { kind: 'x' }, A: { kind: 'y' } },
      { A: { kind: 'y' } },
    ])
      assert.deepEqual(refused(attributes, { body }), ['/body/a/kind'], JSON.stringify(body));
    assert.deepEqual(
      { ...read(attributes, { path: { id: '1' }, body: { a: { kind: 'x', kin: 1 }, B: 1, b: 2 } }) },
      { id: '1', title: 'x' },
    );
  });

  it('errors name where the value is', () => {
    assert.deepEqual(refused({ pages: `$\{path.id}` }, { path: { id: 'x' } }), ['/params/id']);
    assert.deepEqual(refused({ pages: `$\{header.x-p}` }, { headers: { 'x-p': 'x' } }), ['/headers/x-p']);
  });

  it('an upstream is the same written short or in full, every default filled in', () => {
    const short = compiledOf(publicRoute('/a', { upstream: 'http://a:1' }));
    const long = compiledOf(publicRoute('/a', { upstream: { targets: ['http://a:1'] } }));
    assert.deepEqual(short.upstream, long.upstream);
    assert.deepEqual(short.upstream, {
      targets: [new URL('http://a:1')],
      timeoutMs: 30_000,
      retries: 1,
      healthCheck: undefined,
      webSocket: false,
      origins: [],
    });
    assert.equal(compiledOf(publicRoute('/a')).upstream, undefined);
    const checked = { targets: ['http://a:1'], healthCheck: { path: '/up' } };
    const { upstream } = compiledOf(publicRoute('/a', { upstream: checked }));
    assert.equal(upstream?.healthCheck?.intervalMs, 5000);
  });
});
