/** Bytes on a wire, for what no HTTP client would send. */
import { connect } from 'node:net';

export interface RawAnswer {
  text: string;
  /** From the connection to its end. */
  afterMs: number;
}

/** Sends `head` and then `drip` every 50 ms; everything that comes back until the server closes, or `patienceMs` are over. */
export async function sendRaw(
  port: number,
  head: string | Buffer,
  { drip, patienceMs = 10_000 }: { drip?: string; patienceMs?: number } = {},
): Promise<RawAnswer> {
  const begun = Date.now();
  const socket = connect({ port, host: '127.0.0.1' });
  let text = '';
  let closed = false;
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('error', () => {});
  socket.write(head);
  const dripping = setInterval(() => drip !== undefined && socket.write(drip), 50);
  await new Promise<void>((resolve) => {
    const patience = setTimeout(resolve, patienceMs);
    socket.once('close', () => {
      closed = true;
      clearTimeout(patience);
      resolve();
    });
  });
  clearInterval(dripping);
  socket.destroy();
  if (!closed && drip !== undefined) throw new Error(`still open after ${patienceMs} ms`);
  return { text, afterMs: Date.now() - begun };
}
