/** Routes to test with, on the types of the sample policy. */
import assert from 'node:assert/strict';
import type { Problem } from '../../../../src/errors.ts';
import { checkRoutes } from '../../../../src/policy/routes/check-routes.ts';
import type { Route } from '../../../../src/policy/routes/route.ts';
import type { RouteTable } from '../../../../src/policy/routes/route-table.ts';
import { sampleTypes } from '../sample-policy.ts';

const types = new Map(sampleTypes.map((type) => [type.type, type]));

/** Whoever may read documents may GET it. */
export function routeOf(path: string, rest: Partial<Route> = {}): Route {
  const id = `${rest.host ?? 'any'}-${path}`;
  return { id, methods: ['GET'], path, resource: 'document', action: 'read', ...rest };
}

export function publicRoute(path: string, rest: Partial<Route> = {}): Route {
  return { id: `public-${path}`, methods: ['GET'], path, public: true, ...rest };
}

export function problemsOf(...routes: Route[]): Problem[] {
  return checkRoutes(routes, types).problems;
}

/** `pointer code` of each problem. */
export function codesOf(...routes: Route[]): string[] {
  return problemsOf(...routes).map(({ pointer, code }) => `${pointer} ${code}`);
}

export function tableOf(...routes: Route[]): RouteTable {
  const { table, problems } = checkRoutes(routes, types);
  assert.deepEqual(problems, []);
  return table;
}

/** The segments of a path that is canonical already. */
export function segmentsOf(path: string): string[] {
  return path === '/' ? [] : path.slice(1).split('/');
}
