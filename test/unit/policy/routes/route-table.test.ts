/** Which route a request takes. */
import assert from 'node:assert/strict';
import { reservedPrefixes } from '../../../../src/policy/routes/reserved-prefixes.ts';
import type { Route } from '../../../../src/policy/routes/route.ts';
import type { RouteTable } from '../../../../src/policy/routes/route-table.ts';
import { publicRoute, routeOf, segmentsOf, tableOf } from './sample-routes.ts';

function taken(table: RouteTable, path: string, { host, method = 'GET', fold = false }: Asked = {}) {
  const found = table.match(host, method, segmentsOf(path), { fold });
  return found && { path: found.route.route.path, params: { ...found.params } };
}

interface Asked {
  host?: string;
  method?: string;
  fold?: boolean;
}

const pathTaken = (table: RouteTable, path: string, asked?: Asked) => taken(table, path, asked)?.path;

describe('the route table', () => {
  it('takes the most specific route: segment by segment a literal, a parameter, the rest', () => {
    const table = tableOf(
      ...['/', '/a/b', '/a/:x', '/a/:x/c', '/a/*rest', '/:x/b', '/*all'].map((path) => routeOf(path)),
    );
    assert.equal(table.size, 7);
    for (const [path, expected] of [
      ['/', '/'],
      ['/a/b', '/a/b'],
      ['/a/z', '/a/:x'],
      ['/a/b/c', '/a/:x/c'],
      ['/a/b/d', '/a/*rest'],
      ['/z/b', '/:x/b'],
      ['/z', '/*all'],
      ['/a', '/*all'],
      ['/z/b/c', '/*all'],
    ] as const)
      assert.equal(pathTaken(table, path), expected, path);
  });

  it('gives what the parameters stand for, on an object that inherits nothing', () => {
    const table = tableOf(routeOf('/p/:projectId/*rest'));
    const { params } = table.match(undefined, 'GET', ['p', '7', 'a', 'b c']) ?? {};
    assert.equal(Object.getPrototypeOf(params), null);
    assert.deepEqual({ ...params }, { projectId: '7', rest: 'a/b c' });
  });

  it('no route, no entry: fewer or more segments, empty ones, another case', () => {
    const table = tableOf(routeOf('/a/:x'), routeOf('/files/*rest'));
    for (const path of ['/', '/a', '/a/b/c', '/A/b', '/files', '/b', '/files//x', '/a/'])
      assert.equal(pathTaken(table, path), undefined, path);
  });

  it('a route of the host comes before one of any host, and is none for another host', () => {
    const table = tableOf(
      routeOf('/*all', { host: 'app.example.com' }),
      routeOf('/a', { id: 'a' }),
      routeOf('/b', { host: 'other.example.com' }),
    );
    assert.equal(pathTaken(table, '/a', { host: 'app.example.com' }), '/*all');
    assert.equal(pathTaken(table, '/a'), '/a');
    assert.equal(pathTaken(table, '/a', { host: 'unknown' }), '/a');
    assert.equal(pathTaken(table, '/b', { host: 'app.example.com' }), '/*all');
    assert.equal(pathTaken(table, '/b', { host: 'unknown' }), undefined);
  });

  it('attack (CVE-2026-48794): a host in capitals is the same host, not any host', () => {
    const table = tableOf(routeOf('/a', { host: 'app.example.com' }), publicRoute('/*all'));
    assert.equal(pathTaken(table, '/a', { host: 'APP.Example.com' }), '/a');
  });

  it('methods belong to the route: GET does not bring HEAD along, and another method may take a wider route', () => {
    const table = tableOf(routeOf('/a/b'), routeOf('/a/:x', { methods: ['POST'] }));
    assert.equal(pathTaken(table, '/a/b', { method: 'HEAD' }), undefined);
    assert.equal(pathTaken(table, '/a/b', { method: 'POST' }), '/a/:x');
    assert.deepEqual(table.methodsAt(undefined, ['a', 'b']).sort(), ['GET', 'POST']);
    assert.deepEqual(table.methodsAt(undefined, ['x', 'b']), []);
  });

  it('folded, literals match as a lax upstream takes them: the exact spelling first', () => {
    const table = tableOf(routeOf('/Admin/x'), routeOf('/admin/x', { id: 'b' }), routeOf('/:any/x'));
    assert.equal(pathTaken(table, '/ADMIN/x'), '/:any/x');
    assert.equal(pathTaken(table, '/ADMIN/x', { fold: true }), '/Admin/x');
    assert.equal(pathTaken(table, '/admin/X', { fold: true }), '/admin/x');
    assert.equal(pathTaken(table, '/Admin/x', { fold: true }), '/Admin/x');
    assert.equal(pathTaken(table, '/other/x', { fold: true }), '/:any/x');
  });

  it('attack: no parameter takes a path of Castellan itself, in whatever case, but at a host that only asks', () => {
    const asking: Partial<Route> = { host: 'asks.example.com' };
    const upstream = 'http://127.0.0.1:9';
    const table = tableOf(
      publicRoute('/*all', { upstream }),
      publicRoute('/*all', { id: 'b', host: 'proxied.example.com', upstream }),
      routeOf('/*all', asking),
    );
    for (const prefix of reservedPrefixes)
      for (const path of [prefix, prefix.toUpperCase(), `${prefix}/x`]) {
        assert.equal(pathTaken(table, path), undefined, path);
        assert.equal(pathTaken(table, path, { host: 'proxied.example.com' }), undefined, path);
        assert.equal(pathTaken(table, path, asking), '/*all', path);
        assert.equal(table.isReserved(segmentsOf(path)), true);
      }
    assert.equal(pathTaken(table, '/api/v1/mexico'), '/*all');
    assert.deepEqual(table.methodsAt(undefined, ['api', 'v1', 'admin']), []);
  });

  it('attack: paths made to go wrong ways take no longer than there are routes', () => {
    const words = Array.from({ length: 12 }, (_, at) => (at % 2 === 0 ? 'a' : ':x'));
    const routes = Array.from({ length: 1024 }, (_, at) => {
      const parts = words.map((_word, index) => ((at >> (index % 10)) & 1 ? 'a' : `:p${index}`));
      return routeOf(`/${parts.join('/')}/end${at}`);
    });
    const table = tableOf(...routes);
    const path = Array.from({ length: 13 }, () => 'a');
    const startedAt = process.hrtime.bigint();
    for (let i = 0; i < 20; i++) assert.equal(table.match(undefined, 'GET', path), undefined);
    assert.ok(Number(process.hrtime.bigint() - startedAt) / 1e6 < 500);
  });

  it('of 10,000 routes it finds one in microseconds', () => {
    const table = tableOf(
      ...Array.from({ length: 10_000 }, (_, at) =>
        routeOf(`/service${at % 100}/things${at}/:id/parts/*rest`),
      ),
    );
    const paths = Array.from({ length: 1000 }, (_, at) => [
      `service${at % 100}`,
      `things${at}`,
      '7',
      'parts',
      'a',
    ]);
    const once = () => {
      const startedAt = process.hrtime.bigint();
      for (const path of paths) assert.ok(table.match('app.example.com', 'GET', path));
      return Number(process.hrtime.bigint() - startedAt) / 1000 / paths.length;
    };
    const best = Math.min(...Array.from({ length: 10 }, once));
    assert.ok(best < 20, `${best} µs`);
  });
});
