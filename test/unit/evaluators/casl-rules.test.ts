import assert from 'node:assert/strict';
import { createMongoAbility, subject } from '@casl/ability';
import fc from 'fast-check';
import type { AccessRequest } from '../../../src/decision/access-request.ts';
import { caslEvaluator } from '../../../src/evaluators/casl.ts';
import { type PlainAbility, toPlainAbility } from '../../../src/evaluators/casl-rules.ts';
import type { Ability, Principal } from '../../../src/policy/ability.ts';
import type { Query, ResourceType, Rule } from '../../../src/policy/policy.ts';
import {
  ALICE,
  abilityOf,
  BOB,
  compiled,
  policyOf,
  principalWith,
  type RequestParts,
  requestOf,
  sampleTypes,
  typeOf,
} from '../policy/sample-policy.ts';

const loose: ResourceType = typeOf('loose', {
  attributes: { id: { type: 'string' }, things: { type: 'array' } },
});
const other: ResourceType = typeOf('other', {
  attributes: { id: { type: 'string' }, meta: { type: 'string' } },
});
const types = new Map([...sampleTypes, loose, other].map((type) => [type.type, type]));
const my = (path: string) => `$\{principal.${path}}`;

function abilityBy(rules: Partial<Rule>[], principal: Principal = principalWith()): Ability {
  return abilityOf(compiled(policyOf(rules, { resourceTypes: [...types.values()] })), principal);
}

/** As a browser gets it: through JSON. */
function plainOf(ability: Ability): PlainAbility {
  return JSON.parse(JSON.stringify(toPlainAbility(ability, types)));
}

function plainBy(...rules: Partial<Rule>[]): PlainAbility {
  return plainOf(abilityBy(rules));
}

interface Answers {
  whole: boolean;
  fields: string[];
}

/** What plain CASL answers, over the rules as they are and the resource as JSON. */
function caslSays(
  plain: PlainAbility,
  { action, resource }: AccessRequest,
  fields: readonly string[] = [],
): Answers {
  const casl = createMongoAbility(plain.rules);
  const asked = subject(resource.type, JSON.parse(JSON.stringify(resource.attributes)));
  return {
    whole: casl.can(action.name, asked),
    fields: fields.filter((field) => casl.can(action.name, asked, field)),
  };
}

const anySnapshot = compiled(policyOf([]));

/** What the gateway answers. */
function gatewaySays(ability: Ability, request: AccessRequest, fields: readonly string[]): Answers {
  const evaluator = caslEvaluator({ abilityOf: () => ability });
  const verdict = evaluator.evaluate(anySnapshot, request);
  const permitted = evaluator.permittedFields(anySnapshot, request, fields);
  assert.ok(!(verdict instanceof Promise) && !(permitted instanceof Promise));
  return { whole: verdict.allow, fields: [...permitted] };
}

/** Both answer alike, about the rules that plain CASL was given. */
function agree(ability: Ability, plain: PlainAbility, parts: RequestParts, fields: readonly string[]): void {
  const kept = ability.rules.filter(({ id }) => !plain.serverOnly.some((rule) => rule.id === id));
  const request = requestOf(parts);
  const [ours, casls] = [
    gatewaySays({ ...ability, rules: kept }, request, fields),
    caslSays(plain, request, fields),
  ];
  if (JSON.stringify(ours) === JSON.stringify(casls)) return;
  assert.deepEqual(casls, ours, `${JSON.stringify(plain.rules)} for ${JSON.stringify(request.resource)}`);
}

const texts = fc.constantFrom('', 'a', 'ab', 'b', 'A', '10');
const numbers = fc.constantFrom(-1, 0, 0.5, 3, 10);
const integers = fc.constantFrom(-1, 0, 3, 10);
const uuids = fc.constantFrom(ALICE, BOB, ALICE.toUpperCase());
const dates = fc.constantFrom(
  '2026-01-01',
  '2026-01-01T02:00:00+02:00',
  '2026-06-01T00:00:00Z',
  '2025-12-31T23:59:59-08:00',
);
const anything = fc.oneof(texts, numbers, fc.boolean());
const patterns = fc.constantFrom(
  'a',
  '^a',
  'b$',
  '^(a|b)+$',
  '^[A-Z]',
  '',
  '.',
  '^.{2}$',
  '\\d',
  '(?i)A',
  '\\s',
);

/** The tests that fit what holds values of one kind. */
function testsOn(
  values: fc.Arbitrary<string | number | boolean>,
  kind: 'ordered' | 'text' | 'equal',
): fc.Arbitrary<Query> {
  const list = fc.array(values, { maxLength: 3 });
  return fc.oneof(
    values.map((value): Query => ({ $eq: value })),
    values.map((value): Query => ({ $ne: value })),
    list.map((value): Query => ({ $in: value })),
    list.map((value): Query => ({ $nin: value })),
    fc.boolean().map((value): Query => ({ $exists: value })),
    ...(kind === 'equal'
      ? []
      : [
          fc
            .tuple(fc.constantFrom('$lt', '$lte', '$gt', '$gte'), values)
            .map(([operator, value]): Query => ({ [operator]: value })),
        ]),
    ...(kind === 'text' ? [patterns.map((value): Query => ({ $regex: value }))] : []),
  );
}

function listTests(
  items: fc.Arbitrary<Query>,
  values: fc.Arbitrary<string | number | boolean>,
): fc.Arbitrary<Query> {
  return fc.oneof(
    items,
    fc.array(values, { maxLength: 2 }).map((value): Query => ({ $all: value })),
    fc.constantFrom(0, 1, 2).map((value): Query => ({ $size: value })),
    items.map((query): Query => ({ $elemMatch: query })),
    fc.tuple(items, items).map(([one, other]): Query => ({ $elemMatch: { ...one, ...other } })),
    items.map((query): Query => ({ $elemMatch: { $not: query } })),
  );
}

const undeclared = listTests(
  testsOn(
    anything.filter((value) => typeof value !== 'boolean'),
    'ordered',
  ),
  anything,
);
const elementQuery = fc.letrec<{ query: Query }>((tie) => ({
  query: fc.oneof(
    { maxDepth: 2 },
    fc
      .tuple(fc.constantFrom('x', 'y', 'inner.x', 'list'), undeclared)
      .map(([path, test]): Query => ({ [path]: test })),
    fc.tuple(tie('query'), tie('query')).map(([one, other]): Query => ({ $or: [one, other] })),
    fc.tuple(tie('query'), tie('query')).map(([one, other]): Query => ({ $and: [one, other] })),
    tie('query').map((of): Query => ({ $nor: [of] })),
  ),
})).query;

const onPath: [string, fc.Arbitrary<Query>][] = [
  ['title', testsOn(texts, 'text')],
  ['status', testsOn(fc.constantFrom('draft', 'review'), 'text')],
  [
    'ownerId',
    fc.oneof(
      testsOn(uuids, 'equal'),
      fc.constantFrom<Query>({ $eq: my('id') }, { $nin: [BOB, my('managerId')] }),
    ),
  ],
  [
    'department',
    fc.oneof(
      testsOn(texts, 'text'),
      fc.constantFrom<Query>({ $eq: my('department') }, { $in: my('teams') }, { $nin: my('teams') }),
    ),
  ],
  ['pages', fc.oneof(testsOn(integers, 'ordered'), fc.constant<Query>({ $lt: my('level') }))],
  ['rating', testsOn(numbers, 'ordered')],
  ['isPinned', testsOn(fc.boolean(), 'equal')],
  ['publishedAt', testsOn(dates, 'ordered')],
  ['tags', listTests(testsOn(texts, 'text'), texts)],
  ['scores', listTests(testsOn(numbers, 'ordered'), numbers)],
  ['reviewers', listTests(testsOn(uuids, 'equal'), uuids)],
  ['deadlines', listTests(testsOn(dates, 'ordered'), dates)],
  ['parts', elementQuery.map((query): Query => ({ $elemMatch: query }))],
  ['parts', fc.constantFrom<Query>({ $size: 1 }, { $exists: true }, { $exists: false })],
  ['meta', fc.boolean().map((value): Query => ({ $exists: value }))],
  ['meta.x', undeclared],
  ['meta.inner.x', undeclared],
  ['meta.list', undeclared],
  ['parts.x', undeclared],
  ['parts.list', undeclared],
  ['parts.inner.x', undeclared],
];
const fieldTest = fc.oneof(
  ...onPath.map(([path, tests]) =>
    fc.oneof(
      { weight: 3, arbitrary: tests.map((test): Query => ({ [path]: test })) },
      {
        weight: 1,
        arbitrary: fc.tuple(tests, tests).map(([one, other]): Query => ({ [path]: { ...one, ...other } })),
      },
      { weight: 1, arbitrary: tests.map((test): Query => ({ [path]: { $not: test } })) },
    ),
  ),
);
/** Several tests of one attribute, which a query must not merge into fewer. */
const onOnePath = fc.oneof(
  ...onPath.map(([path, tests]) => {
    const several = fc.array(
      tests.map((test): Query => ({ [path]: test })),
      { minLength: 2, maxLength: 3 },
    );
    return fc
      .tuple(fc.constantFrom('$and', '$or', '$nor'), several)
      .map(([group, of]): Query => ({ [group]: of }));
  }),
);
const conditions = fc.letrec<{ query: Query }>((tie) => {
  const list = fc.array(tie('query'), { minLength: 1, maxLength: 3 });
  return {
    query: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      { weight: 6, arbitrary: fieldTest },
      { weight: 2, arbitrary: onOnePath },
      { weight: 1, arbitrary: fc.constant<Query>({}) },
      {
        weight: 2,
        arbitrary: fc.tuple(fieldTest, fieldTest).map(([one, other]): Query => ({ ...one, ...other })),
      },
      { weight: 1, arbitrary: list.map((of): Query => ({ $and: of })) },
      { weight: 1, arbitrary: list.map((of): Query => ({ $or: of })) },
      { weight: 1, arbitrary: list.map((of): Query => ({ $nor: of })) },
      { weight: 1, arbitrary: tie('query').map((of): Query => ({ $not: of })) },
    ),
  };
}).query;

const documentRule = fc.record({
  subject: fc.constant('document'),
  action: fc.constantFrom<string | string[]>('read', 'manage', ['read', 'update'], 'update'),
  inverted: fc.boolean(),
  priority: fc.integer({ min: -1, max: 1 }),
  conditions,
  when: fc.constantFrom<Query>({}, {}, {}, { 'principal.level': 3 }, { 'context.mfa': true }),
  fields: fc.constantFrom<string[] | undefined>(
    undefined,
    undefined,
    ['title', 'tags'],
    ['meta.x', 'parts'],
    ['meta'],
  ),
});
const widerRule = fc.record({
  subject: fc.constantFrom<string | string[]>('all', ['document', 'order'], 'order'),
  action: fc.constantFrom<string | string[]>('read', 'manage'),
  inverted: fc.boolean(),
  priority: fc.integer({ min: -1, max: 1 }),
  conditions: fc.oneof(
    fc.constant<Query>({}),
    testsOn(texts, 'text').map((test): Query => ({ id: test })),
  ),
  when: fc.constant<Query>({}),
  fields: fc.constantFrom<string[] | undefined>(undefined, ['id']),
});
const ruleSet = fc
  .array(fc.oneof({ weight: 3, arbitrary: documentRule }, { weight: 1, arbitrary: widerRule }), {
    maxLength: 6,
  })
  .map((rules) =>
    rules.map(
      ({ fields, ...rule }, index): Partial<Rule> => ({
        id: `r${index}`,
        ...rule,
        ...(fields && { fields }),
      }),
    ),
  );

const someOf = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(model, { requiredKeys: [] });
const leaf = fc.oneof(anything, fc.array(anything, { maxLength: 2 }));
const part = someOf({
  x: leaf,
  y: leaf,
  inner: someOf({ x: leaf }),
  list: fc.array(anything, { maxLength: 2 }),
});
const documentArb = someOf({
  id: texts,
  title: texts,
  status: fc.constantFrom('draft', 'review'),
  ownerId: uuids,
  department: texts,
  pages: integers,
  rating: numbers,
  isPinned: fc.boolean(),
  publishedAt: dates,
  tags: fc.array(texts, { maxLength: 3 }),
  scores: fc.array(numbers, { maxLength: 3 }),
  reviewers: fc.array(uuids, { maxLength: 2 }),
  deadlines: fc.array(dates, { maxLength: 2 }),
  parts: fc.array(part, { maxLength: 3 }),
  meta: someOf({
    x: leaf,
    inner: fc.oneof(someOf({ x: leaf }), fc.array(someOf({ x: leaf }), { maxLength: 2 })),
    list: fc.oneof(leaf, fc.array(part, { maxLength: 2 })),
  }),
});
const requests = fc.oneof(
  fc.record({
    type: fc.constant('document'),
    action: fc.constantFrom('read', 'update', 'delete'),
    resource: documentArb,
  }),
  fc.record({ type: fc.constant('order'), action: fc.constant('read'), resource: someOf({ id: texts }) }),
);
const principals = fc.constantFrom(
  principalWith(),
  principalWith({ attributes: { department: 'a', teams: ['a', 'ab'], level: 3, managerId: BOB } }),
  principalWith({ attributes: { teams: [] } }),
);
const askedFields = [
  'id',
  'title',
  'tags',
  'notes',
  'meta',
  'meta.x',
  'meta.x.y',
  'meta.other',
  'parts',
  'parts.x',
];

const RUNS = 1000;

describe('an ability as plain CASL rules', () => {
  it('answers as the gateway does, for every action, resource and field', () => {
    fc.assert(
      fc.property(
        ruleSet,
        principals,
        fc.array(requests, { minLength: 1, maxLength: 6 }),
        (rules, principal, asked) => {
          const ability = abilityBy(rules, principal);
          const plain = plainOf(ability);
          for (const parts of asked) agree(ability, plain, parts, askedFields);
        },
      ),
      { numRuns: RUNS },
    );
  });

  it('answers as the gateway does about each single condition', () => {
    fc.assert(
      fc.property(
        conditions,
        fc.boolean(),
        fc.array(documentArb, { minLength: 1, maxLength: 8 }),
        (query, inverted, documents) => {
          const ability = abilityBy([
            { id: 'base', priority: -1, inverted: !inverted },
            { id: 'r', conditions: query, inverted },
          ]);
          const plain = plainOf(ability);
          for (const resource of documents) agree(ability, plain, { resource }, []);
        },
      ),
      { numRuns: RUNS },
    );
  });

  it('says most conditions itself: it would be easy to be right by leaving everything to the server', () => {
    const sample = fc
      .sample(ruleSet, { numRuns: 300, seed: 1 })
      .flat()
      .filter(({ when }) => !when || !('context.mfa' in when));
    const kept = sample.filter((rule) => plainBy({ ...rule, id: 'x' }).serverOnly.length === 0);
    assert.ok(kept.length / sample.length > 0.5, `${kept.length} of ${sample.length}`);
  });

  it('keeps the order of the gateway: the last rule that matches decides', () => {
    const plain = plainBy(
      { id: 'a', priority: 2 },
      { id: 'b', inverted: true, priority: 1 },
      { id: 'c', priority: 1 },
    );
    assert.deepEqual(
      plain.rules.map(({ inverted }) => inverted),
      [false, true, false],
    );
    assert.deepEqual(plain.serverOnly, []);
  });

  it('is what createMongoAbility takes as it is, and no more than JSON', () => {
    const plain = plainBy({
      action: ['read', 'update'],
      fields: ['title', 'meta'],
      conditions: { ownerId: my('id'), pages: { $lt: 3 } },
      reason: 'Own',
      inverted: true,
      priority: 7,
    });
    assert.deepEqual(plain, {
      revision: 1,
      rules: [
        {
          action: ['read', 'update'],
          subject: ['document'],
          inverted: true,
          fields: ['title', 'meta', 'meta.**'],
          conditions: { ownerId: ALICE, pages: { $lt: 3, $exists: true } },
          reason: 'Own',
        },
      ],
      serverOnly: [],
    });
  });

  it('tells nothing of what the server keeps: no conditions, no values, no principal', () => {
    const { rules, serverOnly } = plainBy({
      id: 'x',
      conditions: { title: 'secret project' },
      when: { 'context.ip': { $cidr: '10.0.0.0/8' } },
      reason: 'From the office',
      inverted: true,
    });
    assert.deepEqual(rules, []);
    assert.deepEqual(serverOnly, [
      { id: 'x', action: ['read'], subject: ['document'], inverted: true, reason: 'From the office' },
    ]);
  });

  it('is made without the rules that can never match, nor any trace of a template', () => {
    const plain = plainBy(
      { conditions: { department: my('department') } },
      { conditions: { department: { $ne: my('department') } }, inverted: true, priority: 1 },
    );
    assert.deepEqual(plain.rules, [{ action: ['read'], subject: ['document'], inverted: true }]);
  });

  it('asks about absence as the gateway does: plain $lt and $lte match what is missing', () => {
    for (const operator of ['$lt', '$lte', '$gt', '$gte', '$in', '$eq', '$regex']) {
      const value = operator === '$in' ? ['z'] : 'z';
      const ability = abilityBy([{ conditions: { title: { [operator]: value } } }]);
      assert.equal(caslSays(plainOf(ability), requestOf()).whole, false, operator);
    }
  });

  it('names what lies below a field that is an object in only one of its types', () => {
    assert.deepEqual(plainBy({ subject: ['other', 'document'], fields: ['meta'] }).rules[0]?.fields, [
      'meta',
      'meta.**',
    ]);
  });

  it('names what lies below an object or list by the pattern CASL wants, and leaves plain values alone', () => {
    assert.deepEqual(plainBy({ fields: ['title', 'tags', 'meta.colour'] }).rules[0]?.fields, [
      'title',
      'tags',
      'tags.**',
      'meta.colour',
      'meta.colour.**',
    ]);
  });
});

describe('what plain CASL cannot say stays on the server', () => {
  const serverOnly: [what: string, rule: Partial<Rule>][] = [
    ['a rule about the context', { when: { 'context.mfa': true } }],
    ['a rule about the action', { when: { 'action.soft': true } }],
    [
      'the opposite of an order, which matches what is missing',
      { conditions: { pages: { $not: { $lt: 3 } } } },
    ],
    ['the opposite of a pattern', { conditions: { title: { $not: { $regex: '^a' } } } }],
    ['the opposite of $all', { conditions: { tags: { $not: { $all: ['a'] } } } }],
    ['the opposite of $size', { conditions: { tags: { $not: { $size: 1 } } } }],
    ['the opposite of an element', { conditions: { $nor: [{ tags: { $elemMatch: { $eq: 'a' } } }] } }],
    [
      'alternatives about one element',
      { conditions: { parts: { $elemMatch: { $or: [{ x: 1 }, { y: 2 }] } } } },
    ],
    [
      'an order on what is not declared in detail: CASL would compare 10 with "9"',
      { conditions: { 'meta.x': { $gt: 9 } } },
    ],
    [
      'an order on elements that are not declared: CASL would compare 10 with "9"',
      { subject: 'loose', conditions: { things: { $gt: 9 } } },
    ],
    ['an order inside an element', { conditions: { parts: { $elemMatch: { x: { $gt: 9 } } } } }],
    [
      'absence below a list: CASL asks whether any element lacks it',
      { conditions: { 'parts.x': { $exists: false } } },
    ],
    [
      'absence of an element itself, which CASL finds in every list',
      { conditions: { tags: { $elemMatch: { $exists: false } } } },
    ],
    ['absence below what may be a list', { conditions: { 'meta.inner.x': { $exists: false } } }],
    ['a path through "length", which strings have in CASL', { conditions: { 'meta.x.length': 2 } }],
    [
      'two tests of one operator on one attribute, of which a query could hold only the last',
      { conditions: { $and: [{ tags: 'a' }, { tags: 'b' }] } },
    ],
    [
      'more alternatives than are worth sending',
      { conditions: { $and: [1, 2, 3, 4, 5, 6].map((n) => ({ $or: [{ pages: n }, { rating: n }] })) } },
    ],
    ...[
      '(?i)a',
      '(?s)a.b',
      '(?P<n>a)',
      '(?<n>a)',
      '\\pL',
      '\\Qa\\E',
      '\\x41',
      '\\A',
      'a\\z',
      '[[:alpha:]]',
      '[_[:alpha:]]',
      '[]a]',
      '\\a',
      '[\\s\\S]',
      '(a+)+$',
    ].map((pattern): [string, Partial<Rule>] => [
      `the pattern ${pattern}, which JavaScript reads otherwise, for ever, or not at all`,
      { conditions: { title: { $regex: pattern } } },
    ]),
  ];
  for (const [what, rule] of serverOnly) {
    it(what, () => {
      const plain = plainBy({ id: 'x', ...rule });
      assert.deepEqual(plain.rules, []);
      assert.deepEqual(
        plain.serverOnly.map(({ id }) => id),
        ['x'],
      );
    });
  }

  const said: [what: string, rule: Partial<Rule>][] = [
    ['an "or", as rules side by side', { conditions: { $or: [{ title: 'a' }, { pages: { $gt: 3 } }] } }],
    ['an "or" in an "and"', { conditions: { isPinned: true, $or: [{ title: 'a' }, { title: 'b' }] } }],
    ['the opposite of equality', { conditions: { $nor: [{ title: 'a' }, { pages: 1 }] } }],
    ['the opposite of an opposite', { conditions: { $nor: [{ $not: { title: 'a' } }, { pages: 1 }] } }],
    ['the opposite of a list', { conditions: { title: { $not: { $in: ['a'] } } } }],
    ['the opposite of presence', { conditions: { $not: { title: { $exists: true } } } }],
    ['the opposite of both', { conditions: { $not: { title: 'a', pages: 1 } } }],
    ['elements', { conditions: { tags: { $elemMatch: { $regex: '^a', $ne: 'ab' } } } }],
    ['parts of elements', { conditions: { parts: { $elemMatch: { x: 1, 'inner.x': { $in: ['a'] } } } } }],
    ['a pattern that both read alike', { conditions: { title: { $regex: '^[A-Za-z_]\\w*(-\\d{2,4}|)$' } } }],
    ['when about the principal that holds', { when: { 'principal.type': 'user' } }],
  ];
  for (const [what, rule] of said) {
    it(`but not ${what}`, () => assert.deepEqual(plainBy(rule).serverOnly, []));
  }
});

describe('a pattern in plain CASL', () => {
  const strange = [
    '😀',
    '😀😀',
    'é',
    'e\u0301',
    '\u00a0',
    '\ufeff',
    '\u2028',
    '\r',
    '\n',
    '\v',
    '\t',
    'ſ',
    'K',
    'a\n',
    'a\r\nb',
    '٣',
    '-',
    ']',
    'ab',
  ];
  const sources = [
    '^.$',
    '^.{2}$',
    '^\\s$',
    '^\\S$',
    '\\S',
    '^[^a]$',
    '^\\w+$',
    '^\\W$',
    '^\\d$',
    '^\\D$',
    'a$',
    '^a.',
    '\\bb',
    '^[\\w-]+$',
    '^[.]$',
    '^[^.]$',
    '^[a].$',
    '^[^b]\\s$',
    '^\\.$',
    '^[\\s]$',
    '^[^\\s]$',
    '^a\\sb$',
    '^a.+b$',
    '^(?:.|a)$',
    '^[😀]$',
    '^😀+$',
    '^é?$',
    '^[\\]]$',
    '^\\-$',
    '^a{2',
    '^]$',
  ];
  for (const source of sources) {
    it(`${source} matches what it matches in the gateway, whatever the title holds, or stays on the server`, () => {
      const ability = abilityBy([{ id: 'x', conditions: { title: { $regex: source } } }]);
      const plain = plainOf(ability);
      for (const title of strange) agree(ability, plain, { resource: { title } }, []);
    });
  }
});
