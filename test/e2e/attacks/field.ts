/** Where attacks are tried: one gateway and one upstream for all of them, raw bytes in, raw bytes out. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Client, startGateway, type TestGateway } from '../../harness.ts';
import { addRule, ok, type Person, person, rolesPath, typesPath } from '../../http/admin/staff.ts';
import { addRoutes, sendRaw, startUpstream, statusOf, type Upstream } from '../../http/gateway/upstream.ts';
import {
  answersIn,
  assertHarmless,
  type Fronts,
  type Known,
  openFronts,
  sendUntilQuiet,
} from './in-front.ts';

/** A request as it reached the upstream. */
export interface Arrived {
  method: string;
  url: string;
  /** In lower case, in the order they came; repeated ones each for itself. */
  headers: [string, string][];
  body: string;
}

export interface Outcome {
  /** Of the first answer; 0 where there was none. */
  status: number;
  /** Everything that was answered. */
  answer: string;
  arrived: Arrived[];
  /** What the upstream heard, byte by byte (latin1). */
  heard: string;
}

export interface Field {
  gateway: TestGateway;
  upstream: Upstream;
  root: Client;
  /** Holds the role `user`: may read and write what is shared, and nothing that is private. */
  user: Person;
  /** Holds the role `keeper` beside: may read what is private. */
  keeper: Person;
  /** The real proxies before another node. */
  fronts: Fronts;
  /**
   * Sends bytes on a connection of their own; what was answered, and what the upstream got of it. The same bytes go through
   * nginx and Caddy besides: whatever these make of them, the upstream sees nothing that would not be allowed.
   */
  attack(bytes: string | Buffer, options?: { mayBegin?: boolean }): Promise<Outcome>;
}

let begun: Promise<Field> | undefined;

/** The field, made when it is first asked for; it is gone after the last test of the run. */
export function field(): Promise<Field> {
  begun ??= begin();
  return begun;
}

/** What was started of it: all that is closed, also where it did not come to be whole. */
const started: { close(): Promise<void> }[] = [];

after(async () => {
  await begun?.catch(() => {});
  for (const part of started.reverse()) await part.close();
});

async function begin(): Promise<Field> {
  const gateway = await startGateway();
  started.push(gateway);
  const upstream = await startUpstream();
  started.push(upstream);
  const superadmin = await person(gateway, { roles: ['superadmin'] });
  const root = superadmin.client;
  await addPolicy(root, upstream.url);
  let heard = '';
  let begunRequests = 0;
  upstream.server.on('request', () => begunRequests++);
  // After the listener of the server itself, which would keep the bytes from one that is there before it.
  upstream.server.on('connection', (socket: Socket) => {
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1');
    });
  });
  const alone: Field['attack'] = async (bytes, { mayBegin = false } = {}) => {
    const [sofar, count, all] = [heard.length, upstream.seen.length, begunRequests];
    const answer = await sendRaw(gateway.url, bytes);
    const arrived = arrivedSince(upstream, count);
    if (!mayBegin)
      assert.equal(begunRequests - all, arrived.length, 'the upstream got the beginning of a request');
    return { status: statusOf(answer), answer, arrived, heard: heard.slice(sofar) };
  };
  const keeper = await person(gateway, { roles: ['user', 'keeper'] });
  const user = await person(gateway);
  const fronts = await openFronts(gateway);
  started.push(fronts);
  const behind = async (bytes: string | Buffer) => {
    await fronts.haveCaughtUp();
    const text = bytes.toString('latin1');
    const known = await whoIn(gateway, text, [keeper.id, superadmin.id]);
    for (const { name, url } of fronts.all) {
      const count = upstream.seen.length;
      const answer = await sendUntilQuiet(url, bytes);
      const arrived = arrivedSince(upstream, count);
      const what = `behind ${name}: ${text} -> ${answer}`;
      // One that the proxy does not know of has no answer.
      assert.ok(arrived.length <= answersIn(answer), `${what} smuggled ${JSON.stringify(arrived)}`);
      for (const came of arrived) assertHarmless(came, known, what);
    }
  };
  const attack: Field['attack'] = async (bytes, options) => {
    const outcome = await alone(bytes, options);
    await behind(bytes);
    return outcome;
  };
  return { gateway, upstream, fronts, root, user, keeper, attack };
}

/** Whom the tokens in these bytes identify. */
async function whoIn(gateway: TestGateway, text: string, mayAll: readonly string[]): Promise<Known[]> {
  const tokens = new Set(text.match(/cst_[\w-]{43}/g));
  const found = await Promise.all(
    [...tokens].map(async (token) => {
      const { status, body } = await new Client(gateway.url, token).get('/api/v1/me');
      return status === 200
        ? [{ reference: `user:${body.user.id}`, mayAll: mayAll.includes(body.user.id) }]
        : [];
    }),
  );
  return found.flat();
}

/** What came after the first `count` requests. */
export function arrivedSince({ seen }: Upstream, count: number): Arrived[] {
  return seen
    .slice(count)
    .map(({ method, url, rawHeaders, body }) => ({ method, url, headers: pairsOf(rawHeaders), body }));
}

function pairsOf(rawHeaders: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at < rawHeaders.length; at += 2)
    pairs.push([(rawHeaders[at] ?? '').toLowerCase(), rawHeaders[at + 1] ?? '']);
  return pairs;
}

/**
 * What is at stake: `/open` is for everybody, `/files` for whoever is logged in, but for `/files/private` and `/admin`,
 * which are for keepers; `/by-*` are decided on a part of the request that the client writes.
 */
async function addPolicy(root: Client, upstream: string): Promise<void> {
  const string = { type: 'string' };
  ok(
    await root.post(typesPath, { type: 'file', actions: ['read', 'write'], attributes: { area: string } }),
    201,
  );
  await addRule(root, {
    role: 'authenticated',
    action: ['read', 'write'],
    subject: 'file',
    conditions: { area: 'shared' },
  });
  ok(await root.post(rolesPath, { key: 'keeper' }), 201);
  await addRule(root, { role: 'keeper', action: 'read', subject: 'file', conditions: { area: 'private' } });
  const file = { resource: 'file', action: 'read', upstream };
  const shared = { ...file, attributes: { area: 'shared' } };
  const closed = { ...file, attributes: { area: 'private' } };
  const all = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
  await addRoutes(root, [
    { id: 'open', path: '/open/*rest', methods: all, public: true, upstream },
    { id: 'read-only', path: '/read-only', methods: ['GET', 'POST'], public: true, upstream },
    {
      id: 'files',
      path: '/files/*rest',
      methods: ['GET', 'POST'],
      headers: ['principal', 'roles', 'email'],
      ...shared,
    },
    { id: 'files-private', path: '/files/private/*rest', methods: all, ...closed },
    { id: 'admin', path: '/admin', methods: all, ...closed },
    { id: 'admin-below', path: '/admin/*rest', methods: all, ...closed },
    { id: 'host', host: 'inner.test', path: '/*rest', methods: all, ...closed },
    { id: 'by-query', path: '/by-query', ...file, attributes: { area: `$\{query.area}` } },
    { id: 'by-header', path: '/by-header', ...file, attributes: { area: `$\{header.x-area}` } },
    {
      id: 'by-body',
      path: '/by-body',
      methods: ['POST'],
      ...file,
      action: 'write',
      attributes: { area: `$\{body/area}` },
    },
  ]);
}

/** Headers that identify this client by its token. */
export function as({ token }: Client): string {
  return `Authorization: Bearer ${token}`;
}

/** What the upstream got under this name. */
export function valuesOf({ headers }: Arrived, name: string): string[] {
  return headers.filter(([key]) => key === name).map(([, value]) => value);
}

/** Refused as something that could be read in two ways, before anything was sent on. */
export function assertRefused(
  { status, arrived, heard, answer }: Outcome,
  what: string,
  expected = 400,
): void {
  assert.equal(status, expected, `${what}: ${answer}`);
  assert.deepEqual(arrived, [], `${what} arrived`);
  assert.equal(heard, '', `something of ${what} was heard`);
}

/** Sent on as exactly this. */
export function assertArrived({ status, arrived, answer }: Outcome, url: string, what = url): Arrived {
  assert.equal(status, 200, `${what}: ${answer}`);
  assert.deepEqual(
    arrived.map((one) => one.url),
    [url],
    what,
  );
  return arrived[0] as Arrived;
}

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
