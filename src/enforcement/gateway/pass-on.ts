/** An upstream's answer on its way to the client: checked for what Node would throw at when nobody can catch it. */
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import { cleanAnswer, mayTrail } from './upstream-headers.ts';

/** Begins to answer as the upstream did. Throws, with nothing of it in `res`, where that is no answer that may be passed on. */
export function passOn(answer: IncomingMessage, req: IncomingMessage, res: ServerResponse): void {
  const { statusCode = 0, statusMessage = '' } = answer;
  // A copy: Node reads from them, when the answer has ended, how long the connection may be kept.
  const headers = { ...answer.headers };
  cleanAnswer(headers);
  // A 101 that does not say to what: nobody was asked, and the client would take what follows for something else.
  if (statusCode < 200) throw new Error(`answered ${statusCode}`);
  const coding = headers['transfer-encoding'];
  // Without its last part nobody knows where the body ends.
  if (coding !== undefined && !/(^|,)\s*chunked\s*$/i.test(coding)) throw new Error(`answered in ${coding}`);
  const isOld = req.httpVersion === '1.0';
  if (isOld || statusCode === 204 || statusCode === 304) delete headers['transfer-encoding'];
  if (headers['transfer-encoding'] === undefined) delete headers.trailer;
  headers.connection = res.shouldKeepAlive && !isOld ? 'keep-alive' : 'close';
  try {
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) res.setHeader(name, value);
    res.statusMessage = statusMessage;
    res.writeHead(statusCode);
  } catch (cause) {
    for (const name of Object.keys(headers)) res.removeHeader(name);
    res.statusMessage = '';
    throw cause;
  }
  // Before the pipe ends the answer, since its own listener comes after.
  if (headers['transfer-encoding'] !== undefined) answer.once('end', () => addTrailers(res, answer));
  answer.pipe(res);
  // Node waits with the head for the first byte of the body, which may be an event that comes much later.
  setImmediate(() => {
    if (!res.writableEnded && !res.destroyed) res.flushHeaders();
  });
}

/** Those that a header may not be set by: a server may take trailers for headers. */
export function addTrailers(to: ClientRequest | ServerResponse, { rawTrailers }: IncomingMessage): void {
  const pairs: [string, string][] = [];
  for (let at = 0; at < rawTrailers.length; at += 2) {
    const name = rawTrailers[at] ?? '';
    if (mayTrail(name)) pairs.push([name, rawTrailers[at + 1] ?? '']);
  }
  if (pairs.length > 0 && !to.destroyed) to.addTrailers(pairs);
}
