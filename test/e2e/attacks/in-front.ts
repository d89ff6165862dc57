/** The same attacks behind the real nginx and Caddy, by docs/proxies/in-front, on another node of the same policy. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { claimsOf, withClaims } from '../../claims.ts';
import { eventually, startGateway, type TestGateway } from '../../harness.ts';
import { laxly } from '../proxies/read-laxly.ts';
import { startProxy } from '../proxies/start-proxy.ts';

/** A proxy that is running. */
export interface Front {
  name: 'nginx' | 'caddy';
  url: string;
}

export interface Fronts {
  /** It believes whoever asks from this machine. */
  node: TestGateway;
  /** Those that are installed. */
  all: readonly Front[];
  /** Resolves when their node has what this one has. */
  haveCaughtUp(): Promise<unknown>;
  close(): Promise<void>;
}

const files = { nginx: 'in-front/nginx.conf', caddy: 'in-front/Caddyfile' } as const;

export async function openFronts({ databaseUrl, services }: TestGateway): Promise<Fronts> {
  const node = await startGateway({ databaseUrl, env: { TRUSTED_PROXIES: '127.0.0.1' } });
  const { all, stop } = await startFronts(node);
  const isThere = async () => node.services.live.snapshot.revision >= services.live.snapshot.revision;
  return {
    node,
    all,
    haveCaughtUp: () => eventually('the node behind the proxies has caught up', isThere),
    close: async () => {
      await stop();
      await node.close();
    },
  };
}

/** Those that are installed, before this node. */
export async function startFronts({
  url,
}: Pick<TestGateway, 'url'>): Promise<{ all: Front[]; stop(): Promise<unknown> }> {
  const started = await Promise.all(
    (['nginx', 'caddy'] as const).map(async (name) => {
      const proxy = await startProxy(name, { file: files[name], castellan: url });
      return proxy ? [{ name, ...proxy }] : [];
    }),
  );
  const all = started.flat();
  return { all, stop: () => Promise.all(all.map(({ stop }) => stop())) };
}

/** No proxy that answers is quiet for so long in between; one that still waits for more of a body says nothing at all. */
const QUIET_MS = 200;
const SILENT_MS = 1000;

/**
 * What is answered to these bytes, on a connection of their own. Proxies keep theirs, and wait for minutes for what an
 * attack will never send: of that nothing tells but silence.
 */
export async function sendUntilQuiet(base: string, bytes: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(base);
  const socket = connect(Number(port), hostname).setEncoding('latin1');
  let text = '';
  socket.setTimeout(SILENT_MS, () => socket.destroy());
  socket.on('data', (chunk) => {
    text += chunk;
    socket.setTimeout(QUIET_MS);
  });
  socket.on('error', () => {});
  const closed = once(socket, 'close');
  socket.write(bytes);
  await closed;
  return text;
}

/** How many answers these are; one that goes before another is none. */
export function answersIn(text: string): number {
  return text.match(/HTTP\/1\.[01] (?!1)\d{3}/g)?.length ?? 0;
}

/** Whom the tokens of an attack identify. */
export interface Known {
  /** `user:<id>` */
  reference: string;
  /** May read what is private. */
  mayAll: boolean;
}

interface Came {
  method: string;
  url: string;
  headers: readonly (readonly [string, string])[];
  body: string;
}

/**
 * Whatever a proxy made of an attack, what the upstream saw is something that whoever sent it may do, says who that is, and
 * has nothing in it that the client said and only the gateway may.
 */
export function assertHarmless(came: Came, known: readonly Known[], what: string): void {
  const of = (name: string) => came.headers.filter(([key]) => key === name).map(([, value]) => value);
  const said = `${what}: ${JSON.stringify(came)}`;
  const assertions = of('castellan-assertion');
  assert.equal(assertions.length, 1, said);
  const { sub } = claimsOf(assertions[0]);
  const who = known.find(({ reference }) => reference === sub);
  assert.ok(sub === 'anonymous' || who, `somebody else: ${said}`);
  const read = laxly(came.url);
  const isPrivate = /^\/(admin|files\/private)(\/|$)/.test(read) || /^\/(api|livez|metrics)/.test(read);
  assert.ok(who?.mayAll || !isPrivate, `what is private: ${said}`);
  assert.ok(who || !/^\/(files|by-)/.test(read), `nobody: ${said}`);
  if (!who?.mayAll) for (const area of areasOf(came, of)) assert.equal(area, 'shared', said);
  for (const [name, sent] of came.headers) {
    const value = withClaims(sent);
    assert.doesNotMatch(name, /^(x.http.method|x.method|upgrade|te|proxy|keep-alive|http2)|^[^-]*[_.]/, said);
    // Of its own the client may say what it likes; a fold is a space for Caddy.
    if (!/^x(-mine)?$/.test(name)) assert.doesNotMatch(value, /forged|evil|inner\.test|user:1$/, said);
    if (/^castellan-/.test(name)) assert.doesNotMatch(value, /root/, said);
  }
  assert.deepEqual(of('x-forwarded-for'), ['127.0.0.1'], said);
  assert.deepEqual(of('x-forwarded-proto'), ['http'], said);
  assert.deepEqual([of('host').length, of('x-forwarded-host')], [1, of('host')], said);
  if (read === '/read-only') assert.match(came.method, /^(GET|POST)$/, said);
  assert.doesNotMatch(came.url, /[?&;]_?(method|x-)[^&]*=(PUT|DELETE)/i, said);
}

/** Every value that some server would take for the area that was decided on. */
function areasOf({ url, body }: Came, of: (name: string) => string[]): string[] {
  if (url.startsWith('/by-query')) {
    const pairs = [...new URL(url, 'http://lax').searchParams].flatMap(([name, value]) =>
      name.trim().toLowerCase().replace(/\[.*/s, '') === 'area' ? [value] : [],
    );
    return pairs.length > 0 ? pairs : ['none'];
  }
  if (url.startsWith('/by-header')) return of('x-area').length === 0 ? ['none'] : of('x-area');
  if (url.startsWith('/by-body')) return [String(JSON.parse(body).area)];
  return [];
}
