/** The policy's life at size: import and publish, simulate, explain; one gateway, its database in a process of its own. */
import { randomBytes } from 'node:crypto';
import { dropDatabases, startGateway, type TestGateway } from '../test/harness.ts';
import { logIn, send } from './node.ts';
import { figure, median, percentile, printHeader, printTable } from './report.ts';

const SIZES = [100, 10_000, 100_000];
const RULES_PER_ROLE = 100;
const ACCOUNTS = 10_000;
const EXPLANATIONS = 200;

printHeader('policy: POST /admin/policy/import until it is enforced, simulate, explain');
const gateway = await startGateway({ logLevel: 'silent', env: { DATABASE_POOL_MAX: '5' } });
const root = await logIn({ url: gateway.url, stop: async () => {} }, 'superadmin@example.com', 'superpass');
const rows: string[][] = [];
for (const size of SIZES) rows.push(await measureImport(size));
printTable(
  ['rules imported', 'import s', 'again, nothing new, s', 'one rule more, s', 'enforced', 'peak memory MiB'],
  rows,
);
await addAccounts(gateway);
await measureSimulate();
await measureExplain();
await gateway.close();
await dropDatabases();
process.exit(0);

async function measureImport(size: number): Promise<string[]> {
  const rules = Array.from({ length: size }, (_, n) => ruleOf(n));
  // A hundred rules to a role, as where many teams share a gateway.
  const roles = Array.from({ length: Math.ceil((size + 1) / RULES_PER_ROLE) }, (_, n) => ({
    key: `team-${n}`,
  }));
  const text = JSON.stringify({ version: 1, roles, rules });
  const peak = watchMemory();
  const first = await timed(() => importText(text));
  const again = await timed(() => importText(text));
  const one = await timed(() => importText(JSON.stringify({ version: 1, rules: [ruleOf(size)] })));
  const mib = peak();
  const { rules: inForce } = gateway.services.live.snapshot;
  const enforced = inForce.has(`bench-${size}`) ? 'yes' : 'no';
  const remove = {
    rules: [...rules.map(({ id }) => id), `bench-${size}`],
    roles: roles.map(({ key }) => key),
  };
  await importText(JSON.stringify({ version: 1, remove }));
  return [
    size.toLocaleString('en'),
    ...[first, again, one].map((ms) => figure(ms / 1000)),
    enforced,
    figure(mib),
  ];
}

function ruleOf(n: number) {
  return {
    id: `bench-${n}`,
    role: `team-${Math.floor(n / RULES_PER_ROLE)}`,
    action: 'read',
    subject: 'document',
    conditions: {
      ownerId: `\${principal.id}`,
      department: `department-${n}`,
      status: { $in: ['draft', 'review'] },
    },
  };
}

async function importText(text: string): Promise<void> {
  const response = await fetch(`${gateway.url}/api/v1/admin/policy/import`, {
    method: 'POST',
    headers: { authorization: `Bearer ${root}`, 'content-type': 'application/json' },
    body: text,
  });
  if (response.status !== 200) throw new Error(`${response.status} ${(await response.text()).slice(0, 500)}`);
  await response.arrayBuffer();
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

/** The highest resident size until it is asked, MiB. */
function watchMemory(): () => number {
  let peak = 0;
  const look = () => {
    peak = Math.max(peak, process.memoryUsage.rss());
  };
  const timer = setInterval(look, 20);
  return () => {
    look();
    clearInterval(timer);
    return peak / 1024 / 1024;
  };
}

async function addAccounts({ services: { db } }: TestGateway): Promise<void> {
  const hash = '$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5$bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm9ib2R5bm8';
  const people = Array.from({ length: ACCOUNTS }, (_, n) => {
    const email = `${n}-${randomBytes(4).toString('hex')}@example.org`;
    const attributes = JSON.stringify({ department: `department-${n % 50}` });
    return {
      email,
      email_key: email,
      password_hash: hash,
      first_name: 'P',
      last_name: String(n),
      attributes,
    };
  });
  await db.batchInsert('accounts', people, 1000);
  await db.raw(`INSERT INTO role_assignments (account_id, role_key)
    SELECT id, (ARRAY['user', 'author', 'editor', 'approver'])[1 + (row_number() OVER ()) % 4]
    FROM accounts WHERE first_name = 'P'`);
}

async function measureSimulate(): Promise<void> {
  const draft = {
    version: 1,
    rules: [
      { ...ruleOf(1), role: 'user', conditions: { department: `\${principal.department}` } },
      {
        id: 'deny',
        role: 'everyone',
        action: 'read',
        subject: 'document',
        inverted: true,
        conditions: { status: 'archived' },
      },
    ],
  };
  const times: number[] = [];
  for (let round = 0; round < 5; round++)
    times.push(
      await timed(async () => {
        const url = `${gateway.url}/api/v1/admin/policy/simulate`;
        await (await send(url, { method: 'POST', token: root, body: draft, expect: 200 })).arrayBuffer();
      }),
    );
  console.log(
    `simulate, ${ACCOUNTS.toLocaleString('en')} accounts, two rules that concern all: ${figure(median(times) / 1000)} s\n`,
  );
}

async function measureExplain(): Promise<void> {
  const body = {
    principal: { roles: ['editor'], department: 'editorial' },
    action: 'publish',
    resource: { type: 'document', status: 'draft', department: 'editorial' },
  };
  const times: number[] = [];
  for (let round = 0; round < EXPLANATIONS; round++)
    times.push(
      await timed(async () => {
        const url = `${gateway.url}/api/v1/admin/policy/explain`;
        await (await send(url, { method: 'POST', token: root, body, expect: 200 })).arrayBuffer();
      }),
    );
  console.log(
    `explain over HTTP, the demo's policy: p50 ${figure(median(times))} ms, p99 ${figure(percentile(times, 0.99))} ms`,
  );
}
