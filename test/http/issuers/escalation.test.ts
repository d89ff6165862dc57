/** Nobody gives what they do not hold (design 4.7), by what the policy believes of an issuer. */
import assert from 'node:assert/strict';
import { type Answer, type Client, startGateway, type TestGateway } from '../../harness.ts';
import {
  addRole,
  addRule,
  assertProblem,
  fresh,
  ok,
  person,
  rulesPath,
  stateOf,
  typesPath,
} from '../admin/staff.ts';

const issuer = 'https://idp.example';
const string = { type: 'string' };

describe('whom the policy believes', () => {
  let gateway: TestGateway;
  let root: Client;
  /** Keeps resource types, rules, roles and their assignment, and holds nothing else. */
  let admin: Client;
  /** A role in which nothing is. */
  let plain: string;
  before(async () => {
    gateway = await startGateway();
    root = (await person(gateway, { roles: ['superadmin'] })).client;
    admin = (await person(gateway, { roles: ['admin'] })).client;
    plain = await addRole(root);
  });
  after(() => gateway.close());

  const mapping = (role: string, rest: object = {}) => ({ claim: 'groups', value: 'some', role, ...rest });
  const believing = (...roles: object[]) => ({ issuer, roles });
  const add = async (identity: object | undefined, attributes: object = {}) => {
    const type = fresh('kind');
    ok(await root.post(typesPath, { type, attributes, ...(identity && { identity }) }), 201);
    return { type, path: `${typesPath}/${type}` };
  };
  const refused = async (request: () => Promise<Answer>, code = 'privilege_escalation') => {
    const before = await stateOf(gateway);
    assertProblem(await request(), 403, code);
    assert.deepEqual(await stateOf(gateway), before);
  };

  it('may give by claims what its author holds', async () => {
    const type = fresh('kind');
    ok(await admin.post(typesPath, { type, identity: believing(mapping(plain)) }), 201);
    ok(await admin.patch(`${typesPath}/${type}`, { identity: null }));
  });

  it('gives no role by claims that its author does not hold, whatever the type was before', async () => {
    const identity = believing(mapping(plain), mapping('superadmin'));
    await refused(() => admin.post(typesPath, { type: fresh('kind'), identity }));
    for (const before of [undefined, believing(), believing(mapping(plain))]) {
      const { path } = await add(before);
      await refused(() => admin.patch(path, { identity }));
    }
  });

  it('changes nothing of how a role is given that its author does not hold', async () => {
    const { path } = await add(believing(mapping('superadmin')));
    for (const identity of [
      { ...believing(mapping('superadmin')), issuer: 'https://other.example' },
      believing(mapping('superadmin', { value: 'others' })),
      believing(mapping('superadmin', { claim: 'department' })),
      believing(),
      null,
    ])
      await refused(() => admin.patch(path, { identity }));
    await refused(() => admin.delete(path));
    ok(await admin.patch(path, { description: 'Said otherwise' }));
  });

  it('is no way round the right to assign roles', async () => {
    const role = await addRole(root);
    await addRule(root, { role, action: ['create', 'read'], subject: 'castellan.resource-type' });
    const { client } = await person(gateway, { roles: [role] });
    const identity = believing(mapping(plain));
    await refused(() => client.post(typesPath, { type: fresh('kind'), identity }), 'access_denied');
  });

  it('is guarded when it comes with an import, with a role of its own', async () => {
    const role = fresh('role');
    const type = fresh('kind');
    const document = (...given: string[]) => ({
      version: 1,
      roles: [{ key: role }],
      resourceTypes: [{ type, identity: believing(...given.map((key) => mapping(key))) }],
    });
    const path = '/api/v1/admin/policy/import?mode=merge';
    await refused(() => admin.post(path, document(role, 'superadmin')));
    ok(await admin.post(path, document(role)));
  });

  it('lets claims fill no attribute that rules read of principals, unless its author may escalate', async () => {
    await addRule(root, {
      id: 'by-department',
      role: plain,
      action: 'read',
      subject: 'document',
      when: { 'principal.department': 'sales' },
    });
    const { path } = await add(believing(), { nickname: string });
    await refused(() => admin.patch(path, { attributes: { nickname: string, department: string } }));
    ok(await admin.patch(path, { attributes: { nickname: string, surname: string } }));
    const attributes = { department: string };
    await refused(() => admin.post(typesPath, { type: fresh('kind'), attributes, identity: believing() }));
    const believed = await add(believing(), attributes);
    await refused(() => admin.patch(believed.path, { identity: { issuer: 'https://other.example' } }));
    await refused(() => admin.patch(believed.path, { identity: null }));
    const unbelieved = await add(undefined, attributes);
    await refused(() => admin.patch(unbelieved.path, { identity: believing() }));
    ok(await root.patch(unbelieved.path, { identity: believing() }));
    ok(await root.delete(`${rulesPath}/by-department`), 204);
  });

  it('protects whoever may be stronger from a deny that names them', async () => {
    const strong = await add(believing(mapping('superadmin')));
    const weak = await add(believing(mapping(plain)));
    const deny = (type: string) =>
      admin.post(rulesPath, {
        principal: `${type}:somebody`,
        action: 'read',
        subject: 'castellan.rule',
        inverted: true,
      });
    await refused(() => deny(strong.type));
    ok(await deny(weak.type), 201);
  });

  it('is kept: stored, exported and imported again, told in the revisions, and gone with null', async () => {
    const identity = believing(mapping(plain, { claim: 'realm_access.roles' }));
    const { type, path } = await add(identity);
    assert.deepEqual(ok(await root.get(path)).body.identity, identity);
    const { body: exported } = ok(await root.get('/api/v1/admin/policy/export?format=json'));
    const found = exported.resourceTypes.find((one: { type: string }) => one.type === type);
    assert.deepEqual(found.identity, identity);
    const { inForce } = await stateOf(gateway);
    ok(await root.post('/api/v1/admin/policy/import?mode=replace', exported));
    assert.equal((await stateOf(gateway)).inForce, inForce);
    const { body } = ok(await root.patch(path, { identity: null }));
    assert.equal('identity' in body, false);
    ok(await root.post(`/api/v1/admin/policy/revisions/${inForce}/restore`, {}));
    assert.deepEqual(ok(await root.get(path)).body.identity, identity);
  });

  it('is refused where nobody from elsewhere can be, or no such role is there', async () => {
    const identity = believing(mapping(plain));
    for (const type of ['user', 'castellan.rule', 'document'])
      assertProblem(
        await root.patch(`${typesPath}/${type}`, { identity }),
        422,
        'policy_invalid',
        '/identity',
      );
    const { path } = await add(undefined);
    const wrong: [object, string][] = [
      [believing(mapping('no-such-role')), '/identity/roles/0/role'],
      [believing(mapping('everyone')), '/identity/roles/0/role'],
      [believing({ ...mapping(plain), claim: 'a b' }), '/identity/roles/0/claim'],
      [{ roles: [] }, '/identity/issuer'],
      [{ issuer: 'somebody' }, '/identity/issuer'],
    ];
    for (const [given, pointer] of wrong)
      assertProblem(await root.patch(path, { identity: given }), 422, 'policy_invalid', pointer);
  });
});
