/** A list as a WHERE made of the rules, beside the WHERE that an expert writes, and beside fetching rows and deciding each. */
import assert from 'node:assert/strict';
import type { QueryBuilderType } from 'objection';
import { abilityCache } from '../src/decision/ability-cache.ts';
import { resourceOf } from '../src/decision/access-request.ts';
import { decisionPoint } from '../src/decision/decide.ts';
import { DocumentRow } from '../src/demo/models.ts';
import { accessibleBy, filterSql } from '../src/enforcement/sql-filter.ts';
import { makeEvaluators } from '../src/evaluators/index.ts';
import { makeAbility, type Principal } from '../src/policy/ability.ts';
import type { ResourceType } from '../src/policy/policy.ts';
import type { Snapshot } from '../src/policy/snapshot.ts';
import { memoryCache } from '../src/storage/memory-cache.ts';
import { type Database, openPool } from '../src/storage/postgres.ts';
import { dropDatabases, makeDemoDatabase } from '../test/harness.ts';
import { ATTIC, DEPARTMENTS, DOCUMENTS, OWNERS, type Reader, readers } from './list-readers.ts';
import { figure, median, printHeader, printTable, ratio } from './report.ts';
import { takeTurns } from './rounds.ts';

const PAGE = 50;
/** Many short rounds: those that something else on the machine falls into do not move the median. */
const ROUNDS = 41;
const ROUND_MS = 40;
/** Rows that are fetched at once to be filtered, and of how many of them it counts. */
const FETCHED = 500;
const SAMPLE = 50_000;

type Documents = QueryBuilderType<DocumentRow>;

/** Both kinds of list, each with what it takes to find its rows. */
interface Ways {
  byRules(): Documents;
  byHand(): Documents;
  /** Whether the reader may read it, decided in process. */
  mayRead(row: DocumentRow): Promise<boolean>;
}

printHeader(
  `lists: ${DOCUMENTS.toLocaleString('en')} documents, 200 rules; the newest ${PAGE}, and how many there are; ms`,
);
const db = openPool({ url: await makeDemoDatabase(), poolMax: 2 });
await fill(db);
const { snapshot, readers: all } = readers();
const explained = process.argv.includes('--explain');
const rows: string[][] = [];
for (const [name, reader] of Object.entries(all)) rows.push(...(await measure(name, reader)));
printTable(['reader', 'list', 'rows', 'by the rules', 'by hand', 'rules / hand', 'fetch and filter'], rows, {
  texts: 2,
});
for (const [name, { meaning, principal }] of Object.entries(all))
  console.log(`${name}: ${meaning}; the WHERE was made in ${figure(timeToMake(principal))} ms, once`);
console.log(
  `\nFetch and filter reads ${FETCHED} rows at a time; its count is of ${SAMPLE.toLocaleString('en')} rows, times ${DOCUMENTS / SAMPLE}.`,
);
await db.destroy();
await dropDatabases();
process.exit(0);

/** Owners (who need no accounts here) and departments at random; an index is made faster than it is kept. */
async function fill(knex: Database): Promise<void> {
  const { rows: indexes } = await knex.raw<{ rows: { name: string; made: string }[] }>(
    `SELECT indexname AS name, indexdef AS made FROM pg_indexes WHERE tablename = 'documents' AND indexname <> 'documents_pkey'`,
  );
  await knex.raw('TRUNCATE documents');
  for (const { name } of indexes) await knex.raw('DROP INDEX ??', [name]);
  await knex.raw('ALTER TABLE documents DROP CONSTRAINT documents_owner_id_fkey');
  await knex.raw('SELECT setseed(0.5)');
  await knex.raw(
    `INSERT INTO documents (title, body, status, owner_id, department, created_at, updated_at)
     SELECT CASE WHEN random() < 0.1 THEN 'secret ' ELSE '' END || 'Title ' || n, repeat('A text of some words. ', 8),
       CASE WHEN n < :attic THEN 'review' ELSE (ARRAY['draft', 'draft', 'review', 'published', 'published', 'published', 'published', 'published', 'published', 'archived'])[1 + floor(random() * 10)] END,
       ('00000000-0000-4000-9000-' || lpad(to_hex(floor(random() * :owners)::int), 12, '0'))::uuid,
       CASE WHEN n < :attic THEN :name WHEN random() < 0.95 THEN 'department-' || floor(random() * :departments) END,
       written, written
     FROM generate_series(0, :documents - 1) AS n, LATERAL (SELECT '2023-01-01Z'::timestamptz + n * interval '94.6 seconds' AS written) w`,
    {
      documents: DOCUMENTS,
      owners: OWNERS,
      departments: DEPARTMENTS,
      attic: ATTIC.documents,
      name: ATTIC.department,
    },
  );
  for (const { made } of indexes) await knex.raw(made);
  await knex.raw('VACUUM ANALYZE documents');
}

async function measure(name: string, reader: Reader): Promise<string[][]> {
  const ways = waysOf(snapshot, reader);
  if (explained) await explain(name, ways);
  const page = await measurePage(ways);
  const count = await measureCount(ways);
  return [
    [name, 'page', ...page],
    ['', 'count', ...count],
  ];
}

function waysOf(inForce: Snapshot, { principal, byHand }: Reader): Ways {
  const ability = makeAbility(inForce, principal, Date.now());
  const type = documentType(inForce);
  const { decide } = decisionPoint({
    evaluators: makeEvaluators({ abilityOf: abilityCache({ shared: memoryCache() }) }),
    record: () => {},
  });
  return {
    byRules: () => accessibleBy(ability, 'read', DocumentRow, { types: inForce.types, db }) as Documents,
    byHand: () => DocumentRow.query(db).whereRaw(byHand.where, byHand.bindings) as Documents,
    mayRead: async (row) => {
      const request = { principal, action: { name: 'read' }, resource: resourceOf(type, row), context: {} };
      return (await decide(inForce, request)).allow;
    },
  };
}

/** What the first list of somebody takes before it is asked, ms: the rules made into a WHERE. */
function timeToMake(principal: Principal): number {
  const type = documentType(snapshot);
  const times = Array.from({ length: 200 }, () => {
    const ability = makeAbility(snapshot, principal, Date.now());
    const startedMs = performance.now();
    filterSql({ ability, action: 'read', context: {}, type, source: DocumentRow.source });
    return performance.now() - startedMs;
  });
  return median(times);
}

function documentType({ types }: Snapshot): ResourceType {
  const type = types.get(DocumentRow.resource);
  if (!type) throw new Error('the policy has no documents');
  return type;
}

async function measurePage({ byRules, byHand, mayRead }: Ways): Promise<string[]> {
  const page = async (list: Documents): Promise<DocumentRow[]> =>
    list.orderBy('createdAt', 'desc').orderBy('id', 'desc').limit(PAGE);
  const ids = (found: DocumentRow[]) => found.map(({ id }) => id);
  const expected = ids(await page(byHand()));
  const startedMs = performance.now();
  const filtered = await fetchAndFilter(mayRead);
  const fetchMs = performance.now() - startedMs;
  assert.deepEqual(ids(await page(byRules())), expected);
  assert.deepEqual(ids(filtered), expected);
  return [
    String(expected.length),
    ...(await compare(
      () => page(byRules()),
      () => page(byHand()),
    )),
    figure(fetchMs),
  ];
}

async function measureCount({ byRules, byHand, mayRead }: Ways): Promise<string[]> {
  const count = (list: Documents) => list.resultSize();
  const expected = await count(byHand());
  assert.equal(await count(byRules()), expected);
  const startedMs = performance.now();
  for (let read = 0, last: DocumentRow | undefined; read < SAMPLE; read += FETCHED) {
    const fetched = await nextRows(last);
    for (const row of fetched) await mayRead(row);
    last = fetched.at(-1);
  }
  const fetchMs = ((performance.now() - startedMs) * DOCUMENTS) / SAMPLE;
  return [
    expected.toLocaleString('en'),
    ...(await compare(
      () => count(byRules()),
      () => count(byHand()),
    )),
    figure(fetchMs),
  ];
}

/** The first page as whoever has no filter finds it: rows in their order, each decided, until there are enough. */
async function fetchAndFilter(mayRead: Ways['mayRead']): Promise<DocumentRow[]> {
  const page: DocumentRow[] = [];
  let fetched = await nextRows();
  while (fetched.length > 0) {
    for (const row of fetched) {
      if (await mayRead(row)) page.push(row);
      if (page.length === PAGE) return page;
    }
    fetched = await nextRows(fetched.at(-1));
  }
  return page;
}

async function nextRows(after?: DocumentRow): Promise<DocumentRow[]> {
  const query = DocumentRow.query(db).orderBy('createdAt', 'desc').orderBy('id', 'desc').limit(FETCHED);
  if (after) query.whereRaw('(created_at, id) < (?, ?)', [after.createdAt, after.id]);
  return (await query) as DocumentRow[];
}

async function compare(byRules: () => Promise<unknown>, byHand: () => Promise<unknown>): Promise<string[]> {
  const each = (work: () => Promise<unknown>) => async (ms: number) => {
    const startedMs = performance.now();
    let done = 0;
    do {
      await work();
      done++;
    } while (performance.now() - startedMs < ms);
    return (performance.now() - startedMs) / done;
  };
  const { rules, hand } = await takeTurns(
    { rules: each(byRules), hand: each(byHand) },
    { rounds: ROUNDS, roundMs: ROUND_MS },
  );
  return [figure(median(rules)), figure(median(hand)), ratio(rules, hand).toFixed(2)];
}

/** Why it takes what it takes. */
async function explain(name: string, { byRules, byHand }: Ways): Promise<void> {
  for (const [way, list] of Object.entries({ byRules, byHand }))
    for (const query of [
      list().orderBy('createdAt', 'desc').orderBy('id', 'desc').limit(PAGE),
      list().count(),
    ]) {
      const { sql, bindings } = query.toKnexQuery().toSQL();
      const { rows: lines } = await db.raw(`EXPLAIN (ANALYZE, BUFFERS) ${sql}`, [...bindings]);
      console.log(`${name}, ${way}`);
      for (const line of lines) console.log(`  ${String(Object.values(line)[0]).slice(0, 300)}`);
    }
}
