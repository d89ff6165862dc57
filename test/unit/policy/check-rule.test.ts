import assert from 'node:assert/strict';
import type { Problem } from '../../../src/errors.ts';
import { type CheckedRule, checkRule } from '../../../src/policy/check-rule.ts';
import { testsOf } from '../../../src/policy/condition.ts';
import type { Query, Rule } from '../../../src/policy/policy.ts';
import { ruleOf, sampleRoles, sampleTypes, typeOf } from './sample-policy.ts';

const extraTypes = [
  typeOf('bare', { attributes: {} }),
  typeOf('loose', { attributes: { id: { type: 'string' }, things: { type: 'array' } } }),
  typeOf('letter', { attributes: { id: { type: 'string' }, template: { type: 'string' } } }),
];
const vocabulary = {
  types: new Map([...sampleTypes, ...extraTypes].map((type) => [type.type, type])),
  roles: new Set(sampleRoles.map(({ key }) => key)),
};

function check(rule: Partial<Rule>): CheckedRule {
  return checkRule(ruleOf(rule), vocabulary);
}

/** `pointer code`, and `→ suggestion` where there is one. */
function brief({ pointer, code, suggestion }: Problem): string {
  return `${pointer} ${code}${suggestion ? ` → ${suggestion}` : ''}`;
}

function problemsOf(rule: Partial<Rule>): string[] {
  return check(rule).problems.map(brief);
}

type Refusal = [what: string, rule: Partial<Rule>, ...problems: string[]];

function refuses(refusals: Refusal[]): void {
  for (const [what, rule, ...problems] of refusals) {
    it(`refuses ${what}`, () => assert.deepEqual(problemsOf(rule), problems));
  }
}

function accepts(rules: [what: string, rule: Partial<Rule>][]): void {
  for (const [what, rule] of rules) {
    it(`accepts ${what}`, () => assert.deepEqual(problemsOf(rule), []));
  }
}

const where = (conditions: Query): Partial<Rule> => ({ conditions });
const when = (query: Query): Partial<Rule> => ({ when: query });

describe('checking who a rule is for', () => {
  refuses([
    ['a rule for nobody', { role: undefined }, '/role holder'],
    ['a rule for a role and a principal at once', { role: 'editor', principal: 'user:1' }, '/role holder'],
    ['an unknown role', { role: 'janitor' }, '/role unknown_role'],
    ['a misspelt role, with the right one', { role: 'editr' }, '/role unknown_role → editor'],
    ['a misspelt built-in role, with the right one', { role: 'anonymus' }, '/role unknown_role → anonymous'],
  ]);
  accepts([
    ['a role', { role: 'editor' }],
    ['everyone', { role: 'everyone' }],
    ['authenticated', { role: 'authenticated' }],
    ['anonymous', { role: 'anonymous' }],
    ['a principal', { principal: 'user:1' }],
  ]);

  it('lists the roles there are when none is close', () => {
    assert.match(
      check({ role: 'janitor' }).problems[0]?.message ?? '',
      /there are reader, editor, chief, auditor, everyone, authenticated, anonymous/,
    );
  });
});

describe('checking what a rule is about', () => {
  refuses([
    ['an unknown type', { subject: 'invoice' }, '/subject unknown_type'],
    ['a misspelt type, with the right one', { subject: 'documnet' }, '/subject unknown_type → document'],
    [
      'an unknown type in a list, pointing at it',
      { subject: ['document', 'ordr'] },
      '/subject/1 unknown_type → order',
    ],
    ['a misspelt "all"', { subject: 'al' }, '/subject unknown_type → all'],
    [
      'an unknown type without judging what is said about it',
      { subject: 'invoice', fields: ['total'], conditions: { total: null } },
      '/subject unknown_type',
    ],
    ['an unknown action', { action: 'fly' }, '/action unknown_action'],
    ['a misspelt action, with the right one', { action: 'publsih' }, '/action unknown_action → publish'],
    ['a misspelt "manage"', { action: 'mangae' }, '/action unknown_action → manage'],
    [
      'an unknown action in a list, pointing at it',
      { action: ['read', 'updat'] },
      '/action/1 unknown_action → update',
    ],
    [
      'an action that one of its types does not have',
      { subject: ['document', 'order'], action: 'publish' },
      '/action unknown_action',
    ],
    ['an action that no type has', { subject: 'all', action: 'fly' }, '/action unknown_action'],
    [
      'a misspelt action on all types, with the right one',
      { subject: 'all', action: 'publsih' },
      '/action unknown_action → publish',
    ],
    ['the name that objects inherit as a type', { subject: 'toString' }, '/subject unknown_type'],
  ]);
  accepts([
    ['every action of every type', { subject: 'all', action: 'manage' }],
    ['an action that some type has, on all types', { subject: 'all', action: 'publish' }],
    ['manage beside a type of its own', { subject: ['document', 'order'], action: ['manage'] }],
  ]);

  it('says of which type the action is missing', () => {
    const [problem] = check({ subject: ['document', 'order'], action: 'publish' }).problems;
    assert.match(problem?.message ?? '', /of order/);
  });
});

describe('checking the fields of a rule', () => {
  refuses([
    ['an unknown field', { fields: ['title', 'colour'] }, '/fields/1 unknown_field'],
    ['a misspelt field, with the right one', { fields: ['titel'] }, '/fields/0 unknown_field → title'],
    [
      'a field that only one of its types has',
      { subject: ['document', 'order'], fields: ['title'] },
      '/fields/0 unknown_field',
    ],
    ['a field below a plain value', { fields: ['title.length'] }, '/fields/0 unknown_field'],
    ['a field below a list of plain values', { fields: ['tags.length'] }, '/fields/0 unknown_field'],
    ['a pattern, which CASL would take for many fields', { fields: ['*'] }, '/fields/0 unsafe_path'],
    ['a deep pattern', { fields: ['meta.**'] }, '/fields/0 unsafe_path'],
    [
      'a field of a type where only id is common to all',
      { subject: 'all', fields: ['title'] },
      '/fields/0 unknown_field',
    ],
    ...[
      '__proto__',
      'constructor',
      'prototype',
      'toString',
      'meta.__proto__.isAdmin',
      'meta.constructor.prototype',
      '',
    ].map(
      (field): Refusal => [
        `the field "${field}": rulesToFields would write into prototypes`,
        { fields: [field] },
        '/fields/0 unsafe_path',
      ],
    ),
  ]);
  accepts([
    ['declared fields', { fields: ['title', 'meta', 'tags'] }],
    ['a field inside an object', { fields: ['meta.colour.hue'] }],
    ['a field inside a list of objects', { fields: ['parts.name'] }],
    ['the id on all types', { subject: 'all', fields: ['id'] }],
  ]);
});

describe('checking the paths of a condition', () => {
  refuses([
    ['an unknown attribute', where({ colour: 'red' }), '/conditions/colour unknown_attribute'],
    [
      'a misspelt attribute, with the right one',
      where({ owenrId: `$\{principal.id}` }),
      '/conditions/owenrId unknown_attribute → ownerId',
    ],
    [
      'an attribute that one of the types does not have',
      { subject: ['document', 'order'], conditions: { title: 'x' } },
      '/conditions/title unknown_attribute',
    ],
    [
      'an attribute of one type only on all types',
      { subject: 'all', conditions: { title: 'x' } },
      '/conditions/title unknown_attribute',
    ],
    [
      'a path below a plain value',
      where({ 'title.length': 3 }),
      '/conditions/title.length unknown_attribute',
    ],
    [
      'a path below a list of plain values',
      where({ 'tags.length': 3 }),
      '/conditions/tags.length unknown_attribute',
    ],
    [
      'an attribute in a group, pointing at it',
      where({ $or: [{ title: 'x' }, { $nor: [{ colour: 'red' }] }] }),
      '/conditions/$or/1/$nor/0/colour unknown_attribute',
    ],
    ...[
      'constructor',
      'prototype',
      'toString',
      'hasOwnProperty',
      'meta.__proto__.isAdmin',
      'meta.constructor.name',
      'a b',
      'meta.',
      '.meta',
      'meta..x',
      'meta[0]',
      '0',
      '',
    ].map(
      (path): Refusal => [
        `the path "${path}", which reaches what objects inherit or is none`,
        where({ [path]: 'x' }),
        `/conditions/${path} unsafe_path`,
      ],
    ),
    [
      'the own key __proto__ of a JSON body: it would be read from every object',
      where(JSON.parse('{"__proto__": {"$exists": true}}')),
      '/conditions/__proto__ unsafe_path',
    ],
    [
      'a path below elements that are plain values: it would never match, and a deny would never fire',
      where({ tags: { $elemMatch: { name: 'x' } } }),
      '/conditions/tags/$elemMatch/name unknown_attribute',
    ],
    ['a path with a slash, its pointer escaped', where({ 'a/b~c': 'x' }), '/conditions/a~1b~0c unsafe_path'],
    ...['__proto__.isAdmin', 'constructor.name', 'toString', ''].map(
      (path): Refusal => [
        `the path "${path}" inside $elemMatch, which a browser would follow into what its objects inherit`,
        where({ parts: { $elemMatch: { [path]: 'x', name: 'y' } } }),
        `/conditions/parts/$elemMatch/${path} unsafe_path`,
      ],
    ),
  ]);
  accepts([
    ['a path inside an object', where({ 'meta.colour.hue': 'x' })],
    ['a path inside a list of objects', where({ 'parts.name': 'x' })],
    ['a path inside a list of undeclared things', { subject: 'loose', conditions: { 'things.name': 'x' } }],
    [
      'a query about elements that are objects',
      where({ parts: { $elemMatch: { name: 'x', 'size.width': 3 } } }),
    ],
    ['an attribute whose name is "template"', { subject: 'letter', conditions: { template: 'welcome' } }],
    [
      'an element\'s attribute whose name is "template"',
      where({ parts: { $elemMatch: { template: 'welcome' } } }),
    ],
  ]);
});

describe('checking a rule about a type that declares no id', () => {
  accepts([
    ['a condition on the id', { subject: 'bare', conditions: { id: { $ne: 'x' } } }],
    ['the id as a field', { subject: 'bare', fields: ['id'] }],
  ]);
});

describe('checking the operators of a condition', () => {
  refuses([
    [
      'an unknown operator: taken for equality, its deny would never fire',
      where({ title: { $like: 'x' } }),
      '/conditions/title/$like unknown_operator → $lte',
    ],
    [
      'a misspelt operator, with the right one',
      where({ title: { $exsits: true } }),
      '/conditions/title/$exsits unknown_operator → $exists',
    ],
    ['a misspelt group', where({ $nro: [{ title: 'x' }] }), '/conditions/$nro unknown_operator → $nor'],
    ['$where, which runs code', where({ $where: 'true' }), '/conditions/$where unknown_operator'],
    [
      '$options, which would change a pattern',
      where({ title: { $regex: 'x', $options: 'i' } }),
      '/conditions/title/$options unknown_operator',
    ],
    [
      'a nested object for a value: it would compare nothing',
      where({ meta: { colour: 'red' } }),
      '/conditions/meta/colour unknown_operator',
    ],
    [
      'an operator among plain keys',
      where({ title: { $eq: 'x', y: 1 } }),
      '/conditions/title/y unknown_operator',
    ],
    ...['constructor', 'toString', '__proto__'].map(
      (name): Refusal => [
        `${name} for an operator: what objects inherit is none`,
        where({ title: Object.fromEntries([[name, 'x']]) }),
        `/conditions/title/${name} unknown_operator`,
      ],
    ),
    ['an operator where a path belongs', where({ $eq: 'x' }), '/conditions/$eq unknown_operator'],
    [
      '$cidr about a resource',
      where({ title: { $cidr: '10.0.0.0/8' } }),
      '/conditions/title/$cidr unknown_operator',
    ],
    [
      'an empty object of operators: it would match everything',
      where({ title: {} }),
      '/conditions/title type',
    ],
    ['an empty $not', where({ title: { $not: {} } }), '/conditions/title/$not type'],
    ['$not of a value', where({ title: { $not: 'x' } }), '/conditions/title/$not type'],
    [
      'an unknown operator under $not',
      where({ title: { $not: { $like: 'x' } } }),
      '/conditions/title/$not/$like unknown_operator → $lte',
    ],
    ...['$and', '$or', '$nor'].flatMap((group): Refusal[] => [
      [`${group} of nothing`, where({ [group]: [] }), `/conditions/${group} type`],
      [
        `${group} of a single query without a list`,
        where({ [group]: { title: 'x' } }),
        `/conditions/${group} type`,
      ],
      [`${group} of a text`, where({ [group]: ['x'] }), `/conditions/${group}/0 type`],
      [
        `${group} as an operator of a path`,
        where({ title: { [group]: [{ $eq: 'x' }] } }),
        `/conditions/title/${group} unknown_operator${group === '$nor' ? ' → $not' : ''}`,
      ],
    ]),
    ['$not of a list', where({ $not: [{ title: 'x' }] }), '/conditions/$not type'],
    ['order on a truth value', where({ isPinned: { $lt: true } }), '/conditions/isPinned/$lt operator_unfit'],
    [
      'order on a UUID',
      where({ ownerId: { $gte: '3f2b8c1e-0000-4000-8000-00000000000a' } }),
      '/conditions/ownerId/$gte operator_unfit',
    ],
    ['order on an object', where({ meta: { $gt: 1 } }), '/conditions/meta/$gt operator_unfit'],
    ['$lte on a UUID', where({ ownerId: { $lte: 'x' } }), '/conditions/ownerId/$lte operator_unfit'],
    ['$all on a single value', where({ title: { $all: ['x'] } }), '/conditions/title/$all operator_unfit'],
    ['$size on a single value', where({ title: { $size: 1 } }), '/conditions/title/$size operator_unfit'],
    [
      '$elemMatch on a single value',
      where({ title: { $elemMatch: { $eq: 'x' } } }),
      '/conditions/title/$elemMatch operator_unfit',
    ],
    ['$regex on a number', where({ pages: { $regex: '1' } }), '/conditions/pages/$regex operator_unfit'],
    [
      '$regex on a list of numbers',
      where({ scores: { $regex: '1' } }),
      '/conditions/scores/$regex operator_unfit',
    ],
    [
      '$cidr on a number',
      when({ 'principal.level': { $cidr: '10.0.0.0/8' } }),
      '/when/principal.level/$cidr operator_unfit',
    ],
    ['$elemMatch of a value', where({ tags: { $elemMatch: 'x' } }), '/conditions/tags/$elemMatch type'],
    ['$elemMatch of nothing', where({ tags: { $elemMatch: {} } }), '/conditions/tags/$elemMatch type'],
    [
      'an unknown operator on elements',
      where({ tags: { $elemMatch: { $like: 'x' } } }),
      '/conditions/tags/$elemMatch/$like unknown_operator → $lte',
    ],
    [
      'an operator beside a path in $elemMatch',
      where({ parts: { $elemMatch: { $eq: 'x', name: 'y' } } }),
      '/conditions/parts/$elemMatch/$eq unknown_operator',
    ],
    [
      '$cidr on elements of a resource',
      where({ tags: { $elemMatch: { $cidr: '10.0.0.0/8' } } }),
      '/conditions/tags/$elemMatch/$cidr unknown_operator',
    ],
  ]);

  it('lists the operators there are when none is close, and $cidr only where it may stand', () => {
    assert.doesNotMatch(check(where({ title: { $soundsLike: 'x' } })).problems[0]?.message ?? '', /\$cidr/);
    assert.match(check(when({ 'context.ip': { $soundsLike: 'x' } })).problems[0]?.message ?? '', /\$cidr/);
  });

  accepts([
    [
      'every operator on what it is for',
      where({
        title: {
          $eq: 'x',
          $ne: 'y',
          $in: ['x'],
          $nin: ['y'],
          $exists: true,
          $regex: '^x',
          $not: { $eq: 'z' },
        },
        pages: { $lt: 3, $lte: 3, $gt: 1, $gte: 1 },
        publishedAt: { $lt: '2026-01-01' },
        tags: { $all: ['a', 'b'], $size: 2, $elemMatch: { $regex: '^a' } },
        scores: { $gt: 3 },
        $and: [{ title: 'x' }],
        $or: [{ title: 'x' }],
        $nor: [{ title: 'x' }],
        $not: { title: 'x' },
      }),
    ],
    ['$exists on what has no other operator', where({ meta: { $exists: false } })],
    [
      '$cidr in when, one network or several',
      when({ 'context.ip': { $cidr: '10.0.0.0/8' }, $not: { 'context.ip': { $cidr: ['2001:db8::/32'] } } }),
    ],
    [
      'any operator on what is not declared in detail',
      where({ 'meta.n': { $lt: 3, $regex: 'x', $size: 1 } }),
    ],
    ['a condition that asks for nothing', where({})],
  ]);
});

describe('checking the values of a condition', () => {
  const null_ = ['$eq', '$ne', '$lt', '$lte', '$gt', '$gte'].map(
    (operator): Refusal => [
      `null for ${operator}: CASL's null matches what is absent`,
      where({ title: { [operator]: null } }),
      `/conditions/title/${operator} value`,
    ],
  );
  refuses([
    [
      'a bare null: it would match every resource without an owner',
      where({ ownerId: null }),
      '/conditions/ownerId value',
    ],
    ...null_,
    ['null in a list', where({ title: { $in: ['x', null] } }), '/conditions/title/$in/1 value'],
    ['null in $all', where({ tags: { $all: [null] } }), '/conditions/tags/$all/0 value'],
    [
      'null on elements',
      where({ tags: { $elemMatch: { $eq: null } } }),
      '/conditions/tags/$elemMatch/$eq value',
    ],
    ['null where nothing is declared', where({ 'meta.x': null }), '/conditions/meta.x value'],
    ['null in when', when({ 'context.ip': null }), '/when/context.ip value'],
    ['a number for a string', where({ title: 3 }), '/conditions/title value'],
    ['a string for a number', where({ rating: '3' }), '/conditions/rating value'],
    ['a fraction for an integer', where({ pages: { $gt: 0.5 } }), '/conditions/pages/$gt value'],
    [
      'an infinite number',
      where({ rating: { $lt: Number.POSITIVE_INFINITY } }),
      '/conditions/rating/$lt value',
    ],
    [
      'a string for a truth value: "false" is not false',
      where({ isPinned: 'false' }),
      '/conditions/isPinned value',
    ],
    ['a value outside the enum', where({ status: 'drafted' }), '/conditions/status value'],
    [
      'a value outside the enum in a list',
      where({ status: { $in: ['draft', 'gone'] } }),
      '/conditions/status/$in/1 value',
    ],
    ['what is no UUID', where({ ownerId: 'alice' }), '/conditions/ownerId value'],
    ['what is no date', where({ publishedAt: { $lt: 'yesterday' } }), '/conditions/publishedAt/$lt value'],
    [
      'a number for a date',
      where({ publishedAt: { $lt: 1_700_000_000 } }),
      '/conditions/publishedAt/$lt value',
    ],
    ['a month that does not exist', where({ publishedAt: '2026-13-01' }), '/conditions/publishedAt value'],
    ['a day that does not exist', where({ publishedAt: '2026-02-30' }), '/conditions/publishedAt value'],
    ['an element of the wrong type', where({ tags: 7 }), '/conditions/tags value'],
    [
      'an element of the wrong type in $all',
      where({ scores: { $all: [1, 'x'] } }),
      '/conditions/scores/$all/1 value',
    ],
    [
      'an element of the wrong type in $elemMatch',
      where({ scores: { $elemMatch: { $gt: 'x' } } }),
      '/conditions/scores/$elemMatch/$gt value',
    ],
    ['an object compared as a whole', where({ meta: { $eq: { a: 1 } } }), '/conditions/meta/$eq value'],
    ['an object compared with a text', where({ meta: 'x' }), '/conditions/meta value'],
    ['a list for a single value', where({ title: ['x'] }), '/conditions/title value'],
    [
      'a list for a single value where nothing is declared',
      where({ 'meta.x': ['x'] }),
      '/conditions/meta.x value',
    ],
    [
      'an object for a value where nothing is declared: it would equal nothing, and a deny would never fire',
      where({ 'meta.x': { $ne: { a: 1 } } }),
      '/conditions/meta.x/$ne value',
    ],
    [
      'a list in a list where nothing is declared',
      where({ 'meta.x': { $nin: [['x']] } }),
      '/conditions/meta.x/$nin/0 value',
    ],
    ['a list of lists', where({ title: { $in: [['x']] } }), '/conditions/title/$in/0 value'],
    [
      'a single value for a list: "x" must not be taken apart',
      where({ title: { $in: 'x' } }),
      '/conditions/title/$in type',
    ],
    ['a single value for $nin', where({ title: { $nin: 'x' } }), '/conditions/title/$nin type'],
    ['a single value for $all', where({ tags: { $all: 'x' } }), '/conditions/tags/$all type'],
    [
      'an $exists that is neither true nor false',
      where({ title: { $exists: 'false' } }),
      '/conditions/title/$exists value',
    ],
    ['an $exists of 0', where({ title: { $exists: 0 } }), '/conditions/title/$exists value'],
    ['a negative $size', where({ tags: { $size: -1 } }), '/conditions/tags/$size value'],
    ['a fractional $size', where({ tags: { $size: 1.5 } }), '/conditions/tags/$size value'],
    ['a list of 1001', where({ title: { $in: Array(1001).fill('x') } }), '/conditions/title/$in too_long'],
    [
      'a template object in a list',
      where({ title: { $in: [{ template: 'id' }] } }),
      '/conditions/title/$in/0 value',
    ],
    ['a network that is none', when({ 'context.ip': { $cidr: '10.0.0.0' } }), '/when/context.ip/$cidr value'],
    [
      'a network with too many bits',
      when({ 'context.ip': { $cidr: '10.0.0.0/33' } }),
      '/when/context.ip/$cidr value',
    ],
    ['no network at all', when({ 'context.ip': { $cidr: [] } }), '/when/context.ip/$cidr value'],
    [
      'a list with one wrong network',
      when({ 'context.ip': { $cidr: ['10.0.0.0/8', 'office'] } }),
      '/when/context.ip/$cidr value',
    ],
    [
      'a network cut short: 10/8 would be read as 0.0.0.10/8',
      when({ 'context.ip': { $cidr: '10/8' } }),
      '/when/context.ip/$cidr value',
    ],
    [
      'a network in octal: 010.0.0.0/8 would be read as 8.0.0.0/8',
      when({ 'context.ip': { $cidr: '010.0.0.0/8' } }),
      '/when/context.ip/$cidr value',
    ],
    ['a context fact of the wrong type', when({ 'context.mfa': 'yes' }), '/when/context.mfa value'],
    ['an action name that is no string', when({ 'action.name': 7 }), '/when/action.name value'],
    ['text for conditions', { conditions: 'x' as unknown as Query }, '/conditions type'],
    ['a list for when', { when: [] as unknown as Query }, '/when type'],
  ]);
  accepts([
    ['a list of 1000', where({ title: { $in: Array(1000).fill('x') } })],
    ['a whole number for a number', where({ rating: 3 })],
    ['a list without anything in it', where({ title: { $in: [] } })],
    [
      'a date alone, with time, and at an offset',
      where({ publishedAt: { $in: ['2026-01-31', '2026-01-31T12:00:00Z', '2026-01-31T14:00:00+02:00'] } }),
    ],
    ['a UUID in capitals', where({ ownerId: '3F2B8C1E-0000-4000-8000-00000000000A' })],
    [
      'values of any kind where nothing is declared',
      { subject: 'loose', conditions: { things: { $in: ['x', 1, true] } } },
    ],
  ]);

  it('reads dates at any offset and UUIDs in any case into one form', () => {
    const { condition } = check(
      where({ ownerId: '3F2B8C1E-0000-4000-8000-00000000000A', publishedAt: '2026-01-31T14:00:00+02:00' }),
    );
    assert.deepEqual(
      [...testsOf(condition)].map(({ value }) => value),
      ['3f2b8c1e-0000-4000-8000-00000000000a', '2026-01-31T12:00:00.000Z'],
    );
  });

  it('refuses an object that pretends to be a template already read', () => {
    assert.equal(problemsOf(where({ title: { template: 'id' } })).length, 1);
  });

  it('says what the value must be', () => {
    const message = (conditions: Query) => check(where(conditions)).problems[0]?.message ?? '';
    assert.match(message({ status: 'drafted' }), /one of "draft", "review", "published"/);
    assert.match(message({ pages: 'x' }), /an integer/);
    assert.match(message({ ownerId: null }), /\{"\$exists": false\}/);
  });
});

describe('checking patterns', () => {
  refuses([
    [
      'a pattern of 201 characters',
      where({ title: { $regex: 'a'.repeat(201) } }),
      '/conditions/title/$regex value',
    ],
    [
      'a back-reference, which no linear-time engine has',
      where({ title: { $regex: '(a)\\1' } }),
      '/conditions/title/$regex value',
    ],
    [
      'a named back-reference',
      where({ title: { $regex: '(?<x>a)\\k<x>' } }),
      '/conditions/title/$regex value',
    ],
    ['look-ahead', where({ title: { $regex: 'a(?=b)' } }), '/conditions/title/$regex value'],
    ['negative look-ahead', where({ title: { $regex: '^(?!admin)' } }), '/conditions/title/$regex value'],
    ['look-behind', where({ title: { $regex: '(?<=a)b' } }), '/conditions/title/$regex value'],
    ['a pattern that does not close', where({ title: { $regex: '(a' } }), '/conditions/title/$regex value'],
    [
      'repetition that multiplies into a giant',
      where({ title: { $regex: '((a{100}){100}){100}' } }),
      '/conditions/title/$regex value',
    ],
    ['a pattern that is no string', where({ title: { $regex: 7 } }), '/conditions/title/$regex value'],
    ['a RegExp object', where({ title: { $regex: /x/ } }), '/conditions/title/$regex value'],
    [
      'a template inside a pattern: it would silently never match, and a deny would never fire',
      where({ title: { $regex: `^$\{principal.department}` } }),
      '/conditions/title/$regex template',
    ],
  ]);
  accepts([
    ['a pattern of 200 characters', where({ title: { $regex: 'a'.repeat(200) } })],
    ['the pattern that makes a backtracking engine run for ever', where({ title: { $regex: '^(a+)+$' } })],
    ['flags', where({ title: { $regex: '(?i)^draft' } })],
    ['a pattern on elements', where({ tags: { $regex: '^a' } })],
  ]);
});

describe('checking templates', () => {
  const templates: [what: string, template: string][] = [
    ['that no principal attribute can fill', `$\{principal.colour}`],
    ['into what objects inherit', `$\{principal.__proto__}`],
    ['to a constructor', `$\{principal.constructor.name}`],
    ['below a plain value', `$\{principal.department.name}`],
    ['with text around it', `user-$\{principal.id}`],
    ['beside another', `$\{principal.department}$\{principal.department}`],
    ['for something else than the principal', `$\{context.ip}`],
    ['for the resource', `$\{resource.title}`],
    ['that does not close', `$\{principal.id`],
    ['with spaces', `$\{ principal.id }`],
  ];
  refuses([
    ...templates.map(
      ([what, template]): Refusal => [
        `a template ${what}`,
        where({ title: template }),
        `/conditions/title template`,
      ],
    ),
    [
      'a misspelt template, with the right one',
      where({ title: `$\{principal.departmnet}` }),
      '/conditions/title template → department',
    ],
    [
      'a list for a single value',
      where({ department: `$\{principal.teams}` }),
      '/conditions/department template',
    ],
    [
      'a single value for a list',
      where({ department: { $in: `$\{principal.department}` } }),
      '/conditions/department/$in template',
    ],
    [
      'a list inside a list',
      where({ department: { $in: ['x', `$\{principal.teams}`] } }),
      '/conditions/department/$in/1 template',
    ],
    [
      'any string for a UUID: a column of UUIDs can be asked for nothing else',
      where({ ownerId: `$\{principal.department}` }),
      '/conditions/ownerId template',
    ],
    [
      'a list of any strings for UUIDs',
      where({ reviewers: { $in: `$\{principal.teams}` } }),
      '/conditions/reviewers/$in template',
    ],
    [
      'a string for a number',
      where({ pages: { $lt: `$\{principal.department}` } }),
      '/conditions/pages/$lt template',
    ],
    ['a number for a string', where({ title: `$\{principal.level}` }), '/conditions/title template'],
    ['a date for a string', where({ title: `$\{principal.hiredAt}` }), '/conditions/title template'],
    ['a truth value for a string', where({ title: `$\{principal.isTrusted}` }), '/conditions/title template'],
    [
      'a template for $size',
      where({ tags: { $size: `$\{principal.level}` } }),
      '/conditions/tags/$size template',
    ],
    [
      'a template for $exists',
      where({ title: { $exists: `$\{principal.isTrusted}` } }),
      '/conditions/title/$exists template',
    ],
    [
      'a template for $cidr',
      when({ 'context.ip': { $cidr: `$\{principal.department}` } }),
      '/when/context.ip/$cidr template',
    ],
    [
      'an unresolvable template in a list',
      where({ title: { $in: ['x', `$\{principal.colour}`] } }),
      '/conditions/title/$in/1 template',
    ],
    [
      'an unresolvable template under $nor',
      where({ $nor: [{ title: `$\{principal.colour}` }] }),
      '/conditions/$nor/0/title template',
    ],
    [
      'an unresolvable template on elements',
      where({ tags: { $elemMatch: { $eq: `$\{principal.colour}` } } }),
      '/conditions/tags/$elemMatch/$eq template',
    ],
  ]);
  accepts([
    [
      'UUIDs for UUIDs, and the id of the principal',
      where({
        ownerId: { $in: `$\{principal.deputies}`, $ne: `$\{principal.id}` },
        reviewers: `$\{principal.managerId}`,
      }),
    ],
    ['an attribute of the same type', where({ department: `$\{principal.department}` })],
    [
      'the facts every principal has',
      where({ ownerId: `$\{principal.id}`, $or: [{ title: `$\{principal.type}` }] }),
    ],
    ['a list where a list is wanted', where({ department: { $in: `$\{principal.teams}` } })],
    ['the roles of the principal', where({ department: { $nin: `$\{principal.roles}` } })],
    ['single values inside a list', where({ department: { $in: ['x', `$\{principal.department}`] } })],
    ['an integer for a number', where({ rating: { $lte: `$\{principal.level}` } })],
    ['a date for a date', where({ publishedAt: { $gt: `$\{principal.hiredAt}` } })],
    ['a template on elements', where({ reviewers: `$\{principal.managerId}` })],
    ['a list for $all', where({ tags: { $all: `$\{principal.teams}` } })],
    ['what is not declared in detail', where({ title: `$\{principal.profile.nick}` })],
    ['a template in when', when({ 'context.tenant': `$\{principal.department}` })],
  ]);
});

describe('checking when', () => {
  refuses([
    ['a path that begins with none of the three', when({ ip: '1.2.3.4' }), '/when/ip unknown_path'],
    ['a path of the resource', when({ 'resource.title': 'x' }), '/when/resource.title unknown_path'],
    ['a bare root', when({ context: { $exists: true } }), '/when/context unknown_path'],
    ['a bare action', when({ action: 'read' }), '/when/action unknown_path'],
    ['a bare principal', when({ principal: { $exists: true } }), '/when/principal unknown_path'],
    [
      'an unknown attribute of the principal',
      when({ 'principal.colour': 'x' }),
      '/when/principal.colour unknown_attribute',
    ],
    [
      'a misspelt attribute of the principal',
      when({ 'principal.departmnet': 'x' }),
      '/when/principal.departmnet unknown_attribute → department',
    ],
    [
      'a misspelt fact of the context',
      when({ 'context.tiem': '2026-01-01' }),
      '/when/context.tiem unknown_attribute → time',
    ],
    [
      'a misspelt fact of the action',
      when({ 'action.nmae': 'read' }),
      '/when/action.nmae unknown_attribute → name',
    ],
    ['an unsafe path', when({ 'context.__proto__.mfa': true }), '/when/context.__proto__.mfa unsafe_path'],
    ['an unsafe root', when({ '__proto__.mfa': true }), '/when/__proto__.mfa unsafe_path'],
  ]);
  accepts([
    [
      'facts of the principal, the action and the context',
      when({
        'principal.department': 'editorial',
        'principal.roles': { $in: ['editor'] },
        'principal.profile.level': { $gt: 3 },
        'principal.grants': { $elemMatch: { scope: 'x' } },
        'action.name': { $ne: 'read' },
        'action.soft': true,
        'context.mfa': true,
        'context.time': { $lt: '2026-01-01' },
      }),
    ],
    ['facts of the context that whoever asks may give', when({ 'context.tenant': 'acme' })],
  ]);
});

describe('checking the window of a rule', () => {
  const at = (validFrom: string | null, validUntil: string | null) => ({ validFrom, validUntil });
  refuses([
    ['an end before the beginning', at('2026-02-01', '2026-01-01'), '/validUntil window'],
    [
      'an end at the beginning: the rule would never be there',
      at('2026-02-01', '2026-02-01T00:00:00Z'),
      '/validUntil window',
    ],
    [
      'an end before the beginning only once offsets are counted',
      at('2026-02-01T12:00:00Z', '2026-02-01T13:00:00+02:00'),
      '/validUntil window',
    ],
  ]);
  accepts([
    ['a window', at('2026-01-01', '2026-02-01')],
    ['an open end', at('2026-01-01', null)],
    ['an open beginning', at(null, '2026-01-01')],
  ]);
});

describe('checking a rule as a whole', () => {
  it('says everything that is wrong at once, each with its own pointer', () => {
    const problems = checkRule(
      ruleOf({
        role: 'editr',
        action: ['raed'],
        subject: 'document',
        fields: ['titel'],
        conditions: {
          titel: 'x',
          status: { $in: ['gone', 'lost'] },
          ownerId: null,
          pages: { $lik: 1, $gt: 'x' },
        },
        when: { 'context.ip': { $cidr: 'x' }, 'principal.colour': 1 },
        validFrom: '2026-02-01',
        validUntil: '2026-01-01',
      }),
      vocabulary,
      '/rules/7',
    ).problems.map(brief);
    assert.deepEqual(problems, [
      '/rules/7/role unknown_role → editor',
      '/rules/7/action/0 unknown_action → read',
      '/rules/7/validUntil window',
      '/rules/7/fields/0 unknown_field → title',
      '/rules/7/conditions/titel unknown_attribute → title',
      '/rules/7/conditions/status/$in/0 value',
      '/rules/7/conditions/status/$in/1 value',
      '/rules/7/conditions/ownerId value',
      '/rules/7/conditions/pages/$lik unknown_operator',
      '/rules/7/conditions/pages/$gt value',
      '/rules/7/when/context.ip/$cidr value',
      '/rules/7/when/principal.colour unknown_attribute',
    ]);
  });

  it('says what is wrong for each of its types, and the same thing only once', () => {
    assert.deepEqual(
      problemsOf({
        subject: ['document', 'order'],
        conditions: { title: 'x', amount: 3, colour: 'red' },
      }).sort(),
      [
        '/conditions/amount unknown_attribute',
        '/conditions/colour unknown_attribute',
        '/conditions/title unknown_attribute',
      ],
    );
  });

  it('refuses a condition that means different things for its types', () => {
    assert.deepEqual(
      problemsOf({ subject: ['document', 'order'], conditions: { publishedAt: '2026-01-01' } }),
      ['/conditions ambiguous'],
    );
    assert.deepEqual(problemsOf({ subject: ['document', 'order'], conditions: { id: 'x' } }), []);
  });

  for (const [what, nest] of [
    ['groups', (inner: Query): Query => ({ $and: [inner] })],
    ['negations', (inner: Query): Query => ({ $not: inner })],
    ['elements', (inner: Query): Query => ({ parts: { $elemMatch: inner } })],
  ] as const) {
    it(`refuses ${what} nested deeper than 12: a rule must not exhaust the stack`, () => {
      const nested = (depth: number): Query => (depth === 0 ? { title: 'x' } : nest(nested(depth - 1)));
      assert.deepEqual(problemsOf(where(nested(12))), []);
      assert.deepEqual(
        check(where(nested(20))).problems.map(({ code }) => code),
        ['too_deep'],
      );
      assert.deepEqual(
        check(where(nested(5000))).problems.map(({ code }) => code),
        ['too_deep'],
      );
    });
  }

  for (const operator of ['$not', '$elemMatch']) {
    it(`refuses ${operator} in ${operator} deeper than 12`, () => {
      const codesOf = (depth: number) => {
        let query: Query = { $eq: 'x' };
        for (let level = 0; level < depth; level++) query = { [operator]: query };
        return check(where({ 'meta.list': query })).problems.map(({ code }) => code);
      };
      assert.deepEqual(codesOf(12), []);
      assert.deepEqual(codesOf(13), ['too_deep']);
      assert.deepEqual(codesOf(5000), ['too_deep']);
    });
  }

  it('does not change the rule', () => {
    const conditions = Object.freeze({ status: Object.freeze({ $in: Object.freeze(['draft']) }) });
    assert.deepEqual(problemsOf({ conditions }), []);
  });
});
