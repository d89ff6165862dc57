/** Logins per second over HTTP beside bare argon2id verifications of the same parameters, as many at once. */
import argon2 from 'argon2';
import { Client, dropDatabases, startGateway } from '../test/harness.ts';
import { figure, median, printHeader, printTable, spread } from './report.ts';

const ROUNDS = 5;
const ROUND_MS = 3000;
const AT_ONCE = 8;

printHeader(`login: POST /auth/login beside bare argon2id, ${AT_ONCE} at once`);
const gateway = await startGateway({
  env: {
    LOG_LEVEL: 'silent',
    LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS: '1000000',
    LOGIN_FAILURES_PER_ACCOUNT: '1000000',
    LOGIN_FAILURES_PER_ADDRESS: '1000000',
  },
  logLevel: 'silent',
});
const { memoryKib, timeCost, parallelism, hashConcurrency } = gateway.services.config.password;
const hash = await argon2.hash('userpass', {
  type: argon2.argon2id,
  memoryCost: memoryKib,
  timeCost,
  parallelism,
});
const client = new Client(gateway.url);

const logIn = async () => {
  const { status } = await client.post('/api/v1/auth/login', {
    email: 'user@example.com',
    password: 'userpass',
  });
  if (status !== 200) throw new Error(`login answered ${status}`);
};
const verify = async () => {
  if (!(await argon2.verify(hash, 'userpass'))) throw new Error('the password does not fit');
};

const rates: Record<'bare' | 'login', number[]> = { bare: [], login: [] };
for (let round = 0; round < ROUNDS; round++) {
  rates.bare.push(await rateOf(verify));
  rates.login.push(await rateOf(logIn));
}
await gateway.close();
await dropDatabases();
const ratio = median(rates.login) / median(rates.bare);
printTable(
  ['', 'per second', 'spread of rounds', 'ratio'],
  [
    [
      `argon2id ${memoryKib} KiB, t=${timeCost}, p=${parallelism}`,
      figure(median(rates.bare)),
      spread(rates.bare, figure),
      '',
    ],
    [
      `login, ${hashConcurrency} hashes at once`,
      figure(median(rates.login)),
      spread(rates.login, figure),
      figure(ratio),
    ],
  ],
);
console.log('The client runs in the same process as the gateway, on the same CPUs.');
process.exit(0);

/** How often per second `work` is done, `AT_ONCE` of them at a time. */
async function rateOf(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  let done = 0;
  const worker = async () => {
    while (performance.now() - startedMs < ROUND_MS) {
      await work();
      done++;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return done / ((performance.now() - startedMs) / 1000);
}
