/** Starts and stops the process; nothing else. */
import { type AddressInfo, createServer } from 'node:net';
import { parseArgs } from 'node:util';
import { type Logger, pino } from 'pino';
import { demoAccounts, seedDemo } from '../seeds/demo.ts';
import { makeHandlers } from './app.ts';
import { failureLine } from './cli/failure-line.ts';
import { type Config, loadConfig } from './config.ts';
import { startPress, withPressOn } from './demo/press-process.ts';
import { namesWith } from './evaluators/index.ts';
import { openEvaluators } from './evaluators/open.ts';
import { keepCertificate, readCertificate } from './http/certificate.ts';
import { publicUrlOf } from './http/public-url.ts';
import { type GatewayServer, makeServer } from './http/server.ts';
import { beginPolicy } from './policy/begin.ts';
import type { Policy } from './policy/policy.ts';
import { makeServices } from './services.ts';
import { mayChangeTrail } from './storage/gateway-role.ts';
import { openStorage } from './storage/open-storage.ts';
import type { Database } from './storage/postgres.ts';

/** Beside the grace for requests: a query that is never answered must not hold the process for ever. */
const CLOSE_TIMEOUT_MS = 5000;

const TRAIL_WARNING =
  'the role in DATABASE_URL could change the audit trail; "An owner beside the gateway" in docs/operations.md keeps it from that';

/** Runs until SIGINT, SIGTERM or SIGHUP; what was opened is closed, also when something fails on the way. */
async function serve(config: Config): Promise<void> {
  const asked = stopSignal();
  const open: { close(): Promise<void> }[] = [];
  try {
    const logger = pino({ level: config.logLevel });
    const evaluators = namesWith(await openEvaluators(config));
    const certificate = config.tls && readCertificate(config.tls);
    await refuseTakenPort(config);
    const storage = await openStorage(config, (line) => logger.debug(line));
    open.unshift(storage);
    if (await mayChangeTrail(storage.db)) logger.warn(TRAIL_WARNING);
    const prepare = (policy: Policy) =>
      config.demo ? withPressOn(policy, config.port) : Promise.resolve(policy);
    await beginPolicy(storage.db, { demo: config.demo, evaluators, prepare });
    if (config.demo && (await isDemoUnseeded(storage.db))) await seedDemo(storage.db, config.password);
    const services = await makeServices(config, storage, logger);
    open.unshift(services);
    const { request, upgrade, made } = makeHandlers(services);
    const { requestTimeoutMs } = config;
    const serving = makeServer(request, { requestTimeoutMs, certificate, made });
    await listen(serving.server, config);
    if (config.tls) keepCertificate(serving.server, config.tls, { onTurn: tellOf(logger) });
    services.upgrades.attach(serving.server, upgrade);
    open.unshift({
      close: () => {
        // They would go on for ever.
        services.upgrades.close();
        return serving.stop(config.shutdownGraceMs);
      },
    });
    const { port } = serving.server.address() as AddressInfo;
    const url = publicUrlOf(config, port);
    const press =
      config.demo &&
      (await startPress(services.live.snapshot.policy, {
        gatewayUrl: config.tls ? url : `http://127.0.0.1:${port}`,
        certFile: config.tls?.certFile,
      }));
    if (press) open.unshift(press);
    printWelcome(url, config.demo && (await hasDemoAccounts(storage.db)));
    await asked;
  } finally {
    setTimeout(giveUp, config.shutdownGraceMs + CLOSE_TIMEOUT_MS);
    for (const part of open) await part.close();
  }
}

/** With those that `--evaluator` names, behind `serve` or alone. */
function withEvaluators(config: Config, args: string[]): Config {
  const { evaluator = [] } = parseArgs({
    args,
    options: { evaluator: { type: 'string', multiple: true } },
    strict: false,
  }).values;
  const named = evaluator.filter((path) => typeof path === 'string');
  return Object.freeze({ ...config, evaluators: [...config.evaluators, ...named] });
}

/** Before a database is started and seeded for nothing. Throws as `listen` would. */
async function refuseTakenPort({ host, port }: Config): Promise<void> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => probe.once('error', reject).listen(port, host, resolve));
  await new Promise((resolve) => probe.close(resolve));
}

async function listen(server: GatewayServer, { host, port }: Config): Promise<void> {
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
}

function tellOf(logger: Logger): (cause?: unknown) => void {
  return (cause) =>
    cause
      ? logger.error({ err: cause }, 'the certificate that came is not usable; the one before stays')
      : logger.info('another certificate is in use');
}

/** Once told, later signals change nothing: npm sends a Ctrl-C on that the terminal has sent already. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });
}

function giveUp(): never {
  process.stderr.write('castellan: a part of it does not close; ended all the same\n');
  process.exit(1);
}

/** The demo's policy without a single account: a start that was cut off before it had seeded them. */
async function isDemoUnseeded(db: Database): Promise<boolean> {
  const roles = new Set(demoAccounts.flatMap((account) => account.roles));
  const known = await db('roles')
    .whereIn('key', [...roles])
    .pluck('key');
  return known.length === roles.size && !(await db('accounts').first('id'));
}

/** False where the database began without the demo, as when `castellan admin create` was the first to use it. */
async function hasDemoAccounts(db: Database): Promise<boolean> {
  const emails = demoAccounts.map(({ email }) => email);
  return (await db('accounts').whereIn('email_key', emails).first('id')) !== undefined;
}

function printWelcome(url: string, demo: boolean): void {
  const lines = [`Castellan is at ${url} (API documentation: ${url}/docs)`];
  if (demo) {
    const [first, , third] = demoAccounts;
    lines.push(
      `Demo accounts: ${demoAccounts.map(({ email, password }) => `${email} / ${password}`).join(', ')}`,
      `The last of these three answers 403, where ${first?.email} may:`,
      `  TOKEN=$(curl -s ${url}/api/v1/auth/login -H 'content-type: application/json' -d '{"email":"${third?.email}","password":"${third?.password}"}' | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')`,
      `  curl -s ${url}/api/v1/documents -H "authorization: Bearer $TOKEN"`,
      `  curl -s ${url}/api/v1/admin/rules -H "authorization: Bearer $TOKEN"`,
    );
  }
  process.stdout.write(`${lines.join('\n')}\n`);
}

try {
  await serve(withEvaluators(loadConfig(), process.argv.slice(2)));
  process.exit(0);
} catch (cause) {
  process.stderr.write(`castellan: ${failureLine(cause)}\n`);
  process.exit(1);
}
