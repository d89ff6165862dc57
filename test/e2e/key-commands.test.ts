/** `castellan keys …`, as typed, beside a gateway that runs. */
import assert from 'node:assert/strict';
import { anonymousClient, startGateway, type TestGateway } from '../harness.ts';
import { castellan } from './process.ts';

const SIGNING_SECRET = 'a secret of the commands, and the gateway’s';

describe('castellan keys', function () {
  this.timeout(60_000);
  let gateway: TestGateway;
  let env: Record<string, string>;
  before(async () => {
    gateway = await startGateway({ env: { SIGNING_SECRET } });
    env = { DATABASE_URL: gateway.databaseUrl, SIGNING_SECRET };
  });
  after(() => gateway.close());

  const run = async (args: string[], settings = env) => {
    const { code, stdout, stderr } = await castellan(['keys', ...args], settings);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const published = async (): Promise<string[]> => {
    await gateway.services.signingKeys.refresh();
    const { body } = await anonymousClient(gateway).get('/.well-known/jwks.json');
    return body.keys.map(({ kid }: { kid: string }) => kid);
  };
  const signing = async () => (await gateway.services.signingKeys.current()).kid;

  it('lists them, makes the next one early, and with --now takes those before away', async () => {
    const [first = ''] = await published();
    assert.match(
      await run(['list']),
      new RegExp(`^${first}  signs  from \\S+ until \\S+, published until \\S+  current secret\n$`),
    );

    const rotated = JSON.parse(await run(['rotate', '--json']));
    assert.deepEqual(
      [rotated.replaced, await published(), await signing()],
      [[first], [first, rotated.kid], first],
    );
    const aheadMs = Date.parse(rotated.signsFrom) - Date.now();
    assert.ok(aheadMs > 300_000 && aheadMs < 400_000, `${aheadMs}`);
    const [old, next] = JSON.parse(await run(['list', '--json'])).items;
    assert.deepEqual([old.state, next.state, old.signsUntil], ['signs', 'next', next.signsFrom]);
    assert.ok(Date.parse(old.publishedUntil) >= Date.parse(old.signsUntil) + 24 * 60 * 60 * 1000);

    const said = await run(['rotate', '--now']);
    const [, kid = ''] = /^(\S{43}) is made, and signs from/.exec(said) ?? [];
    for (const gone of [first, rotated.kid]) assert.ok(said.includes(`${gone} is removed\n`), said);
    assert.deepEqual([await published(), await signing()], [[kid], kid]);

    const entries = await gateway.services
      .db('audit_entries')
      .where({ action: 'signing-key.rotate' })
      .orderBy('id');
    assert.deepEqual(
      entries.map(({ actor, targetId, before, after }) => [actor, targetId, before, after.kid, after.atOnce]),
      [
        ['castellan keys rotate', rotated.kid, { kids: [first] }, rotated.kid, false],
        ['castellan keys rotate', kid, { kids: [first, rotated.kid] }, kid, true],
      ],
    );
  });

  it('rotates nothing with another secret than the gateway has, and makes none', async () => {
    const before = await published();
    const fails = async (settings: Record<string, string>, line: RegExp) => {
      const { code, stdout, stderr } = await castellan(['keys', 'rotate', '--now'], { ...env, ...settings });
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, line);
      assert.equal(stderr.indexOf('\n'), stderr.length - 1, stderr);
    };
    await fails(
      { SIGNING_SECRET: 'another one of thirty-two characters' },
      /with the settings of the gateway$/m,
    );
    await fails(
      { SIGNING_SECRET: '', DATA_DIR: '/nonexistent' },
      /SIGNING_SECRET is not set, and DATA_DIR has no secret/,
    );
    await fails(
      { SIGNING_SECRET: 'too short' },
      /^castellan: SIGNING_SECRET: must have at least 32 characters \(/,
    );
    await fails(
      { SIGNING_SECRET: '', SIGNING_SECRET_PREVIOUS: SIGNING_SECRET },
      /^castellan: SIGNING_SECRET_PREVIOUS: goes with SIGNING_SECRET/,
    );
    assert.deepEqual(await published(), before);
  });

  it('a secret is rotated without losing a key: the one before opens those that it sealed', async () => {
    const before = await published();
    const settings = {
      ...env,
      SIGNING_SECRET: 'the secret that follows the one before',
      SIGNING_SECRET_PREVIOUS: SIGNING_SECRET,
    };
    assert.match(await run(['list'], settings), / {2}previous secret\n$/);
    const next = await startGateway({ env: settings, databaseUrl: gateway.databaseUrl });
    const kids = next.services.signingKeys.published().map(({ kid }) => kid);
    await next.close();
    assert.deepEqual(kids, before);
    await run(['rotate'], settings);
    assert.match(await run(['list'], settings), / {2}previous secret\n.* {2}next {2}.* {2}current secret\n$/);
  });
});
