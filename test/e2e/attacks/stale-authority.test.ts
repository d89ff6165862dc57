/** Rights that were taken away, and are held on by whoever was let in before. */
import assert from 'node:assert/strict';
import { keysPath, mint } from '../../http/admin/keys.ts';
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
import { as, field } from './field.ts';
import { keptConnection } from './kept-connection.ts';
import { type Way, wayBy, wayNames } from './ways.ts';

interface Setting extends Pick<Way, 'gateway' | 'root'> {
  /** Of the route, and of the rule that lets in where there is one. */
  id: string;
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

describe('stale authority (CVE-2021-41230)', () => {
  before(field);

  const named = (way: Way['name']) => (way === 'alone' ? '' : ` behind ${way}`);

  for (const { name, status, make, way } of changes.flatMap((change) =>
    wayNames.map((way) => ({ ...change, way })),
  ))
    it(`${name} counts at the next request, on the same connection${named(way)}`, async function () {
      const found = await wayBy(way);
      if (!found) return this.skip(); // not installed
      const { gateway, root, url } = found;
      const { upstream } = await field();
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
      await make({ gateway, root, id, who });
      const count = upstream.seen.length;
      assert.equal(await ask(target, [as(who.client)]), status);
      assert.equal(await ask(target, [`Cookie: castellan=${who.client.token}`]), status);
      assert.equal(upstream.seen.length, count);
      close();
    });

  for (const way of wayNames)
    it(`an API key that was revoked counts at the next request, on the same connection${named(way)}`, async function () {
      const found = await wayBy(way);
      if (!found) return this.skip(); // not installed
      const { gateway, root, url } = found;
      const { upstream } = await field();
      const { id, client } = await mint(gateway, root, { roles: ['user', 'keeper'] });
      const { ask, close } = keptConnection(url);
      const begun = upstream.seen.length;
      for (let round = 0; round < 3; round++) assert.equal(await ask('/admin', [as(client)]), 200);
      assert.equal(upstream.seen.length, begun + 3);
      ok(await root.delete(`${keysPath}/${id}`), 204);
      assert.equal(await ask('/admin', [as(client)]), 401);
      assert.equal(upstream.seen.length, begun + 3);
      close();
    });
});
