/** GET /api/v1/me/ability */
import assert from 'node:assert/strict';
import { createMongoAbility, subject } from '@casl/ability';
import { anonymousClient, logIn, startGateway, type TestGateway } from '../../harness.ts';
import { assertProblem } from './people.ts';

const path = '/api/v1/me/ability';

describe('GET /me/ability', () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await startGateway();
  });
  after(() => gateway.close());

  it('200: the revision and the rules, in exactly the fields of the contract', async () => {
    const answer = await (await logIn(gateway, 'editor')).get(path);
    assert.equal(answer.status, 200);
    assert.deepEqual(Object.keys(answer.body), ['revision', 'rules', 'serverOnly']);
    assert.equal(answer.body.revision, gateway.services.live.snapshot.revision);
    assert.equal(answer.headers.get('castellan-revision'), String(answer.body.revision));
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    assert.match(answer.headers.get('etag') ?? '', /^"[\w-]{43}"$/);
  });

  it("the rules are one's own, and CASL takes them as they are", async () => {
    const client = await logIn(gateway, 'author');
    const { user } = (await client.get('/api/v1/me')).body;
    const ability = createMongoAbility((await client.get(path)).body.rules);
    const draft = { status: 'draft', department: 'editorial' };
    assert.ok(ability.can('update', subject('document', { ...draft, ownerId: user.id })));
    assert.ok(!ability.can('update', subject('document', { ...draft, ownerId: 'somebody else' })));
    assert.ok(!ability.can('manage', 'castellan.rule'));
    const superadmin = createMongoAbility((await (await logIn(gateway, 'superadmin')).get(path)).body.rules);
    assert.ok(superadmin.can('update', 'castellan.rule'));
  });

  it('304: with the tag of what one has, alone, in a list or weak', async () => {
    const client = await logIn(gateway, 'editor');
    const etag = (await client.get(path)).headers.get('etag') ?? '';
    for (const tag of [etag, `"x", ${etag}`, `W/${etag}`, '*']) {
      const answer = await client.get(path, { 'if-none-match': tag, 'cache-control': 'max-age=0' });
      assert.deepEqual([answer.status, answer.body], [304, ''], tag);
      assert.equal(answer.headers.get('etag'), etag);
      assert.equal(answer.headers.get('cache-control'), 'no-store');
      assert.ok(answer.headers.get('castellan-revision'));
    }
    assert.equal(
      (await client.get(path, { 'if-none-match': '"x"', 'cache-control': 'max-age=0' })).status,
      200,
    );
  });

  it("200: the tag of somebody else's ability is of no use", async () => {
    const etag = (await (await logIn(gateway, 'editor')).get(path)).headers.get('etag') ?? '';
    const answer = await (await logIn(gateway, 'auditor')).get(path, {
      'if-none-match': etag,
      'cache-control': 'max-age=0',
    });
    assert.equal(answer.status, 200);
  });

  it('200: with the new rules at once when a role was given', async () => {
    const client = await logIn(gateway, 'user');
    const first = await client.get(path);
    const { id } = (await client.get('/api/v1/me')).body.user;
    await gateway.services.db('role_assignments').insert({ account_id: id, role_key: 'admin' });
    gateway.services.feed.announce([{ kind: 'principal', subject: id }]);
    const etag = first.headers.get('etag') ?? '';
    const answer = await client.get(path, { 'if-none-match': etag, 'cache-control': 'max-age=0' });
    assert.equal(answer.status, 200);
    assert.notEqual(answer.headers.get('etag'), etag);
    assert.ok(answer.body.rules.length > first.body.rules.length);
  });

  it('503: at a revision that is not there yet', async () => {
    const own = await startGateway({ env: { MIN_REVISION_WAIT_MS: '50' }, databaseUrl: gateway.databaseUrl });
    try {
      const client = await logIn(own, 'editor');
      assertProblem(
        await client.get(path, { 'castellan-min-revision': '999999' }),
        503,
        'revision_not_reached',
      );
    } finally {
      await own.close();
    }
  });

  it('401: nobody is identified', async () => {
    assertProblem(await anonymousClient(gateway).get(path), 401, 'unauthenticated');
  });
});
