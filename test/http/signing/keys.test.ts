/** What the gateway signs, as whoever verifies it sees it: the keys of a running gateway, over HTTP. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRemoteJWKSet, decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose';
import { LiveKeys } from '../../../src/signing/live-keys.ts';
import { secretsOf } from '../../../src/signing/secret.ts';
import { anonymousClient, startGateway, type TestGateway } from '../../harness.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const PUBLIC_URL = 'https://castellan.example/gate';
const issuer = PUBLIC_URL;

describe('signed by the gateway', function () {
  this.timeout(30_000);
  let gateway: TestGateway;
  let second: TestGateway;
  before(async () => {
    gateway = await startGateway({ env: { PUBLIC_URL: `${PUBLIC_URL}/` } });
    second = await startGateway({ env: { PUBLIC_URL }, databaseUrl: gateway.databaseUrl });
  });
  after(async () => {
    await second.close();
    await gateway.close();
  });

  const keysAt = (at = gateway) => anonymousClient(at).get('/.well-known/jwks.json');
  const kidsAt = async (at?: TestGateway) =>
    (await keysAt(at)).body.keys.map(({ kid }: { kid: string }) => kid);
  /** As another service does: it knows the address of the keys and nothing else. */
  const verified = async (token: string, options = {}, at = gateway): Promise<JWTPayload> => {
    const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', at.url));
    return (await jwtVerify(token, keys, { algorithms: ['EdDSA'], issuer, ...options })).payload;
  };
  const token = (at = gateway) =>
    at.services.signer.sign({ sub: 'user:1' }, { audience: 'orders', ttlSeconds: 60, typ: 'test+jwt' });
  const shift = (days: number) =>
    gateway.services.db.raw(
      `UPDATE signing_keys SET signs_from = signs_from - ?::interval, signs_until = signs_until - ?::interval,
         published_until = published_until - ?::interval`,
      Array(3).fill(`${days} days`),
    );

  it('the keys are public, may be kept for five minutes, and have public members only', async () => {
    const { status, headers, body } = await keysAt();
    assert.equal(status, 200);
    assert.match(headers.get('content-type') ?? '', /^application\/jwk-set\+json(;|$)/);
    assert.equal(headers.get('cache-control'), 'public, max-age=300');
    assert.deepEqual(Object.keys(body), ['keys']);
    assert.deepEqual(body.keys.map(Object.keys), [['kty', 'crv', 'x', 'kid', 'alg', 'use']]);
    const { kty, crv, alg, use } = body.keys[0];
    assert.deepEqual({ kty, crv, alg, use }, { kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig' });
  });

  it('a token says issuer, audience, kind and a short life, whatever its claims say', async () => {
    const signed = await gateway.services.signer.sign(
      { sub: 'user:1', roles: ['a'], iss: 'somebody', aud: 'everybody', exp: 9_999_999_999 },
      { audience: 'orders', ttlSeconds: 60, typ: 'test+jwt' },
    );
    const { iat = 0, exp = 0, ...claims } = await verified(signed, { audience: 'orders', typ: 'test+jwt' });
    assert.deepEqual(claims, { sub: 'user:1', roles: ['a'], iss: issuer, aud: 'orders' });
    assert.equal(exp - iat, 60);
    assert.ok(Math.abs(iat - Date.now() / 1000) < 5);
    await assert.rejects(verified(signed, { audience: 'invoices' }), /aud/);
    const [head, body, signature] = signed.split('.');
    const forged = Buffer.from(JSON.stringify({ ...claims, iat, exp, sub: 'user:2' })).toString('base64url');
    assert.ok(body !== forged);
    await assert.rejects(verified(`${head}.${forged}.${signature}`), /signature/);
  });

  it('the metadata are signed once, verify with the published key and say what the plain ones say', async () => {
    const path = '/.well-known/authzen-configuration';
    const { body } = await anonymousClient(gateway).get(path, { host: 'evil.example' });
    const { signed_metadata, ...plain } = body;
    const { iss, iat, exp = 0, ...claims } = await verified(signed_metadata);
    assert.deepEqual([claims, iss], [plain, PUBLIC_URL]);
    assert.ok(iat && exp * 1000 > Date.now() + DAY_MS);
    for (const [at, place] of [
      [gateway, path],
      [gateway, `${path}/gate`],
      [second, path],
    ] as const)
      assert.equal((await anonymousClient(at).get(place)).body.signed_metadata, signed_metadata);
  });

  it('two nodes with one secret share one key', async () => {
    assert.equal((await kidsAt()).length, 1);
    assert.deepEqual(await kidsAt(second), await kidsAt());
    assert.equal((await verified(await token(second))).sub, 'user:1');
  });

  it('no signature asks the database', async () => {
    const asked: string[] = [];
    const note = ({ sql }: { sql: string }) => asked.push(sql);
    gateway.services.db.on('query', note);
    await Promise.all(Array.from({ length: 50 }, () => token()));
    await keysAt();
    gateway.services.db.removeListener('query', note);
    assert.deepEqual(
      asked.filter((sql) => sql.includes('signing_keys')),
      [],
    );
  });

  it('attack: a dump of the database does not give a key, nor does the log', async () => {
    const { db, signingKeys } = gateway.services;
    const { privateKey } = await signingKeys.current();
    const { d = '' } = privateKey.export({ format: 'jwk' });
    assert.equal(d.length, 43);
    const raw = Buffer.from(d, 'base64url');
    const dump: string = (await db.raw('SELECT json_agg(k)::text AS dump FROM signing_keys k')).rows[0].dump;
    const audit: string =
      (await db.raw('SELECT json_agg(a)::text AS dump FROM audit_entries a')).rows[0].dump ?? '';
    const published = JSON.stringify((await keysAt()).body);
    for (const form of [d, raw.toString('base64'), raw.toString('hex'), Buffer.from(d).toString('hex')])
      for (const text of [dump, audit, published, gateway.logged()]) assert.ok(!text.includes(form));
    assert.ok(!/"d"/.test(dump + published));
    const kids = await kidsAt();
    const stranger = await startGateway({
      env: { SIGNING_SECRET: 'whoever has the dump has another secret' },
      databaseUrl: gateway.databaseUrl,
    });
    const theirs = await kidsAt(stranger).finally(() => stranger.close());
    assert.equal(theirs.length, 1);
    assert.ok(!kids.includes(theirs[0]));
  });

  it('attack: a key that was written into the table signs nothing and is not published', async () => {
    const { db, signingKeys } = gateway.services;
    const [row] = await db('signing_keys').where({ kid: (await signingKeys.current()).kid });
    const kid = 'A'.repeat(43);
    await db('signing_keys').insert({ ...row, kid, publicJwk: JSON.stringify({ kty: 'OKP', x: 'AAAA' }) });
    await signingKeys.refresh();
    await signingKeys.refresh();
    assert.ok(!(await kidsAt()).includes(kid));
    assert.notEqual(decodeProtectedHeader(await token()).kid, kid);
    assert.equal(gateway.logged().split(`the signing key ${kid} cannot be decrypted`).length, 2);
    await db('signing_keys').where({ kid }).delete();
  });

  it('the next key is published before it signs, and the last one is until its tokens are long over', async () => {
    const { signingKeys } = gateway.services;
    const [first] = await kidsAt();
    const early = await token();
    await shift(29.5);
    await Promise.all([signingKeys.refresh(), second.services.signingKeys.refresh()]);
    const both = await kidsAt();
    assert.deepEqual([both.length, both[0], await kidsAt(second)], [2, first, both]);
    assert.equal(decodeProtectedHeader(await token()).kid, first);

    await shift(1);
    await Promise.all([signingKeys.refresh(), second.services.signingKeys.refresh()]);
    assert.deepEqual(await kidsAt(), both);
    const late = await token();
    assert.deepEqual(
      [early, late].map((one) => decodeProtectedHeader(one).kid),
      both,
    );
    for (const one of [early, late]) assert.equal((await verified(one, {}, second)).sub, 'user:1');

    await shift(1);
    await signingKeys.refresh();
    assert.deepEqual(await kidsAt(), both.slice(1));
    await assert.rejects(verified(early), /no applicable key/);
  });

  it('a node that has slept over the end of its key reads the table before it signs', async () => {
    const { db } = second.services;
    let nowMs = Date.now();
    const secrets = await secretsOf('a secret of the tests, which nobody keeps');
    const keys = new LiveKeys({
      db,
      secrets,
      periodMs: 30 * DAY_MS,
      nowMs: () => nowMs,
      onTrouble: (what) => assert.fail(what),
    });
    await keys.refresh();
    const { kid, signsUntil } = await keys.current();
    nowMs = signsUntil.getTime();
    const after = await keys.current();
    assert.notEqual(after.kid, kid);
    assert.equal((await db('signing_keys').where({ kid: after.kid })).length, 1);
    assert.equal(keys.published().length, 2);
  });
});

describe('without PUBLIC_URL and without a secret', function () {
  this.timeout(30_000);

  it('nothing is signed that only a request could have named; keys of its own are told of', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'castellan-keys-'));
    const env = { SIGNING_SECRET: '', DATA_DIR: dataDir };
    const gateway = await startGateway({ env });
    const asked = ['authzen-configuration', 'jwks.json'].map((name) =>
      anonymousClient(gateway).get(`/.well-known/${name}`),
    );
    const [metadata, keys] = await Promise.all(asked).finally(() => gateway.close());
    const again = await startGateway({ env, databaseUrl: gateway.databaseUrl });
    const kept = await anonymousClient(again)
      .get('/.well-known/jwks.json')
      .finally(() => again.close());
    await rm(dataDir, { recursive: true });
    assert.ok(metadata && !('signed_metadata' in metadata.body));
    assert.equal(kept.body.keys.length, 1);
    assert.deepEqual(kept.body, keys?.body);
    assert.equal(again.logged().split('SIGNING_SECRET is not set').length, 2);
  });
});
