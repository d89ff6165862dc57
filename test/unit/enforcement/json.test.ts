/** Conditions on jsonb and on arrays: each kind of test held against the matchers, on each kind of value. */
import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { resourceOf } from '../../../src/decision/access-request.ts';
import type { Source } from '../../../src/enforcement/source.ts';
import { translate, where } from '../../../src/enforcement/sql-filter.ts';
import type { Condition, Operand, TestOperator } from '../../../src/policy/condition.ts';
import { compileCondition } from '../../../src/policy/matcher.ts';
import type { ResourceType } from '../../../src/policy/policy.ts';
import { openPool } from '../../../src/storage/postgres.ts';
import { makeDatabase } from '../../harness.ts';

const source: Source = {
  table: 'things',
  columns: {
    id: { column: 'id', type: 'uuid' },
    data: { column: 'data', type: 'jsonb' },
    list: { column: 'list', type: 'jsonb' },
    names: { column: 'names', type: 'text[]' },
    refs: { column: 'refs', type: 'uuid[]' },
    sizes: { column: 'sizes', type: 'integer[]' },
  },
};
const type: ResourceType = {
  type: 'thing',
  description: '',
  actions: ['read'],
  attributes: {
    id: { type: 'uuid' },
    data: { type: 'object' },
    list: { type: 'array' },
    names: { type: 'array', items: 'string' },
    refs: { type: 'array', items: 'uuid' },
    sizes: { type: 'array', items: 'integer' },
  },
  source: 'things',
  evaluator: 'casl',
};

const scalars = [null, true, false, 0, 1, 2, 10, '', 'a', 'b', '1', 'true', '\ue000', '😀'];
const lists = [
  ...[
    [],
    [null],
    [1],
    [1, 'a'],
    ['a', 'b'],
    [true],
    [null, 1],
    [[]],
    [[null]],
    [[1]],
    [[1], [2]],
    [['a'], 'a'],
  ],
  ...[[{}], [{ b: null }], [{ b: 1 }], [{ b: 1 }, { b: null }], [{ b: null }, { b: null }], [{ b: 'a' }, {}]],
  ...[
    [{ b: [] }],
    [{ b: [null] }],
    [{ b: [1] }],
    [{ b: [1] }, { b: [2, 1] }],
    [{ b: null }, { b: [1] }],
    [{ b: [[1]] }],
  ],
  ...[
    [[{ b: 1 }]],
    [{ b: { c: 1 } }],
    [{ b: [{ c: 1 }, { c: [2] }] }],
    [1, { b: 1 }],
    [{ b: { c: null } }],
    [{ c: 1 }],
  ],
];
const objects = [
  ...[
    {},
    { b: null },
    { b: 1 },
    { b: 'a' },
    { b: true },
    { b: '' },
    { b: [] },
    { b: [null] },
    { b: [1] },
    { b: ['a', 1] },
  ],
  ...[
    { b: [[1]] },
    { b: [[null]] },
    { b: { c: null } },
    { b: { c: 1 } },
    { b: { c: [1] } },
    { b: [{ c: 1 }, { c: null }] },
  ],
  ...[
    { b: [{ c: [1, 2] }] },
    { b: [{ c: [] }, { c: [1] }] },
    { b: [null, { c: 1 }] },
    { b: [[{ c: 1 }]] },
    { b: '😀' },
  ],
];
const values = [...scalars, ...lists, ...objects];
const ids = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002'];
const rows: Record<string, unknown>[] = [
  ...values.map((a) => ({ data: { a } })),
  ...[{ data: {} }, { data: null }, { data: { b: 1 } }],
  ...lists.map((list) => ({ list })),
  ...[[], ['a'], ['a', 'b'], ['', 'b'], ['\ue000']].map((names) => ({ names })),
  ...[[], [ids[0]], ids].map((refs) => ({ refs })),
  ...[[], [1], [1, 2], [2, 10]].map((sizes) => ({ sizes })),
];

const tests: [TestOperator, Operand][] = [
  ...[true, false].map((value): [TestOperator, Operand] => ['$exists', value]),
  ...[0, 1, 2].map((value): [TestOperator, Operand] => ['$size', value]),
  ...(['$eq', '$ne'] as const).flatMap((operator) =>
    [1, 'a', '', true, '1', '\0', '\ud800', '😀', ids[0] ?? '', 'A0000000-0000-4000-8000-000000000001'].map(
      (value): [TestOperator, Operand] => [operator, value],
    ),
  ),
  ...(['$lt', '$lte', '$gt', '$gte'] as const).flatMap((operator) =>
    [1, 'a', '', true, '\uffff', 'a\0', ids[0] ?? ''].map((value): [TestOperator, Operand] => [
      operator,
      value,
    ]),
  ),
  ...(['$in', '$nin', '$all'] as const).flatMap((operator) =>
    [[], [1], ['a'], [1, 'a'], ['a', 'b'], [true], ['a', '\0'], [1, 2], ids, ['no id', ids[0] ?? '']].map(
      (value): [TestOperator, Operand] => [operator, value],
    ),
  ),
  ...['a', '^$', '.'].map((value): [TestOperator, Operand] => ['$regex', value]),
];

const one = (path: string): Condition[] =>
  tests.map(([operator, value]) => ({ kind: 'test', path, operator, value }));
const few = (path: string): Condition[] =>
  one(path).filter(
    (condition) =>
      condition.kind === 'test' &&
      [true, false, 1, 'a', '', 0].includes(condition.value as never) &&
      !['$lte', '$gte'].includes(condition.operator),
  );
const all = (path: string, values: Operand): Condition => ({
  kind: 'test',
  path,
  operator: '$all',
  value: values,
});
const element = (path: string, of: Condition): Condition => ({ kind: 'element', path, of });
const not = (of: Condition): Condition => ({ kind: 'not', of });

const insides: Condition[] = [
  ...few(''),
  ...few('b'),
  ...few('b.c'),
  all('', []),
  all('b', []),
  all('b', [1]),
  ...['', 'b'].flatMap((path) => [...few(''), ...few('c'), all('', [])].map((of) => element(path, of))),
];
const conditions: Condition[] = [
  ...['data', 'data.a', 'data.a.b', 'data.a.b.c', 'list', 'list.b', 'names', 'refs', 'sizes'].flatMap(one),
  ...['data.a', 'data.a.b', 'list', 'list.b', 'names', 'refs', 'sizes'].flatMap((path) =>
    [...insides, ...insides.map(not)].map((of) => element(path, of)),
  ),
];

describe('a condition on what lies in jsonb or in an array', () => {
  let db: Knex;
  before(async () => {
    db = openPool({ url: await makeDatabase(), poolMax: 1 });
    await db.raw(
      'CREATE TABLE things (at int, id uuid, data jsonb, list jsonb, names text[], refs uuid[], sizes bigint[])',
    );
    const written = rows.map(({ data, list, ...rest }, at) => ({
      at,
      ...rest,
      ...(data !== undefined && { data: JSON.stringify(data) }),
      ...(list !== undefined && { list: JSON.stringify(list) }),
    }));
    await db('things').insert(written);
  });
  after(() => db.destroy());

  const clean = rows.map((row) => resourceOf(type, row).attributes);

  it(`is met by the same values in SQL and in a decision: ${conditions.length} conditions, ${rows.length} values`, async function () {
    this.timeout(60_000);
    const TOGETHER = 100;
    const differing: string[] = [];
    for (let from = 0; from < conditions.length; from += TOGETHER) {
      const some = conditions.slice(from, from + TOGETHER);
      const each = some.map((condition, index) =>
        where(
          db('things').select({ at: 'at', which: db.raw('?::int', [index]) }),
          translate(condition, { type, source }),
        ),
      );
      const met = new Set<string>();
      const found: { at: number; which: number }[] = await db.unionAll(each);
      for (const { at, which } of found) met.add(`${which} ${at}`);
      for (const [which, condition] of some.entries()) {
        const matches = compileCondition(condition);
        for (const [at, attributes] of clean.entries())
          if (matches(attributes) !== met.has(`${which} ${at}`))
            differing.push(
              `${JSON.stringify(condition)} on ${JSON.stringify(rows[at])}: decision ${matches(attributes)}`,
            );
      }
    }
    assert.deepEqual(differing.slice(0, 10), [], `${differing.length} differ`);
  });
});
