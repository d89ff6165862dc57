/** Random small graphs of entities, and rules about what something lies in: allow and deny, groups inside and outside of the elements. */
import fc from 'fast-check';
import type { Rule } from '../../../src/policy/policy.ts';

/** As it is stored: an attribute may not fit what its type declares. */
export interface Node {
  type: string;
  id: string;
  attributes: Record<string, unknown>;
  parents: string[];
}

export interface Scene {
  nodes: Node[];
  rules: Partial<Rule>[];
  principal: { attributes: Record<string, unknown>; ancestors: { type: string; id: string }[] };
}

const BADGE = '11111111-1111-4111-8111-111111111111';
const CASE = '22222222-2222-4222-8222-222222222222';
const texts = ['a', 'ab', 'b', '', "'?", 'é'];
const names = ['robot:r1', 'group:g1', 'a', 'r1'];
const instants = ['2026-01-31T12:00:00.000Z', '2026-02-01T00:00:00.000Z'];

const ids: Record<string, string[]> = {
  folder: ['d1', 'd2', 'd3'],
  // Ids of cases are UUIDs.
  case: [BADGE, CASE],
  file: ['f1', 'f2', 'f3', 'f4', 'f5', 'f6'],
  group: ['g1'],
};

const values: Record<string, fc.Arbitrary<unknown>> = {
  title: fc.constantFrom<unknown>(...texts),
  level: fc.constantFrom<unknown>(-1, 0, 1, 2.5),
  viewers: fc.array(fc.constantFrom(...names), { maxLength: 2 }),
  sealed: fc.boolean(),
  since: fc.constantFrom<unknown>(...instants),
  owner: fc.constantFrom<unknown>(BADGE, CASE),
  data: fc.constantFrom<unknown>({ a: 1 }, { a: 'a', b: [1] }, { a: { b: true } }, {}),
  dates: fc.array(fc.constantFrom(...instants), { maxLength: 2 }),
  count: fc.constantFrom<unknown>(0, 1, 7),
};

/** What each type declares; `title` of a case is a number, and files have no viewers. */
const attributesOf: Record<string, string[]> = {
  folder: ['title', 'level', 'viewers', 'sealed', 'since', 'owner', 'data', 'dates'],
  case: ['title', 'viewers', 'sealed'],
  file: ['title', 'level', 'sealed'],
  group: [],
};

const string = { type: 'string' } as const;
const strings = { type: 'array', items: 'string' } as const;
const boolean = { type: 'boolean' } as const;
/** Of principals; templates are checked against what accounts have. */
export const words = { words: strings, word: string } as const;
export const declared = {
  folder: {
    id: string,
    title: string,
    level: { type: 'number' },
    viewers: strings,
    sealed: boolean,
    since: { type: 'date' },
    owner: { type: 'uuid' },
    data: { type: 'object' },
    dates: { type: 'array', items: 'date' },
  },
  case: { id: { type: 'uuid' }, title: { type: 'integer' }, viewers: strings, sealed: boolean },
  file: { id: string, title: string, level: { type: 'number' }, sealed: boolean },
  group: { id: string },
  robot: { id: string, ...words },
} as const;

function attributes(type: string): fc.Arbitrary<Record<string, unknown>> {
  const own = attributesOf[type] ?? [];
  const valuesOf = (name: string) => (type === 'case' && name === 'title' ? values['count'] : values[name]);
  const each = own.map((name) => fc.option(valuesOf(name) ?? fc.constant(null), { nil: undefined, freq: 3 }));
  return fc
    .tuple(...each)
    .map((list) =>
      Object.fromEntries(own.flatMap((name, at) => (list[at] === undefined ? [] : [[name, list[at]]]))),
    );
}

/** Written past every check: a number, a text, a date, a UUID and a truth value that are none. */
const unfit = fc.constantFrom<Record<string, unknown>>(
  { level: 'high' },
  { title: true },
  { since: 'soon' },
  { owner: 'nobody' },
  { sealed: 'yes' },
);

function node(type: string, id: string, before: string[]): fc.Arbitrary<Node> {
  const odd = fc.oneof({ weight: 40, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: unfit });
  return fc.record({
    type: fc.constant(type),
    id: fc.constant(id),
    attributes: fc.tuple(attributes(type), odd).map(([fitting, of]) => ({ ...fitting, ...of })),
    parents: fc.subarray(before, { maxLength: Math.min(2, before.length) }),
  });
}

/** Each may lie in those before it. */
const nodes: fc.Arbitrary<Node[]> = fc
  .shuffledSubarray(
    Object.entries(ids).flatMap(([type, list]) => list.map((id) => ({ type, id }))),
    { minLength: 6 },
  )
  .chain((order) =>
    fc.tuple(
      ...order.map(({ type, id }, at) =>
        node(
          type,
          id,
          order.slice(0, at).map((one) => `${one.type}:${one.id}`),
        ),
      ),
    ),
  );

const template = (name: string) => `$\{principal.${name}}`;
const operandOf: Record<string, fc.Arbitrary<unknown>> = {
  ...values,
  title: fc.constantFrom<unknown>(...texts, template('word'), template('id')),
  viewers: fc.constantFrom<unknown>(...names, template('id'), template('word')),
  data: fc.constant({ a: 1 }),
  dates: fc.constantFrom<unknown>(...instants),
  type: fc.constantFrom<unknown>('folder', 'case', 'file', 'group'),
  id: fc.constantFrom<unknown>('d1', 'd2', BADGE, 'f1', template('id')),
};
const lists: Record<string, string[]> = {
  title: ['words'],
  viewers: ['ancestorIds', 'words'],
  id: ['words'],
};
const ordered = ['title', 'level', 'since', 'count'];

function tests(name: string): fc.Arbitrary<unknown> {
  const operand = operandOf[name] ?? fc.constant(true);
  const list = fc.oneof(
    fc.array(operand, { minLength: 1, maxLength: 2 }),
    ...(lists[name] ?? []).map((of) => fc.constant(template(of) as unknown)),
  );
  const options: [string, fc.Arbitrary<unknown>][] = [['$exists', fc.boolean()]];
  if (name !== 'data') options.push(['$eq', operand], ['$ne', operand], ['$in', list], ['$nin', list]);
  if (ordered.includes(name)) options.push(['$gt', operand], ['$lte', operand]);
  if (name === 'title') options.push(['$regex', fc.constantFrom('^a', 'b$', '.')]);
  if (name === 'viewers') options.push(['$all', list], ['$size', fc.integer({ min: 0, max: 2 })]);
  const one = fc.oneof(...options.map(([operator, of]) => of.map((value) => ({ [operator]: value }))));
  return fc.oneof(
    one,
    one.map((inner) => ({ $not: inner })),
  );
}

type Query = Record<string, unknown>;

function oneOf(names: readonly string[]): fc.Arbitrary<Query> {
  const own = fc
    .constantFrom(...names)
    .chain((name) => tests(name).map((value): Query => ({ [name]: value })));
  if (!names.includes('data')) return own;
  const below = fc.constantFrom<Query>(
    { 'data.a': 1 },
    { 'data.a.b': { $ne: true } },
    { 'data.b': { $exists: true } },
  );
  return fc.oneof({ weight: 5, arbitrary: own }, { weight: 1, arbitrary: below });
}

function grouped(one: fc.Arbitrary<Query>, depth: number): fc.Arbitrary<Query> {
  if (depth === 0) return one;
  const inner = grouped(one, depth - 1);
  const group = fc
    .constantFrom('$and', '$or', '$nor')
    .chain((name) =>
      fc.array(inner, { minLength: 1, maxLength: 3 }).map((list): Query => ({ [name]: list })),
    );
  return fc.oneof(
    { weight: 3, arbitrary: one },
    { weight: 2, arbitrary: group },
    { weight: 1, arbitrary: fc.tuple(one, inner).map(([a, b]): Query => ({ ...a, ...b })) },
    { weight: 1, arbitrary: inner.map((of): Query => ({ $not: of })) },
  );
}

/** Of one type by its name; or of any, by what all of them may have. */
const element: fc.Arbitrary<Query> = fc.oneof(
  ...['folder', 'case', 'file'].map((type) =>
    grouped(
      oneOf(['id', ...(attributesOf[type] ?? []).filter((name) => type !== 'case' || name !== 'title')]),
      1,
    ).map((of): Query => ({ ...of, type })),
  ),
  grouped(oneOf(['type', 'id', 'viewers', 'level', 'sealed', 'owner']), 2),
  fc.constantFrom<Query>({ type: 'folder' }, { type: { $in: ['case', 'file'] } }, { id: { $exists: true } }),
);

const aboutAbove: fc.Arbitrary<Query> = fc.oneof(
  { weight: 6, arbitrary: element.map((of): Query => ({ ancestors: { $elemMatch: of } })) },
  { weight: 2, arbitrary: element.map((of): Query => ({ ancestors: { $not: { $elemMatch: of } } })) },
  { weight: 1, arbitrary: fc.boolean().map((is): Query => ({ ancestors: { $exists: is } })) },
);

/** What SQL is not asked: a list of dates, and the values of all that something lies in, put together. */
const notAsked = fc.constantFrom<Query>(
  { ancestors: { $elemMatch: { type: 'folder', dates: instants[0] } } },
  { 'ancestors.viewers': 'a' },
  { ancestors: { $size: 2 } },
);

const conditions = grouped(
  fc.oneof(
    { weight: 4, arbitrary: aboutAbove },
    { weight: 2, arbitrary: oneOf(['title', 'level', 'sealed']) },
    { weight: 1, arbitrary: notAsked },
  ),
  2,
);

const rule: fc.Arbitrary<Partial<Rule>> = fc.record({
  conditions: conditions as fc.Arbitrary<NonNullable<Rule['conditions']>>,
  inverted: fc.constantFrom(false, false, true),
  priority: fc.constantFrom(0, 0, 1),
});

const principal = fc.record({
  attributes: fc.record(
    {
      word: fc.constantFrom(...texts),
      words: fc.array(fc.constantFrom(...names, 'd1', 'f1'), { maxLength: 2 }),
    },
    { requiredKeys: [] },
  ),
  ancestors: fc.constantFrom<{ type: string; id: string }[]>([], [{ type: 'group', id: 'g1' }]),
});

export const scenes: fc.Arbitrary<Scene> = fc.record({
  nodes,
  rules: fc.array(rule, { minLength: 1, maxLength: 4 }),
  principal,
});
