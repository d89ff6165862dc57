/** What tests run on: a throw-away database per run, real Redis where asked, and whole gateways in this process. */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import knexFactory from 'knex';
import { pino } from 'pino';
import supertest from 'supertest';
import { demoAccounts, seedDemo } from '../seeds/demo.ts';
import { makeHandlers } from '../src/app.ts';
import { type Config, loadConfig } from '../src/config.ts';
import { withPressOn } from '../src/demo/press-process.ts';
import { namesWith } from '../src/evaluators/index.ts';
import { openEvaluators } from '../src/evaluators/open.ts';
import { readCertificate } from '../src/http/certificate.ts';
import { makeServer } from '../src/http/server.ts';
import { beginPolicy } from '../src/policy/begin.ts';
import type { Policy } from '../src/policy/policy.ts';
import { makeServices, type Services } from '../src/services.ts';
import { startEmbeddedPostgres } from '../src/storage/embedded-postgres.ts';
import { openStorage } from '../src/storage/open-storage.ts';

interface PostgresForTests {
  /** A connection string to a database on the server, for making others. */
  url: string;
  stop(): Promise<void>;
}

let server: Promise<PostgresForTests> | undefined;

/** The PostgreSQL of this run: DATABASE_URL, or an embedded one in a temporary folder. */
function postgres(): Promise<PostgresForTests> {
  server ??= startServer();
  return server;
}

async function startServer(): Promise<PostgresForTests> {
  const given = process.env.DATABASE_URL;
  if (given) return { url: given, stop: async () => {} };
  const dataDir = await mkdtemp(join(tmpdir(), 'castellan-test-'));
  const embedded = await startEmbeddedPostgres({ dataDir });
  // Nothing here has to survive a power cut.
  for (const setting of ['fsync', 'synchronous_commit', 'full_page_writes'])
    await onServer(embedded.url, `ALTER SYSTEM SET ${setting} = off`);
  await onServer(embedded.url, 'SELECT pg_reload_conf()');
  return {
    url: embedded.url,
    stop: async () => {
      await embedded.stop();
      // As root the cluster is elsewhere, and a link leads to it.
      // In one thread: the many files of many databases take the time of two in several.
      rmSync(await realpath(join(dataDir, 'postgres')), { recursive: true, force: true });
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

const databases: string[] = [];

/** A new, empty database; its connection string. Dropped at the end of the run. */
export async function makeDatabase(template = 'template0'): Promise<string> {
  const { url } = await postgres();
  const name = `castellan_test_${randomBytes(6).toString('hex')}`;
  await onServer(url, `CREATE DATABASE ${name} TEMPLATE ${template}`);
  databases.push(name);
  const made = new URL(url);
  made.pathname = `/${name}`;
  return made.href;
}

let demo: Promise<string> | undefined;

/** A new database with the demo in it: a copy of one that is made once in a run. */
export async function makeDemoDatabase(): Promise<string> {
  demo ??= makeDatabase().then(async (url) => {
    const config = loadConfig({ NODE_ENV: 'test', DATABASE_URL: url });
    const storage = await openStorage(config);
    await begin(config, storage.db);
    await storage.close();
    return new URL(url).pathname.slice(1);
  });
  return makeDatabase(await demo);
}

/** Drops what `makeDatabase` made, or the server that was started for it: the last thing of a run. */
export async function dropDatabases(): Promise<void> {
  if (!server) return;
  const { url, stop } = await server;
  if (process.env.DATABASE_URL)
    for (const name of databases.splice(0))
      await onServer(url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  await stop();
  server = undefined;
  demo = undefined;
}

async function onServer(url: string, statement: string): Promise<void> {
  const db = knexFactory({ client: 'pg', connection: url, pool: { min: 0, max: 1 } });
  await db.raw(statement).finally(() => db.destroy());
}

export interface TestGateway {
  url: string;
  services: Services;
  databaseUrl: string;
  /** Every log line so far, as text. */
  logged(): string;
  close(): Promise<void>;
}

export interface GatewayOptions {
  /** Settings, as in the environment. */
  env?: Record<string, string>;
  /** An existing database (a second node); otherwise a new one with the demo in it. */
  databaseUrl?: string;
  logLevel?: string;
}

/** Starts a gateway with the demo policy and accounts on a free port. */
export async function startGateway({
  env = {},
  databaseUrl,
  logLevel = 'info',
}: GatewayOptions = {}): Promise<TestGateway> {
  const url = databaseUrl ?? (await (env.DEMO === 'false' ? makeDatabase() : makeDemoDatabase()));
  const config = loadConfig({
    NODE_ENV: 'test',
    PORT: '0',
    DATABASE_URL: url,
    DATABASE_POOL_MAX: '5',
    SIGNING_SECRET: 'a secret of the tests, which nobody keeps',
    LOG_LEVEL: logLevel,
    ...env,
  });
  const lines: string[] = [];
  const sink = new Writable({ write: (chunk, _encoding, done) => done(void lines.push(String(chunk))) });
  const storage = await openStorage(config);
  await begin(config, storage.db);
  const services = await makeServices(config, storage, pino({ level: logLevel }, sink));
  const { request, upgrade, made } = makeHandlers(services);
  const certificate = config.tls && readCertificate(config.tls);
  const { server: http, stop } = makeServer(request, {
    requestTimeoutMs: config.requestTimeoutMs,
    certificate,
    made,
  });
  services.upgrades.attach(http, upgrade);
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return {
    url: `${config.tls ? 'https' : 'http'}://127.0.0.1:${(http.address() as AddressInfo).port}`,
    services,
    databaseUrl: url,
    logged: () => lines.join(''),
    close: async () => {
      services.upgrades.close();
      await stop(0);
      await services.close();
      await storage.close();
    },
  };
}

async function begin(config: Config, db: Parameters<typeof seedDemo>[0]): Promise<void> {
  const evaluators = namesWith(await openEvaluators(config));
  // The demo's service gets a port that no other run has; only the tests of the docs start it.
  const prepare = (policy: Policy) => withPressOn(policy, 0);
  if (!(await beginPolicy(db, { demo: config.demo, evaluators, prepare }))) return;
  if (config.demo) await seedDemo(db, config.password);
}

/** The answer of a request, its body parsed when it is JSON. */
export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into whatever is answered, and fail when it is not there
  body: any;
}

/** A client of a gateway, identified by a bearer token or not at all. */
export class Client {
  readonly #url: string;
  readonly token: string | undefined;

  constructor(url: string, token?: string) {
    this.#url = url;
    this.token = token;
  }

  async send(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const verb = method.toLowerCase() as 'get' | 'post' | 'put' | 'patch' | 'delete' | 'head' | 'options';
    const request = supertest(this.#url)[verb](path).redirects(0).set(headers);
    if (this.token !== undefined && headers.authorization === undefined)
      request.auth(this.token, { type: 'bearer' });
    if (body !== undefined) {
      if (headers['content-type'] === undefined) request.type('application/json');
      request.send(typeof body === 'string' ? body : JSON.stringify(body));
    }
    const response = await request;
    const answered = new Headers();
    for (const [name, value] of Object.entries(response.headers)) {
      for (const one of [value].flat()) answered.append(name, String(one));
    }
    const isJson = /json/.test(answered.get('content-type') ?? '') && response.text;
    return {
      status: response.status,
      headers: answered,
      body: isJson ? JSON.parse(response.text) : (response.text ?? ''),
    };
  }

  get = (path: string, headers?: Record<string, string>) => this.send('GET', path, undefined, headers);
  post = (path: string, body?: unknown, headers?: Record<string, string>) =>
    this.send('POST', path, body, headers);
  put = (path: string, body?: unknown, headers?: Record<string, string>) =>
    this.send('PUT', path, body, headers);
  patch = (path: string, body?: unknown, headers?: Record<string, string>) =>
    this.send('PATCH', path, body, headers);
  delete = (path: string, body?: unknown, headers?: Record<string, string>) =>
    this.send('DELETE', path, body, headers);
}

/** A client without identity. */
export function anonymousClient(gateway: { url: string }): Client {
  return new Client(gateway.url);
}

/** Logs in; a demo account by the part of its e-mail before the @ ('admin', 'editor' …) needs no password. */
export async function logIn(gateway: { url: string }, who: string, password?: string): Promise<Client> {
  const email = who.includes('@') ? who : `${who}@example.com`;
  const known = demoAccounts.find((account) => account.email === email)?.password;
  const { status, body } = await new Client(gateway.url).post('/api/v1/auth/login', {
    email,
    password: password ?? known,
  });
  if (status !== 200) throw new Error(`login as ${email} answered ${status} ${JSON.stringify(body)}`);
  return new Client(gateway.url, body.token);
}

let people = 0;

/** Registers somebody new and logs them in; `id` is their account. */
export async function registerAndLogIn(gateway: {
  url: string;
}): Promise<{ client: Client; id: string; email: string; password: string }> {
  const email = `person${++people}-${randomBytes(4).toString('hex')}@example.net`;
  const password = `correct horse ${randomBytes(4).toString('hex')}`;
  const { status, body } = await new Client(gateway.url).post('/api/v1/auth/register', {
    email,
    password,
    passwordRepeat: password,
    firstName: 'Test',
    lastName: 'Person',
  });
  if (status !== 201) throw new Error(`registration answered ${status} ${JSON.stringify(body)}`);
  return { client: await logIn(gateway, email, password), id: body.user.id, email, password };
}

/** Waits until `probe` gives something truthy, looking every few milliseconds; fails after `timeoutMs`. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T> | T,
  timeoutMs = 5000,
): Promise<NonNullable<T>> {
  const until = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value) return value as NonNullable<T>;
    if (Date.now() > until) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
