/** Routes held against each other: two for the same requests, and those that no request can reach. */
import type { Problem } from '../../errors.ts';
import { type PathTemplate, shapeOf } from './path-template.ts';
import type { PlacedRoute, RouteTable } from './route-table.ts';

/** Problems of routes by their index in the policy; of those without a path nothing is said. */
export function checkReach(routes: readonly (PlacedRoute | undefined)[], table: RouteTable): Problem[] {
  const byShape = new Map<string, PlacedRoute[]>();
  const deepest = Math.max(0, ...routes.map((placed) => placed?.segments.length ?? 0));
  return routes.flatMap((placed, index): Problem[] => {
    if (!placed) return [];
    const pointer = `/routes/${index}/path`;
    const same = sameRequests(placed, byShape);
    if (same) return [{ pointer, code: 'route_overlap', message: same }];
    const covered = coveredBy(placed, table, deepest);
    return covered === undefined ? [] : [{ pointer, code: 'route_unreachable', message: covered }];
  });
}

/** In words, the route that has the same host, the same path (whatever its parameters are called) and a method in common. */
function sameRequests(placed: PlacedRoute, byShape: Map<string, PlacedRoute[]>): string | undefined {
  const { route } = placed.compiled;
  const shape = `${route.host ?? ''} ${shapeOf(placed.segments)}`;
  const others = byShape.get(shape) ?? [];
  byShape.set(shape, [...others, placed]);
  for (const { compiled } of others) {
    const shared = route.methods.filter((method) => compiled.route.methods.includes(method));
    if (shared.length > 0)
      return `matches the same requests as the route ${compiled.route.id} (${shared.join(', ')} ${compiled.route.path}); only one of them could answer`;
  }
  return undefined;
}

/** A segment that no literal can be, so that it is matched by what matches any segment. */
const ANY = '\0';

/**
 * In words, why no request reaches a route. Only one that ends in a rest can be without reach: what is more specific takes
 * a path with any segments only where it has parameters and rests itself, and then it takes every path of that length.
 */
function coveredBy(placed: PlacedRoute, table: RouteTable, deepest: number): string | undefined {
  const { compiled, segments } = placed;
  if (segments.at(-1)?.kind !== 'rest') return undefined;
  const { host, methods } = compiled.route;
  const takers = new Set<string>();
  // The longest first: a rest that reaches as far is rare, and settles it.
  for (let length = deepest + 1; length >= segments.length; length--)
    for (const method of methods) {
      const taken = table.match(host, method, sampleOf(segments, length))?.route;
      if (taken === compiled) return undefined;
      if (taken) takers.add(taken.route.id);
    }
  return `is never reached: every request is taken by more specific routes (${[...takers].join(', ')})`;
}

function sampleOf(segments: PathTemplate, length: number): string[] {
  return Array.from({ length }, (_, at) => {
    const segment = segments[at];
    return segment?.kind === 'literal' ? segment.text : ANY;
  });
}
