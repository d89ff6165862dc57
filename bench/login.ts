/** Logins per second over HTTP beside bare argon2id verifications of the same hashes, as many at once. */
import argon2 from 'argon2';
import knex from 'knex';
import { loadConfig } from '../src/config.ts';
import { dropDatabases, makeDemoDatabase } from '../test/harness.ts';
import { logIn, send, startNode } from './node.ts';
import { figure, median, printHeader, printTable, ratio, spread } from './report.ts';
import { takeTurns } from './rounds.ts';

const ROUNDS = 7;
const ROUND_MS = 2500;
const PEOPLE = 200;
const PASSWORD = 'userpass';

const { memoryKib, timeCost, parallelism, hashConcurrency } = loadConfig().password;
const parameters = { type: argon2.argon2id, memoryCost: memoryKib, timeCost, parallelism };
/** Twice as many logins as hashes at once: while one is at the database, another is hashed. */
const loginsAtOnce = 2 * hashConcurrency;

printHeader('login: POST /auth/login beside bare argon2id verifications');
const databaseUrl = await makeDemoDatabase();
const hash = await argon2.hash(PASSWORD, parameters);
await addPeople();
const node = await startNode(databaseUrl);
let turn = 0;
const cpuMs: Record<'bare' | 'login', number[]> = { bare: [], login: [] };
const rates = await takeTurns(
  {
    bare: (ms) =>
      measure(ms, hashConcurrency, 'bare', ownCpuMs, async () => {
        if (!(await argon2.verify(hash, PASSWORD))) throw new Error('the password does not fit');
      }),
    login: (ms) =>
      measure(ms, loginsAtOnce, 'login', nodeCpuMs, () => logIn(node, emailOf(turn++ % PEOPLE), PASSWORD)),
  },
  { rounds: ROUNDS, roundMs: ROUND_MS },
);
await node.stop();
await dropDatabases();
printTable(
  ['', 'at once', 'per second', 'most rounds', 'ratio', 'CPU ms each'],
  [
    [
      `argon2.verify, ${memoryKib} KiB, t=${timeCost}, p=${parallelism}`,
      String(hashConcurrency),
      figure(median(rates.bare)),
      spread(rates.bare),
      '',
      figure(median(cpuMs.bare)),
    ],
    [
      `POST /auth/login, ${hashConcurrency} hashes at once`,
      String(loginsAtOnce),
      figure(median(rates.login)),
      spread(rates.login),
      figure(ratio(rates.login, rates.bare)),
      figure(median(cpuMs.login)),
    ],
  ],
);
console.log(`The node, PostgreSQL and this client share the CPUs; "CPU" is the process that hashes, alone.
${PEOPLE} accounts log in by turns. The first round is a warm-up.`);
process.exit(0);

/** Accounts with the one password, straight into the table: to register them would only take time. */
async function addPeople(): Promise<void> {
  const db = knex({ client: 'pg', connection: databaseUrl, pool: { min: 0, max: 1 } });
  const people = Array.from({ length: PEOPLE }, (_, n) => ({
    email: emailOf(n),
    email_key: emailOf(n),
    password_hash: hash,
    first_name: 'Person',
    last_name: String(n),
  }));
  await db('accounts').insert(people);
  await db.raw(`INSERT INTO role_assignments (account_id, role_key)
    SELECT id, 'user' FROM accounts WHERE first_name = 'Person'`);
  await db.destroy();
}

function emailOf(n: number): string {
  return `person-${n}@example.org`;
}

/** How often per second `work` is done, `atOnce` of them at a time; beside it, the CPU time that each took. */
async function measure(
  ms: number,
  atOnce: number,
  what: keyof typeof cpuMs,
  cpuOf: () => Promise<number> | number,
  work: () => Promise<unknown>,
): Promise<number> {
  const cpuBefore = await cpuOf();
  const startedMs = performance.now();
  let done = 0;
  const worker = async () => {
    while (performance.now() - startedMs < ms) {
      await work();
      done++;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  const tookMs = performance.now() - startedMs;
  cpuMs[what].push(((await cpuOf()) - cpuBefore) / done);
  return done / (tookMs / 1000);
}

function ownCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

async function nodeCpuMs(): Promise<number> {
  const metrics = await (await send(`${node.url}/metrics`, { expect: 200 })).text();
  const [, seconds] = /^castellan_process_cpu_seconds_total (\S+)/m.exec(metrics) ?? [];
  return Number(seconds) * 1000;
}
