/** The bytes of smuggling: a request that hides behind another. */
import { rawRequest } from '../../http/gateway/upstream.ts';

/** What is to be taken for a body by one server, and for a request by the next. */
export const hidden = rawRequest('/open/hidden');
export const TE = 'Transfer-Encoding: chunked';

/** A request that keeps its connection, these headers on it and these bytes after it. */
export function keeping(headers: readonly string[], after: string, version = '1.1'): Buffer {
  const head = [`POST /open/a HTTP/${version}`, 'Host: gateway.test', ...headers].join('\r\n');
  return Buffer.from(`${head}\r\n\r\n${after}`, 'latin1');
}
