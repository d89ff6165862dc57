/** Tokens that must identify nobody: forged, meant for others, too early, too late, too large, or of an issuer that is away. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { decodeJwt, exportJWK } from 'jose';
import { anonymousClient, Client, eventually, logIn, startGateway, type TestGateway } from '../../harness.ts';
import { demoId, ok, typesPath } from '../admin/staff.ts';
import { audience, type Served, type Signed, type Signer, serve, signRaw, startSigner } from './issuer.ts';

const abilityPath = '/api/v1/me/ability';
const nowSeconds = () => Math.floor(Date.now() / 1000);

describe('a token from elsewhere is nobody', () => {
  let gateway: TestGateway;
  let signer: Signer;
  let strict: Signer;
  let flooded: Signer;
  let hanging: Signer;
  let moved: Signer;
  let endless: Signer;
  let impostor: Signer;
  let unsafe: Signer;
  let attacker: Served;
  const servers = () => [signer, strict, flooded, hanging, moved, endless, impostor, unsafe, attacker];

  before(async () => {
    signer = await startSigner();
    // As many publish theirs: then only the setting says which algorithms are taken.
    delete signer.jwk.alg;
    strict = await startSigner();
    flooded = await startSigner();
    hanging = await startSigner(() => {});
    moved = await startSigner(
      (_req, res) => void res.writeHead(302, { location: `${signer.url}/keys` }).end(),
    );
    endless = await startSigner((_req, res) => void res.end(`{"keys":[],"pad":"${'x'.repeat(300_000)}"}`));
    impostor = await startSigner((_req, res) => {
      res.end(JSON.stringify({ issuer: signer.url, jwks_uri: `${signer.url}/keys` }));
    });
    unsafe = await startSigner((_req, res) => {
      res.end(JSON.stringify({ issuer: unsafe.url, jwks_uri: 'http://keys.example/keys' }));
    });
    const { publicKey } = attackerKeys;
    const keys = [{ ...(await exportJWK(publicKey)), kid: 'one', use: 'sig', alg: 'RS256' }];
    attacker = await serve((_req, res) => void res.end(JSON.stringify({ keys })));
    const trusted = [
      { issuer: signer.url, audience },
      {
        issuer: strict.url,
        audience,
        principalType: 'strict',
        typ: ['at+jwt'],
        maxAgeSeconds: 60,
        clockSkewSeconds: 0,
      },
      { issuer: flooded.url, audience, principalType: 'flooded' },
      { issuer: hanging.url, audience, principalType: 'hanging' },
      { issuer: moved.url, audience, principalType: 'moved', jwksUri: `${moved.url}/keys` },
      { issuer: endless.url, audience, principalType: 'endless', jwksUri: `${endless.url}/keys` },
      { issuer: impostor.url, audience, principalType: 'impostor' },
      { issuer: unsafe.url, audience, principalType: 'unsafe' },
    ];
    gateway = await startGateway({ env: { TRUSTED_ISSUERS: JSON.stringify(trusted) } });
    const root = await logIn(gateway, 'superadmin');
    for (const { principalType = 'external' } of trusted)
      ok(await root.post(typesPath, { type: principalType, attributes: { email: { type: 'string' } } }), 201);
  });
  after(async () => {
    await gateway.close();
    for (const server of servers()) await server.close();
  });

  const attackerKeys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const statusOf = async (token: string) => (await new Client(gateway.url, token).get(abilityPath)).status;
  const assertNobody = async (token: string) => assert.equal(await statusOf(token), 401);

  it('but for what these attacks change it is somebody', async () => {
    assert.equal(await statusOf(await signer.sign()), 200);
    assert.equal(await statusOf(await strict.sign()), 200);
    assert.equal(await statusOf(await signer.sign({ header: { typ: 'JWT' } })), 200);
    assert.equal(await statusOf(await signer.sign({ header: { typ: undefined } })), 200);
    assert.equal(
      await statusOf(await signer.sign({ claims: { aud: ['https://other.example', audience] } })),
      200,
    );
  });

  const spoilt: Record<string, () => Signed> = {
    'of an issuer that is not configured': () => ({ claims: { iss: 'https://elsewhere.example' } }),
    'of an issuer that is only spelt alike': () => ({ claims: { iss: `${signer.url}/` } }),
    'without an issuer': () => ({ claims: { iss: undefined } }),
    'of one issuer, signed by another (key mix-up)': () => ({ key: strict.privateKey }),
    'meant for another audience (token redirect)': () => ({ claims: { aud: 'https://other.example' } }),
    'meant for nobody in particular': () => ({ claims: { aud: undefined } }),
    'that has expired': () => ({ claims: { exp: nowSeconds() - 31 } }),
    'that never expires': () => ({ claims: { exp: undefined } }),
    'that is not valid yet': () => ({ claims: { nbf: nowSeconds() + 60 } }),
    'issued in the future': () => ({ claims: { iat: nowSeconds() + 60 } }),
    'without a subject': () => ({ claims: { sub: undefined } }),
    'with an empty subject': () => ({ claims: { sub: '' } }),
    'with a subject of 201 characters': () => ({ claims: { sub: 'x'.repeat(201) } }),
    'with a subject that a log could not show (control characters)': () => ({ claims: { sub: 'a\u0000b' } }),
    'with the id of an account as subject (impersonation)': () => ({ claims: { sub: demoId(1) } }),
    'with the id of an account in capitals and braces': () => ({
      claims: { sub: `{${demoId(1).replaceAll('-', '').toUpperCase()}}` },
    }),
    'bound to a key that nobody proves (stolen sender-constrained token)': () => ({
      claims: { cnf: { jkt: 'x' } },
    }),
    'whose keys are where it says itself (jku injection)': () => ({
      key: attackerKeys.privateKey,
      header: { jku: attacker.url, x5u: attacker.url },
    }),
    'of an algorithm that is not accepted, though the key is right': () => ({ header: { alg: 'RS512' } }),
    'larger than a token needs to be': () => ({ claims: { pad: 'x'.repeat(8000) } }),
  };
  for (const [name, parts] of Object.entries(spoilt))
    it(`when it is one ${name}`, async () => assertNobody(await signer.sign(parts())));

  it('when it brings its own key (jwk injection)', async () => {
    const jwk = await exportJWK(attackerKeys.publicKey);
    await assertNobody(await signer.sign({ key: attackerKeys.privateKey, header: { jwk } }));
    await assertNobody(await signer.sign({ key: attackerKeys.privateKey, header: { jwk, kid: undefined } }));
    assert.deepEqual(attacker.asked, []);
  });

  it('when it is not signed (alg none), whatever stands for the signature', async () => {
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    const [, payload] = (await signer.sign()).split('.');
    for (const alg of ['none', 'None', 'NONE', undefined]) {
      await assertNobody(`${encode({ alg, typ: 'at+jwt' })}.${payload}.`);
      await assertNobody(`${encode({ alg, typ: 'at+jwt' })}.${payload}.AA`);
    }
  });

  it('when the public key was taken for a shared secret (algorithm confusion)', async () => {
    const pem = signer.publicKey.export({ type: 'spki', format: 'pem' });
    const der = signer.publicKey.export({ type: 'spki', format: 'der' });
    for (const secret of [Buffer.from(pem), der, Buffer.from(JSON.stringify(signer.jwk))])
      await assertNobody(await signer.sign({ header: { alg: 'HS256' }, key: secret }));
  });

  it('when anything in it was changed after it was signed', async () => {
    const [header, payload = '', signature] = (await signer.sign()).split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const other = Buffer.from(JSON.stringify({ ...claims, sub: 'somebody-else' })).toString('base64url');
    await assertNobody(`${header}.${other}.${signature}`);
    // A token that is good was remembered; what differs from it in the last bits is another one.
    await assertNobody(`${header}.${payload}.${signature?.slice(0, -4)}AAAA`);
  });

  it('when it asks for what is not understood (crit)', async () => {
    const claims = decodeJwt(await signer.sign());
    const header = { alg: 'RS256', kid: 'one', typ: 'at+jwt' };
    const signed = (more: object) => signRaw({ ...header, ...more }, claims, signer.privateKey);
    assert.equal(await statusOf(signed({})), 200);
    await assertNobody(signed({ crit: ['exp'], exp: 1 }));
    await assertNobody(signed({ crit: ['b64'], b64: true }));
  });

  it('when it is an ID token and the issuer gives access tokens a type of their own', async () => {
    await assertNobody(await strict.sign({ header: { typ: 'JWT' } }));
    await assertNobody(await strict.sign({ header: { typ: undefined } }));
  });

  it('when it is older than it may get', async () => {
    await assertNobody(await strict.sign({ claims: { iat: nowSeconds() - 100 } }));
    await assertNobody(await strict.sign({ claims: { iat: undefined } }));
  });

  it('from its end on, though it was verified and is remembered', async () => {
    const token = await strict.sign({ claims: { exp: nowSeconds() + 2 } });
    assert.equal(await statusOf(token), 200);
    await eventually('it has ended', async () => (await statusOf(token)) === 401);
  });

  it('when a cookie carries it: no browser sends it by itself', async () => {
    const token = await signer.sign();
    for (const name of ['castellan', '__Host-castellan']) {
      const { status } = await anonymousClient(gateway).get(abilityPath, { cookie: `${name}=${token}` });
      assert.equal(status, 401);
    }
  });

  it('when the issuer sends elsewhere for its keys, over a line that anybody may be on, answers without end, or speaks for another one', async () => {
    for (const issuer of [moved, endless, impostor, unsafe]) {
      await assertNobody(await issuer.sign());
      await assertNobody(await issuer.sign({ key: signer.privateKey }));
    }
    const { body } = await anonymousClient(gateway).get('/readyz');
    assert.deepEqual(body.checks.issuers, {
      ok: true,
      detail: 'the keys of 4 of 8 issuers cannot be had; their tokens are nobody',
    });
    assert.match((await anonymousClient(gateway).get('/metrics')).body, /^castellan_issuers_failing 4$/m);
    for (const why of [/answered 302/, /answered more than/, /is of another issuer/, /not https/])
      assert.match(gateway.logged(), why);
  });

  it('when its key is unknown, and a flood of them asks the issuer once', async () => {
    const kids = Array.from({ length: 20 }, (_, at) => `unknown-${at}`);
    await Promise.all(kids.map(async (kid) => assertNobody(await flooded.sign({ header: { kid } }))));
    for (const kid of kids) await assertNobody(await flooded.sign({ header: { kid } }));
    assert.deepEqual(flooded.asked, ['/.well-known/openid-configuration', '/keys']);
    assert.equal(await statusOf(await flooded.sign()), 200);
  });

  it('when its issuer hangs: nobody else waits, and the next is told at once', async () => {
    const began = Date.now();
    const waiting = statusOf(await hanging.sign());
    assert.equal(await statusOf(await signer.sign()), 200);
    assert.ok(Date.now() - began < 1500, 'the others waited');
    assert.equal(await waiting, 401);
    assert.ok(Date.now() - began < 3500, 'it was waited for too long');
    const again = Date.now();
    await assertNobody(await hanging.sign());
    assert.ok(Date.now() - again < 1000, 'it was waited for again');
    assert.equal(hanging.asked.length, 1);
    assert.match(gateway.logged(), /the keys of an issuer cannot be had/);
  });
});
