/** One gateway and one application for all proxies: reports that everybody may read who is logged in, but for the secret ones. */
import assert from 'node:assert/strict';
import { type Client, startGateway, type TestGateway } from '../../harness.ts';
import { addRule, ok, person, typesPath } from '../../http/admin/staff.ts';
import {
  addRoutes,
  rawRequest,
  type Seen,
  sendRaw,
  startUpstream,
  statusOf,
  type Upstream,
} from '../../http/gateway/upstream.ts';

export interface Site {
  gateway: TestGateway;
  upstream: Upstream;
  user: { id: string; email: string; client: Client };
  close(): Promise<void>;
}

/** The host of the routes that forward-auth asks about, and of those that Castellan proxies. */
export const ASKED_HOST = 'app.test';
export const PROXIED_HOST = 'proxied.test';

export async function openSite(): Promise<Site> {
  const gateway = await startGateway({ env: { TRUSTED_PROXIES: '127.0.0.1' } });
  const upstream = await startUpstream();
  const root = (await person(gateway, { roles: ['superadmin'] })).client;
  const user = await person(gateway);
  ok(
    await root.post(typesPath, {
      type: 'report',
      actions: ['read', 'update'],
      attributes: { id: { type: 'string' } },
    }),
    201,
  );
  await addRule(root, {
    role: 'authenticated',
    action: ['read', 'update'],
    subject: 'report',
    conditions: { id: { $ne: 'secret' } },
  });
  for (const [name, host, more] of [
    ['asked', ASKED_HOST, {}],
    ['proxied', PROXIED_HOST, { upstream: upstream.url }],
  ] as const) {
    const report = { host, resource: 'report', resourceId: `$\{path.id}`, ...more };
    await addRoutes(root, [
      {
        id: `read-${name}`,
        path: '/reports/:id',
        action: 'read',
        headers: ['principal', 'roles', 'email'],
        ...report,
      },
      { id: `change-${name}`, path: '/reports/:id', methods: ['PUT'], action: 'update', ...report },
      { id: `anybody-${name}`, host, path: '/anybody', public: true, headers: ['principal'], ...more },
    ]);
  }
  const close = async () => {
    await gateway.close();
    await upstream.close();
  };
  return { gateway, upstream, user, close };
}

export interface Ask {
  target: string;
  method?: string;
  headers?: string[];
  body?: string;
}

/** Sends it raw through a proxy; the status, the answer, and what the application saw of it, if it came there. */
export async function ask(
  { upstream }: Site,
  proxy: string,
  host: string,
  { target, headers = [], ...rest }: Ask,
): Promise<{ status: number; answer: string; seen: Seen | undefined }> {
  const before = upstream.seen.length;
  const given = headers.some((header) => /^host:/i.test(header)) ? headers : [`Host: ${host}`, ...headers];
  const answer = await sendRaw(proxy, rawRequest(target, { ...rest, headers: given }));
  assert.ok(upstream.seen.length <= before + 1, `${target} came twice`);
  return { status: statusOf(answer), answer, seen: upstream.seen[before] };
}
