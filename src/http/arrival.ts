/** How long a request may take to arrive: all of it, or, where it is passed on as it comes, each part of it. */
import type { IncomingMessage } from 'node:http';
import { hasBody } from './has-body.ts';
import { RequestOverHttp2 } from './over-http2.ts';

interface Arrival {
  byParts: boolean;
}

const arrivals = new WeakMap<object, Arrival>();

/** Calls `cutOff` once `timeoutMs` have gone by and the request has not come whole. One without a body is whole with its head. */
export function limitArrival(req: IncomingMessage, timeoutMs: number, cutOff: () => void): void {
  if (!hasBody(req)) return;
  const arrival = { byParts: false };
  arrivals.set(req, arrival);
  let came = bytesOf(req);
  const look = () => {
    if (req.complete) return;
    if (!arrival.byParts || bytesOf(req) === came) return cutOff();
    came = bytesOf(req);
    timer = setTimeout(look, timeoutMs);
  };
  let timer = setTimeout(look, timeoutMs);
  req.once('close', () => clearTimeout(timer));
}

/** From here on whoever goes on sending may take as long as it takes: an upload has the length that it has. */
export function allowByParts(req: IncomingMessage): void {
  const arrival = arrivals.get(req);
  if (arrival) arrival.byParts = true;
}

function bytesOf(req: IncomingMessage | RequestOverHttp2): number {
  return req instanceof RequestOverHttp2 ? req.bytesCame : req.socket.bytesRead;
}
