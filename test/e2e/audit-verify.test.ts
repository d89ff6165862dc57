/** `castellan audit verify`, as typed by an operator or run each night by a machine. */
import assert from 'node:assert/strict';
import { makeDatabase } from '../harness.ts';
import { copyOf, makeTrail, tamper, verifyTrail } from '../http/audit/trail.ts';
import { castellan, type Result } from './process.ts';
import { sql } from './sql.ts';

describe('castellan audit verify', function () {
  this.timeout(60_000);
  let trail: string;
  let head: string;
  before(async () => {
    trail = await makeTrail(5);
    head = (await verifyTrail(trail)).head ?? '';
  });

  const verify = (url: string, ...options: string[]): Promise<Result> =>
    castellan(['audit', 'verify', ...options], { DATABASE_URL: url });

  it('tells how many entries there are and the head to note down, which it takes again', async () => {
    const [plain, noted, json] = await Promise.all([
      verify(trail),
      verify(trail, '--head', head.toUpperCase()),
      verify(trail, '--json', '--head', head),
    ]);
    assert.deepEqual(plain, { code: 0, stdout: `5 entries\nhead ${head}\n`, stderr: '' });
    assert.deepEqual(noted, plain);
    assert.deepEqual(
      [json.code, JSON.parse(json.stdout), json.stderr],
      [0, { entries: 5, head, problems: [], untold: 0 }, ''],
    );
  });

  it('fails with one line for each fault, and gives no head to note down', async () => {
    const url = await copyOf(trail);
    await tamper(
      url,
      `UPDATE audit_entries SET actor = 'x' WHERE id = 2; DELETE FROM audit_entries WHERE id >= 4`,
    );
    const [plain, json] = await Promise.all([verify(url), verify(url, '--json')]);
    assert.deepEqual(plain, {
      code: 1,
      stdout: '3 entries\n',
      stderr: [
        'castellan: entry 2 was changed: its content does not have its hash (changed)\n',
        'castellan: entries 4 to 5 were removed from the end (cut_off)\n',
      ].join(''),
    });
    const { entries, problems } = JSON.parse(json.stdout);
    assert.deepEqual([json.code, entries, json.stderr], [1, 3, '']);
    assert.deepEqual(
      problems.map(({ entry, code }: { entry: number; code: string }) => [entry, code]),
      [
        [2, 'changed'],
        [4, 'cut_off'],
      ],
    );
  });

  it('finds a trail that was written anew, by the head that was noted', async () => {
    const other = await makeTrail(5);
    assert.equal((await verify(other)).code, 0);
    const { code, stderr } = await verify(other, '--head', head);
    assert.equal(code, 1);
    assert.equal(
      stderr,
      'castellan: entry 5 had another hash when it was noted: the trail was written anew (rewritten)\n',
    );
  });

  it('says in one line what is wrong with the head that was typed, or with the database', async () => {
    const [empty, ...typed] = await Promise.all([
      makeDatabase().then((url) => verify(url)),
      ...['5', `0:${'a'.repeat(64)}`, '5:abc', `x:${'a'.repeat(64)}`].map((text) =>
        verify(trail, '--head', text),
      ),
    ]);
    for (const { code, stderr } of typed)
      assert.deepEqual(
        [code, stderr],
        [1, 'castellan: --head must be as it was printed: a number, a colon, 64 hex digits\n'],
      );
    assert.deepEqual(
      [empty?.code, empty?.stderr],
      [1, 'castellan: there is no audit trail of this version in the database; run castellan migrate\n'],
    );
  });

  it('migrates nothing and writes nothing', async () => {
    const url = await makeDatabase();
    await verify(url);
    assert.deepEqual(await sql(url, `SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace`), []);
  });
});
