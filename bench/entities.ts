/** Entities at size: imported over HTTP by who may escalate and by who may not, asked about with all that they lie in, and searched by it. */
import { dropDatabases, startGateway } from '../test/harness.ts';
import { logIn, send } from './node.ts';
import { figure, median, percentile, printHeader, printTable } from './report.ts';

const ENTITIES = 100_000;
const FOLDERS = 10_000;
const FANOUT = 8;
const BATCH = 1000;
const ROUNDS = 50;
const SHOWN = 20;

printHeader(
  `entities: POST /admin/entities/import of ${ENTITIES.toLocaleString('en')}, and evaluations of them`,
);
const gateway = await startGateway({ logLevel: 'silent' });
const node = { url: gateway.url, stop: async () => {} };
const root = await logIn(node, 'superadmin@example.com', 'superpass');
const admin = await logIn(node, 'admin@example.com', 'adminpass');
await preparePolicy();
const text = `${Array.from({ length: ENTITIES }, (_, n) => JSON.stringify(entityOf(n))).join('\n')}\n`;
const changed = text.replaceAll('"title":"n', '"title":"m');
printTable(
  [`import of ${figure(Buffer.byteLength(text) / 2 ** 20)} MiB of lines`, 's'],
  [
    ['new, by a superadministrator', await timed(() => importLines(root, text))],
    ['again, nothing new', await timed(() => importLines(root, text))],
    ['each changed', await timed(() => importLines(root, changed))],
    [
      'each changed back, by an administrator who may not escalate',
      await timed(() => importLines(admin, text)),
    ],
  ],
);
await measureEvaluations();
await measureSearches();
await measureNewByAdmin();
await gateway.close();
await dropDatabases();
process.exit(0);

/** Folders in a tree, eight in each; files in the folders. */
function entityOf(n: number): object {
  const viewers = [`reader-${n % 100}`, `group-${n % 7}`];
  if (n === FOLDERS - 1) viewers.push('reader-of-one');
  if (n === 0) return { type: 'folder', id: '0', attributes: { title: 'n0', viewers } };
  const isFolder = n < FOLDERS;
  const parent = isFolder ? Math.floor((n - 1) / FANOUT) : n % FOLDERS;
  return {
    type: isFolder ? 'folder' : 'file',
    id: String(n),
    attributes: { title: `n${n}`, viewers },
    parents: [`folder:${parent}`],
  };
}

async function preparePolicy(): Promise<void> {
  const attributes = {
    id: { type: 'string' },
    title: { type: 'string' },
    viewers: { type: 'array', items: 'string' },
  };
  const document = {
    version: 1,
    resourceTypes: ['folder', 'file'].map((type) => ({ type, actions: ['read'], attributes })),
    rules: [
      {
        role: 'authenticated',
        action: 'read',
        subject: 'file',
        conditions: { ancestors: { $elemMatch: { type: 'folder', viewers: `\${principal.id}` } } },
      },
    ],
  };
  await send(`${gateway.url}/api/v1/admin/policy/import`, { method: 'POST', token: root, body: document });
}

async function importLines(token: string, lines: string): Promise<void> {
  const response = await fetch(`${gateway.url}/api/v1/admin/entities/import`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' },
    body: lines,
  });
  const answer = await response.text();
  if (response.status !== 200) throw new Error(`${response.status} ${answer.slice(0, 500)}`);
}

/** Who may not escalate must hold what each of them gains. */
async function measureNewByAdmin(): Promise<void> {
  const { db } = gateway.services;
  await db('entity_parents').delete();
  await db('entities').delete();
  const took = await timed(() => importLines(admin, text));
  printTable(['the same import', 's'], [['new, by an administrator who may not escalate', took]]);
}

async function timed(work: () => Promise<void>): Promise<string> {
  const startedMs = performance.now();
  await work();
  return figure((performance.now() - startedMs) / 1000);
}

async function measureEvaluations(): Promise<void> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const evaluations = Array.from({ length: BATCH }, (_, n) => ({
      subject: { type: 'folder', id: `reader-${n % 100}` },
      resource: { type: 'file', id: String(FOLDERS + ((round * BATCH + n * 31) % (ENTITIES - FOLDERS))) },
    }));
    const startedMs = performance.now();
    const body = { action: { name: 'read' }, evaluations };
    const url = `${gateway.url}/access/v1/evaluations`;
    await (await send(url, { method: 'POST', token: root, body })).arrayBuffer();
    times.push(performance.now() - startedMs);
  }
  printTable(
    [`${BATCH} evaluations of files, six folders deep`, 'ms'],
    [
      ['p50', figure(median(times))],
      ['p99', figure(percentile(times, 0.99))],
    ],
  );
}

/** By who may see one folder of the lowest with nine files in it, and by who may see the uppermost. */
async function measureSearches(): Promise<void> {
  // As autovacuum does within a minute: without statistics every search sorts all files.
  await gateway.services.db.raw('ANALYZE entities, entity_parents');
  const rows: [string, string][] = [];
  for (const [what, id] of [
    ['who may see one folder of ten thousand', 'reader-of-one'],
    ['who may see all', 'reader-0'],
  ] as const) {
    const times: number[] = [];
    for (let round = 0; round < 5; round++) times.push(await searchOnce(id));
    rows.push([`${SHOWN} at most, by ${what}`, figure(median(times))]);
  }
  printTable([`a search among ${figure(ENTITIES - FOLDERS)} files`, 'ms'], rows);
}

interface Found {
  results: unknown[];
  page: { next_token: string };
}

/** Page by page until there are as many, or no more. */
async function searchOnce(id: string): Promise<number> {
  const startedMs = performance.now();
  const asked = { subject: { type: 'folder', id }, action: { name: 'read' }, resource: { type: 'file' } };
  let found = 0;
  for (let token: string | undefined; found < SHOWN && token !== ''; ) {
    const body = { ...asked, page: token ? { token } : { limit: SHOWN } };
    const response = await send(`${gateway.url}/access/v1/search/resource`, {
      method: 'POST',
      token: root,
      body,
    });
    const { results, page }: Found = JSON.parse(await response.text());
    found += results.length;
    token = page.next_token;
  }
  if (found === 0) throw new Error(`${id} found nothing`);
  return performance.now() - startedMs;
}
