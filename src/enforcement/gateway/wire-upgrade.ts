/** A connection that becomes a WebSocket, if its upstream says so; until then whatever goes wrong is still answered on it. */
import {
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import type { GuardedAgents } from './guarded-agents.ts';
import { passOn } from './pass-on.ts';
import { cleanAnswer } from './upstream-headers.ts';
import type { Sent } from './wire.ts';

/** There was no answer within the time for it. */
export class TooLate extends Error {}

/** A request to upgrade; `res` answers it as long as it is an ordinary one. */
export interface Upgrading {
  req: IncomingMessage;
  res: ServerResponse;
  socket: Socket;
  /** What came after the request already. */
  head: Buffer;
}

/**
 * True: both sides are joined, and each is closed with the other. False: the upstream answered something else, which is
 * passed on, or the client went away. Throws while nothing was answered: TooLate, or what the connection ended with.
 */
export function sendUpgrade(
  agents: GuardedAgents,
  { req, res, socket, head }: Upgrading,
  { target, url, headers, timeoutMs }: Omit<Sent, 'body'>,
): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const request = target.protocol === 'https:' ? httpsRequest : httpRequest;
    const asked = request(target, { path: url, headers, agent: agents.of(target) });
    const late = setTimeout(() => asked.destroy(new TooLate('no answer in time')), timeoutMs);
    const fail = (cause: unknown) => {
      clearTimeout(late);
      reject(cause);
    };
    asked.once('response', (answer) => {
      clearTimeout(late);
      try {
        passOn(answer, req, res);
      } catch (cause) {
        asked.destroy();
        return fail(cause);
      }
      answer.once('close', () => {
        if (!answer.complete) socket.destroy();
      });
      resolve(false);
    });
    asked.once('upgrade', (answer, theirs, theirHead) => {
      const { upgrade = '' } = answer.headers;
      // Joined, it would be a connection on which nobody decides any more.
      if (upgrade.toLowerCase() !== 'websocket') {
        theirs.destroy();
        return fail(new Error(`the upstream answered 101 to become ${upgrade || 'nothing'}`));
      }
      clearTimeout(late);
      res.detachSocket(socket);
      socket.write(switching(answer.headers), 'latin1');
      join(socket, head, theirs, theirHead);
      resolve(true);
    });
    asked.on('error', fail);
    socket.once('close', () => {
      clearTimeout(late);
      asked.destroy();
      resolve(false);
    });
    asked.end();
  });
}

function switching(headers: IncomingHttpHeaders): string {
  cleanAnswer(headers);
  Object.assign(headers, { connection: 'Upgrade', upgrade: 'websocket' });
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((one) => `${name}: ${one}\r\n`),
  );
  return `HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`;
}

function join(ours: Socket, head: Buffer, theirs: Socket, theirHead: Buffer): void {
  theirs.on('error', () => theirs.destroy());
  for (const side of [ours, theirs]) side.setTimeout(0).setNoDelay(true).setKeepAlive(true);
  if (head.length > 0) ours.unshift(head);
  if (theirHead.length > 0) theirs.unshift(theirHead);
  ours.pipe(theirs).pipe(ours);
  // A pipe tells of an end, but not of a side that is gone.
  ours.once('close', () => theirs.destroy());
  theirs.once('close', () => ours.destroySoon());
  if (ours.destroyed) theirs.destroy();
}
