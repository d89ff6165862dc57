/** A TCP proxy whose wire a test can cut or clog: what a database or a cache looks like when the network fails. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** The controls of one proxy. */
export interface CutProxy {
  /** On 127.0.0.1. */
  port: number;
  /** Resets every connection, and each new one as soon as it is made, until `heal`. */
  cut(): void;
  /** Keeps every connection and accepts new ones, but lets no byte through in either direction, until `heal`. */
  stall(): void;
  /** Ends `cut` and `stall`; the bytes that `stall` held back arrive now. */
  heal(): void;
  /** Resets every connection and gives the port back. */
  close(): Promise<void>;
}

/** Starts a proxy to `target`; it begins as a whole wire, or stalled when `stalled` is set. */
export async function startCutProxy(
  target: { host: string; port: number },
  { stalled = false } = {},
): Promise<CutProxy> {
  let state: 'whole' | 'cut' | 'stalled' = stalled ? 'stalled' : 'whole';
  const wires = new Map<Socket, Socket>();
  const flow = (near: Socket, far: Socket) => near.pipe(far).pipe(near);
  const clog = (near: Socket, far: Socket) => {
    near.unpipe(far);
    far.unpipe(near);
  };
  const cutAll = () => {
    for (const near of wires.keys()) near.resetAndDestroy();
  };
  const server = createServer({ allowHalfOpen: true }, (near) => {
    near.on('error', () => {});
    if (state === 'cut') {
      near.resetAndDestroy();
      return;
    }
    const far = connect({ ...target, allowHalfOpen: true });
    wires.set(near, far);
    far.on('error', () => near.resetAndDestroy());
    near.on('close', () => {
      wires.delete(near);
      far.destroy();
    });
    if (state === 'whole') flow(near, far);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || !address) throw new Error('a TCP server has no port');
  return {
    port: address.port,
    cut() {
      state = 'cut';
      cutAll();
    },
    stall() {
      state = 'stalled';
      for (const [near, far] of wires) clog(near, far);
    },
    heal() {
      if (state === 'stalled') for (const [near, far] of wires) flow(near, far);
      state = 'whole';
    },
    async close() {
      cutAll();
      server.close();
      await once(server, 'close');
    },
  };
}
