/** Entities in bulk: all or none, problems by their place, and what was exported changes nothing. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { Policy } from '../../../src/policy/policy.ts';
import { type Client, startGateway, type TestGateway } from '../../harness.ts';
import { allItems, assertProblem, auditOf, ok, person, restorePolicy } from '../admin/staff.ts';
import { evaluationPath } from '../authzen/fixture.ts';
import { addEntityTypes, at, entitiesPath, put, removeAll } from './kept.ts';

const lines = { 'content-type': 'application/x-ndjson' };
const policyPath = '/api/v1/admin/policy';

describe('an import of entities', () => {
  let gateway: TestGateway;
  let root: Client;
  let policy: Policy;

  before(async () => {
    gateway = await startGateway();
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    await addEntityTypes(root);
    policy = gateway.services.live.snapshot.policy;
  });
  beforeEach(() => removeAll(gateway));
  after(() => gateway.close());

  const imported = async (entities: object[], mode = 'merge') =>
    ok(await root.post(`${entitiesPath}/import?mode=${mode}`, { entities })).body;
  const names = async () => (await allItems(root, entitiesPath)).map(({ type, id }) => `${type}:${id}`);
  const tree = [
    { type: 'file', id: 'plan', parents: ['folder:b'], attributes: { sealed: true } },
    { type: 'folder', id: 'b', parents: ['folder:a'] },
    { type: 'folder', id: 'a', attributes: { viewers: ['x'] } },
  ];

  it('adds, changes and leaves, parents after their children too', async () => {
    assert.deepEqual(await imported(tree), { added: 3, changed: 0, removed: 0, unchanged: 0 });
    const changed = [{ ...tree[0], attributes: {} }, ...tree.slice(1)];
    assert.deepEqual(await imported(changed), { added: 0, changed: 1, removed: 0, unchanged: 2 });
    assert.equal(ok(await root.get(at('folder:a'))).body.version, 1);
    assert.deepEqual(ok(await root.get(at('file:plan'))).body.attributes, {});
  });

  it('replaces: what is not named goes, parents with their children', async () => {
    await imported(tree);
    const answer = await imported([{ type: 'folder', id: 'c' }], 'replace');
    assert.deepEqual(answer, { added: 1, changed: 0, removed: 3, unchanged: 0 });
    assert.deepEqual(await names(), ['folder:c']);
  });

  it('is taken as lines, and says in which one something is wrong; then nothing is written', async () => {
    const written = `${tree.map((entity) => JSON.stringify(entity)).join('\n')}\n\n`;
    ok(await root.post(`${entitiesPath}/import`, written, lines));
    const bad = [
      '{"type": "folder", "id": "new"}',
      '{"type": "folder", "id": "d", "attributes": {"viewers": 7}}',
      '{"type": "folder", "id": "new"}',
    ].join('\n');
    const answer = await root.post(`${entitiesPath}/import`, bad, lines);
    assertProblem(answer, 400, 'invalid_request', '/1/attributes/viewers');
    assert.match(answer.body.detail, /line 2: must be a list/);
    const twice = await root.post(
      `${entitiesPath}/import`,
      `${bad.split('\n')[0]}\n${bad.split('\n')[2]}`,
      lines,
    );
    assertProblem(twice, 400, 'invalid_request', '/1/id');
    assert.match(twice.body.detail, /line 2: folder:new is there twice \(first at line 1\)/);
    const broken = await root.post(`${entitiesPath}/import`, '{"type": "folder", "id": "e"}\n{"type"', lines);
    assertProblem(broken, 400, 'malformed_json');
    assert.match(broken.body.detail, /^line 2: /);
    assert.deepEqual(await names(), ['file:plan', 'folder:a', 'folder:b']);
  });

  const refused: [what: string, entities: object[], pointer: string, said: RegExp][] = [
    [
      'a parent that is nowhere',
      [{ type: 'folder', id: 'x', parents: ['folder:y'] }],
      '/entities/0/parents',
      /folder:y/,
    ],
    [
      'a circle in it',
      [
        { type: 'folder', id: 'x', parents: ['folder:y'] },
        { type: 'folder', id: 'y', parents: ['folder:x'] },
      ],
      '/entities/0/parents',
      /folder:x → folder:y → folder:x/,
    ],
    ['a key that is none', [{ type: 'folder', id: 'x', parent: 'y' }], '/entities/0/parent', /parents/],
    ['no id', [{ type: 'folder' }], '/entities/0/id', /required/],
  ];
  for (const [what, entities, pointer, said] of refused)
    it(`is refused for ${what}, and nothing is written`, async () => {
      await put(root, 'folder:kept');
      const answer = await root.post(`${entitiesPath}/import`, {
        entities: [...entities, { type: 'folder', id: 'z' }],
      });
      assertProblem(answer, 400, 'invalid_request', pointer);
      assert.match(answer.body.detail, said);
      assert.deepEqual(await names(), ['folder:kept']);
    });

  it('is refused where a parent would go that a child which stays has', async () => {
    await imported(tree);
    const left = tree.slice(0, 1);
    const answer = await root.post(`${entitiesPath}/import?mode=replace`, { entities: left });
    assertProblem(answer, 409, 'entity_in_use');
    assert.equal((await names()).length, 3);
  });

  it('is written down: each of a few, of many how many', async () => {
    await imported(tree);
    const many = Array.from({ length: 30 }, (_, n) => ({ type: 'folder', id: `m${n}` }));
    await imported(many);
    const [few, all] = (await auditOf(gateway, 'castellan.entity', 'merge')).slice(-2);
    assert.deepEqual([few.action, few.after.length], ['entity.import', 3]);
    assert.deepEqual(all.after, { added: 30, changed: 0, removed: 0 });
  });

  describe('with a policy', () => {
    const roles = [{ key: 'librarian' }];

    it('the example of the docs is taken as it is, and decides as it says', async () => {
      // As the docs have it, after the types of these tests.
      const text = await readFile(new URL('../../../docs/examples/folders.yaml', import.meta.url), 'utf8');
      ok(await root.post(`${policyPath}/import`, text, { 'content-type': 'application/yaml' }));
      const decide = async (id: string, file: string) =>
        ok(
          await root.post(evaluationPath, {
            subject: { type: 'employee', id },
            action: { name: 'read' },
            resource: { type: 'file', id: file },
          }),
        ).body.decision;
      assert.deepEqual(
        [
          await decide('ada', 'plan-2030'),
          await decide('ben', 'plan-2030'),
          await decide('eve', 'plan-2030'),
        ],
        [true, true, false],
      );
      assert.deepEqual([await decide('ada', 'diary'), await decide('ben', 'diary')], [true, false]);
      await removeAll(gateway);
      await restorePolicy(gateway, policy);
      root = (await person(gateway, { roles: ['superadmin'] })).client;
    });

    it('is written with it or not at all, and tells what it did', async () => {
      const entities = [{ type: 'robot', id: 'r', roles: ['librarian'] }];
      const misfit = {
        version: 1,
        roles,
        entities: [...entities, { type: 'robot', id: 's', attributes: { x: 1 } }],
      };
      assertProblem(
        await root.post(`${policyPath}/import`, misfit),
        400,
        'invalid_request',
        '/entities/1/attributes/x',
      );
      assert.equal(gateway.services.live.snapshot.roles.has('librarian'), false);
      const dry = ok(
        await root.post(`${policyPath}/import?dryRun=true`, { version: 1, roles, entities }),
      ).body;
      assert.deepEqual([dry.entities, await names()], [{ added: 1, changed: 0, removed: 0 }, []]);
      const done = ok(await root.post(`${policyPath}/import`, { version: 1, roles, entities })).body;
      assert.deepEqual(done.entities, { added: 1, changed: 0, removed: 0 });
      assert.deepEqual(ok(await root.get(at('robot:r'))).body.roles, ['librarian']);
    });

    it('an export with entities imported again changes nothing; one without has none and takes none away', async () => {
      await imported(tree);
      const { revision } = gateway.services.live.snapshot;
      for (const [format, type] of [
        ['yaml', 'application/yaml'],
        ['json', 'application/json'],
      ]) {
        const { body } = ok(await root.get(`${policyPath}/export?format=${format}&entities=true`));
        const text = typeof body === 'string' ? body : JSON.stringify(body);
        const again = ok(
          await root.post(`${policyPath}/import?mode=replace`, text, { 'content-type': type ?? '' }),
        ).body;
        assert.deepEqual([again.revision, again.entities], [revision, { added: 0, changed: 0, removed: 0 }]);
      }
      const { body } = ok(await root.get(`${policyPath}/export?format=json`));
      assert.equal(body.entities, undefined);
      ok(await root.post(`${policyPath}/import?mode=replace`, body));
      assert.equal((await names()).length, 3);
    });
  });
});
