/** Which requests are for Castellan itself, and which go the way of routes. */
import type { RequestListener } from 'node:http';
import type { LivePolicy } from '../../policy/live-policy.ts';
import { reservedPrefixOf } from '../../policy/routes/reserved-prefixes.ts';

/**
 * By the path as it was sent: what is only equal to one of ours after it is decoded is none of ours, and routes take none
 * of ours, so that no spelling leads round either of them. Without any route everything is ours.
 */
export function ownOrRouted(
  live: Pick<LivePolicy, 'snapshot'>,
  own: RequestListener,
  routed: RequestListener,
): RequestListener {
  return (req, res) => {
    if (live.snapshot.routes.size > 0 && !isOwn(req.url ?? '')) return routed(req, res);
    if (/^100-continue$/i.test(req.headers.expect ?? '')) res.writeContinue();
    return own(req, res);
  };
}

function isOwn(url: string): boolean {
  if (!url.startsWith('/')) return false;
  const [path = ''] = url.slice(1).split(/[?#]/, 1);
  return reservedPrefixOf(path.split('/')) !== undefined;
}
