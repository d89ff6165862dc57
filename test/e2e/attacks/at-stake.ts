/** The policy that attacks are tried on. */
import type { Client } from '../../harness.ts';
import { addRule, ok, rolesPath, typesPath } from '../../http/admin/staff.ts';
import { addRoutes } from '../../http/gateway/upstream.ts';

/**
 * What is at stake: `/open` is for everybody, `/files` for whoever is logged in, but for `/files/private` and `/admin`,
 * which are for keepers; `/by-*` are decided on a part of the request that the client writes.
 */
export async function addPolicy(root: Client, upstream: string): Promise<void> {
  const string = { type: 'string' };
  ok(
    await root.post(typesPath, { type: 'file', actions: ['read', 'write'], attributes: { area: string } }),
    201,
  );
  await addRule(root, {
    role: 'authenticated',
    action: ['read', 'write'],
    subject: 'file',
    conditions: { area: 'shared' },
  });
  ok(await root.post(rolesPath, { key: 'keeper' }), 201);
  await addRule(root, { role: 'keeper', action: 'read', subject: 'file', conditions: { area: 'private' } });
  const file = { resource: 'file', action: 'read', upstream };
  const shared = { ...file, attributes: { area: 'shared' } };
  const closed = { ...file, attributes: { area: 'private' } };
  const all = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
  await addRoutes(root, [
    { id: 'open', path: '/open/*rest', methods: all, public: true, upstream },
    { id: 'read-only', path: '/read-only', methods: ['GET', 'POST'], public: true, upstream },
    {
      id: 'files',
      path: '/files/*rest',
      methods: ['GET', 'POST'],
      headers: ['principal', 'roles', 'email'],
      ...shared,
    },
    { id: 'files-private', path: '/files/private/*rest', methods: all, ...closed },
    { id: 'admin', path: '/admin', methods: all, ...closed },
    { id: 'admin-below', path: '/admin/*rest', methods: all, ...closed },
    { id: 'host', host: 'inner.test', path: '/*rest', methods: all, ...closed },
    { id: 'by-query', path: '/by-query', ...file, attributes: { area: `$\{query.area}` } },
    { id: 'by-header', path: '/by-header', ...file, attributes: { area: `$\{header.x-area}` } },
    {
      id: 'by-body',
      path: '/by-body',
      methods: ['POST'],
      ...file,
      action: 'write',
      attributes: { area: `$\{body/area}` },
    },
  ]);
}
