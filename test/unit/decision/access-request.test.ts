import assert from 'node:assert/strict';
import fc from 'fast-check';
import { anonymous, principalOf, resourceOf } from '../../../src/decision/access-request.ts';
import type { ResourceType } from '../../../src/policy/policy.ts';
import { ALICE, principalWith, sampleTypes, typeOf } from '../policy/sample-policy.ts';

const documentType =
  sampleTypes.find(({ type }) => type === 'document') ?? assert.fail('there are documents');

describe('a resource for a decision', () => {
  it('holds the declared attributes, canonical, and nothing else', () => {
    const { type, attributes, misfits } = resourceOf(documentType, {
      id: '1',
      title: 'x',
      ownerId: ALICE.toUpperCase(),
      publishedAt: '2026-01-31T14:00:00+02:00',
      colour: 'red',
      kind: 'order',
    });
    assert.equal(type, 'document');
    assert.deepEqual(misfits, []);
    assert.deepEqual(
      { ...attributes },
      {
        id: '1',
        title: 'x',
        ownerId: ALICE,
        publishedAt: '2026-01-31T12:00:00.000Z',
      },
    );
  });

  it('has an id even where its type does not declare one', () => {
    const bare = typeOf('bare', { attributes: {} });
    assert.deepEqual({ ...resourceOf(bare, { id: 'x' }).attributes }, { id: 'x' });
    assert.deepEqual(resourceOf(bare, { id: 7 }).misfits, ['id']);
  });

  it('takes null and undefined for absent', () => {
    const { attributes, misfits } = resourceOf(documentType, { title: null, body: null, pages: undefined });
    assert.deepEqual([Reflect.ownKeys(attributes), misfits], [[], []]);
  });

  const claims: [string, object][] = [
    ['__caslSubjectType__', { __caslSubjectType__: 'order' }],
    ['__typename', { __typename: 'order' }],
    ['kind', { kind: 'order' }],
    ['type', { type: 'order' }],
    ['constructor.name', { constructor: { name: 'order', modelName: 'order' } }],
    ['its own class', new (class order {})()],
  ];
  for (const [how, body] of claims) {
    it(`is of the type we say: a body must not choose its own by ${how}`, () => {
      const resource = resourceOf(documentType, body);
      assert.equal(resource.type, 'document');
      assert.deepEqual(Reflect.ownKeys(resource.attributes), []);
    });
  }

  it('has no prototype: nothing can be read that the body did not give', () => {
    const { attributes } = resourceOf(documentType, { meta: { a: {} } });
    assert.equal(Object.getPrototypeOf(attributes), null);
    assert.equal(attributes['toString'], undefined);
    assert.equal(Object.getPrototypeOf(attributes['meta']), null);
    assert.equal(Object.getPrototypeOf((attributes['meta'] as { a: object }).a), null);
  });

  it('takes nothing from a body that sets its own prototype with the JSON key __proto__', () => {
    const body = JSON.parse(
      '{"__proto__": {"title": "inherited"}, "meta": {"__proto__": {"owner": "me"}, "constructor": {"name": "x"}}}',
    );
    const { attributes } = resourceOf(documentType, body);
    assert.equal(attributes['title'], undefined);
    assert.deepEqual(Reflect.ownKeys(attributes['meta'] as object), []);
    assert.equal(({} as Record<string, unknown>)['title'], undefined);
  });

  it('takes nothing inherited: attributes on a prototype are not what was stored', () => {
    assert.deepEqual(Reflect.ownKeys(resourceOf(documentType, Object.create({ title: 'x' })).attributes), []);
  });

  it('takes nothing from a class: an accessor of its prototype must not answer', () => {
    class Sly {
      get title() {
        return 'x';
      }
    }
    assert.deepEqual(Reflect.ownKeys(resourceOf(documentType, new Sly()).attributes), []);
  });

  it('asks an accessor once, so that it cannot answer differently to each rule', () => {
    let asked = 0;
    const body = Object.defineProperty({}, 'title', {
      enumerable: true,
      get: () => (asked++ === 0 ? 'draft' : 'secret'),
    });
    const { attributes } = resourceOf(documentType, body);
    assert.deepEqual([attributes['title'], attributes['title'], asked], ['draft', 'draft', 1]);
  });

  it('asks an accessor inside a list once, so that it cannot pass the check as one thing and be compared as another', () => {
    let asked = 0;
    const tags = Object.defineProperty(['x'], 0, {
      enumerable: true,
      get: () => (asked++ === 0 ? 'x' : { $ne: 1 }),
    });
    const { attributes, misfits } = resourceOf(documentType, { tags });
    if (misfits.length === 0) assert.deepEqual(attributes['tags'], ['x']);
    assert.equal(asked, 1);
  });

  it('shares nothing with the body', () => {
    const body = { tags: ['a'], meta: { x: 1 } };
    const { attributes } = resourceOf(documentType, body);
    body.tags.push('b');
    body.meta.x = 2;
    assert.equal(JSON.stringify(attributes), '{"tags":["a"],"meta":{"x":1}}');
  });

  const misfitting: [string, object][] = [
    ['title', { title: 7 }],
    ['title', { title: { $ne: 'x' } }],
    ['title', { title: ['x'] }],
    ['title', { title: new Date(0) }],
    ['pages', { pages: '3' }],
    ['isPinned', { isPinned: 'true' }],
    ['ownerId', { ownerId: 'me' }],
    ['publishedAt', { publishedAt: 'soon' }],
    ['tags', { tags: 'a' }],
    ['tags', { tags: ['a', 1] }],
    ['tags', { tags: [null] }],
    ['meta', { meta: [] }],
  ];
  for (const [name, body] of misfitting) {
    it(`names an attribute that does not fit and leaves it out: ${JSON.stringify(body)} must not slip past a deny rule unnoticed`, () => {
      const { attributes, misfits } = resourceOf(documentType, { id: '1', ...body });
      assert.deepEqual(misfits, [name]);
      assert.deepEqual(Reflect.ownKeys(attributes), ['id']);
    });
  }

  it('keeps a value that its enum no longer has: a row stored before must still be judged by its value', () => {
    const { attributes, misfits } = resourceOf(documentType, { status: 'archived' });
    assert.deepEqual([attributes['status'], misfits], ['archived', []]);
  });

  it('is clean whatever JSON comes', () => {
    const ownKeysDeep = (value: unknown): PropertyKey[] =>
      typeof value === 'object' && value !== null
        ? [
            ...(Array.isArray(value) ? [] : Reflect.ownKeys(value)),
            ...Object.values(value).flatMap(ownKeysDeep),
          ]
        : [];
    const nasty = fc.constantFrom(
      'title',
      'meta',
      'parts',
      '__proto__',
      'constructor',
      '__caslSubjectType__',
    );
    const json = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.constantFrom(null, 'x', 1, true),
        fc.array(tie('value'), { maxLength: 3 }),
        fc
          .array(fc.tuple(nasty, tie('value')), { maxLength: 4 })
          .map((entries) => Object.fromEntries(entries)),
      ),
    })).value;
    fc.assert(
      fc.property(json, (body) => {
        const given = JSON.parse(JSON.stringify(body));
        if (typeof given !== 'object' || given === null) return;
        const resource = resourceOf(documentType, given);
        assert.equal(resource.type, 'document');
        const keys = ownKeysDeep(resource.attributes);
        assert.ok(!keys.includes('__proto__') && !keys.includes('constructor'));
        for (const name of Reflect.ownKeys(resource.attributes))
          assert.ok(Object.hasOwn(documentType.attributes, name));
      }),
    );
  });
});

describe('a principal', () => {
  it('has clean, canonical attributes as its type declares them; those that do not fit are absent', () => {
    const { attributes } = principalWith({
      attributes: {
        department: 'legal',
        managerId: ALICE.toUpperCase(),
        level: 'high',
        colour: 'red',
        hiredAt: '2026-01-01T02:00:00+02:00',
      },
    });
    assert.equal(Object.getPrototypeOf(attributes), null);
    assert.deepEqual(
      { ...attributes },
      { department: 'legal', managerId: ALICE, hiredAt: '2026-01-01T00:00:00.000Z' },
    );
  });

  it('keeps canonical what its lists hold', () => {
    const { attributes } = principalWith({ attributes: { deputies: [ALICE.toUpperCase()] } });
    assert.deepEqual(attributes['deputies'], [ALICE]);
  });

  it('has clean attributes of any kind where its type is not declared', () => {
    const { attributes } = principalOf(
      {
        type: 'robot',
        id: 'r',
        roles: [],
        attributes: JSON.parse('{"a":{"__proto__":{"isAdmin":true}},"b":null}'),
        accessVersion: 0,
      },
      undefined,
    );
    assert.deepEqual(Reflect.ownKeys(attributes), ['a']);
    assert.deepEqual(Reflect.ownKeys(attributes['a'] as object), []);
    assert.equal((attributes['a'] as Record<string, unknown>)['isAdmin'], undefined);
  });

  it('has its id in one form: "not my own order" must not be met by writing the id in capitals', () => {
    assert.equal(principalWith({ id: ALICE.toUpperCase() }).id, ALICE);
  });

  it('keeps the id as it is where the type does not say it is a UUID', () => {
    const robot: ResourceType = typeOf('robot');
    const input = { type: 'robot', id: 'R2-D2', roles: [], attributes: {}, accessVersion: 0 };
    assert.equal(principalOf(input, robot).id, 'R2-D2');
    assert.equal(principalOf(input, undefined).id, 'R2-D2');
  });

  it('is frozen, its roles and attributes too', () => {
    const principal = principalWith({ roles: ['reader'], attributes: { department: 'legal' } });
    assert.throws(() => Object.assign(principal, { id: 'x' }), TypeError);
    assert.throws(() => (principal.roles as string[]).push('chief'), TypeError);
    assert.throws(() => Object.assign(principal.attributes, { department: 'sales' }), TypeError);
  });

  it('does not keep the list of roles it was given: adding one later must not grant it', () => {
    const roles = ['reader'];
    const principal = principalWith({ roles });
    roles.push('chief');
    assert.deepEqual(principal.roles, ['reader']);
  });

  it('is nobody in particular when anonymous', () => {
    assert.deepEqual(
      [anonymous.type, anonymous.id, anonymous.roles, { ...anonymous.attributes }],
      ['anonymous', 'anonymous', [], {}],
    );
  });
});

describe('the digest of a principal', () => {
  const base = {
    id: ALICE,
    roles: ['editor'],
    attributes: { department: 'legal', teams: ['a'] },
    accessVersion: 3,
  };
  const digest = (change: object = {}) => principalWith({ ...base, ...change }).digest;

  it('is the same for the same facts, in whatever order they are given', () => {
    assert.equal(digest(), digest());
    assert.equal(digest({ attributes: { teams: ['a'], department: 'legal' } }), digest());
    assert.equal(digest({ roles: ['a', 'b'] }), digest({ roles: ['b', 'a'] }));
  });

  const changes: [string, object][] = [
    ['the access version', { accessVersion: 4 }],
    ['the id', { id: 'x' }],
    ['the type', { type: 'robot' }],
    ['a role', { roles: ['editor', 'chief'] }],
    ['no role', { roles: [] }],
    ['an attribute', { attributes: { ...base.attributes, department: 'sales' } }],
    ['an attribute that went', { attributes: { teams: ['a'] } }],
    ['what a list holds', { attributes: { ...base.attributes, teams: ['a', 'b'] } }],
    ['text moved between roles', { roles: ['edit', 'or'] }],
  ];
  for (const [what, change] of changes)
    it(`changes with ${what}: a cached ability must not be found by anybody else`, () =>
      assert.notEqual(digest(change), digest()));
});
