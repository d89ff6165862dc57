/** Several requests on one connection. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { statusOf } from '../../http/gateway/upstream.ts';

/** A connection that is kept: the status of each answer in turn. */
export function keptConnection(base: string) {
  const { hostname, port } = new URL(base);
  const socket = connect(Number(port), hostname).setEncoding('latin1');
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  const ask = async (target: string, headers: readonly string[]): Promise<number> => {
    socket.write(`${[`GET ${target} HTTP/1.1`, 'Host: gateway.test', ...headers].join('\r\n')}\r\n\r\n`);
    for (;;) {
      const end = text.indexOf('\r\n\r\n') + 4;
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? Number.NaN);
      if (end > 3 && text.length >= end + length) {
        const status = statusOf(text);
        text = text.slice(end + length);
        return status;
      }
      await once(socket, 'data');
    }
  };
  return { ask, close: () => socket.destroy() };
}
