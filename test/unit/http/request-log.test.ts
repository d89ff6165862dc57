import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import express from 'express';
import { eventually } from '../../harness.ts';
import { type SmallApp, startSmallApp } from './small-app.ts';

describe('the request id', () => {
  let app: SmallApp;
  before(async () => {
    const router = express.Router();
    router.get('/things', (_req, res) => void res.set('Set-Cookie', 'castellan=cookie-secret').json({}));
    app = await startSmallApp({ router });
  });
  after(() => app.close());

  it('is echoed', async () => {
    const id = '01J:abc_DEF-1.2';
    assert.equal((await app.client.get('/things', { 'x-request-id': id })).headers.get('x-request-id'), id);
  });

  for (const id of ['', 'a b', 'a"b', '{"level":60}', 'x'.repeat(129), 'ž'.repeat(3).normalize()])
    it(`is made anew instead of ${JSON.stringify(id.slice(0, 20))}: nobody writes into the log`, async () => {
      const headers = new Headers({ 'x-request-id': Buffer.from(id).toString('latin1') });
      const answered = (await fetch(`${app.url}/things`, { headers })).headers.get('x-request-id');
      assert.match(answered ?? '', /^[0-9a-f-]{36}$/);
    });

  it('is made where none is sent, another each time', async () => {
    const [one, two] = await Promise.all([app.client.get('/things'), app.client.get('/things')]);
    assert.match(one.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/);
    assert.notEqual(one.headers.get('x-request-id'), two.headers.get('x-request-id'));
  });

  it('is in the line of the request, which holds the path without query and no header', async () => {
    await app.client.get('/things?token=query-secret', {
      'x-request-id': 'one-line',
      authorization: 'Bearer header-secret',
      cookie: 'castellan=cookie-secret',
    });
    const lines = app.logged().filter(({ reqId }) => reqId === 'one-line');
    assert.equal(lines.length, 1);
    assert.deepEqual(lines[0]?.req, { id: 'one-line', method: 'GET', path: '/things' });
    assert.deepEqual(lines[0]?.res, { status: 200 });
    assert.doesNotMatch(JSON.stringify(app.logged()), /secret/);
  });
});

describe('the line of a request', () => {
  let app: SmallApp;
  /** What is asked for meanwhile, by path. */
  let arrived: string[] = [];
  before(async () => {
    const router = express.Router();
    router.use((req, _res, next) => next(void arrived.push(req.path)));
    router.get('/held', () => {});
    router.get('/begun', (_req, res) => void res.write('begun'));
    router.get('/things', (_req, res) => void res.json({}));
    router.get('/broken', () => {
      throw new Error('broken');
    });
    app = await startSmallApp({ router });
  });
  after(() => app.close());
  beforeEach(() => {
    arrived = [];
  });

  /** The lines of these paths, in any order: level, path, status and what is said. */
  const linesOf = (...paths: string[]) =>
    app
      .logged()
      .filter(
        (line): line is typeof line & { req: { path: string }; res: { status: number } } => 'res' in line,
      )
      .filter(({ req }) => paths.includes(req.path))
      .map(({ level, req, res, msg }) => `${level} ${req.path} ${res.status} ${msg}`)
      .sort();

  /** Sends these on one connection at once, and is gone as soon as all have arrived and `isEnough`. */
  async function askAndGo(paths: string[], isEnough: (text: string) => boolean = () => true): Promise<void> {
    const socket = connect(app.port, '127.0.0.1').setEncoding('latin1');
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`).join(''));
    await eventually('all have arrived', () => arrived.length === paths.length && isEnough(text));
    socket.destroy();
    await once(socket, 'close');
  }

  it('is an error where the answer is one of ours', async () => {
    assert.equal((await app.client.get('/broken')).status, 500);
    assert.deepEqual(linesOf('/broken'), ['50 /broken 500 request completed']);
  });

  for (const [path, isEnough] of [
    ['/held', () => true],
    ['/begun', (text: string) => text.includes('begun')],
  ] as const)
    it(`is there once where the client goes away before the end of its answer: ${path}`, async () => {
      await askAndGo([path], isEnough);
      const line = `30 ${path} 200 request aborted`;
      await eventually('the line', () => linesOf(path).length > 0);
      assert.deepEqual(linesOf(path), [line]);
    });

  it('says 408 of one that was cut off since it did not come', async () => {
    const router = express.Router();
    const slow = await startSmallApp({ router: router.post('/half', () => {}), requestTimeoutMs: 100 });
    const socket = connect(slow.port, '127.0.0.1').resume();
    socket.write('POST /half HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhalf');
    await once(socket, 'close');
    const line = await eventually('the line', () => slow.logged().find((one) => 'res' in one));
    assert.deepEqual([line['res'], line['msg']], [{ status: 408 }, 'request aborted']);
    await slow.close();
  });

  it('requests hidden behind another (an attack): each of a connection that ends has its line, also one whose turn to be answered never came', async () => {
    const before = linesOf('/held').length;
    await askAndGo(['/held', '/things', '/nothing', '/held']);
    await eventually('the lines', () => linesOf('/held').length === before + 2);
    assert.deepEqual(linesOf('/things', '/nothing'), [
      '30 /nothing 404 request aborted',
      '30 /things 200 request aborted',
    ]);
  });

  it('is there once where each waits for its turn and is answered', async () => {
    const before = linesOf('/things', '/nothing').length;
    const isAnswered = (text: string) => text.split('HTTP/1.1 ').length === 5;
    await askAndGo(['/things', '/things?x', '/things', '/things'], isAnswered);
    await eventually('the lines', () => linesOf('/things', '/nothing').length >= before + 4);
    const lines = linesOf('/things', '/nothing');
    assert.equal(lines.length, before + 4);
    assert.equal(lines.filter((line) => line.endsWith('completed')).length, 4);
  });
});
