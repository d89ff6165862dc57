/** The client and its Express guard, against a real gateway and against servers that answer wrongly. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { requireAccess } from '../../../src/client/express.ts';
import { type Castellan, castellan, type Question } from '../../../src/client/index.ts';
import { anonymousClient, Client, logIn, startGateway, type TestGateway } from '../../harness.ts';
import { mint } from '../admin/keys.ts';
import { addRule, demoId, fresh, ok, typesPath } from '../admin/staff.ts';

const editor = { type: 'user', id: demoId(3) };
const sheet = (id: string, status = 'open') => ({ type: 'sheet', id, properties: { status } });
const question = (action: string, status = 'open'): Question => ({
  subject: editor,
  action,
  resource: sheet('1', status),
});

const servers: Server[] = [];
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('castellan/client', () => {
  let gateway: TestGateway;
  let token: string;
  let client: Castellan;

  before(async () => {
    gateway = await startGateway({ env: { DECISION_LOG: 'all' } });
    const root = await logIn(gateway, 'superadmin');
    const attributes = { id: { type: 'string' }, status: { type: 'string' } };
    ok(await root.post(typesPath, { type: 'sheet', actions: ['read', 'update'], attributes }), 201);
    await addRule(root, {
      id: 'open-sheets',
      role: 'editor',
      action: 'read',
      subject: 'sheet',
      conditions: { status: 'open' },
    });
    await addRule(root, {
      id: 'no-updates',
      role: 'editor',
      action: 'update',
      subject: 'sheet',
      inverted: true,
      reason: 'Sheets are final',
    });
    const role = { key: fresh('asks'), name: 'Asks', description: '', inherits: [] };
    ok(await root.post('/api/v1/admin/roles', role), 201);
    await addRule(root, { role: role.key, action: 'evaluate', subject: 'castellan.decision' });
    token = (await mint(gateway, root, { roles: [role.key] })).token;
    client = castellan({ url: gateway.url, token });
  });
  after(async () => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    await gateway.close();
  });

  it('gives the decision with its rule, its revision, its words and its id', async () => {
    const { revision } = gateway.services.live.snapshot;
    const allowed = await client.decide(question('read'));
    assert.match(allowed.decisionId ?? '', /^[0-9a-f-]{36}$/);
    assert.deepEqual(
      { ...allowed, decisionId: '' },
      { allow: true, reason: 'This is allowed', ruleId: 'open-sheets', revision, decisionId: '' },
    );
    const denied = await client.decide(question('update'));
    assert.deepEqual([denied.allow, denied.reason, denied.failure], [false, 'Sheets are final', undefined]);
    assert.equal(await client.allows(question('read', 'closed')), false);
  });

  it('asks what is asked in one turn in one call, in batches, and keeps the order', async () => {
    const paths: string[] = [];
    const counting = castellan({
      url: gateway.url,
      token: async () => token,
      batchSize: 4,
      fetch: (url, init) => {
        paths.push(new URL(String(url)).pathname);
        return fetch(url, init);
      },
    });
    const questions = Array.from({ length: 5 }, (_, at) =>
      question('read', at % 2 === 0 ? 'open' : 'closed'),
    );
    const decisions = await counting.decideAll(questions);
    assert.deepEqual(
      decisions.map(({ allow }) => allow),
      [true, false, true, false, true],
    );
    assert.deepEqual(paths, ['/access/v1/evaluations', '/access/v1/evaluation']);
  });

  it('keeps its connections', async () => {
    const ports = new Set<number | undefined>();
    const url = await serve((req, res) => {
      ports.add(req.socket.remotePort);
      res.end('{"decision":true}');
    });
    const kept = castellan({ url });
    for (let asked = 0; asked < 10; asked++) assert.equal(await kept.allows(question('read')), true);
    // fetch may open a second one before the first is free again.
    assert.ok(ports.size <= 2, `${ports.size} connections`);
  });

  const wrong: [what: string, listener: RequestListener, code: string][] = [
    ['the text "true"', (_, res) => res.end('{"decision":"true"}'), 'not_understood'],
    ['no JSON', (_, res) => res.end('true'), 'not_understood'],
    [
      'a redirect to somebody who allows',
      (req, res) => {
        if (req.url === '/yes') res.end('{"decision":true}');
        else res.writeHead(307, { location: '/yes' }).end();
      },
      'unreachable',
    ],
    [
      'true, and an error',
      (_, res) => res.end('{"decision":true,"context":{"error":{"message":"half of it is lost"}}}'),
      'not_accepted',
    ],
    [
      'true, and an error that is a text',
      (_, res) => res.end('{"decision":true,"context":{"error":"lost"}}'),
      'not_accepted',
    ],
    ['true with 403', (_, res) => res.writeHead(403).end('{"decision":true}'), 'not_accepted'],
    ['true with 503', (_, res) => res.writeHead(503).end('{"decision":true}'), 'unreachable'],
    [
      'more than 4 MiB',
      (_, res) => res.end(`{"decision":true,"x":"${'x'.repeat(4 * 1024 * 1024)}"}`),
      'unreachable',
    ],
    ['nothing in time', () => {}, 'timeout'],
    ['by hanging up', (_, res) => res.destroy(), 'unreachable'],
  ];
  for (const [what, listener, code] of wrong)
    it(`denies when it is answered ${what}`, async () => {
      const timeoutMs = code === 'timeout' ? 200 : 10_000;
      const decision = await castellan({ url: await serve(listener), timeoutMs }).decide(question('read'));
      assert.deepEqual([decision.allow, decision.failure?.code], [false, code]);
    });

  it('denies all of a batch whose answers are fewer than its questions', async () => {
    const url = await serve((_, res) => res.end('{"evaluations":[{"decision":true}]}'));
    const decisions = await castellan({ url }).decideAll([question('read'), question('read')]);
    assert.deepEqual(
      decisions.map(({ allow }) => allow),
      [false, false],
    );
  });

  it('refuses in words what is no list of questions: of an empty one, all would be allowed', async () => {
    for (const wrong of [null, undefined, question('read'), 'read', new Set([question('read')])])
      await assert.rejects(
        client.decideAll(wrong as unknown as Question[]),
        /^TypeError: decideAll takes a list of questions/,
      );
    const [hole, open] = await client.decideAll(Object.assign([], { 1: question('read') }));
    assert.deepEqual([hole?.failure?.code, open?.allow], ['not_accepted', true]);
  });

  const ring: Record<string, unknown> = {};
  ring['ring'] = ring;
  const deep = Array.from({ length: 20_000 }).reduce<object>((inner) => ({ inner }), {});
  const bad: [what: string, question: unknown][] = [
    ['nothing', null],
    ['a number that JSON has not', { ...question('read'), context: { a: 1n } }],
    ['an object that is within itself', { ...question('read'), context: ring }],
    ['what is nested too deep', { ...question('read'), context: { deep } }],
    ['more than a Castellan reads', { ...question('read'), context: { a: 'x'.repeat(1024 * 1024) } }],
    [
      'a key that is refused wherever it stands',
      { ...question('read'), context: JSON.parse('{"__proto__":1}') },
    ],
  ];
  for (const [what, given] of bad)
    it(`attack: one caller asks with ${what}, and those who ask in the same turn are denied`, async () => {
      const patient = castellan({ url: gateway.url, token, timeoutMs: 10_000 });
      const asked = await Promise.all([
        patient.decide(question('read')),
        patient.decide(given as Question),
        ...Array.from({ length: 5 }, () => patient.decide(question('read'))),
      ]);
      assert.deepEqual(
        asked.map(({ allow, failure }) => failure?.code ?? allow),
        [true, 'not_accepted', true, true, true, true, true],
      );
    });

  for (const status of [400, 413, 422])
    it(`attack: a question that is answered ${status} is asked together with those of others, who are denied`, async () => {
      const counts: number[] = [];
      const url = await serve(async (req, res) => {
        const chunks: Buffer[] = [];
        for await (const chunk of req) chunks.push(chunk);
        const body = JSON.parse(Buffer.concat(chunks).toString());
        const asked: Question[] = body.evaluations ?? [body];
        counts.push(asked.length);
        if (asked.some(({ resource }) => resource.id === 'bad')) return res.writeHead(status).end();
        const answers = asked.map(() => ({ decision: true }));
        return res.end(JSON.stringify(body.evaluations ? { evaluations: answers } : answers[0]));
      });
      const ids = ['1', '2', 'bad', '4'];
      const questions = ids.map((id) => ({ ...question('read'), resource: sheet(id) }));
      const decisions = await castellan({ url, timeoutMs: 10_000 }).decideAll(questions);
      assert.deepEqual(
        decisions.map(({ allow, failure }) => failure?.message ?? allow),
        [true, true, `the decision point answered ${status}`, true],
      );
      assert.deepEqual(counts.sort(), [1, 1, 2, 2, 4]);
    });

  it('has one time for a batch and for what is asked again of it', async () => {
    let calls = 0;
    const url = await serve((req, res) => {
      calls++;
      if (req.url?.endsWith('evaluations')) res.writeHead(413).end();
    });
    const asked = castellan({ url, timeoutMs: 300 }).decideAll([question('read'), question('read')]);
    const codes = (await asked).map(({ failure }) => failure?.code);
    assert.deepEqual([calls, ...codes], [3, 'timeout', 'timeout']);
  });

  it('does not ask again what is refused because of the key', async () => {
    let calls = 0;
    const url = await serve((_, res) => {
      calls++;
      res.writeHead(401).end();
    });
    await castellan({ url }).decideAll([question('read'), question('read')]);
    assert.equal(calls, 1);
  });

  it('denies when nobody is there, when its key is not known, and when its key cannot be had', async () => {
    const failure = async (options: Parameters<typeof castellan>[0]) =>
      (await castellan(options).decide(question('read'))).failure?.code;
    assert.equal(await failure({ url: 'http://127.0.0.1:1' }), 'unreachable');
    assert.equal(await failure({ url: gateway.url, token: 'cst_key_unknown' }), 'not_accepted');
    assert.equal(
      await failure({ url: gateway.url, token: () => Promise.reject(new Error('vault')) }),
      'unreachable',
    );
  });

  it('keeps its key to itself: one that is fit for no header is not repeated in the failure', async () => {
    for (const secret of ['cst_key_secret\r\nx: y', 'cst_key_sec\u2713ret']) {
      const { allow, failure } = await castellan({ url: gateway.url, token: secret }).decide(
        question('read'),
      );
      assert.deepEqual([allow, failure?.code], [false, 'unreachable']);
      assert.match(failure?.message ?? '', /the token has characters that no header takes/);
    }
    // As read from a file.
    assert.equal(await castellan({ url: gateway.url, token: `${token}\n` }).allows(question('read')), true);
  });

  it('denies in time when its key never comes, and when the fetch that it is given heeds no deadline', async () => {
    const never = () => new Promise<never>(() => {});
    for (const options of [{ token: never }, { fetch: never }]) {
      const decision = await castellan({ url: gateway.url, timeoutMs: 50, ...options }).decide(
        question('read'),
      );
      assert.deepEqual([decision.allow, decision.failure?.code], [false, 'timeout']);
    }
  });

  it('refuses options that cannot be used', () => {
    // @ts-expect-error: as it may be called from JavaScript
    assert.throws(() => castellan(), /^TypeError: castellan takes options, at least \{url\}/);
    assert.throws(() => castellan({ url: 'file:///etc/passwd' }), /url must begin with http/);
    assert.throws(() => castellan({ url: gateway.url, timeoutMs: 0 }), /timeoutMs must be a whole number/);
    // Timers would make 1 ms of it, and nothing would ever be allowed.
    assert.throws(() => castellan({ url: gateway.url, timeoutMs: 2 ** 31 }), /timeoutMs .* to 2147483647/);
  });

  describe('castellan/express', () => {
    let app: string;
    let reached = 0;
    const options = (asking: Castellan) => ({
      client: asking,
      subject: (req: express.Request) => {
        if (req.headers['x-broken']) throw new Error('no session store');
        const id = req.headers['x-user'];
        return typeof id === 'string' ? { type: 'user', id } : undefined;
      },
      action: (req: express.Request) => (req.method === 'GET' ? 'read' : 'update'),
      resource: (req: express.Request) =>
        req.params['id'] === 'none' ? undefined : sheet(String(req.params['id'])),
    });

    const thrownOddly = [undefined, null, 0, '', false, Number.NaN, 'route', 'router', 'no store'];

    before(async () => {
      const server = express();
      server.disable('x-powered-by');
      const show: express.RequestHandler = (_req, res) => {
        reached++;
        res.json(res.locals['access']);
      };
      server.all('/sheets/:id', requireAccess(options(client)), show);
      server.get('/lost/:id', requireAccess(options(castellan({ url: 'http://127.0.0.1:1' }))), show);
      const foreign = await serve((req, res) => {
        const decisionId = decodeURIComponent(String(req.url?.split('/')[1]));
        res.end(JSON.stringify({ decision: false, context: { decisionId } }));
      });
      server.get('/foreign/:id', (req, res, next) => {
        const asking = castellan({ url: `${foreign}/${encodeURIComponent(req.params.id)}` });
        void requireAccess<express.Request>(options(asking))(req, res, next);
      });
      for (const [at, thrown] of thrownOddly.entries()) {
        const odd = { ...options(client), subject: () => Promise.reject(thrown) };
        // As what `use` mounts, so that 'router' is understood as well.
        server.use(`/odd/${at}`, express.Router().use(requireAccess(odd), show));
        server.get(`/odd/${at}`, show);
      }
      server.use(((_err, _req, res, _next) => {
        res.status(500).end();
      }) satisfies express.ErrorRequestHandler);
      app = await serve(server);
    });
    beforeEach(() => {
      reached = 0;
    });

    const asEditor = { 'x-user': editor.id };
    const assertRefused = async (
      answer: Awaited<ReturnType<Client['get']>>,
      status: number,
      code: string,
    ) => {
      assert.equal(answer.status, status);
      assert.equal(answer.headers.get('content-type'), 'application/problem+json');
      assert.equal(answer.headers.get('cache-control'), 'no-store');
      assert.equal(answer.body.code, code);
      assert.equal(reached, 0, 'the route is not reached');
    };

    it('lets pass who is allowed, and hands the decision on', async () => {
      const { body } = ok(await new Client(app).get('/sheets/1', asEditor));
      assert.deepEqual([body.allow, body.ruleId], [true, 'open-sheets']);
    });

    it('answers 401 to nobody, 403 with the reason to who is denied, 404 where nothing is', async () => {
      const visitor = anonymousClient({ url: app });
      const nobody = await visitor.get('/sheets/1');
      await assertRefused(nobody, 401, 'unauthenticated');
      assert.equal(nobody.headers.get('www-authenticate'), 'Bearer');
      const denied = await visitor.post('/sheets/1', {}, asEditor);
      await assertRefused(denied, 403, 'access_denied');
      assert.equal(denied.body.detail, 'Sheets are final');
      assert.match(denied.headers.get('castellan-decision-id') ?? '', /^[0-9a-f-]{36}$/);
      await assertRefused(await visitor.get('/sheets/none', asEditor), 404, 'not_found');
    });

    it('answers 403 also where another decision point names its decision by what is fit for no header', async () => {
      for (const [id, header] of [
        ['Entscheidung 1\u2713', null],
        ['1\r\nset-cookie: a=b', null],
        ['x'.repeat(10_000), null],
        ['decision:1/2', 'decision:1/2'],
      ] as const) {
        const denied = await new Client(app).get(`/foreign/${encodeURIComponent(id)}`, asEditor);
        await assertRefused(denied, 403, 'access_denied');
        assert.equal(denied.headers.get('castellan-decision-id'), header);
      }
    });

    it('answers 503 when nothing can be decided, and lets nobody pass', async () => {
      const lost = await new Client(app).get('/lost/1', asEditor);
      await assertRefused(lost, 503, 'unavailable');
      assert.equal(lost.headers.get('retry-after'), '1');
    });

    it('lets nobody pass when it cannot be told who asks', async () => {
      assert.equal((await new Client(app).get('/sheets/1', { ...asEditor, 'x-broken': '1' })).status, 500);
      assert.equal(reached, 0);
    });

    it('attack: what is thrown makes Express go on to the route: it is an error, whatever it is', async () => {
      for (const at of thrownOddly.keys())
        assert.equal((await new Client(app).get(`/odd/${at}`)).status, 500);
      assert.equal(reached, 0);
    });
  });
});
