/** Limits that are walked around by asking as somebody else, or for the same by another name. */
import assert from 'node:assert/strict';
import { startGateway, type TestGateway } from '../../harness.ts';
import { fresh } from '../../http/admin/staff.ts';
import { addRoutes, rawRequest, sendRaw, statusOf } from '../../http/gateway/upstream.ts';
import { as, field } from './field.ts';

/** A route that takes three requests; its path. */
async function limited(per: string): Promise<string> {
  const { root, upstream } = await field();
  const id = fresh('limited');
  const rateLimit = { requests: 3, windowSeconds: 600, per };
  await addRoutes(root, [
    { id, path: `/${id}/:name`, methods: ['GET', 'POST'], public: true, upstream: upstream.url, rateLimit },
  ]);
  return `/${id}`;
}

async function statuses(gateway: { url: string }, requests: readonly string[]): Promise<number[]> {
  const all: number[] = [];
  for (const request of requests) all.push(statusOf(await sendRaw(gateway.url, request)));
  return all;
}

const threeOf = (count: number) => Array.from({ length: count }, (_, at) => (at < 3 ? 200 : 429));

describe('limiter keys (CVE-2026-45364)', () => {
  before(field);

  it('no header of a peer that is not trusted makes another client of it', async () => {
    const { gateway, fronts } = await field();
    const names = [
      'X-Forwarded-For',
      'x_forwarded_for',
      'Forwarded',
      'X-Real-IP',
      'X-Client-IP',
      'True-Client-IP',
      'CF-Connecting-IP',
      'X-Cluster-Client-IP',
      'Via',
      'User-Agent',
      'X-Request-Id',
      'Host',
    ];
    const ways = [gateway, ...fronts.all].flatMap(({ url }) => [
      { url, per: 'address' },
      { url, per: 'principal' },
    ]);
    for (const { url, per } of ways) {
      const path = await limited(per);
      await fronts.haveCaughtUp();
      const requests = names.map((name, at) =>
        rawRequest(`${path}/a`, {
          headers: [`${name}: ${name === 'Forwarded' ? 'for=' : ''}198.51.100.${at}`],
        }),
      );
      assert.deepEqual(await statuses({ url }, requests), threeOf(names.length), `${url} per ${per}`);
    }
  });

  it('no spelling of a path, a query or a method makes another route of it', async () => {
    const { gateway } = await field();
    const path = await limited('address');
    const spellings = [
      `${path}/a`,
      `${path}/a/`,
      `/%6c${path.slice(2)}/a`,
      `${path}/%61`,
      `${path}/b`,
      `${path}/a?x=1`,
      `${path}/a?`,
      `${path}/A`,
      `${path}/a/?y`,
    ];
    const requests = [
      ...spellings.map((target) => rawRequest(target)),
      rawRequest(`${path}/a`, { method: 'POST' }),
    ];
    assert.deepEqual(await statuses(gateway, requests), threeOf(requests.length));
  });

  it('tokens that are nobody and cookies that are none do not make another caller of it', async () => {
    const { gateway } = await field();
    const path = await limited('principal');
    const requests = Array.from({ length: 8 }, (_, at) =>
      rawRequest(`${path}/a`, {
        headers: [at % 2 ? `Authorization: Bearer cst_${at}` : `Cookie: castellan=cst_${at}`],
      }),
    );
    assert.deepEqual(await statuses(gateway, requests), threeOf(requests.length));
  });

  it('whoever is known is one, by token or cookie, and does not use up what others have', async () => {
    const { gateway, user, keeper } = await field();
    const path = await limited('principal');
    const by = (header: string) => rawRequest(`${path}/a`, { headers: [header] });
    const mine = [as(user.client), `Cookie: castellan=${user.client.token}`].flatMap((header) => [
      by(header),
      by(header),
      by(header),
    ]);
    assert.deepEqual(await statuses(gateway, mine), threeOf(6));
    assert.deepEqual(await statuses(gateway, [by(as(keeper.client))]), [200]);
  });

  it('a proxy that asks does not lead round it, and is told when nothing is left', async () => {
    const { fronts, user } = await field();
    const path = await limited('principal');
    await fronts.haveCaughtUp();
    const asked = ['GET', 'http', 'gateway.test', `${path}/a`];
    const contract = ['Method', 'Proto', 'Host', 'Uri'].map(
      (name, at) => `X-Forwarded-${name}: ${asked[at]}`,
    );
    const headers = [as(user.client), ...contract];
    const requests = Array.from({ length: 5 }, () => rawRequest('/forward-auth/caddy', { headers }));
    assert.deepEqual(await statuses(fronts.node, requests), threeOf(5));
  });

  describe('behind a proxy that is trusted', () => {
    let behind: TestGateway;
    before(async () => {
      const { databaseUrl } = (await field()).gateway;
      behind = await startGateway({ databaseUrl, env: { TRUSTED_PROXIES: '127.0.0.1' } });
    });
    after(() => behind.close());

    const from = async (addresses: readonly string[]) => {
      const path = await limited('address');
      // Another node knows of the route as soon as it is told.
      const revision = (await field()).gateway.services.live.snapshot.revision;
      const headers = (address: string) => [
        `X-Forwarded-For: ${address}`,
        `Castellan-Min-Revision: ${revision}`,
      ];
      return statuses(
        behind,
        addresses.map((address) => rawRequest(`${path}/a`, { headers: headers(address) })),
      );
    };

    it('an IPv6 client is one in all of its /64, however its address is written', async () => {
      const addresses = [
        '2001:db8::1',
        '2001:DB8::1',
        '2001:0db8:0:0::1',
        '2001:db8::2',
        '2001:db8:0:0:ffff::',
        '2001:db8::ffff:ffff',
        '2001:db8:0:0:1:2:3:4',
        '2001:db8::1.2.3.4',
      ];
      assert.deepEqual(await from(addresses), threeOf(addresses.length));
    });

    it('an IPv4 client is one, also written as IPv6', async () => {
      const addresses = [
        '192.0.2.1',
        '::ffff:192.0.2.1',
        '::FFFF:192.0.2.1',
        '::ffff:c000:201',
        '0:0:0:0:0:ffff:192.0.2.1',
        '192.0.2.1',
      ];
      assert.deepEqual(await from(addresses), threeOf(addresses.length));
    });

    it('the address that the proxy added counts, not those that the client sent along', async () => {
      const addresses = Array.from({ length: 6 }, (_, at) => `198.51.100.${at}, 10.0.0.${at}, 203.0.113.9`);
      assert.deepEqual(await from(addresses), threeOf(6));
    });

    it('other clients have their own', async () => {
      assert.deepEqual(
        await from(['192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8:0:1::1', '192.0.2.3']),
        [200, 200, 200, 200, 200],
      );
    });
  });
});
