/** An evaluator of a team's own: the example of the docs, as it stands there. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../../src/config.ts';
import { openEvaluators } from '../../../src/evaluators/open.ts';
import { type Client, logIn, startGateway, type TestGateway } from '../../harness.ts';
import { demoId, ok, typesPath } from '../admin/staff.ts';
import { evaluationPath } from './fixture.ts';

const page = readFileSync(join(import.meta.dirname, '../../../docs/evaluators.md'), 'utf8');
const example = /^```js\n(.*?)^```$/ms.exec(page)?.[1] ?? '';

describe('an evaluator of your own', () => {
  const folder = mkdtempSync(join(tmpdir(), 'castellan-evaluators-'));
  const moduleOf = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  let gateway: TestGateway;
  let root: Client;
  const onCall = { type: 'user', id: demoId(1) };
  const editor = { type: 'user', id: demoId(3) };

  before(async () => {
    const never = `export default { name: 'never', evaluate: () => new Promise(() => {}) };`;
    const odd = `export default { name: 'odd', evaluate: (_s, { action }) => action.name === 'read' ? { allow: 'yes' } : true };`;
    const thenable = `export default { name: 'never-thenable', evaluate: () => ({ then() {} }) };`;
    const modules = [
      moduleOf('office-hours.mjs', example),
      moduleOf('never.mjs', never),
      moduleOf('odd.mjs', odd),
      moduleOf('never-thenable.mjs', thenable),
    ];
    gateway = await startGateway({ env: { EVALUATORS: modules.join(','), EVALUATOR_TIMEOUT_MS: '20' } });
    root = await logIn(gateway, 'superadmin');
    for (const [type, evaluator] of Object.entries({
      desk: 'office-hours',
      void: 'never',
      pit: 'never-thenable',
      riddle: 'odd',
    }))
      ok(
        await root.post(typesPath, {
          type,
          actions: ['read', 'update'],
          attributes: { id: { type: 'string' }, ownerId: { type: 'string' }, notes: { type: 'string' } },
          evaluator,
        }),
        201,
      );
  });
  after(async () => {
    await gateway.close();
    rmSync(folder, { recursive: true });
  });

  const ask = async (subject: object, action: string, time: string, type = 'desk') =>
    ok(
      await root.post(evaluationPath, {
        subject,
        action: { name: action },
        resource: { type, id: '1', properties: { ownerId: 'nobody' } },
        context: { time },
      }),
    ).body;

  it('decides about the types that name it, with its rule and its words', async () => {
    assert.ok(example.split('\n').length >= 28 && example.split('\n').length <= 34, 'about 30 lines');
    const noon = '2026-06-01T12:00:00Z';
    assert.equal((await ask(editor, 'read', noon)).decision, true);
    const late = await ask(editor, 'read', '2026-06-01T22:00:00Z');
    assert.deepEqual([late.decision, late.context.reason_user], [false, { 403: 'We are closed' }]);
    assert.equal((await ask(onCall, 'read', '2026-06-01T22:00:00Z')).context.ruleId, 'on-call');
    const denied = await ask(editor, 'update', noon);
    assert.deepEqual(denied.context.reason_user, { 403: 'Only the owner changes it' });
  });

  it('has its own words for a rule that has the id of one of ours', async () => {
    ok(
      await root.post('/api/v1/admin/rules', {
        id: 'on-call',
        role: 'everyone',
        action: 'read',
        subject: 'document',
        conditions: { title: 'nothing' },
        reason: 'The words of a rule of ours',
      }),
      201,
    );
    const { context } = await ask(onCall, 'read', '2026-06-01T22:00:00Z');
    assert.equal(context.ruleId, 'on-call');
    assert.notEqual(context.reason_user['200'], 'The words of a rule of ours');
  });

  it('says which fields are allowed', async () => {
    const { body } = ok(
      await root.post('/api/v1/admin/policy/explain', {
        principal: onCall,
        action: 'read',
        resource: { type: 'desk', id: '1' },
      }),
    );
    assert.deepEqual(body.fields, { id: true, ownerId: true, notes: false });
  });

  it('denies when it hangs, and when it answers anything but true or false', async () => {
    for (const [type, action, doubt] of [
      ['void', 'read', 'the evaluator did not answer in 20 ms'],
      ['pit', 'read', 'the evaluator did not answer in 20 ms'],
      ['riddle', 'read', 'the evaluator answered no {allow: true or false}'],
      ['riddle', 'update', 'the evaluator answered no {allow: true or false}'],
    ] as const) {
      const { decision, context } = await ask(editor, action, '2026-06-01T12:00:00Z', type);
      assert.equal(decision, false);
      assert.equal(ok(await root.get(`/api/v1/admin/decisions/${context.decisionId}`)).body.doubt, doubt);
    }
  });

  it('is refused before anything starts, in words: not there, not loading, of the wrong shape, of a name that is taken', async () => {
    const open = (...paths: string[]) =>
      openEvaluators(loadConfig({ NODE_ENV: 'test', EVALUATORS: paths.join(',') }));
    const wrong: [text: string, message: RegExp][] = [
      ['export const nothing = 1;', /it exports neither "evaluator" nor a default/],
      ['export default { evaluate() {} };', /its "name" must be a word/],
      [`export default { name: 'x' };`, /its "evaluate" must be a function/],
      [
        `export default { name: 'x', evaluate() {}, possible: true };`,
        /its "possible" must be a function, or left out/,
      ],
      [`export default { name: 'casl', evaluate() {} };`, /the name casl is taken; there are casl, /],
      ['export default {', /it does not load: /],
    ];
    for (const [at, [text, message]] of wrong.entries())
      await assert.rejects(open(moduleOf(`wrong-${at}.mjs`, text)), message);
    await assert.rejects(
      open('./nowhere.js'),
      /^ConfigError: evaluator \.\/nowhere\.js: there is no such file/,
    );
    const twice = moduleOf('twice.mjs', `export default { name: 'twice', evaluate() {} };`);
    await assert.rejects(open(twice, twice), /the name twice is taken/);
  });
});
