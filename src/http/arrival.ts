/** How long a request may take to arrive: all of it, or, where it is passed on as it comes, each part of it. */
import type { IncomingMessage } from 'node:http';
import { hasBody } from './has-body.ts';
import { RequestOverHttp2 } from './over-http2.ts';

/** Ends a request whose body is not taken; false where its answer has begun. */
type GiveUp = () => boolean;

interface Arrival {
  /** There where it may arrive by parts. */
  giveUp?: GiveUp;
}

const arrivals = new WeakMap<object, Arrival>();

/** Calls `cutOff` once `timeoutMs` have gone by and the request has not come whole. One without a body is whole with its head. */
export function limitArrival(req: IncomingMessage, timeoutMs: number, cutOff: () => void): void {
  if (!hasBody(req)) return;
  const arrival: Arrival = {};
  arrivals.set(req, arrival);
  let came = bytesOf(req);
  const look = () => {
    const { giveUp } = arrival;
    // What has come and was not taken is not over where somebody is to take it.
    if (req.complete && (!giveUp || req.readableEnded)) return;
    const isStill = bytesOf(req) === came;
    const isGivenUp = isStill && req.isPaused() && giveUp?.();
    if ((isStill || !giveUp) && !isGivenUp) {
      if (!req.complete) cutOff();
      return;
    }
    came = bytesOf(req);
    timer = setTimeout(look, timeoutMs);
  };
  let timer = setTimeout(look, timeoutMs);
  req.once('close', () => clearTimeout(timer));
}

/**
 * From here on whoever goes on sending may take as long as it takes: an upload has the length that it has. Where nothing
 * comes since nothing is taken, which shows by its being paused, `giveUp` is called instead, and `cutOff` if that is too late.
 */
export function allowByParts(req: IncomingMessage, giveUp: GiveUp): void {
  const arrival = arrivals.get(req);
  if (arrival) arrival.giveUp = giveUp;
}

/** What still comes is for nobody: all of it has to come in the time of one part. */
export function endByParts(req: IncomingMessage): void {
  delete arrivals.get(req)?.giveUp;
}

function bytesOf(req: IncomingMessage | RequestOverHttp2): number {
  return req instanceof RequestOverHttp2 ? req.bytesCame : req.socket.bytesRead;
}
