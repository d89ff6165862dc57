/** Connections to upstreams, each held to the hosts that may be reached at the moment it is made. */
import { lookup as resolveName } from 'node:dns';
import { type AgentOptions, type ClientRequestArgs, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { isIP, type LookupFunction, Socket } from 'node:net';
import { bareHost, type Reach } from './reach.ts';

/** Certificates (PEM) by which servers with TLS are trusted; undefined: those that Node.js knows. */
export type Authorities = (string | Buffer)[] | undefined;

export interface GuardedAgents {
  of(target: URL): HttpAgent;
  close(): void;
}

/** What a connection is refused with, by its code. */
export const REFUSED = 'ERR_UPSTREAM_HOST';

type Resolve = typeof resolveName;
type Connect = HttpAgent['createConnection'];

/**
 * Agents that resolve a name, look at what it resolved to, and connect to that: a name that is another address the next
 * time (DNS rebinding) finds nothing that was not looked at. Over TLS a certificate has to be for the host of the target.
 */
export function guardedAgents(
  reach: Pick<Reach, 'refusalOfAddress'>,
  options: AgentOptions & { ca?: Authorities },
  resolve: Resolve = resolveName,
): GuardedAgents {
  const held = <Agent extends HttpAgent>(agent: Agent): Agent =>
    Object.assign(agent, { createConnection: guarded(agent.createConnection.bind(agent), reach, resolve) });
  const plain = held(new HttpAgent(options));
  const secure = new Map<string, HttpsAgent>();
  const secureOf = (host: string) => {
    const known = secure.get(host);
    if (known) return known;
    // Their connections end by themselves.
    if (secure.size >= MOST_SECURE) secure.clear();
    // Node would hold the certificate against the `Host` of the request, which is the client's.
    const made = held(new HttpsAgent({ ...options, servername: isIP(host) ? '' : host }));
    secure.set(host, made);
    return made;
  };
  return {
    of: ({ protocol, hostname }) => (protocol === 'https:' ? secureOf(bareHost(hostname)) : plain),
    close: () => {
      plain.destroy();
      for (const agent of secure.values()) agent.destroy();
    },
  };
}

/** Of hosts that no route leads to any more, some are kept. */
const MOST_SECURE = 1000;

function guarded(connect: Connect, reach: Pick<Reach, 'refusalOfAddress'>, resolve: Resolve): Connect {
  return (options: ClientRequestArgs, callback) => {
    const host = bareHost(options.host ?? 'localhost');
    const port = Number(options.port);
    // Of an address nothing is looked up.
    const refusal = isIP(host) ? reach.refusalOfAddress(host, port) : undefined;
    if (refusal === undefined)
      return connect({ ...options, host, lookup: guardedLookup(reach, port, resolve) }, callback);
    callback?.(refused(refusal), new Socket());
    return undefined;
  };
}

function guardedLookup(
  reach: Pick<Reach, 'refusalOfAddress'>,
  port: number,
  resolve: Resolve,
): LookupFunction {
  return (name, options, done) =>
    resolve(name, { ...options, all: true }, (error, found) => {
      if (error) return done(error, []);
      const refusals = found.map(({ address }) => reach.refusalOfAddress(address, port, name));
      const open = found.filter((_, at) => refusals[at] === undefined);
      const [first] = open;
      if (!first) return done(refused(refusals.join('; ')), []);
      if (options.all) return done(null, open);
      done(null, first.address, first.family);
    });
}

function refused(message: string): Error {
  return Object.assign(new Error(message), { code: REFUSED });
}
