/** Attacks on searches for subjects and resources, each by its name. */
import assert from 'node:assert/strict';
import type { Answer } from '../../harness.ts';
import { assertProblem, demoId, ok, person, restorePolicy, withRule } from '../admin/staff.ts';
import {
  alice,
  type Certified,
  read,
  record1,
  resourceSearchPath,
  startCertified,
  subjectSearchPath,
} from './fixture.ts';

describe('attacks on searches', () => {
  let certified: Certified;
  before(async () => {
    certified = await startCertified();
  });
  after(() => certified.gateway.close());

  const root = { type: 'user', id: demoId(1) };
  const author = { type: 'user', id: demoId(7) };
  const who = { subject: { type: 'user' }, action: read, resource: record1 };
  const what = { subject: author, action: read, resource: { type: 'document' } };
  const search = (path: string, body: object, client = certified.root) => client.post(path, body);
  const idsOf = (answer: Answer): string[] => ok(answer).body.results.map(({ id }: { id: string }) => id);
  const tokenOf = async (path: string, body: object): Promise<string> => {
    const { next_token } = ok(await search(path, { ...body, page: { limit: 1 } })).body.page;
    assert.notEqual(next_token, '');
    return next_token;
  };
  /** The same token with another place in it. */
  const moved = (token: string, place: string) => {
    const [digest, limit] = JSON.parse(Buffer.from(token, 'base64url').toString());
    return Buffer.from(JSON.stringify([digest, limit, place])).toString('base64url');
  };
  const refused = (answer: Answer, pointer = '/page/token') =>
    assertProblem(answer, 400, 'invalid_request', pointer);

  describe('by a token', () => {
    it('of another query, another search or another limit gets nothing', async () => {
      const token = await tokenOf(subjectSearchPath, who);
      ok(await search(subjectSearchPath, { ...who, page: { token } }));
      for (const part of [
        { subject: { type: 'api-key' } },
        { subject: { type: 'user', properties: { email: 'a@example.com' } } },
        { action: { name: 'write' } },
        { action: { ...read, properties: { soft: true } } },
        { resource: { ...record1, id: 'record-2' } },
        { resource: { ...record1, properties: { status: 'archived' } } },
        { context: { ip: '10.0.0.1' } },
      ])
        refused(await search(subjectSearchPath, { ...who, ...part, page: { token } }));
      refused(await search(subjectSearchPath, { ...who, page: { token, properties: { sort: 'id' } } }));
      refused(await search(subjectSearchPath, { ...who, page: { token, limit: 2 } }), '/page/limit');
      refused(await search(resourceSearchPath, { ...what, page: { token } }));
      const same = { subject: alice, action: read, resource: record1 };
      const ofSubjects = await tokenOf(subjectSearchPath, same);
      refused(await search(resourceSearchPath, { ...same, page: { token: ofSubjects } }));
    });

    it('of another caller gets nothing, though they may search as well', async () => {
      const { client } = await person(certified.gateway, { roles: ['superadmin'] });
      for (const [path, body] of [
        [subjectSearchPath, who],
        [resourceSearchPath, what],
      ] as const) {
        const token = await tokenOf(path, body);
        ok(await search(path, body, client));
        refused(await search(path, { ...body, page: { token } }, client));
      }
    });

    it('with a place that was made up is refused, and never read as SQL', async () => {
      const tables = await certified.gateway.services.db('documents').count();
      for (const [path, body] of [
        [subjectSearchPath, who],
        [resourceSearchPath, what],
      ] as const) {
        const token = await tokenOf(path, body);
        for (const place of [
          'x',
          '',
          'nowhere:x',
          'stored:7',
          "stored:'; DROP TABLE documents; --",
          'stored:\ud800',
          'stored:',
        ])
          refused(await search(path, { ...body, page: { token: moved(token, place) } }));
      }
      assert.deepEqual(await certified.gateway.services.db('documents').count(), tables);
    });

    it('with a place that was made up shows nothing but what is allowed', async () => {
      const allowed = idsOf(await search(resourceSearchPath, what));
      const token = await tokenOf(resourceSearchPath, what);
      const first = moved(token, `stored:${demoId(0).replace(/[^-]/g, '0')}`);
      const { body } = ok(await search(resourceSearchPath, { ...what, page: { token: first } }));
      assert.deepEqual(
        body.results.map(({ id }: { id: string }) => id),
        allowed.slice(0, 1),
      );
    });

    it('with a limit of 0 shows nobody and says that more follows; beyond the maximum it is the maximum', async () => {
      for (const [path, body] of [
        [subjectSearchPath, who],
        [resourceSearchPath, what],
      ] as const) {
        const none = ok(await search(path, { ...body, page: { limit: 0 } })).body;
        assert.deepEqual(none.results, []);
        assert.equal(none.page.count, 0);
        assert.notEqual(none.page.next_token, '');
        const most = ok(await search(path, { ...body, page: { limit: 1e9 } })).body;
        assert.deepEqual(most.page, { next_token: '', count: most.results.length });
        // Asked for none again it is the same page; without a limit, whoever follows tokens comes to an end.
        const token = none.page.next_token;
        assert.deepEqual(ok(await search(path, { ...body, page: { token, limit: 0 } })).body, none);
        const rest = ok(await search(path, { ...body, page: { token } })).body;
        assert.deepEqual(rest, most);
        for (const limit of [-1, 1.5, '1', null])
          refused(await search(path, { ...body, page: { limit } }), '/page/limit');
      }
    });

    it('is decided on anew: what was taken away since is not on the next page', async () => {
      const { policy } = certified.gateway.services.live.snapshot;
      const token = await tokenOf(resourceSearchPath, what);
      const rules = policy.rules.filter(({ subject }) => ![subject].flat().includes('document'));
      await restorePolicy(certified.gateway, { ...policy, rules, cases: [] });
      const { body } = ok(await search(resourceSearchPath, { ...what, page: { token } }));
      assert.deepEqual(body, { page: { next_token: '', count: 0 }, results: [] });
      await restorePolicy(certified.gateway, policy);
    });
  });

  describe('by what is sent', () => {
    it('roles and ids among the properties give nobody anything', async () => {
      const plain = idsOf(await search(resourceSearchPath, what));
      for (const properties of [{ roles: ['superadmin'] }, { id: demoId(1) }, { type: 'api-key' }]) {
        const subject = { ...author, properties };
        assert.deepEqual(idsOf(await search(resourceSearchPath, { ...what, subject })), plain);
      }
      const writers = { ...who, action: { name: 'write' } };
      const found = idsOf(await search(subjectSearchPath, writers));
      const subject = { type: 'user', properties: { roles: ['superadmin'], id: demoId(1) } };
      assert.deepEqual(idsOf(await search(subjectSearchPath, { ...writers, subject })), found);
    });

    it('no property calls an account what it is not', async () => {
      const rule = {
        role: 'user',
        action: 'write',
        subject: 'record',
        when: { 'principal.lastName': 'Nobody' },
      };
      await withRule(certified.root, rule, async () => {
        const plain = { ...who, action: { name: 'write' } };
        const before = idsOf(await search(subjectSearchPath, plain));
        assert.equal(before.includes(author.id), false);
        const subject = { type: 'user', properties: { lastName: 'Nobody' } };
        const found = idsOf(await search(subjectSearchPath, { ...plain, subject }));
        assert.equal(found.includes(author.id), false);
      });
    });

    it('a property of a wrong type is a doubt: no deny is slipped past with it', async () => {
      const rule = {
        role: 'everyone',
        action: 'read',
        subject: 'record',
        conditions: { status: 'secret' },
        inverted: true,
      };
      await withRule(certified.root, rule, async () => {
        assert.ok(idsOf(await search(subjectSearchPath, who)).includes('alice'));
        for (const status of ['secret', ['secret'], 7]) {
          const resource = { ...record1, properties: { status } };
          const found = idsOf(await search(subjectSearchPath, { ...who, resource }));
          assert.equal(found.includes('alice'), false, JSON.stringify(status));
        }
        for (const time of ['yesterday', 7])
          assert.deepEqual(idsOf(await search(subjectSearchPath, { ...who, context: { time } })), []);
      });
    });

    it('names of Object.prototype, wildcards and words of SQL are no types, and find nothing', async () => {
      for (const type of ['constructor', '__proto__', 'toString', 'all', '*', '%', '', "user' OR 1=1 --"]) {
        assert.deepEqual(idsOf(await search(subjectSearchPath, { ...who, subject: { type } })), [], type);
        const resource = { type };
        assert.deepEqual(
          idsOf(await search(resourceSearchPath, { ...what, subject: root, resource })),
          [],
          type,
        );
        const action = { name: type };
        assert.deepEqual(
          idsOf(await search(resourceSearchPath, { ...what, subject: root, action })),
          [],
          type,
        );
        assert.deepEqual(idsOf(await search(subjectSearchPath, { ...who, action })), [], type);
        const subject = { type: 'user', id: type };
        assert.deepEqual(idsOf(await search(resourceSearchPath, { ...what, subject })), [], type);
      }
    });
  });
});
