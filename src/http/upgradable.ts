/** Which requests may become another connection: WebSockets. What else is asked for is ignored, which is no error (RFC 9110, 7.8). */
import { IncomingMessage } from 'node:http';

/** Those that the parser says ask for it. Node's constructor sets `upgrade` before this class has any field. */
const asking = new WeakSet<IncomingMessage>();

/**
 * A request whose `upgrade`, by which Node goes, is true of those alone that ask for a WebSocket, and of CONNECT. Some clients
 * ask for `h2c` with each of their first requests, and must be answered all the same.
 */
export class UpgradableRequest extends IncomingMessage {
  get upgrade(): boolean {
    if (!asking.has(this)) return false;
    return this.method === 'CONNECT' || this.headers.upgrade?.toLowerCase() === 'websocket';
  }

  set upgrade(asked: boolean | null) {
    // Node takes it back where nobody listens for upgrades.
    if (asked) asking.add(this);
    else asking.delete(this);
  }
}
