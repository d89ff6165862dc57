/** What no list can follow is refused when it is written, with the place of it; what is stored already fails loudly. */
import assert from 'node:assert/strict';
import { sql } from '../../e2e/sql.ts';
import { type Client, makeDemoDatabase, startGateway, type TestGateway } from '../../harness.ts';
import {
  addRole,
  addRule,
  assertProblem,
  demoId,
  fresh,
  ok,
  person,
  rulesPath,
  sessionOf,
  stateOf,
  typesPath,
} from '../admin/staff.ts';

const importPath = '/api/v1/admin/policy/import';

describe('rules that no list can follow', () => {
  let gateway: TestGateway;
  let root: Client;
  before(async () => {
    gateway = await startGateway();
    root = await sessionOf(gateway, demoId(1));
  });
  after(() => gateway.close());

  const rule = (conditions: object, rest: object = {}) => ({
    role: 'user',
    action: 'read',
    subject: 'document',
    conditions,
    ...rest,
  });
  /** The state before and after must be one. */
  const unchanged = async (use: () => Promise<void>) => {
    const before = await stateOf(gateway);
    await use();
    assert.deepEqual(await stateOf(gateway), before);
  };

  const untranslatable: [string, object, object?][] = [
    ['a pattern that engines read otherwise', { title: { $regex: '(?i)draft' } }],
    ['a word boundary', { title: { $regex: '\\bdraft\\b' } }],
    ['a class of Unicode', { body: { $regex: '\\p{Greek}' } }],
    [
      'one deep within groups',
      { $and: [{ $or: [{ status: 'draft' }, { $not: { title: { $regex: '\\x41' } } }] }] },
    ],
    ['one in a rule that denies', { title: { $regex: '(?i)draft' } }, { inverted: true }],
    ['one in a rule that is switched off', { title: { $regex: '(?i)draft' } }, { enabled: false }],
    ['one in a rule about every type', { id: { $regex: '(?i)a' } }, { subject: 'all' }],
    [
      'one in a rule about several types',
      { status: { $regex: '(?i)a' } },
      { subject: ['order', 'document'] },
    ],
  ];
  for (const [what, conditions, rest] of untranslatable)
    it(`POST, PUT, PATCH and import refuse ${what}, and nothing is changed`, async () => {
      const { id } = await addRule(root, rule({ status: 'archived' }));
      await unchanged(async () => {
        const sent = rule(conditions, rest);
        assertProblem(
          await root.post(rulesPath, sent),
          422,
          'policy_invalid',
          ...pointersAt('/conditions', sent),
        );
        assertProblem(
          await root.put(`${rulesPath}/${id}`, sent),
          422,
          'policy_invalid',
          ...pointersAt('/conditions', sent),
        );
        assertProblem(
          await root.patch(`${rulesPath}/${id}`, { conditions, ...rest }),
          422,
          'policy_invalid',
          ...pointersAt('/conditions', sent),
        );
        for (const query of ['', '?mode=merge', '?dryRun=true']) {
          const rules = [rule({ status: 'archived' }, { id: fresh('r') }), { ...sent, id: fresh('r') }];
          assertProblem(
            await root.post(importPath + query, { version: 1, rules }),
            422,
            'policy_invalid',
            ...pointersAt('/rules/1/conditions', sent),
          );
        }
      });
    });

  /** One for each type with a table. */
  function pointersAt(pointer: string, { subject }: { subject: string | string[] }): string[] {
    return subject === 'document' ? [pointer] : [pointer, pointer];
  }

  it('validate says so, and which table it is about', async () => {
    await unchanged(async () => {
      const { body } = ok(await root.post(`${rulesPath}/validate`, rule({ title: { $regex: '(?i)x' } })));
      assert.equal(body.valid, false);
      assert.deepEqual(
        body.problems.map(({ pointer, code }: { pointer: string; code: string }) => [pointer, code]),
        [['/conditions', 'untranslatable']],
      );
      assert.match(body.problems[0].message, /^the rule \S+ cannot .*table of document.*\(\?i\)x/);
      const fine = ok(
        await root.post(`${rulesPath}/validate`, rule({ title: { $regex: '^[A-Z]\\w+$' } })),
      ).body;
      assert.deepEqual([fine.valid, fine.problems], [true, []]);
    });
  });

  it('an attribute that the table has no column for can be declared, but no rule can ask for it', async () => {
    const { attributes } = ok(await root.get(`${typesPath}/document`)).body;
    ok(
      await root.patch(`${typesPath}/document`, { attributes: { ...attributes, mood: { type: 'string' } } }),
    );
    await unchanged(async () => {
      for (const conditions of [
        { mood: 'good' },
        { mood: { $exists: false } },
        { $nor: [{ mood: { $in: [] } }] },
      ])
        assertProblem(await root.post(rulesPath, rule(conditions)), 422, 'policy_invalid', '/conditions');
    });
    const validated = ok(await root.post(`${rulesPath}/validate`, rule({ mood: 'good' }))).body;
    assert.match(validated.problems[0].message, /document\.mood has no column/);
    ok(await root.patch(`${typesPath}/document`, { attributes }));
  });

  it('an attribute is not declared as something that its column does not hold', async () => {
    const { attributes, actions } = ok(await root.get(`${typesPath}/document`)).body;
    await unchanged(async () => {
      for (const [name, spec] of [
        ['title', { type: 'number' }],
        ['title', { type: 'array', items: 'string' }],
        ['notes', { type: 'object' }],
        ['ownerId', { type: 'integer' }],
        ['createdAt', { type: 'string' }],
        ['department', { type: 'boolean' }],
      ] as const) {
        const changed = { ...attributes, [name]: spec };
        const pointer = `/attributes/${name}`;
        // Rules about it would not fit either; only the retyped attribute is told here.
        for (const answer of [
          await root.put(`${typesPath}/document`, { actions, attributes: changed }),
          await root.patch(`${typesPath}/document`, { attributes: changed }),
        ]) {
          assert.equal(answer.status, 422);
          const found = answer.body.errors.find((error: { pointer: string }) => error.pointer === pointer);
          assert.match(found?.message ?? '', /cannot be asked of a column of type/);
        }
      }
      // A uuid can be declared as the text that it is written as.
      const wider = { ...attributes, ownerId: { type: 'string' } };
      const { body } = await root.patch(`${typesPath}/document?dryRun=true`, { attributes: wider });
      const pointers = (body.errors ?? []).map(({ pointer }: { pointer: string }) => pointer);
      assert.ok(!pointers.includes('/attributes/ownerId'));
    });
  });

  it('where there is no table there is no list, and any pattern is taken', async () => {
    const type = fresh('type');
    ok(
      await root.post(typesPath, { type, actions: ['read'], attributes: { name: { type: 'string' } } }),
      201,
    );
    const { id } = await addRule(root, rule({ name: { $regex: '(?i)x' } }, { subject: type }));
    ok(await root.get(`${rulesPath}/${id}`));
    ok(await root.patch(`${rulesPath}/${id}`, { conditions: { name: { $regex: '\\bx' } } }));
  });

  it('what the request is asked, is asked of no table', async () => {
    const when = { 'context.userAgent': { $regex: '(?i)curl' } };
    await addRule(root, rule({ status: 'archived' }, { when }));
  });
});

describe('a rule that no list can follow, stored by an earlier version', () => {
  let gateway: TestGateway;
  let role: string;
  let databaseUrl: string;
  const id = fresh('old');

  before(async () => {
    databaseUrl = await makeDemoDatabase();
    const earlier = await startGateway({ databaseUrl });
    const root = await sessionOf(earlier, demoId(1));
    role = await addRole(root);
    const conditions = { status: { $regex: '^published$' } };
    await addRule(root, { id, role, action: 'read', subject: 'document', conditions, reason: 'Old' });
    await addRule(root, { role, action: 'read', subject: 'order' });
    await earlier.close();
    const replaced = (column: string) => `replace(${column}::text, '^published$', '(?i)PUBLISHED')::jsonb`;
    await sql(databaseUrl, `UPDATE rules SET conditions = ${replaced('conditions')} WHERE id = '${id}'`);
    await sql(databaseUrl, `UPDATE revisions SET policy = ${replaced('policy')}`);
    gateway = await startGateway({ databaseUrl });
  });
  after(() => gateway.close());

  const documents = '/api/v1/documents';
  const addDocument = async (status: string) =>
    (
      await gateway.services
        .db('documents')
        .insert({ title: 'T', owner_id: demoId(4), status })
        .returning('id')
    )[0].id;

  it('is loaded, and decides about single documents as it did', async () => {
    const { client } = await person(gateway, { roles: [role] });
    assert.equal((await client.get(`${documents}/${await addDocument('published')}`)).status, 200);
    assert.equal((await client.get(`${documents}/${await addDocument('draft')}`)).status, 403);
  });

  it('makes the list an error, never a wider or narrower one; the log says which rule it is, the answer does not', async () => {
    await addDocument('published');
    const { client } = await person(gateway, { roles: [role] });
    for (const answer of [
      await client.get(documents),
      await client.get(`${documents}?total=true&sort=title`),
    ]) {
      assertProblem(answer, 500, 'internal_error');
      assert.ok(!JSON.stringify(answer.body).includes(id));
      assert.ok(!JSON.stringify(answer.body).includes('PUBLISHED'));
    }
    assert.match(gateway.logged(), new RegExp(`rule ${id} cannot be asked of the table documents`));
    ok(await client.get('/api/v1/orders'));
  });

  it('is no matter of those whom it is not about', async () => {
    const { client } = await person(gateway, { roles: ['user'] });
    ok(await client.get(documents));
  });

  it('does not stand in the way of other changes, and can be mended', async () => {
    const root = await sessionOf(gateway, demoId(1));
    const other = await addRule(root, { role, action: 'read', subject: 'user' });
    ok(await root.delete(`${rulesPath}/${other.id}`), 204);
    ok(await root.patch(`${rulesPath}/${id}`, { conditions: { status: 'published' } }));
    const { client } = await person(gateway, { roles: [role] });
    ok(await client.get(documents));
  });
});
