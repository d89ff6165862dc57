/** Random resource types, rows with nasty values, and rules of every operator, three deep. */
import fc from 'fast-check';
import type { AttributeSpec, AttributeType, Rule } from '../../../src/policy/policy.ts';
import { PRINCIPAL, type principalAttributes, type Scene, type Written } from './agreement.ts';

const texts = [
  ...[
    '',
    'a',
    'A',
    'ab',
    'a%',
    '%',
    '_',
    '\\',
    "'",
    '"',
    'a\nb',
    ' a',
    '9',
    '10',
    'true',
    '?',
    '??',
    '$1',
    '{}',
  ],
  ...['é', 'e\u0301', 'ß', 'İ', '\ud7ff', '\ue000', '\uffff', '😀', '\u{10ffff}', 'a\ue000', 'a😀', '\u0001'],
];
const uuids = [PRINCIPAL, '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-4fff-8fff-ffffffffffff'];
const numbers = [
  0,
  1,
  -1,
  2,
  0.1,
  0.5,
  1.5,
  9,
  10,
  2 ** 53,
  2 ** 53 + 2,
  -(2 ** 53),
  2 ** 63,
  1e21,
  1e-7,
  5e-324,
  Number.MAX_VALUE,
];
const wholes = numbers.filter(Number.isInteger);
const instants = [
  ...[
    '2026-01-31T12:00:00.000Z',
    '2026-01-31T12:00:00.001Z',
    '1969-12-31T23:59:59.999Z',
    '1970-01-01T00:00:00Z',
  ],
  ...['2026-01-31T13:00:00+01:00', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59.999Z', '2026-01-31'],
];
/** Only what both engines read alike; others are refused when a rule is written. */
const patterns = [
  'a',
  '^a',
  'b$',
  '^$',
  '.',
  'a.b',
  '^\\w+$',
  '\\d',
  '[^a]',
  '[a-c%]',
  '^(a|A)b?$',
  '(?:9|1)0?',
  '\\s',
  '\\S',
  '^.{1,2}$',
  '\\%',
  '😀',
  'é',
  '^[\\w%]*$',
  '"',
  '\\.',
  'a*?b',
];

const writtenNumbers = [
  ...['0', '-0', '1', '-1', '2', '0.1', '0.5', '1.5', '9', '10', '1e21', '0.0000001', '9007199254740991'],
  ...['9007199254740992', '9007199254740993', '9007199254740994', '9007199254740995', '-9007199254740993'],
  ...[
    '0.1000000000000000055511151231257827',
    '0.1000000000000000155511151231257828',
    '3.0000000000000000000001',
  ],
  ...['1e400', '-1e400', '1e-400', '4e-324', '1.7976931348623157e308', '1.8e308', '9223372036854775807'],
];
const longNumbers = [...writtenNumbers, 'NaN', 'Infinity', '-Infinity'];
const writtenWholes = [
  '0',
  '1',
  '-1',
  '2',
  '9',
  '10',
  '9007199254740992',
  '9007199254740993',
  '9007199254740995',
  '-9007199254740993',
  '9223372036854775807',
  '-9223372036854775808',
];
const writtenDoubles = [
  '0',
  '-0',
  '1',
  '-1',
  '0.1',
  '0.5',
  '1.5',
  '9',
  '10',
  '9007199254740992',
  '5e-324',
  '1.7976931348623157e308',
  'NaN',
  'Infinity',
  '-Infinity',
];
const writtenDecimals = ['0', '1', '-1', '2', '0.1', '0.5', '1.5', '9', '10', '0.100', '99999999.999', 'NaN'];
const writtenInstants = [
  ...[
    '2026-01-31T12:00:00Z',
    '2026-01-31T12:00:00.0005Z',
    '2026-01-31T12:00:00.001Z',
    '2026-01-31T12:00:00.000999Z',
  ],
  ...['1969-12-31T23:59:59.9999Z', '1970-01-01T00:00:00Z', '2026-01-31T00:00:00Z', 'infinity', '-infinity'],
  ...[
    '0001-01-01T00:00:00Z',
    '0001-12-31T00:00:00Z BC',
    '0002-01-01T00:00:00Z BC',
    '9999-12-31T23:59:59.999999Z',
    '10000-01-01T00:00:00Z',
  ],
];

const storedTexts = fc.constantFrom(...texts);
const keys = ['a', 'b', 'c'];

/** JSON text: numbers are written as no JavaScript number could be. */
const json = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom('null', 'true', 'false'),
    fc.constantFrom(...writtenNumbers),
    storedTexts.map((text) => JSON.stringify(text)),
    fc.array(tie('value'), { maxLength: 3 }).map((items) => `[${items}]`),
    fc
      .dictionary(fc.constantFrom(...keys), tie('value'), { maxKeys: 3 })
      .map(
        (entries) => `{${Object.entries(entries).map(([key, value]) => `${JSON.stringify(key)}:${value}`)}}`,
      ),
  ),
})).value;

const jsonObject = fc
  .dictionary(fc.constantFrom(...keys), json, { maxKeys: 3 })
  .map((entries) => `{${Object.entries(entries).map(([key, value]) => `${JSON.stringify(key)}:${value}`)}}`);

const jsonList = fc
  .oneof(
    fc.array(json, { maxLength: 3 }),
    fc.array(
      storedTexts.map((text) => JSON.stringify(text)),
      { maxLength: 3 },
    ),
    fc.array(fc.constantFrom(...writtenNumbers), { maxLength: 3 }),
    fc.array(fc.constantFrom('0', '1', '10', '-1'), { maxLength: 3 }),
    fc.array(fc.constantFrom('true', 'false'), { maxLength: 3 }),
    fc.array(jsonObject, { maxLength: 3 }),
  )
  .map((items) => `[${items}]`);

/** An array as PostgreSQL writes it. */
const arrayOf = (items: readonly string[]) =>
  fc.oneof(
    { weight: 8, arbitrary: fc.array(fc.constantFrom(...items), { maxLength: 3 }).map(writeArray) },
    {
      weight: 1,
      arbitrary: fc.array(fc.option(fc.constantFrom(...items)), { maxLength: 3 }).map(writeArray),
    },
    {
      weight: 1,
      arbitrary: fc
        .array(fc.constantFrom(...items), { minLength: 1, maxLength: 2 })
        .map((inner) => `{${writeArray(inner)}}`),
    },
  );

function writeArray(items: (string | null)[]): string {
  return `{${items.map((item) => (item === null ? 'NULL' : `"${item.replaceAll(/["\\]/g, '\\$&')}"`))}}`;
}

const written: Record<string, fc.Arbitrary<string>> = {
  name: storedTexts,
  other: storedTexts,
  ref: fc.constantFrom(...uuids),
  flag: fc.constantFrom('true', 'false'),
  whole: fc.constantFrom(...writtenWholes),
  amount: fc.constantFrom(...writtenDecimals),
  exact: fc.constantFrom(...longNumbers),
  double: fc.constantFrom(...writtenDoubles),
  at: fc.constantFrom(...writtenInstants),
  names: arrayOf(texts),
  refs: arrayOf(uuids),
  flags: arrayOf(['true', 'false']),
  wholes: arrayOf(writtenWholes),
  exacts: arrayOf(longNumbers),
  doubles: arrayOf(writtenDoubles),
  instants: arrayOf(writtenInstants),
  list: fc.oneof({ weight: 9, arbitrary: jsonList }, { weight: 1, arbitrary: json }),
  data: fc.oneof({ weight: 9, arbitrary: jsonObject }, { weight: 1, arbitrary: json }),
};

/** Rows of the table of things; every value may be NULL. */
export const rows: fc.Arbitrary<Record<string, Written>[]> = fc
  .array(
    fc.record(
      Object.fromEntries(
        Object.entries(written).map(([name, values]) => [
          name,
          // Plain rows more often than not: one odd value denies the whole row.
          fc.oneof(
            { weight: 1, arbitrary: fc.constant(null) },
            { weight: 3, arbitrary: values as fc.Arbitrary<Written> },
          ),
        ]),
      ),
    ),
    { minLength: 1, maxLength: 24 },
  )
  .map((list) =>
    list.map((row, index) => ({ ...row, id: `22222222-2222-4222-8222-${String(index).padStart(12, '0')}` })),
  );

const specs: Record<string, AttributeSpec[]> = {
  name: [{ type: 'string' }],
  other: [{ type: 'string', nullable: true }],
  ref: [{ type: 'uuid' }, { type: 'string' }],
  flag: [{ type: 'boolean' }],
  whole: [{ type: 'integer' }, { type: 'number' }],
  amount: [{ type: 'number' }, { type: 'integer' }],
  exact: [{ type: 'number' }, { type: 'integer' }],
  double: [{ type: 'number' }, { type: 'integer' }],
  at: [{ type: 'date' }],
  names: [{ type: 'array', items: 'string' }],
  refs: [
    { type: 'array', items: 'uuid' },
    { type: 'array', items: 'string' },
  ],
  flags: [{ type: 'array', items: 'boolean' }],
  wholes: [{ type: 'array', items: 'integer' }],
  exacts: [
    { type: 'array', items: 'number' },
    { type: 'array', items: 'integer' },
  ],
  doubles: [{ type: 'array', items: 'number' }],
  instants: [{ type: 'array', items: 'date' }],
  list: [
    { type: 'array' },
    ...(['string', 'number', 'integer', 'boolean', 'object', 'array'] as const).map((items) => ({
      type: 'array' as const,
      items,
    })),
  ],
  data: [{ type: 'object' }],
};

/** A few attributes: with more of them, more rows are denied for one odd value. */
const attributes = fc
  .uniqueArray(fc.constantFrom(...Object.keys(specs)), { minLength: 1, maxLength: 5 })
  .chain((names) =>
    fc.record(Object.fromEntries(names.map((name) => [name, fc.constantFrom(...(specs[name] ?? []))]))),
  )
  .map((chosen): Record<string, AttributeSpec> => ({ id: { type: 'uuid' }, ...chosen }));

const anyScalar = fc.oneof(
  fc.constantFrom<unknown>(...texts),
  fc.constantFrom<unknown>(...numbers),
  fc.boolean(),
);

const operands: Partial<Record<AttributeType, fc.Arbitrary<unknown>>> = {
  string: fc.constantFrom(...texts),
  uuid: fc.constantFrom(...uuids, ...uuids.map((id) => id.toUpperCase())),
  boolean: fc.boolean(),
  integer: fc.constantFrom(...wholes),
  number: fc.constantFrom(...numbers),
  date: fc.constantFrom(...instants),
};

const templates: Partial<Record<AttributeType, string[]>> = {
  string: ['word', 'id', 'more.a'],
  uuid: ['id'],
  integer: ['limit', 'more.b'],
  number: ['limit', 'more.b'],
  date: ['since', 'more.a'],
  boolean: ['more.c'],
};
const listTemplates: Partial<Record<AttributeType, string[]>> = {
  string: ['words', 'ids', 'more.d'],
  uuid: ['ids'],
  integer: ['numbers'],
  number: ['numbers', 'more.d'],
  date: ['more.d'],
  boolean: ['more.d'],
};

const template = (names: string[]) => fc.constantFrom(...names).map((name) => `$\{principal.${name}}`);

type Type = AttributeType | 'any';

function operand(type: Type): fc.Arbitrary<unknown> {
  if (type === 'any') return anyScalar;
  const plain = operands[type] ?? anyScalar;
  const names = templates[type];
  return names ? fc.oneof({ weight: 5, arbitrary: plain }, { weight: 1, arbitrary: template(names) }) : plain;
}

function operandList(type: Type): fc.Arbitrary<unknown> {
  const list = fc.array(operand(type), { maxLength: 3 });
  const names = type === 'any' ? ['words', 'more.d'] : listTemplates[type];
  return names ? fc.oneof({ weight: 5, arbitrary: list }, { weight: 1, arbitrary: template(names) }) : list;
}

const comparable = (type: Type) => type !== 'object' && type !== 'array';
const ordered = (type: Type) => ['any', 'string', 'number', 'integer', 'date'].includes(type);

/** The tests of one place: `{ $gt: 1, $ne: 2 }`, or a bare value. */
function tests(type: Type, isList: boolean, items: Type, depth: number): fc.Arbitrary<unknown> {
  const compared: Type = isList ? items : type;
  const options: Record<string, fc.Arbitrary<unknown>> = { $exists: fc.boolean() };
  if (comparable(compared)) {
    for (const operator of ['$eq', '$ne']) options[operator] = operand(compared);
    for (const operator of ['$in', '$nin']) options[operator] = operandList(compared);
  }
  if (ordered(compared))
    for (const operator of ['$lt', '$lte', '$gt', '$gte']) options[operator] = operand(compared);
  if (compared === 'string' || compared === 'any') options['$regex'] = fc.constantFrom(...patterns);
  if (isList || type === 'any') {
    options['$size'] = fc.integer({ min: 0, max: 3 });
    if (comparable(compared)) options['$all'] = operandList(compared);
    if (depth > 0) options['$elemMatch'] = elementQuery(items, depth - 1);
  }
  const one = fc
    .constantFrom(...Object.keys(options))
    .chain((operator) => (options[operator] ?? fc.constant(true)).map((value) => ({ [operator]: value })));
  const several = fc.tuple(one, one).map(([first, second]) => ({ ...first, ...second }));
  const negated = one.map((inner) => ({ $not: inner }));
  const bare = comparable(compared) ? [{ weight: 2, arbitrary: operand(compared) }] : [];
  return fc.oneof(
    { weight: 5, arbitrary: one as fc.Arbitrary<unknown> },
    { weight: 2, arbitrary: several },
    { weight: 1, arbitrary: negated },
    ...bare,
  );
}

/** What an element must be: tests on itself, or on what lies below it. */
function elementQuery(items: Type, depth: number): fc.Arbitrary<unknown> {
  const onItself = tests(items, items === 'any' || items === 'array', 'any', depth).filter(
    (value) => typeof value === 'object' && value !== null,
  );
  if (items !== 'any' && items !== 'object') return onItself;
  const below = fc
    .tuple(fc.constantFrom('a', 'b', 'a.b'), tests('any', false, 'any', depth))
    .map(([path, value]) => ({ [path]: value }));
  const groups = fc
    .constantFrom('$or', '$and', '$nor')
    .chain((group) => fc.array(below, { minLength: 1, maxLength: 2 }).map((list) => ({ [group]: list })));
  return fc.oneof(onItself, below, groups);
}

function test(attributes: Record<string, AttributeSpec>): fc.Arbitrary<Record<string, unknown>> {
  return fc.constantFrom(...Object.keys(attributes)).chain((name) => {
    const { type, items } = attributes[name] ?? { type: 'string' };
    const own = tests(type, type === 'array', items ?? 'any', 2).map((value) => ({ [name]: value }));
    const hasBelow = type === 'object' || (type === 'array' && (items ?? 'object') === 'object');
    if (!hasBelow) return own;
    const below = fc
      .tuple(fc.constantFrom('a', 'b', 'a.b', 'a.a', 'b.c.a'), tests('any', false, 'any', 2))
      .map(([path, value]) => ({ [`${name}.${path}`]: value }));
    return fc.oneof({ weight: 1, arbitrary: own }, { weight: 3, arbitrary: below });
  });
}

function query(
  attributes: Record<string, AttributeSpec>,
  depth: number,
): fc.Arbitrary<Record<string, unknown>> {
  const one = test(attributes);
  if (depth === 0) return one;
  const inner = query(attributes, depth - 1);
  const group = fc
    .constantFrom('$and', '$or', '$nor')
    .chain((name) => fc.array(inner, { minLength: 1, maxLength: 3 }).map((list) => ({ [name]: list })));
  const both = fc.tuple(one, inner).map(([first, second]) => ({ ...first, ...second }));
  const negated = inner.map((of) => ({ $not: of }));
  return fc.oneof(
    { weight: 3, arbitrary: one },
    { weight: 2, arbitrary: group as typeof one },
    { weight: 1, arbitrary: both },
    { weight: 1, arbitrary: negated as typeof one },
  );
}

const when = fc.constantFrom<Record<string, unknown>>(
  { 'context.ip': { $cidr: '10.0.0.0/8' } },
  { 'context.ip': { $cidr: '192.168.0.0/16' } },
  { 'action.name': 'read' },
  { 'principal.word': 'a' },
  { 'context.time': { $gte: '2026-02-01T00:00:00Z' } },
);

function rule(attributes: Record<string, AttributeSpec>): fc.Arbitrary<Partial<Rule>> {
  const fieldNames = Object.keys(attributes).flatMap((name) =>
    name === 'data' ? ['data', 'data.a'] : [name],
  );
  return fc.record(
    {
      conditions: query(attributes, 3),
      inverted: fc.oneof(
        { weight: 2, arbitrary: fc.constant(false) },
        { weight: 1, arbitrary: fc.constant(true) },
      ),
      priority: fc.constantFrom(0, 0, 0, 1, -1),
      action: fc.constantFrom('read', 'read', 'read', 'manage', 'update'),
      fields: fc.uniqueArray(fc.constantFrom(...fieldNames), { minLength: 1, maxLength: 2 }),
      when,
    },
    { requiredKeys: ['inverted', 'priority', 'action'] },
  );
}

const principal: fc.Arbitrary<Record<string, unknown>> = fc.record(
  {
    word: fc.constantFrom(...texts),
    limit: fc.constantFrom(...numbers),
    since: fc.constantFrom(...instants),
    words: fc.array(fc.constantFrom(...texts), { maxLength: 2 }),
    numbers: fc.array(fc.constantFrom(...numbers), { maxLength: 2 }),
    ids: fc.array(fc.constantFrom(...uuids), { maxLength: 2 }),
    more: fc.record(
      { a: anyScalar, b: anyScalar, c: anyScalar, d: fc.array(anyScalar, { maxLength: 2 }) },
      { requiredKeys: [] },
    ),
  } satisfies Partial<Record<keyof typeof principalAttributes, unknown>>,
  { requiredKeys: [] },
);

export const scenes: fc.Arbitrary<Scene> = attributes.chain((chosen) =>
  fc.record({
    attributes: fc.constant(chosen),
    rules: fc.array(rule(chosen), { minLength: 1, maxLength: 5 }),
    principal,
  }),
);
