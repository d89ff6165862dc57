/** The fixture of the certification scenario (its section 2), put in over the administration's API. */
import { type Client, logIn, startGateway, type TestGateway } from '../../harness.ts';
import { addRule, ok, typesPath } from '../admin/staff.ts';

export const evaluationPath = '/access/v1/evaluation';
export const evaluationsPath = '/access/v1/evaluations';
export const actionSearchPath = '/access/v1/search/action';
export const subjectSearchPath = '/access/v1/search/subject';
export const resourceSearchPath = '/access/v1/search/resource';
export const metadataPath = '/.well-known/authzen-configuration';

export const alice = { type: 'user', id: 'alice' };
export const bob = { type: 'user', id: 'bob' };
export const bobAsAdmin = { ...bob, properties: { role: 'admin' } };
export const record1 = { type: 'record', id: 'record-1' };
export const record2 = { type: 'record', id: 'record-2' };
export const archived = { ...record2, properties: { status: 'archived' } };
export const read = { name: 'read' };
export const write = { name: 'write' };

export interface Certified {
  gateway: TestGateway;
  /** May do everything, so also evaluate. */
  root: Client;
}

/** A gateway with the fixture's subjects, resources and policy, and somebody who may ask. */
export async function startCertified(env: Record<string, string> = {}): Promise<Certified> {
  const gateway = await startGateway({ env });
  const root = await logIn(gateway, 'superadmin');
  const { attributes } = ok(await root.get(`${typesPath}/user`)).body;
  ok(await root.patch(`${typesPath}/user`, { attributes: { ...attributes, role: { type: 'string' } } }));
  const type = 'record';
  const actions = ['read', 'write', 'delete'];
  ok(
    await root.post(typesPath, {
      type,
      actions,
      attributes: { id: { type: 'string' }, status: { type: 'string' } },
    }),
    201,
  );
  const isLive = { status: { $ne: 'archived' } };
  // Records are kept elsewhere: the gateway knows of those that a rule names.
  const known = { id: { $in: [record1.id, record2.id] } };
  for (const rule of [
    { principal: 'user:alice', action: 'read', conditions: known },
    { principal: 'user:bob', action: 'read', conditions: known },
    { principal: 'user:bob', action: 'write', conditions: { id: record2.id } },
    { principal: 'user:alice', action: 'write', conditions: isLive },
    { principal: 'user:alice', action: 'delete', when: { 'action.soft': true } },
    {
      id: 'admins-write-archived',
      role: 'authenticated',
      action: 'write',
      conditions: { status: 'archived' },
      when: { 'principal.role': 'admin' },
    },
  ])
    await addRule(root, { ...rule, subject: type });
  return { gateway, root };
}
