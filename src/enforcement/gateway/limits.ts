/** Rate limits of routes: requests per window, counted for whoever asks, shared by all nodes. */
import type { Request, Response } from 'express';
import { type RateLimiterAbstract, RateLimiterRes } from 'rate-limiter-flexible';
import { AppError } from '../../errors.ts';
import type { Route, RouteRateLimit } from '../../policy/routes/route.ts';
import { clientRange } from '../../sessions/address.ts';
import { accessOf, callerIdOf } from '../../sessions/request-access.ts';
import type { SharedCache } from '../../storage/shared-cache.ts';

export interface RouteLimits {
  /**
   * Counts a request, and says in `RateLimit` headers what is left (draft-ietf-httpapi-ratelimit-headers-10). Throws
   * `rate_limited` where nothing is.
   */
  count(req: Request, res: Response, route: Route): Promise<void>;
}

/** Of limits that routes do not have any more, so many are kept. */
const MOST_KEPT = 10_000;

export function routeLimits(shared: Pick<SharedCache, 'limiter'>): RouteLimits {
  const limiters = new Map<string, RateLimiterAbstract>();
  const limiterOf = (id: string, { requests, windowSeconds }: RouteRateLimit) => {
    // Another limit of the same route counts anew.
    const name = `route-${id}-${requests}-${windowSeconds}`;
    const limiter =
      limiters.get(name) ?? shared.limiter({ name, points: requests, durationSeconds: windowSeconds });
    if (limiters.size >= MOST_KEPT) limiters.clear();
    limiters.set(name, limiter);
    return limiter;
  };
  return {
    count: async (req, res, { id, rateLimit }) => {
      if (!rateLimit) return;
      const { requests, windowSeconds, per } = rateLimit;
      res.setHeader('RateLimit-Policy', `"${id}";q=${requests};w=${windowSeconds}`);
      const said = ({ remainingPoints, msBeforeNext }: RateLimiterRes) =>
        res.setHeader(
          'RateLimit',
          `"${id}";r=${Math.max(0, remainingPoints)};t=${Math.ceil(msBeforeNext / 1000)}`,
        );
      try {
        said(await limiterOf(id, rateLimit).consume(keyOf(req, per)));
      } catch (refused) {
        if (!(refused instanceof RateLimiterRes)) throw refused;
        said(refused);
        const message = `at most ${requests} requests in ${windowSeconds} s are taken here`;
        throw new AppError('rate_limited', { message, retryAfterSeconds: refused.msBeforeNext / 1000 });
      }
    },
  };
}

/** Throws what a request was refused with after it was counted; where that is told as 404, a limit would tell that there is a route. */
export function refuseCounted(res: Response, cause: unknown): never {
  if (cause instanceof AppError && cause.code === 'not_found')
    for (const name of ['RateLimit', 'RateLimit-Policy']) res.removeHeader(name);
  throw cause;
}

/**
 * By what the gateway found out, never by what the client says; whoever is nobody is counted by address, and the /64 of an
 * IPv6 address is one, for its owner has all of it.
 */
function keyOf(req: Request, per: RouteRateLimit['per']): string {
  if (per === 'route') return 'all';
  const caller = per === 'principal' ? callerIdOf(req) : undefined;
  return caller === undefined ? `address ${clientRange(accessOf(req).address)}` : `caller ${caller}`;
}
