/** Rights that were taken away, and are held on by whoever was let in before. */
import assert from 'node:assert/strict';
import { keysPath } from '../../http/admin/keys.ts';
import {
  addRule,
  fresh,
  ok,
  type Person,
  person,
  rulesPath,
  sessionOf,
  usersPath,
} from '../../http/admin/staff.ts';
import { addRoutes, routesPath } from '../../http/gateway/upstream.ts';
import { as, type Field, field } from './field.ts';
import type { Front } from './in-front.ts';
import { keptConnection } from './kept-connection.ts';

interface Setting extends Field {
  id: string;
  target: string;
  who: Person;
}

interface Change {
  name: string;
  /** What is answered when it is made. */
  status: number;
  make(setting: Setting): Promise<unknown>;
}

const changes: Change[] = [
  {
    name: 'a session that its owner ended',
    status: 401,
    make: async ({ who }) => ok(await who.client.post('/api/v1/auth/logout'), 204),
  },
  {
    name: 'a session that was ended from another one',
    status: 401,
    make: async ({ gateway, who }) =>
      ok(await (await sessionOf(gateway, who.id)).delete('/api/v1/me/sessions'), 204),
  },
  {
    name: 'sessions that an administrator ended',
    status: 401,
    make: async ({ root, who }) => ok(await root.delete(`${usersPath}/${who.id}/sessions`), 204),
  },
  {
    name: 'an account that was deactivated',
    status: 401,
    make: async ({ root, who }) => ok(await root.delete(`${usersPath}/${who.id}`), 204),
  },
  {
    name: 'a role that was taken',
    status: 403,
    make: async ({ root, who }) => ok(await root.delete(`${usersPath}/${who.id}/roles/keeper`), 204),
  },
  {
    name: 'a rule that denies, written since',
    status: 403,
    make: ({ root, id, who }) =>
      addRule(root, { id, principal: `user:${who.id}`, action: 'read', subject: 'file', inverted: true }),
  },
  {
    name: 'a route that asks for more than it did',
    status: 403,
    make: async ({ root, id }) =>
      ok(await root.patch(`${routesPath}/${id}`, { attributes: { area: 'secret' } })),
  },
  {
    name: 'a route that was removed',
    status: 404,
    make: async ({ root, id }) => ok(await root.delete(`${routesPath}/${id}`), 204),
  },
  {
    name: 'a rule that was removed',
    status: 403,
    make: async ({ root, id }) => {
      ok(await root.patch(`${routesPath}/${id}`, { attributes: { area: id } }));
      ok(await root.delete(`${rulesPath}/${id}`), 204);
    },
  },
];

const ways = [undefined, 'nginx', 'caddy'] as const;

/** The field by this way, changes made where it leads to: there they count at once. Undefined: the proxy is not installed. */
async function fieldBy(way: Front['name'] | undefined): Promise<(Field & { url: string }) | undefined> {
  const all = await field();
  if (way === undefined) return { ...all, url: all.gateway.url };
  const front = all.fronts.all.find(({ name }) => name === way);
  const gateway = all.fronts.node;
  const root = (await person(gateway, { roles: ['superadmin'] })).client;
  return front && { ...all, url: front.url, gateway, root };
}

describe('stale authority (CVE-2021-41230)', () => {
  before(field);

  for (const { name, status, make, way } of changes.flatMap((change) =>
    ways.map((way) => ({ ...change, way })),
  ))
    it(`${name} counts at the next request, on the same connection${way ? ` behind ${way}` : ''}`, async function () {
      const all = await fieldBy(way);
      if (!all) return this.skip(); // not installed
      const { gateway, upstream, root, url } = all;
      const id = fresh('stale');
      const target = `/${id}`;
      const file = { resource: 'file', action: 'read', upstream: upstream.url };
      await addRoutes(root, [{ id, path: target, ...file, attributes: { area: 'private' } }]);
      if (name === 'a rule that was removed')
        await addRule(root, {
          id,
          role: 'keeper',
          action: 'read',
          subject: 'file',
          conditions: { area: id },
        });
      const who = await person(gateway, { roles: ['user', 'keeper'] });
      const { ask, close } = keptConnection(url);
      for (let round = 0; round < 3; round++) assert.equal(await ask(target, [as(who.client)]), 200);
      await make({ ...all, id, target, who });
      const count = upstream.seen.length;
      assert.equal(await ask(target, [as(who.client)]), status);
      assert.equal(await ask(target, [`Cookie: castellan=${who.client.token}`]), status);
      assert.equal(upstream.seen.length, count);
      close();
    });

  it('an API key that was revoked counts at the next request, on the same connection', async () => {
    const { gateway, upstream, root } = await field();
    const made = ok(await root.post(keysPath, { name: fresh('key'), roles: ['user', 'keeper'] }), 201).body;
    const { ask, close } = keptConnection(gateway.url);
    const headers = [`Authorization: Bearer ${made.token}`];
    assert.equal(await ask('/admin', headers), 200);
    ok(await root.delete(`${keysPath}/${made.apiKey.id}`), 204);
    const count = upstream.seen.length;
    assert.equal(await ask('/admin', headers), 401);
    assert.equal(upstream.seen.length, count);
    close();
  });
});
