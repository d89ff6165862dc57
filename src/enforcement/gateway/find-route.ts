/** The route of a request, where every server behind would find the same one. */
import { AppError, invalidField } from '../../errors.ts';
import type { MatchedRoute, RouteTable } from '../../policy/routes/route-table.ts';

/**
 * Undefined: there is none, and nothing is told of what there is. Throws `invalid_request` where a server that does not
 * regard case, or reads once more what was decoded, would take the path for that of another route.
 */
export function findRoute(
  routes: RouteTable,
  { host, method, segments }: { host: string; method: string; segments: readonly string[] },
): MatchedRoute | undefined {
  const found = routes.match(host, method, segments);
  if (!found) return undefined;
  const lax = routes.match(host, method, segments.map(asReadAgain), { fold: true });
  if (lax && lax.route !== found.route)
    throw invalidField(
      '/path',
      'the path is another one for servers that do not regard case or decode twice; write it as it is meant',
    );
  return found;
}

/** Without what would be a parameter, a query or a fragment, and in the ASCII letters that look-alikes are taken for. */
function asReadAgain(segment: string): string {
  return /[;?#\u0080-\uffff]/.test(segment)
    ? segment
        .replace(/[;?#].*$/s, '')
        .normalize('NFKC')
        .toUpperCase()
    : segment;
}

/** 404, the same for a path without a route, for one with routes of other methods, and where HIDE_FORBIDDEN has it for 403. */
export function noRoute(): AppError {
  return new AppError('not_found');
}
