/** Where attacks are tried: one gateway and one upstream for all of them, raw bytes in, raw bytes out. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { Client, startGateway, type TestGateway } from '../../harness.ts';
import { type Person, person } from '../../http/admin/staff.ts';
import { sendRaw, startUpstream, statusOf, type Upstream } from '../../http/gateway/upstream.ts';
import { arrivedSince, type Outcome } from './arrived.ts';
import { addPolicy } from './at-stake.ts';
import {
  answersIn,
  assertHarmless,
  type Fronts,
  type Known,
  openFronts,
  sendUntilQuiet,
} from './in-front.ts';

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

/** Headers that identify this client by its token. */
export function as({ token }: Client): string {
  return `Authorization: Bearer ${token}`;
}
