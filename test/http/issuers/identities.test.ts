/** Somebody from elsewhere: a principal by what their token says and what is stored of them, and never by more. */
import assert from 'node:assert/strict';
import { anonymousClient, Client, eventually, logIn, startGateway, type TestGateway } from '../../harness.ts';
import { addRole, addRule, assertProblem, ok, rolesPath, typesPath } from '../admin/staff.ts';
import { at, put } from '../entities/kept.ts';
import { audience, type Signer, startSigner } from './issuer.ts';
import { type RealIssuer, startRealIssuer } from './real-issuer.ts';

const string = { type: 'string' };

describe('an identity from elsewhere', () => {
  let gateway: TestGateway;
  let signer: Signer;
  let unnamed: Signer;
  let real: RealIssuer;
  let root: Client;
  let role: string;
  /** Claims give it. */
  let reader: string;

  before(async () => {
    signer = await startSigner();
    unnamed = await startSigner();
    real = await startRealIssuer(['night-shift']);
    const trusted = [
      { issuer: real.url, audience, principalType: 'service', typ: 'at+jwt' },
      { issuer: signer.url, audience: [audience, 'https://other.example'] },
      { issuer: unnamed.url, audience, principalType: 'unnamed' },
    ];
    const env = {
      TRUSTED_ISSUERS: JSON.stringify(trusted),
      DECISION_LOG: 'all',
      DECISION_LOG_FLUSH_MS: '10',
    };
    gateway = await startGateway({ env });
    root = await logIn(gateway, 'superadmin');
    const attributes = {
      department: string,
      approvalLimit: { type: 'number' },
      // What a careless policy might declare: no claim becomes any of these.
      roles: { type: 'array', items: 'string' },
      type: string,
    };
    reader = await addRole(root);
    const roles = [
      { claim: 'groups', value: 'readers', role: reader },
      { claim: 'realm_access.roles', value: 'readers', role: reader },
    ];
    for (const [type, { url: issuer }] of [
      ['service', real],
      ['external', signer],
    ] as const)
      ok(await root.post(typesPath, { type, attributes, identity: { issuer, roles } }), 201);
    ok(await root.post(typesPath, { type: 'shelf', actions: ['read'], attributes: { id: string } }), 201);
    role = await addRole(root);
    for (const key of [role, reader])
      await addRule(root, { role: key, action: 'read', subject: 'castellan.role' });
  });
  after(async () => {
    await gateway.close();
    for (const server of [signer, unnamed, real]) await server.close();
  });

  const as = (token: string) => new Client(gateway.url, token);
  const someone = async (sub: string, claims: object = {}) =>
    as(await signer.sign({ claims: { sub, ...claims } }));
  const rulesOf = async (client: Client): Promise<string> =>
    JSON.stringify(ok(await client.get('/api/v1/me/ability')).body);
  /** Adds a rule for everybody that asks for something of the principal; whether its ability has it. */
  const asking = async (id: string, when: object) => {
    await addRule(root, {
      id,
      role: 'authenticated',
      action: 'read',
      subject: 'shelf',
      when,
    });
    return async (client: Client) => (await rulesOf(client)).includes('"shelf"');
  };

  it('is that of a real issuer: a client with its own token, by its name and its claims', async () => {
    const client = as(await real.grant());
    const has = await asking('night', {
      'principal.department': 'editorial',
      'principal.id': 'nightly-report',
    });
    assert.equal(await has(client), true);
    assert.equal(await has(await someone('someone', { department: 'editorial' })), false);
    ok(await root.delete('/api/v1/admin/rules/night'), 204);
    assert.equal((await as(await real.grant('https://other.example')).get('/api/v1/me/ability')).status, 401);
  });

  it('has the roles of its entity at once, and loses them at once', async () => {
    const client = await someone('librarian');
    assertProblem(await client.get(rolesPath), 403, 'access_denied');
    await put(root, 'external:librarian', { roles: [role] });
    ok(await client.get(rolesPath));
    ok(await root.delete(at('external:librarian')), 204);
    assertProblem(await client.get(rolesPath), 403, 'access_denied');
  });

  it('has no role, type, id or ancestor that the token claims (privilege escalation by claim)', async () => {
    const group = { type: 'service', id: 'admins' };
    const claims = {
      roles: ['superadmin', role],
      role,
      type: 'user',
      id: 'root',
      ancestors: [group],
      groups: [role],
    };
    const client = await someone('climber', claims);
    assertProblem(await client.get(rolesPath), 403, 'access_denied');
    for (const [path, value] of [
      ['roles', role],
      ['type', 'user'],
      ['id', 'root'],
      ['ancestorIds', 'service:admins'],
    ] as const) {
      const has = await asking('claimed', { [`principal.${path}`]: value });
      assert.equal(await has(client), false, path);
      ok(await root.delete('/api/v1/admin/rules/claimed'), 204);
    }
  });

  it('has the roles that the policy gives for its claims, and no others', async () => {
    ok(await (await someone('reader', { groups: ['staff', 'readers'] })).get(rolesPath));
    ok(await (await someone('reader', { groups: 'readers' })).get(rolesPath));
    ok(await (await someone('reader', { realm_access: { roles: ['readers'] } })).get(rolesPath));
    ok(await (await someone('reader', { 'realm_access.roles': ['readers'] })).get(rolesPath));
    for (const groups of ['Readers', 'readers staff', [['readers']], { readers: true }, [reader], null])
      assertProblem(await (await someone('reader', { groups })).get(rolesPath), 403, 'access_denied');
  });

  it('is believed no longer from the moment on at which the policy believes another issuer', async () => {
    const client = await someone('reader', { groups: ['readers'], department: 'editorial' });
    const has = await asking('known', { 'principal.department': 'editorial' });
    assert.equal(await has(client), true);
    const type = `${typesPath}/external`;
    const { identity } = ok(await root.get(type)).body;
    ok(await root.patch(type, { identity: { ...identity, issuer: 'https://other.example' } }));
    assertProblem(await client.get(rolesPath), 403, 'access_denied');
    assert.equal(await has(client), false);
    ok(await root.patch(type, { identity: null }));
    assert.equal(await has(client), false);
    ok(await root.patch(type, { identity }));
    ok(await client.get(rolesPath));
    assert.equal(await has(client), true);
    ok(await root.delete('/api/v1/admin/rules/known'), 204);
  });

  it('has those claims that fit; what is stored of it wins over them', async () => {
    const has = await asking('leads', { 'principal.approvalLimit': { $gte: 5 } });
    assert.equal(await has(await someone('lead', { approvalLimit: 5 })), true);
    for (const approvalLimit of ['5', [5], null, { $gte: 5 }])
      assert.equal(await has(await someone('lead', { approvalLimit })), false);
    await put(root, 'external:lead', { attributes: { approvalLimit: 1 } });
    assert.equal(await has(await someone('lead', { approvalLimit: 5 })), false);
    ok(await root.delete(at('external:lead')), 204);
    ok(await root.delete('/api/v1/admin/rules/leads'), 204);
  });

  it('has no account, and is told so where one is needed', async () => {
    const client = await someone('guest');
    const answer = await client.get('/api/v1/me');
    assertProblem(answer, 403, 'access_denied');
    assert.match(answer.body.detail, /somebody from elsewhere has none/);
    await put(root, 'external:guest', { roles: ['admin'] });
    const made = await client.post('/api/v1/documents', { title: 'A title', body: 'Words' });
    assertProblem(made, 403, 'access_denied');
    assert.match(made.body.detail, /would belong to an account, and somebody from elsewhere has none/);
    ok(await root.delete(at('external:guest')), 204);
  });

  it('changes the policy under its own name, and only for as long as it may when the change is made', async () => {
    await put(root, 'external:deputy', { roles: ['superadmin'] });
    const client = await someone('deputy');
    const added = await addRole(client);
    const { db } = gateway.services;
    const [entry] = await db('audit_entries').where({ targetId: added });
    assert.deepEqual([entry.actorId, entry.actor], ['deputy', 'external:deputy']);
    // A deny is held against everybody whom it binds; its own name is not looked for among ours.
    await addRule(client, {
      id: 'of-the-deputy',
      role: added,
      action: 'read',
      subject: 'shelf',
      inverted: true,
    });
    // Whoever waits for the lock is demoted by who has it.
    const key = 'of-a-demoted';
    const trx = await db.transaction();
    await trx.raw(`SELECT pg_advisory_xact_lock(hashtext('castellan.policy'))`);
    const change = client.post(rolesPath, { key });
    await eventually('the change waits', async () => {
      const { rows } = await db.raw(
        `SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database
         WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database()`,
      );
      return rows.length > 0;
    });
    await trx('entity_roles').where({ id: 'deputy' }).delete();
    await trx.commit();
    assertProblem(await change, 403, 'access_denied');
    assert.equal((await root.get(`${rolesPath}/${key}`)).status, 404);
    ok(await root.delete(at('external:deputy')), 204);
  });

  it('makes API keys that are of nobody: its name is not the id of an account', async () => {
    await put(root, 'external:minter', { roles: ['superadmin'] });
    const { body } = ok(
      await (await someone('minter')).post('/api/v1/admin/api-keys', { name: 'Of a stranger', roles: [] }),
      201,
    );
    assert.equal(body.apiKey.createdBy, null);
    ok(await root.delete(at('external:minter')), 204);
  });

  it('is in the decision log by its type and name', async () => {
    await (await someone('noted')).get(rolesPath);
    const row = await eventually('the decision is written', () =>
      gateway.services.db('decisions').where({ principalId: 'noted' }).first(),
    );
    assert.deepEqual([row.principalType, row.allow], ['external', false]);
  });

  it('is nobody while the policy has no type for it, which /readyz and the log say', async () => {
    const client = as(await unnamed.sign());
    assert.equal((await client.get('/api/v1/me/ability')).status, 401);
    const { body } = ok(await anonymousClient(gateway).get('/readyz'));
    assert.equal(body.checks.issuers.detail, 'the policy has no resource type for 1 of 3 issuers');
    assert.match(gateway.logged(), /unnamed is no resource type of the policy/);
    ok(await root.post(typesPath, { type: 'unnamed' }), 201);
    ok(await client.get('/api/v1/me/ability'));
  });
});
