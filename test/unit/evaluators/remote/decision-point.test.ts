/** What is believed of another decision point, against real servers that answer wrongly, slowly, or not at all. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { post } from '../../../../src/evaluators/remote/call.ts';
import {
  type CallOutcome,
  type RemotePoint,
  type RemoteSettings,
  remotePoint,
} from '../../../../src/evaluators/remote/decision-point.ts';
import type { Question } from '../../../../src/evaluators/remote/messages.ts';

interface Received {
  path: string;
  headers: IncomingMessage['headers'];
  // biome-ignore lint/suspicious/noExplicitAny: whatever was sent
  body: any;
  port: number | undefined;
}

type Answer = (res: ServerResponse, received: Received, count: number) => void;

const json = (res: ServerResponse, body: unknown, status = 200) => {
  res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};
const allows: Answer = (res, { body }) =>
  json(
    res,
    body.evaluations ? { evaluations: body.evaluations.map(() => ({ decision: true })) } : { decision: true },
  );

describe('another decision point', () => {
  let server: Server;
  let answer: Answer;
  let received: Received[];
  let outcomes: CallOutcome[];
  const points: RemotePoint[] = [];

  before(async () => {
    server = createServer(async (req, res) => {
      const chunks = [];
      for await (const chunk of req) chunks.push(chunk);
      const body = JSON.parse(Buffer.concat(chunks).toString() || 'null');
      const one = { path: req.url ?? '', headers: req.headers, body, port: req.socket.remotePort };
      received.push(one);
      answer(res, one, received.length);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  beforeEach(() => {
    [received, outcomes, answer] = [[], [], allows];
  });
  afterEach(() => {
    for (const point of points.splice(0)) point.close();
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const urlOf = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  function pointWith(change: Partial<RemoteSettings> = {}): RemotePoint {
    const none = { authorization: undefined, caFile: undefined, certFile: undefined, keyFile: undefined };
    const settings = { url: urlOf(), timeoutMs: 2000, rolesProperty: 'roles', ...none, ...change };
    const point = remotePoint(settings, (outcome) => outcomes.push(outcome));
    points.push(point);
    return point;
  }
  const question = (id = '1'): Question => ({
    subject: { type: 'user', id: 'alice', properties: { roles: ['editor'] } },
    action: { name: 'read' },
    resource: { type: 'document', id, properties: {} },
    context: {},
  });

  it('is asked at its path, with what identifies us, and over one connection', async () => {
    const point = pointWith({ url: `${urlOf()}/pdp/`, authorization: 'Bearer secret' });
    assert.deepEqual(await point.ask(question()), { allow: true, ruleId: null });
    await point.ask(question('2'));
    assert.deepEqual(received[0]?.body, question());
    assert.equal(received[0]?.path, '/pdp/access/v1/evaluation');
    assert.equal(received[0]?.headers.authorization, 'Bearer secret');
    assert.equal(received[0]?.port, received[1]?.port);
    assert.deepEqual(outcomes, ['answered', 'answered']);
  });

  it('is asked once for what is asked in one turn, in calls of at most 50', async () => {
    answer = (res, { body }) =>
      json(res, {
        evaluations: body.evaluations.map(({ resource }: Question) => ({
          decision: Number(resource.id) % 2 === 0,
        })),
      });
    const point = pointWith();
    const verdicts = await Promise.all(
      Array.from({ length: 60 }, (_, at) => point.ask(question(String(at)))),
    );
    assert.deepEqual(
      received.map(({ path, body }) => [path, body.evaluations.length]),
      [
        ['/access/v1/evaluations', 50],
        ['/access/v1/evaluations', 10],
      ],
    );
    assert.deepEqual(
      verdicts.map(({ allow }) => allow),
      Array.from({ length: 60 }, (_, at) => at % 2 === 0),
    );
  });

  it('gives its words for people and its rule, never mistaken for one of ours', async () => {
    answer = (res) =>
      json(res, {
        decision: false,
        context: { reason_user: { 403: 'Only owners' }, reason_admin: { 403: 'secret' }, ruleId: 'owners' },
      });
    assert.deepEqual(await pointWith().ask(question()), {
      allow: false,
      ruleId: 'remote:owners',
      reason: 'Only owners',
    });
  });

  const wrong: [what: string, answer: Answer, message: RegExp][] = [
    ['the text "true"', (res) => json(res, { decision: 'true' }), /no "decision"/],
    ['1', (res) => json(res, { decision: 1 }), /no "decision"/],
    ['no decision', (res) => json(res, { allow: true }), /no "decision"/],
    ['a list', (res) => json(res, [true]), /no "decision"/],
    ['null', (res) => json(res, null), /no "decision"/],
    ['no JSON', (res) => res.end('decision: true'), /not JSON/],
    [
      'half of it',
      (res) => {
        res.writeHead(200, { 'content-length': '99' }).write('{"decision":true', () => res.destroy());
      },
      /cannot be reached/,
    ],
    ['true with 201', (res) => json(res, { decision: true }, 201), /answered 201/],
    ['true with 401', (res) => json(res, { decision: true }, 401), /answered 401/],
    ['true with 500', (res) => json(res, { decision: true }, 500), /answered 500/],
    [
      'that it could not',
      (res) => json(res, { decision: false, context: { error: { status: 404, message: 'no such type' } } }),
      /could not decide: no such type/,
    ],
    [
      'true, and an error',
      (res) => json(res, { decision: true, context: { error: { message: 'half of the policy is lost' } } }),
      /could not decide: half of the policy is lost/,
    ],
    [
      'true, and an error that is a text',
      (res) => json(res, { decision: true, context: { error: 'x' } }),
      /could not/,
    ],
    [
      'that it changes to another protocol, and nothing more',
      (res) =>
        res.socket?.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'),
      /answered 101/,
    ],
    ['nothing, and hangs up', (res) => res.socket?.end(), /cannot be reached/],
    [
      'more than 1 MiB',
      (res) => json(res, { decision: true, context: { padding: 'x'.repeat(1024 * 1024) } }),
      /larger than/,
    ],
  ];
  for (const [what, given, message] of wrong)
    it(`denies in doubt when it answers ${what}`, async () => {
      answer = given;
      await assert.rejects(pointWith().ask(question()), message);
    });

  it('denies all of a batch whose answers are fewer, and one alone whose answer is wrong', async () => {
    answer = (res) => json(res, { evaluations: [{ decision: true }] });
    const point = pointWith();
    const fewer = await Promise.allSettled([point.ask(question('1')), point.ask(question('2'))]);
    assert.deepEqual(
      fewer.map(({ status }) => status),
      ['rejected', 'rejected'],
    );
    answer = (res) =>
      json(res, { evaluations: [{ decision: true }, { decision: 'yes' }, { decision: true }] });
    const mixed = await Promise.allSettled(['1', '2', '3'].map((id) => point.ask(question(id))));
    assert.deepEqual(
      mixed.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
  });

  for (const status of [400, 413, 422])
    it(`attack: a question that it answers ${status} is asked together with those of others, who are denied`, async () => {
      const isBad = ({ resource }: Question) => resource.id === 'bad';
      answer = (res, one, count) =>
        [one.body].flatMap((body) => body.evaluations ?? body).some(isBad)
          ? json(res, {}, status)
          : allows(res, one, count);
      const point = pointWith();
      const asked = await Promise.allSettled(['1', 'bad', '3'].map((id) => point.ask(question(id))));
      assert.deepEqual(
        asked.map((one) => (one.status === 'fulfilled' ? one.value.allow : String(one.reason))),
        [true, `Error: the other decision point: it answered ${status}`, true],
      );
      assert.deepEqual(
        received.map(({ path }) => path.split('/').at(-1)),
        ['evaluations', 'evaluation', 'evaluation', 'evaluation'],
      );
    });

  it('is not asked one by one when it does not know us: that would be refused as often', async () => {
    answer = (res) => json(res, {}, 401);
    const point = pointWith();
    await Promise.allSettled(['1', '2', '3'].map((id) => point.ask(question(id))));
    assert.equal(received.length, 1);
  });

  it('cannot send us elsewhere: a redirect is not followed', async () => {
    answer = (res, { path }) =>
      path === '/elsewhere'
        ? json(res, { decision: true })
        : res.writeHead(307, { location: '/elsewhere' }).end();
    await assert.rejects(pointWith().ask(question()), /answered 307; redirects are not followed/);
    assert.equal(received.length, 1);
  });

  it('is asked again when it is away, and not when it answered', async () => {
    answer = (res, one, count) => (count < 3 ? json(res, {}, 503) : allows(res, one, count));
    assert.equal((await pointWith().ask(question())).allow, true);
    assert.equal(received.length, 3);
    answer = (res) => json(res, {}, 400);
    await assert.rejects(pointWith().ask(question()), /answered 400/);
    assert.equal(received.length, 4);
  });

  it('is asked three times at most', async () => {
    answer = (res) => json(res, {}, 502);
    await assert.rejects(pointWith().ask(question()), /answered 502/);
    assert.equal(received.length, 3);
  });

  it('is asked again when it closed the connection that was kept', async () => {
    answer = (res, one, count) => (count === 1 ? res.socket?.destroy() : allows(res, one, count));
    assert.equal((await pointWith().ask(question())).allow, true);
  });

  it('cannot hold us: all attempts have one deadline', async () => {
    answer = () => {};
    const startedMs = performance.now();
    await assert.rejects(pointWith({ timeoutMs: 50 }).ask(question()), /did not answer in time/);
    assert.ok(performance.now() - startedMs < 1000);
    assert.deepEqual(outcomes, ['failed']);
  });

  it('cannot hold us by the connections that it holds: who waits for one has the deadline, too', async () => {
    answer = () => {};
    const agent = new Agent({ maxSockets: 1 });
    const held = new AbortController();
    const call = { url: new URL(urlOf()), agent, headers: {}, body: '{}' };
    const first = post({ ...call, signal: held.signal });
    await assert.rejects(post({ ...call, signal: AbortSignal.timeout(20) }), /did not answer in time/);
    held.abort();
    await assert.rejects(first, /did not answer in time/);
    agent.destroy();
  });

  it('is left alone when it fails again and again', async () => {
    answer = (res) => json(res, {}, 500);
    const point = pointWith();
    for (const _ of [1, 2, 3, 4, 5]) await assert.rejects(point.ask(question()), /answered 500/);
    await assert.rejects(point.ask(question()), /left alone after 5 failures/);
    assert.equal(received.length, 5);
    assert.equal(point.state, 'open');
    assert.equal(outcomes.at(-1), 'refused');
  });

  it('is not left alone because questions are refused: one caller must not take it from the others', async () => {
    answer = (res) => json(res, {}, 400);
    const point = pointWith();
    for (const _ of [1, 2, 3, 4, 5, 6]) await assert.rejects(point.ask(question()), /answered 400/);
    assert.equal(point.state, 'closed');
  });
});
