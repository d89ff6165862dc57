/** `castellan api-key …`, as typed, beside a gateway that runs. */
import assert from 'node:assert/strict';
import { Client, eventually, startGateway, type TestGateway } from '../harness.ts';
import { castellan } from './process.ts';

describe('castellan api-key', function () {
  this.timeout(60_000);
  let gateway: TestGateway;
  let env: Record<string, string>;
  before(async () => {
    gateway = await startGateway();
    env = { DATABASE_URL: gateway.databaseUrl };
  });
  after(() => gateway.close());

  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await castellan(['api-key', ...args], env);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const fails = async (line: RegExp, ...args: string[]) => {
    const { code, stdout, stderr } = await castellan(['api-key', ...args], env);
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, line);
    assert.equal(stderr.indexOf('\n'), stderr.length - 1, stderr);
  };
  const status = async (token: string) => (await new Client(gateway.url, token).get('/api/v1/orders')).status;
  const becomes = (token: string, expected: number) =>
    eventually(`${expected}`, async () => (await status(token)) === expected, 2000);

  it('makes, lists, rotates and revokes a key, which the running gateway hears of', async () => {
    const made = JSON.parse(
      await run('create', 'billing', '--role', 'auditor,user', '--expires', '2999-01-31', '--json'),
    );
    const { id, prefix } = made.apiKey;
    assert.deepEqual(
      [made.apiKey.roles, made.apiKey.createdBy, made.apiKey.expiresAt],
      [['auditor', 'user'], null, '2999-01-31T00:00:00.000Z'],
    );
    assert.equal(await status(made.token), 200);

    const listed = await run('list');
    assert.match(
      listed,
      new RegExp(`^${id}  ${prefix}…  until 2999-01-31\\S+  .*  billing \\(auditor, user\\)$`, 'm'),
    );
    assert.ok(!listed.includes(made.token));

    const rotated = JSON.parse(await run('rotate', id, '--overlap', '60', '--json'));
    assert.equal(rotated.apiKey.previous.prefix, prefix);
    assert.deepEqual([await status(made.token), await status(rotated.token)], [200, 200]);
    const again = await run('rotate', id);
    const token = /^cst_key_\S+$/m.exec(again)?.[0] ?? '';
    await becomes(made.token, 401);
    await becomes(rotated.token, 401);
    assert.equal(await status(token), 200);

    assert.match(await run('revoke', id), /^billing .* is revoked\n$/);
    await becomes(token, 401);
    assert.equal(await run('list'), 'there are no API keys\n');
    assert.match(await run('list', '--all'), /revoked/);
    await fails(/was revoked/, 'rotate', id);

    const entries = await gateway.services.db('audit_entries').where({ targetId: id }).orderBy('id');
    assert.deepEqual(
      entries.map(({ action, actor, actorId }) => [action, actor, actorId]),
      ['create', 'rotate', 'rotate', 'revoke'].map((verb) => [
        `api-key.${verb}`,
        `castellan api-key ${verb}`,
        null,
      ]),
    );
  });

  it('says in one line what is wrong', async () => {
    await fails(/^castellan api-key create: name the key$/m, 'create');
    await fails(/^castellan: --role is required$/m, 'create', 'x');
    await fails(/there is no role audtor/, 'create', 'x', '--role', 'audtor');
    await fails(
      /expiresAt must be in the future/,
      'create',
      'x',
      '--role',
      'user',
      '--expires',
      '2001-01-01',
    );
    await fails(/is not the id of an API key/, 'revoke', 'billing');
    await fails(/there is no API key/, 'revoke', '00000000-0000-4000-8000-00000000beef');
    await fails(
      /--overlap must be a number/,
      'rotate',
      '00000000-0000-4000-8000-00000000beef',
      '--overlap',
      'x',
    );
  });
});
