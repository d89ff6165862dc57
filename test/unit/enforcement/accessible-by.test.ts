/** accessibleBy: a model's rows narrowed to what may be done to them, as a query that composes. */
import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { Model } from 'objection';
import { anonymous, principalOf } from '../../../src/decision/access-request.ts';
import { DocumentRow, OrderRow } from '../../../src/demo/models.ts';
import type { Source } from '../../../src/enforcement/source.ts';
import {
  type AccessibleOptions,
  accessibleBy,
  filterSql,
  narrow,
} from '../../../src/enforcement/sql-filter.ts';
import { tableCheck } from '../../../src/enforcement/table-check.ts';
import { makeAbility } from '../../../src/policy/ability.ts';
import { builtInTypes } from '../../../src/policy/built-in.ts';
import { compile } from '../../../src/policy/compile.ts';
import type { ResourceType, Rule } from '../../../src/policy/policy.ts';
import { openPool } from '../../../src/storage/postgres.ts';
import { makeDemoDatabase } from '../../harness.ts';

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

const type = (
  name: string,
  attributes: ResourceType['attributes'],
  rest: Partial<ResourceType> = {},
): ResourceType => ({
  type: name,
  description: '',
  actions: ['read', 'update'],
  attributes,
  source: null,
  evaluator: 'casl',
  ...rest,
});
const documentType = type('document', {
  id: { type: 'uuid' },
  title: { type: 'string' },
  status: { type: 'string' },
  ownerId: { type: 'uuid' },
  department: { type: 'string', nullable: true },
  createdAt: { type: 'date' },
});
const orderType = type('order', {
  id: { type: 'uuid' },
  region: { type: 'string' },
  createdBy: { type: 'uuid' },
});

class NumberedRow extends Model {
  static override tableName = 'numbered';
  static resource = 'numbered';
  static source: Source = {
    table: 'numbered',
    columns: { id: { column: 'id', type: 'integer', notNull: true }, name: { column: 'name', type: 'text' } },
  };
  declare id: number;
}
const numberedType = type('numbered', { name: { type: 'string' } });

describe('accessibleBy', () => {
  let db: Knex;
  before(async () => {
    db = openPool({ url: await makeDemoDatabase(), poolMax: 2 });
    await db('documents').delete();
    await db('orders').delete();
    const rows = [
      [1, 4, 'draft', 'a'],
      [2, 4, 'published', 'b'],
      [3, 5, 'published', null],
      [4, 6, 'draft', 'a'],
    ] as const;
    await db('documents').insert(
      rows.map(([n, owner, status, department]) => ({
        id: id(n),
        title: `T${n}`,
        owner_id: id(owner),
        status,
        department,
      })),
    );
    const orders = [
      [1, 4, 'EU'],
      [2, 4, 'US'],
      [3, 5, 'US'],
      [4, 6, 'EU'],
    ] as const;
    await db('orders').insert(
      orders.map(([n, by, region]) => ({
        id: id(n),
        amount: 1,
        currency: 'EUR',
        region,
        created_by: id(by),
      })),
    );
    await db.raw(
      "CREATE TABLE numbered (id int PRIMARY KEY, name text); INSERT INTO numbered VALUES (1, 'a')",
    );
  });
  after(() => db.destroy());

  function abilityOf(...given: Partial<Rule>[]) {
    const rules = given.map((rule, index) => ({
      id: `r${index}`,
      role: 'everyone',
      action: 'read',
      subject: 'document',
      inverted: false,
      priority: 0,
      enabled: true,
      validFrom: null,
      validUntil: null,
      ...rule,
    }));
    const resourceTypes = [...builtInTypes, documentType, orderType, numberedType];
    const { snapshot, problems } = compile(
      { resourceTypes, roles: [], rules: rules as Rule[], cases: [], routes: [], cedar: [] },
      { revision: 1, evaluators: ['casl'] },
    );
    assert.ok(snapshot, JSON.stringify(problems));
    const user = snapshot.types.get('user');
    const principal = principalOf(
      { type: 'user', id: id(4), roles: [], attributes: { id: id(4) }, accessVersion: 1 },
      user,
    );
    return { ability: makeAbility(snapshot, principal, 0), types: snapshot.types };
  }
  const numbers = (rows: { id: string }[]) => rows.map((row) => Number(row.id.slice(-2))).sort();

  it('gives the rows that a decision would allow, and counts, orders and pages them', async () => {
    const { ability, types } = abilityOf(
      { conditions: { status: 'published' } },
      { conditions: { ownerId: `\${principal.id}` } },
    );
    const rows = () => accessibleBy<DocumentRow>(ability, 'read', DocumentRow, { types, db });
    assert.deepEqual(numbers(await rows()), [1, 2, 3]);
    assert.equal(await rows().resultSize(), 3);
    assert.deepEqual(numbers(await rows().orderBy('title', 'desc').limit(1).offset(1)), [2]);
    assert.deepEqual(numbers(await rows().where('status', 'draft')), [1]);
    assert.ok((await rows())[0] instanceof DocumentRow);
  });

  it('without a rule, or with none of the action, there are none', async () => {
    const { ability, types } = abilityOf({ action: 'update' });
    assert.deepEqual(await accessibleBy(ability, 'read', DocumentRow, { types, db }), []);
    assert.equal((await accessibleBy(ability, 'update', DocumentRow, { types, db })).length, 4);
    assert.equal(
      filterSql({
        ability: makeAbility(
          {
            rules: new Map(),
            rulesByRole: new Map(),
            rulesByPrincipal: new Map(),
            lineage: new Map(),
            types,
            boundariesMs: [],
          } as never,
          anonymous,
          0,
        ),
        action: 'read',
        context: {},
        type: documentType,
        source: DocumentRow.source,
      }).text,
      'false',
    );
  });

  it('of an action that the type does not have there are none, whatever a rule about every action says', async () => {
    const { ability, types } = abilityOf({ action: 'manage' });
    assert.equal((await accessibleBy(ability, 'read', DocumentRow, { types, db })).length, 4);
    assert.deepEqual(await accessibleBy(ability, 'shred', DocumentRow, { types, db }), []);
  });

  it('of a type that the policy does not know is an error', () => {
    const { ability } = abilityOf({});
    assert.throws(() => accessibleBy(ability, 'read', DocumentRow, { types: new Map(), db }), {
      code: 'internal_error',
    });
  });

  it('of a type that another evaluator decides about is an error: its rules are not those of the ability', () => {
    const { ability, types } = abilityOf({});
    const elsewhere = new Map(types).set('document', { ...documentType, evaluator: 'cedar' });
    assert.throws(() => accessibleBy(ability, 'read', DocumentRow, { types: elsewhere, db }), {
      code: 'internal_error',
    });
  });

  it('what cannot be asked is an error that names the rule, also where the rule denies', () => {
    for (const inverted of [false, true]) {
      const { ability, types } = abilityOf(
        {},
        { id: 'odd', inverted, conditions: { title: { $regex: '(?i)x' } } },
      );
      assert.throws(
        () => accessibleBy(ability, 'read', DocumentRow, { types, db }),
        (error: { code: string; detail: string; message: string }) => {
          assert.equal(error.code, 'internal_error');
          assert.match(error.detail, /^rule odd cannot be asked of the table documents/);
          return true;
        },
      );
    }
  });

  it('what was declared otherwise than its column after it was checked is an error, not another list', async () => {
    const { ability, types } = abilityOf({ conditions: { status: 'draft' } });
    const retyped = new Map(types).set('document', {
      ...documentType,
      attributes: { ...documentType.attributes, title: { type: 'number' } },
    });
    assert.throws(() => accessibleBy(ability, 'read', DocumentRow, { types: retyped, db }), /title/);
  });

  it('composes with joins: two narrowed tables show what both allow, each under its own name', async () => {
    const { ability, types } = abilityOf(
      { conditions: { status: 'published' } },
      { subject: 'order', conditions: { region: 'US' } },
      { inverted: true, subject: 'order', conditions: { createdBy: id(5) } },
    );
    const options: AccessibleOptions = { types, db };
    const joined = await accessibleBy(ability, 'read', DocumentRow, { ...options, as: 'd' })
      .join(
        accessibleBy(ability, 'read', OrderRow, { ...options, as: 'o' }).as('mine'),
        'mine.created_by',
        'd.owner_id',
      )
      .select('d.id');
    assert.deepEqual(numbers(joined as unknown as { id: string }[]), [2]);
    const order = types.get('order') ?? assert.fail();
    const both = accessibleBy(ability, 'read', DocumentRow, options)
      .join('orders', 'orders.created_by', 'documents.owner_id')
      .select('documents.id', 'orders.id as order');
    const narrowed = narrow(both, {
      ability,
      action: 'read',
      context: {},
      type: order,
      source: OrderRow.source,
    });
    const pairs = (await narrowed) as unknown as { id: string; order: string }[];
    assert.deepEqual(
      pairs.map((pair) => [pair.id, pair.order]),
      [[id(2), id(2)]],
    );
    // A table joined with itself: each name is narrowed by itself.
    const twice = await narrow(
      accessibleBy(ability, 'read', DocumentRow, { ...options, as: 'a' })
        .join('documents as b', 'a.owner_id', 'b.owner_id')
        .select('b.id'),
      {
        ability,
        action: 'read',
        context: {},
        type: types.get('document') ?? assert.fail(),
        source: DocumentRow.source,
        as: 'b',
      },
    );
    assert.deepEqual(numbers(twice as unknown as { id: string }[]), [2, 3]);
  });

  it('asks rules about the request by what is known of it', async () => {
    const { ability, types } = abilityOf({ when: { 'context.ip': { $cidr: '10.0.0.0/8' } } });
    const rows = (context?: object) =>
      accessibleBy(ability, 'read', DocumentRow, {
        types,
        db,
        ...(context && { context: { __proto__: null, ...context } }),
      });
    assert.equal((await rows({ ip: '10.1.1.1' })).length, 4);
    assert.deepEqual(await rows({ ip: '192.0.2.1' }), []);
    assert.deepEqual(await rows(), []);
  });

  it('SQL injection: what rules and rows say are parameters, never SQL', () => {
    const evil = `x'); DROP TABLE documents; -- ? ?? :a $1`;
    const { ability, types } = abilityOf(
      { conditions: { title: evil, department: { $in: [evil, 'b'] }, status: { $regex: '^a\\?' } } },
      { conditions: { title: { $gt: evil } } },
    );
    const { text, bindings } = filterSql({
      ability,
      action: 'read',
      context: {},
      type: types.get('document') ?? assert.fail(),
      source: DocumentRow.source,
    });
    assert.ok(!text.includes('DROP') && !text.includes("x'"));
    assert.ok(bindings.includes(evil));
  });

  it('what the columns are called comes from the registration: names in a rule are looked up, never used', () => {
    const { ability, types } = abilityOf({ conditions: { ownerId: id(4) } });
    const { text, bindings } = filterSql({
      ability,
      action: 'read',
      context: {},
      type: types.get('document') ?? assert.fail(),
      source: DocumentRow.source,
    });
    assert.ok(bindings.includes('documents.owner_id'));
    assert.ok(!text.includes('ownerId') && !bindings.includes('documents.ownerId'));
  });

  it('ids that are numbers must be declared as such: a decision takes what is not declared for a text', async () => {
    const { ability, types } = abilityOf({ subject: 'numbered' });
    assert.throws(() => accessibleBy(ability, 'read', NumberedRow, { types, db }), /numbered\.id/);
    const check = tableCheck(new Map([['numbered', NumberedRow.source]]));
    assert.deepEqual(
      check.attributes(numberedType).map(({ attribute }) => attribute),
      ['id'],
    );
    const declared = {
      ...numberedType,
      attributes: { ...numberedType.attributes, id: { type: 'integer' as const } },
    };
    assert.deepEqual(check.attributes(declared), []);
    const rows = await accessibleBy(ability, 'read', NumberedRow, {
      types: new Map(types).set('numbered', declared),
      db,
    });
    assert.equal(rows.length, 1);
  });

  it('what every object has by its prototype is no column of a table', () => {
    const inherited = {
      ...documentType,
      attributes: { ...documentType.attributes, valueOf: { type: 'string' as const } },
    };
    const check = tableCheck(new Map([['document', DocumentRow.source]]));
    const condition = { kind: 'test', path: 'valueOf', operator: '$eq', value: 'x' } as const;
    assert.match(check.condition(inherited, condition) ?? '', /document\.valueOf has no column/);
    assert.deepEqual(check.attributes(inherited), []);
  });

  it('the tables are none of the business of evaluators with rules of their own', () => {
    const check = tableCheck(new Map([['document', DocumentRow.source]]));
    const odd = { ...documentType, attributes: { title: { type: 'number' as const } } };
    assert.equal(check.attributes(odd).length, 1);
    assert.deepEqual(check.attributes({ ...odd, evaluator: 'cedar' }), []);
    assert.deepEqual(check.attributes({ ...odd, type: 'elsewhere' }), []);
  });
});
