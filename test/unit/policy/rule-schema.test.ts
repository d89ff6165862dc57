import assert from 'node:assert/strict';
import {
  policySchema,
  shapeCase,
  shapeResourceType,
  shapeRole,
  shapeRule,
} from '../../../src/policy/rule-schema.ts';
import { shape } from '../../../src/policy/shape.ts';

const least = { role: 'editor', action: 'read', subject: 'document' };

function pointersAndCodes(input: unknown): string[] {
  return shapeRule(input)
    .problems.map(({ pointer, code }) => `${pointer} ${code}`)
    .sort();
}

describe('the shape of a rule', () => {
  it('fills in what may be left out', () => {
    assert.deepEqual(shapeRule(least), {
      value: { ...least, inverted: false, priority: 0, enabled: true, validFrom: null, validUntil: null },
      problems: [],
    });
  });

  it('takes null for left out, so that a row and a file give the same rule', () => {
    const nulls = { principal: null, fields: null, conditions: null, when: null, reason: null };
    assert.deepEqual(shapeRule({ ...least, ...nulls }), shapeRule(least));
  });

  it('keeps all that a rule may say', () => {
    const whole = {
      id: 'editors-change-their-drafts',
      principal: 'user:42',
      action: ['update', 'publish'],
      subject: ['document', 'order'],
      fields: ['title', 'meta.colour'],
      conditions: { status: { $in: ['draft'] } },
      when: { 'principal.department': 'editorial' },
      inverted: true,
      reason: 'Only the owner edits a draft',
      priority: -5,
      enabled: false,
      validFrom: '2026-01-01T00:00:00.000Z',
      validUntil: '2026-02-01T00:00:00.000Z',
    };
    assert.deepEqual(shapeRule(whole), { value: whole, problems: [] });
  });

  const refused: [string, Record<string, unknown>, string][] = [
    ['no action', { action: undefined }, '/action shape'],
    ['no subject', { subject: undefined }, '/subject shape'],
    ['no action in the list', { action: [] }, '/action shape'],
    ['no field in the list', { fields: [] }, '/fields shape'],
    ['a field that is no name', { fields: [1] }, '/fields/0 shape'],
    ['an id that is no slug', { id: 'Editors Change' }, '/id shape'],
    ['an id of 101 characters', { id: 'a'.repeat(101) }, '/id shape'],
    ['a role that is no slug', { role: 'Editors!' }, '/role shape'],
    ['a principal without a type', { role: undefined, principal: '42' }, '/principal shape'],
    ['a principal without an id', { role: undefined, principal: 'user:' }, '/principal shape'],
    ['a principal with two ids', { role: undefined, principal: 'user:4:2' }, '/principal shape'],
    ['a list for conditions', { conditions: [] }, '/conditions shape'],
    ['a text for when', { when: 'always' }, '/when shape'],
    ['a fractional priority', { priority: 0.5 }, '/priority shape'],
    ['a priority out of range', { priority: 1_000_001 }, '/priority shape'],
    ['a reason of 501 characters', { reason: 'r'.repeat(501) }, '/reason shape'],
    ['a date that is none', { validFrom: 'tomorrow' }, '/validFrom shape'],
    ['a week for an instant, which has no one beginning', { validUntil: '2026-W10' }, '/validUntil shape'],
    ['text where a truth value is wanted: "false" would be true', { inverted: 'false' }, '/inverted shape'],
    ['text where a number is wanted', { priority: '1' }, '/priority shape'],
    ['text for enabled', { enabled: 'no' }, '/enabled shape'],
  ];
  for (const [what, change, problem] of refused) {
    it(`refuses ${what}`, () => {
      assert.deepEqual(pointersAndCodes({ ...least, ...change }), [problem]);
    });
  }

  it('refuses a key it does not know and names the one that was meant: a misspelt "invertd" must not become an allow', () => {
    const { problems } = shapeRule({ ...least, invertd: true }, '/rules/3');
    assert.deepEqual(problems, [
      {
        pointer: '/rules/3/invertd',
        code: 'unknown_key',
        message: 'is not a key here; did you mean "inverted"?',
        suggestion: 'inverted',
      },
    ]);
  });

  it('lists the keys there are when none is close', () => {
    const [problem] = shapeRule({ ...least, colour: 'red' }).problems;
    assert.equal(problem?.suggestion, undefined);
    assert.match(problem?.message ?? '', /role, principal, action, subject/);
  });

  it('escapes the pointer to a key as RFC 6901 wants', () => {
    assert.deepEqual(pointersAndCodes({ ...least, 'a/b~c': 1 }), ['/a~1b~0c unknown_key']);
  });

  it('says everything that is wrong at once', () => {
    assert.deepEqual(pointersAndCodes({ id: 'A B', action: 7, priority: 'high', extra: 1 }), [
      '/action shape',
      '/extra unknown_key',
      '/id shape',
      '/priority shape',
      '/subject shape',
    ]);
  });

  for (const nothing of [null, undefined, 'rule', 7, []]) {
    it(`refuses ${JSON.stringify(nothing)} as a rule`, () => {
      const { problems } = shapeRule(nothing, '/rules/0');
      assert.deepEqual(
        problems.map(({ pointer, code }) => `${pointer} ${code}`),
        ['/rules/0 shape'],
      );
    });
  }

  it('leaves an own key __proto__ in a condition for the rule check to refuse: dropped, the rule would match everything', () => {
    const { value } = shapeRule(JSON.parse(`{"conditions":{"__proto__":{"ownerId":"x"}}}`));
    assert.deepEqual(Object.keys(value.conditions ?? {}), ['__proto__']);
  });

  it('does not change what it was given', () => {
    const given = Object.freeze({ ...least, reason: null, action: Object.freeze(['read']) });
    shapeRule(given);
    assert.deepEqual(given, { ...least, reason: null, action: ['read'] });
  });

  it('writes instants in one form, so that importing the same file twice changes nothing', () => {
    const { value } = shapeRule({
      ...least,
      validFrom: '2026-01-01T00:00:00+02:00',
      validUntil: '2026-02-01',
    });
    assert.equal(value.validFrom, '2025-12-31T22:00:00.000Z');
    assert.equal(value.validUntil, '2026-02-01T00:00:00.000Z');
  });
});

describe('the shape of a role', () => {
  it('is named by its key unless it says otherwise, and inherits nothing', () => {
    assert.deepEqual(shapeRole({ key: 'editor' }), {
      value: { key: 'editor', name: 'editor', description: '', inherits: [] },
      problems: [],
    });
  });

  it('may have a key of one letter', () => assert.deepEqual(shapeRole({ key: 'a' }).problems, []));

  it('refuses a key that is no slug, a parent named twice and an unknown key, each with its pointer', () => {
    const { problems } = shapeRole({ key: 'Editor', inherits: ['a', 'a'], inherit: [] }, '/roles/1');
    assert.deepEqual(problems.map(({ pointer, code }) => `${pointer} ${code}`).sort(), [
      '/roles/1/inherit unknown_key',
      '/roles/1/inherits/1 shape',
      '/roles/1/key shape',
    ]);
  });
});

describe('the shape of a resource type', () => {
  it('has the default evaluator and no table unless it says otherwise', () => {
    assert.deepEqual(shapeResourceType({ type: 'report', attributes: { pages: { type: 'integer' } } }), {
      value: {
        type: 'report',
        description: '',
        actions: [],
        attributes: { pages: { type: 'integer' } },
        source: null,
        evaluator: 'casl',
      },
      problems: [],
    });
  });

  const refused: [string, Record<string, unknown>, string][] = [
    ['a type name in capitals', { type: 'Report' }, '/type shape'],
    ['an action that is no slug', { actions: ['read it'] }, '/actions/0 shape'],
    ['an action named twice', { actions: ['read', 'read'] }, '/actions/1 shape'],
    [
      'an attribute of an unknown type',
      { attributes: { pages: { type: 'int' } } },
      '/attributes/pages/type shape',
    ],
    ['an attribute without a type', { attributes: { pages: {} } }, '/attributes/pages/type shape'],
    [
      'an empty enum',
      { attributes: { status: { type: 'string', enum: [] } } },
      '/attributes/status/enum shape',
    ],
    ['a table name that could carry SQL', { source: 'documents; DROP TABLE accounts' }, '/source shape'],
  ];
  for (const [what, change, problem] of refused) {
    it(`refuses ${what}`, () => {
      const { problems } = shapeResourceType({ type: 'report', ...change });
      assert.deepEqual(
        problems.map(({ pointer, code }) => `${pointer} ${code}`),
        [problem],
      );
    });
  }
});

describe('the shape of a policy document', () => {
  it('says which version it is of', () => {
    assert.deepEqual(
      shape(policySchema, {}, '').problems.map(({ pointer }) => pointer),
      ['/version'],
    );
    assert.deepEqual(shape(policySchema, { version: 2 }, '').problems[0]?.pointer, '/version');
    assert.deepEqual(shape(policySchema, { version: 1 }, '').problems, []);
  });

  it('points into the document, however deep', () => {
    const { problems } = shape(policySchema, { version: 1, rules: [least, { ...least, fields: [''] }] }, '');
    assert.deepEqual(
      problems.map(({ pointer }) => pointer),
      ['/rules/1/fields/0'],
    );
  });

  it('names the key that was meant among those of that place, however deep', () => {
    const meant = (document: object) =>
      shape(policySchema, { version: 1, ...document }, '').problems.map(
        ({ pointer, code, suggestion }) => `${pointer} ${code} → ${suggestion}`,
      );
    assert.deepEqual(meant({ rules: [least, { ...least, invertd: true }] }), [
      '/rules/1/invertd unknown_key → inverted',
    ]);
    assert.deepEqual(meant({ roles: [{ key: 'editor', inherit: [] }] }), [
      '/roles/0/inherit unknown_key → inherits',
    ]);
    assert.deepEqual(
      meant({ resourceTypes: [{ type: 'a', attributes: { tags: { type: 'array', item: 'string' } } }] }),
      ['/resourceTypes/0/attributes/tags/item unknown_key → items'],
    );
    assert.deepEqual(meant({ rule: [] }), ['/rule unknown_key → rules']);
  });

  it('names the keys of a case as it is written: of one question, of a matrix, of what stands in them', () => {
    const one = { principal: 'anonymous', action: 'read', resource: { type: 'user' }, expect: 'deny' };
    const matrix = {
      principals: { nobody: 'anonymous' },
      resources: { any: { type: 'user' } },
      actions: ['read'],
      allow: {},
    };
    const told = (input: object) =>
      shapeCase(input, '/cases/0').problems.map(({ pointer, message }) => `${pointer} ${message}`);
    assert.deepEqual(told({ ...one, expcet: 'deny' }), [
      '/cases/0/expcet is not a key here; did you mean "expect"?',
    ]);
    assert.deepEqual(told({ ...one, allow: {} }), [
      '/cases/0/allow is not a key here; there are principal, action, resource, id, name, at, context, expect, rule, fields',
    ]);
    assert.deepEqual(told({ ...matrix, alow: {} }), [
      '/cases/0/alow is not a key here; did you mean "allow"?',
    ]);
    assert.deepEqual(told({ ...matrix, expect: 'deny' }), [
      '/cases/0/expect is not a key here; there are id, name, at, context, principals, resources, actions, allow',
    ]);
    const asked = { name: 'read', propertys: {} };
    assert.deepEqual(told({ ...one, action: asked }), [
      '/cases/0/action/propertys is not a key here; did you mean "properties"?',
    ]);
    const inPolicy = shape(policySchema, { version: 1, cases: [{ ...one, expcet: 'deny' }] }, '').problems;
    assert.deepEqual(
      inPolicy.map(({ suggestion }) => suggestion),
      ['expect'],
    );
  });
});
