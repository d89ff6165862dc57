/** Entities in decisions: attributes, roles and ancestors of who asks and of what is asked about. */
import assert from 'node:assert/strict';
import { type Answer, type Client, eventually, startGateway, type TestGateway } from '../../harness.ts';
import { addRole, addRule, assertProblem, ok, person, rulesPath } from '../admin/staff.ts';
import { evaluationPath, evaluationsPath } from '../authzen/fixture.ts';
import { addEntityTypes, at, put } from './kept.ts';

interface Named {
  type: string;
  id: string;
  properties?: object;
}

const robot = (id: string, properties?: object): Named => ({
  type: 'robot',
  id,
  ...(properties && { properties }),
});
const file = (id: string, properties?: object): Named => ({
  type: 'file',
  id,
  ...(properties && { properties }),
});

describe('entities in decisions', () => {
  let gateway: TestGateway;
  let root: Client;
  let role: string;

  /** root > years > may, with a file in each; staff > night, with a robot in each. */
  before(async () => {
    gateway = await startGateway();
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    await addEntityTypes(root);
    role = await addRole(root);
    await put(root, 'folder:root', { attributes: { viewers: ['auditor'] } });
    await put(root, 'folder:years', { parents: ['folder:root'], attributes: { viewers: ['group:staff'] } });
    await put(root, 'folder:may', { parents: ['folder:years'], attributes: { viewers: ['temp'] } });
    await put(root, 'file:deep', { parents: ['folder:may'], attributes: { sealed: false } });
    await put(root, 'file:loose');
    await put(root, 'group:staff', { roles: [role], attributes: { level: 'gold' } });
    await put(root, 'group:night', { parents: ['group:staff'] });
    await put(root, 'robot:auditor');
    await put(root, 'robot:temp');
    await put(root, 'robot:owl', { parents: ['group:night'], attributes: { department: 'editorial' } });
    for (const rule of [
      {
        id: 'viewers-see-what-lies-in-it',
        role: 'authenticated',
        action: 'read',
        conditions: { ancestors: { $elemMatch: { type: 'folder', viewers: `$\{principal.id}` } } },
      },
      {
        id: 'so-do-their-groups',
        role: 'authenticated',
        action: 'read',
        conditions: { ancestors: { $elemMatch: { viewers: { $in: `$\{principal.ancestorIds}` } } } },
      },
    ])
      await addRule(root, { subject: 'file', ...rule });
  });
  after(() => gateway.close());

  async function may(subject: Named, resource: Named, action = 'read'): Promise<boolean> {
    const evaluation = { subject, resource, action: { name: action } };
    return ok(await root.post(evaluationPath, evaluation)).body.decision;
  }

  /** With a rule for as long as the questions are asked. */
  async function under(rule: Record<string, unknown>, ask: () => Promise<void>): Promise<void> {
    const { id } = await addRule(root, { subject: 'file', action: 'update', ...rule });
    await ask().finally(async () => ok(await root.delete(`${rulesPath}/${id}`), 204));
  }

  it('viewers of a folder see what lies in it, however deep, and nothing beside it', async () => {
    assert.equal(await may(robot('auditor'), file('deep')), true);
    assert.equal(await may(robot('temp'), file('deep')), true);
    assert.equal(await may(robot('auditor'), file('loose')), false);
    assert.equal(await may(robot('stranger'), file('deep')), false);
  });

  it('what is shared with a group is shared with the groups in it', async () => {
    assert.equal(await may(robot('owl'), file('deep')), true);
    assert.equal(await may(robot('owl'), file('loose')), false);
  });

  it('a robot has the roles of its groups, and those of theirs', async () => {
    await under({ role }, async () => {
      assert.equal(await may(robot('owl'), file('loose'), 'update'), true);
      assert.equal(await may(robot('temp'), file('loose'), 'update'), false);
    });
  });

  it('when asks about the groups of who asks', async () => {
    const when = { 'principal.ancestors': { $elemMatch: { type: 'group', level: 'gold' } } };
    await under({ role: 'authenticated', when }, async () => {
      assert.equal(await may(robot('owl'), file('loose'), 'update'), true);
      assert.equal(await may(robot('temp'), file('loose'), 'update'), false);
    });
  });

  it('attributes are as they are stored; properties win for the one question', async () => {
    const when = { 'principal.department': 'editorial' };
    await under({ role: 'authenticated', when, conditions: { sealed: false } }, async () => {
      assert.equal(await may(robot('owl'), file('deep'), 'update'), true);
      assert.equal(await may(robot('owl', { department: 'sales' }), file('deep'), 'update'), false);
      assert.equal(await may(robot('owl'), file('deep', { sealed: true }), 'update'), false);
      assert.equal(await may(robot('owl'), file('deep'), 'update'), true);
      assert.equal(await may(robot('temp', { department: 'editorial' }), file('deep'), 'update'), true);
    });
  });

  it('what is not stored is answered by its properties, as what is kept elsewhere', async () => {
    const when = { 'principal.department': 'editorial' };
    await under({ role: 'authenticated', when, conditions: { sealed: false } }, async () => {
      const known = robot('unknown', { department: 'editorial' });
      assert.equal(await may(known, file('unheard-of', { sealed: false }), 'update'), true);
    });
  });

  it('forged ancestors, roles and parents in properties are nothing (an attack)', async () => {
    const forged = {
      ancestors: [{ type: 'folder', id: 'x', viewers: ['stranger'] }],
      ancestorIds: ['group:staff'],
      parents: ['group:staff'],
      roles: [role],
    };
    assert.equal(await may(robot('stranger', forged), file('loose', forged)), false);
    assert.equal(await may(robot('stranger', forged), file('deep')), false);
    // Of a type that nobody declares, properties are taken as they are.
    assert.equal(await may({ type: 'visitor', id: 'v', properties: forged }, file('deep')), false);
    await under({ role }, async () => {
      assert.equal(await may(robot('stranger', forged), file('loose'), 'update'), false);
    });
  });

  it('forged ancestors do not lift a deny by what it really lies in (an attack)', async () => {
    const rules = { role: 'authenticated', conditions: { sealed: { $ne: true } } };
    const deny = {
      role: 'authenticated',
      inverted: true,
      conditions: { ancestors: { $elemMatch: { id: 'root' } } },
    };
    await under(rules, () =>
      under(deny, async () => {
        assert.equal(await may(robot('owl'), file('loose'), 'update'), true);
        assert.equal(await may(robot('owl'), file('deep'), 'update'), false);
        assert.equal(await may(robot('owl'), file('deep', { ancestors: [] }), 'update'), false);
      }),
    );
  });

  it('a change of what something lies in is in force with the next question', async () => {
    await put(root, 'file:moving');
    assert.equal(await may(robot('auditor'), file('moving')), false);
    ok(await root.patch(at('file:moving'), { parents: ['folder:may'] }));
    assert.equal(await may(robot('auditor'), file('moving')), true);
    ok(await root.patch(at('folder:may'), { parents: [] }));
    assert.equal(await may(robot('auditor'), file('moving')), false);
    ok(await root.patch(at('folder:may'), { parents: ['folder:years'] }));
  });

  it('a thousand evaluations read their entities in one query', async () => {
    const evaluations = Array.from({ length: 1000 }, (_, n) => ({
      subject: robot(n % 2 === 0 ? 'auditor' : 'stranger'),
      resource: file(n % 4 < 2 ? 'deep' : 'loose'),
    }));
    const queries: string[] = [];
    const listen = ({ sql }: { sql: string }) => queries.push(sql);
    gateway.services.db.on('query', listen);
    const body = { action: { name: 'read' }, evaluations };
    const answers: { decision: boolean }[] = ok(await root.post(evaluationsPath, body)).body.evaluations;
    gateway.services.db.off('query', listen);
    assert.deepEqual(
      answers.slice(0, 4).map(({ decision }) => decision),
      [true, false, false, false],
    );
    assert.equal(queries.filter((sql) => sql.includes('FROM entities')).length, 1);
  });

  describe('an explanation', () => {
    const explainPath = '/api/v1/admin/policy/explain';
    const question = {
      principal: { type: 'robot', id: 'owl' },
      action: 'read',
      resource: { type: 'file', id: 'deep' },
    };

    it('is filled in with what is stored, ancestors and roles included', async () => {
      const { body } = ok(await root.post(explainPath, question));
      assert.equal(body.decision.ruleId, 'so-do-their-groups');
      assert.deepEqual(body.stored, { principal: true, resource: true });
      assert.deepEqual(body.principal.roles, [role]);
      const idsOf = (list: { id: string }[]) => list.map(({ id }) => id);
      assert.deepEqual(idsOf(body.principal.ancestors), ['night', 'staff']);
      assert.deepEqual(idsOf(body.resource.attributes.ancestors), ['may', 'years', 'root']);
    });

    it('is not for those who may not read the entities that it shows', async () => {
      const reader = await addRole(root);
      await addRule(root, { role: reader, action: 'read', subject: ['castellan.policy', 'file', 'robot'] });
      const { client } = await person(gateway, { roles: [reader] });
      assertProblem(await client.post(explainPath, question), 403, 'access_denied');
    });
  });

  describe('a rule is refused where it names of ancestors', () => {
    const refused: [what: string, rule: object, pointer: string, said: RegExp][] = [
      [
        'an attribute that nothing has, with what was meant',
        { conditions: { ancestors: { $elemMatch: { type: 'folder', viewrs: 'x' } } } },
        '/conditions/ancestors/$elemMatch/viewrs',
        /did you mean viewers\?/,
      ],
      [
        'an attribute that this type does not have',
        { conditions: { ancestors: { $elemMatch: { type: 'folder', level: 'x' } } } },
        '/conditions/ancestors/$elemMatch/level',
        /not an attribute of a folder/,
      ],
      [
        'a type that is not registered',
        { conditions: { ancestors: { $elemMatch: { type: 'foldr' } } } },
        '/conditions/ancestors/$elemMatch/type',
        /"folder"/,
      ],
      [
        'a value of another type',
        { conditions: { 'ancestors.level': 7 } },
        '/conditions/ancestors.level',
        /a string/,
      ],
      [
        'itself, misspelt',
        { conditions: { ancestor: { $size: 1 } } },
        '/conditions/ancestor',
        /mean ancestors\?/,
      ],
      [
        'a list where a value is needed',
        { conditions: { title: `$\{principal.ancestorIds}` } },
        '/conditions/title',
        /is a list/,
      ],
      [
        'of the groups of who asks, an attribute that nothing has',
        { when: { 'principal.ancestors': { $elemMatch: { levl: 'gold' } } } },
        '/when/principal.ancestors/$elemMatch/levl',
        /did you mean level\?/,
      ],
    ];
    for (const [what, rule, pointer, said] of refused)
      it(what, async () => {
        const answer = await root.post(rulesPath, { role: 'user', action: 'read', subject: 'file', ...rule });
        assertProblem(answer, 422, 'policy_invalid', pointer);
        assert.match(answer.body.problems[0].message, said);
      });

    it('the rows of a table, which have none: a list would be wider or narrower than the decisions', async () => {
      const conditions = { ancestors: { $elemMatch: { id: 'x' } } };
      const answer: Answer = await root.post(rulesPath, {
        role: 'user',
        action: 'read',
        subject: 'document',
        conditions,
      });
      assertProblem(answer, 422, 'policy_invalid', '/conditions');
      assert.match(answer.body.detail, /document is in a table, and its rows have no ancestors/);
    });
  });

  it('stale memory: what is remembered is forgotten when any row of an entity changes, by whatever road', async () => {
    const { db } = gateway.services;
    const name = { type: 'robot', id: 'remembered' };
    const becomes = (expected: boolean) =>
      eventually(`decision ${expected}`, async () => (await may(name, file('deep'))) === expected);
    const belongs = { parent_type: 'group', parent_id: 'watchers', ...name };
    await put(root, 'group:watchers');
    const ofGroup = { role: 'everyone', action: 'read', when: { 'principal.ancestors.id': 'watchers' } };
    await under(ofGroup, async () => {
      assert.equal(await may(name, file('deep')), false);
      await db('entities').insert(name);
      await db('entity_parents').insert(belongs);
      await becomes(true);
      await db('entity_parents').where(belongs).delete();
      await becomes(false);
    });
    await under({ role, action: 'read' }, async () => {
      await db('entity_roles').insert({ ...name, role_key: role });
      await becomes(true);
      await db('entities').where(name).delete();
      await becomes(false);
    });
  });

  it('a rule about ancestors stays with the gateway: a browser knows none, so that its deny would not fire', async () => {
    const { client } = await person(gateway);
    const deny = {
      id: 'not-below',
      role: 'authenticated',
      inverted: true,
      conditions: { 'ancestors.id': { $in: ['x'] } },
    };
    await under(deny, async () => {
      const { rules, serverOnly } = ok(await client.get('/api/v1/me/ability')).body;
      const kept = serverOnly.map(({ id }: { id: string }) => id);
      assert.ok(kept.includes('viewers-see-what-lies-in-it') && kept.includes('not-below'), kept);
      assert.doesNotMatch(JSON.stringify(rules), /ancestors/);
    });
  });
});
