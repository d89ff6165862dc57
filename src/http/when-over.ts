/** When an answer is over, however it ends. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Tells once: when the answer was given, when it broke off, and when the connection ended before its turn. Of an answer
 * that waits behind another of its connection of HTTP/1.1 Node says nothing then, and a client could hide what it asked.
 */
export function whenOver(req: IncomingMessage, res: ServerResponse, tell: () => void): void {
  if (res.socket) {
    res.on('close', tell);
    return;
  }
  const { socket } = req;
  const over = () => {
    socket.off('close', over);
    res.off('close', over);
    tell();
  };
  res.on('close', over);
  // As many as wait for their turn.
  socket.setMaxListeners(0).on('close', over);
}
