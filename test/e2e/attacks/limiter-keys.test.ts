/** Limits that are walked around by asking as somebody else, or for the same by another name. */
import assert from 'node:assert/strict';
import { Client, startGateway, type TestGateway } from '../../harness.ts';
import { fresh } from '../../http/admin/staff.ts';
import { addRoutes, rawRequest, sendRaw, statusOf } from '../../http/gateway/upstream.ts';
import { asking } from './asking.ts';
import { as, field } from './field.ts';
import { everyWay, type Way } from './ways.ts';

/** A route that takes three requests; its path. */
async function limited({ root }: Pick<Way, 'root'>, per: string): Promise<string> {
  const { upstream } = await field();
  const id = fresh('limited');
  const rateLimit = { requests: 3, windowSeconds: 600, per };
  await addRoutes(root, [
    { id, path: `/${id}/:name`, methods: ['GET', 'POST'], public: true, upstream: upstream.url, rateLimit },
  ]);
  return `/${id}`;
}

const threeOf = (count: number) => Array.from({ length: count }, (_, at) => (at < 3 ? 200 : 429));

/** The first three are let through, whatever makes them differ, and the upstream sees nothing of the others. */
async function takesThree(per: string, requestsTo: (path: string) => readonly string[]): Promise<void> {
  for (const way of await everyWay()) {
    const requests = requestsTo(await limited(way, per));
    const answers = [];
    for (const request of requests) answers.push(await way.send(request));
    const what = `${way.name} per ${per}`;
    assert.deepEqual(
      answers.map(({ status }) => status),
      threeOf(requests.length),
      what,
    );
    assert.deepEqual(
      answers.map(({ arrived }) => arrived.length),
      requests.map((_, at) => (at < 3 ? 1 : 0)),
      what,
    );
  }
}

describe('limiter keys (CVE-2026-45364)', () => {
  before(field);

  it('no header of a peer that is not trusted makes another client of it', async () => {
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
    for (const per of ['address', 'principal'])
      await takesThree(per, (path) =>
        names.map((name, at) =>
          rawRequest(`${path}/a`, {
            headers: [`${name}: ${name === 'Forwarded' ? 'for=' : ''}198.51.100.${at}`],
          }),
        ),
      );
  });

  it('no spelling of a path, a query or a method makes another route of it', () =>
    takesThree('address', (path) => [
      ...[
        `${path}/a`,
        `${path}/a/`,
        `/%6c${path.slice(2)}/a`,
        `${path}/%61`,
        `${path}/b`,
        `${path}/a?x=1`,
        `${path}/a?`,
        `${path}/A`,
        `${path}/a/?y`,
      ].map((target) => rawRequest(target)),
      rawRequest(`${path}/a`, { method: 'POST' }),
    ]));

  it('tokens that are nobody and cookies that are none do not make another caller of it', () =>
    takesThree('principal', (path) =>
      Array.from({ length: 8 }, (_, at) =>
        rawRequest(`${path}/a`, {
          headers: [at % 2 ? `Authorization: Bearer cst_${at}` : `Cookie: castellan=cst_${at}`],
        }),
      ),
    ));

  it('whoever is known is one, by token or cookie, and does not use up what others have', async () => {
    const { user, keeper } = await field();
    for (const way of await everyWay()) {
      const path = await limited(way, 'principal');
      const by = (header: string) => way.send(rawRequest(`${path}/a`, { headers: [header] }));
      const mine = [];
      for (const header of [as(user.client), `Cookie: castellan=${user.client.token}`])
        for (let time = 0; time < 3; time++) mine.push(await by(header));
      assert.deepEqual(
        mine.map(({ status, arrived }) => [status, arrived.length]),
        threeOf(6).map((status) => [status, status === 200 ? 1 : 0]),
        way.name,
      );
      const other = await by(as(keeper.client));
      assert.deepEqual([other.status, other.arrived.length], [200, 1], way.name);
    }
  });

  it('a proxy that asks does not lead round it, and is told when nothing is left', async () => {
    const { fronts, user, root } = await field();
    const there = { root: new Client(fronts.node.url, root.token) };
    for (const { name, attack } of await asking()) {
      const path = await limited(there, 'principal');
      const answers = [];
      for (let time = 0; time < 5; time++)
        answers.push(await attack(rawRequest(`${path}/a`, { headers: [as(user.client)] })));
      // To nginx a question is answered 200, 401 or 403 and nothing else.
      const over = name === 'nginx' ? 403 : 429;
      assert.deepEqual(
        answers.map(({ status, arrived }) => [status, arrived.length]),
        threeOf(5).map((status) => (status === 200 ? [200, 1] : [over, 0])),
        name,
      );
    }
  });

  // Real proxies do not fit in here: all that they say is where their one client is, on this machine.
  describe('behind a proxy that is trusted', () => {
    let behind: TestGateway;
    before(async () => {
      const { databaseUrl } = (await field()).gateway;
      behind = await startGateway({ databaseUrl, env: { TRUSTED_PROXIES: '127.0.0.1' } });
    });
    after(() => behind.close());

    const from = async (addresses: readonly string[]) => {
      const path = await limited(await field(), 'address');
      // Another node knows of the route as soon as it is told.
      const revision = (await field()).gateway.services.live.snapshot.revision;
      const headers = (address: string) => [
        `X-Forwarded-For: ${address}`,
        `Castellan-Min-Revision: ${revision}`,
      ];
      const all: number[] = [];
      for (const address of addresses)
        all.push(statusOf(await sendRaw(behind.url, rawRequest(`${path}/a`, { headers: headers(address) }))));
      return all;
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
