/** The cases of the OpenID AuthZEN certification scenario (Authorization API 1.0) by their numbers, against a running gateway. */
import assert from 'node:assert/strict';
import { type Answer, anonymousClient } from '../../harness.ts';
import { rawRequest, sendRaw, statusOf } from '../gateway/upstream.ts';
import {
  actionSearchPath,
  alice,
  archived,
  bob,
  bobAsAdmin,
  type Certified,
  evaluationPath,
  evaluationsPath,
  metadataPath,
  read,
  record1,
  record2,
  resourceSearchPath,
  startCertified,
  subjectSearchPath,
  write,
} from './fixture.ts';

const PUBLIC_URL = 'https://pdp.example.com';

describe('the AuthZEN certification scenario', () => {
  let certified: Certified;
  before(async () => {
    certified = await startCertified({ PUBLIC_URL });
  });
  after(() => certified.gateway.close());

  const evaluate = (body: unknown, headers?: Record<string, string>) =>
    certified.root.post(evaluationPath, body, headers);
  const evaluateAll = (body: unknown) => certified.root.post(evaluationsPath, body);
  const search = (body: unknown) => certified.root.post(actionSearchPath, body);
  const searchSubjects = (body: unknown) => certified.root.post(subjectSearchPath, body);
  const searchResources = (body: unknown) => certified.root.post(resourceSearchPath, body);

  const isJson = ({ status, headers }: Answer) => {
    assert.equal(status, 200);
    assert.match(headers.get('content-type') ?? '', /^application\/json/);
  };
  const decides = (answer: Answer, decision: boolean) => {
    isJson(answer);
    assert.equal(answer.body.decision, decision, JSON.stringify(answer.body));
    assert.equal(typeof (answer.body.context ?? {}), 'object');
  };
  const decideAll = (answer: Answer, ...decisions: boolean[]) => {
    isJson(answer);
    const given = answer.body.evaluations.map(({ decision }: { decision: boolean }) => decision);
    assert.deepEqual(given, decisions, JSON.stringify(answer.body));
    assert.equal('decision' in answer.body, false);
  };
  const finds = (answer: Answer, ...names: string[]) => {
    isJson(answer);
    assert.deepEqual(
      answer.body.results,
      names.map((name) => ({ name })),
    );
  };
  /** At least these, and nothing of another type (4.2.1, 4.3.1). */
  const findsAmong = (answer: Answer, type: string, ...ids: string[]) => {
    isJson(answer);
    const found: { type: string; id: string }[] = answer.body.results;
    assert.ok(
      found.every((one) => one.type === type && typeof one.id === 'string'),
      JSON.stringify(found),
    );
    for (const id of ids)
      assert.ok(
        found.some((one) => one.id === id),
        `${id} in ${JSON.stringify(found)}`,
      );
  };
  const refused = ({ status, body }: Answer) => assert.equal(status, 400, JSON.stringify(body));

  describe('Basic', () => {
    it('2.2.1 permits the fixture request', async () => {
      decides(await evaluate({ subject: alice, action: read, resource: record1 }), true);
    });
    it('2.2.2 denies the fixture request', async () => {
      decides(await evaluate({ subject: bob, action: write, resource: record1 }), false);
    });
    it('1.4 rules 2 and 3 hold', async () => {
      decides(await evaluate({ subject: alice, action: write, resource: record1 }), true);
      decides(await evaluate({ subject: bob, action: read, resource: record1 }), true);
    });
    it('2.2.3 takes a context', async () => {
      const context = { time: '2025-06-27T18:03-07:00', ip: '192.168.1.1' };
      decides(await evaluate({ subject: alice, action: read, resource: record1, context }), true);
    });
    it('2.2.4 denies because of a property of the resource', async () => {
      decides(await evaluate({ subject: alice, action: write, resource: archived }), false);
    });
    it('2.2.5 permits because of a property of the subject', async () => {
      decides(await evaluate({ subject: bobAsAdmin, action: write, resource: archived }), true);
    });
    it('2.2.6 permits because of a property of the action', async () => {
      const action = { name: 'delete', properties: { soft: true } };
      decides(await evaluate({ subject: alice, action, resource: record1 }), true);
    });
    it('2.2.7 denies because of a property of the action', async () => {
      const action = { name: 'delete', properties: { soft: false } };
      decides(await evaluate({ subject: alice, action, resource: record1 }), false);
    });
    it('2.2.8 takes properties beyond those it needs', async () => {
      const asked = {
        subject: { ...alice, properties: { department: 'Sales', role: 'manager' } },
        action: { ...read, properties: { method: 'GET' } },
        resource: { ...record1, properties: { status: 'active', owner: 'bob' } },
      };
      decides(await evaluate(asked), true);
    });
    it('2.2.9 passes over fields that it does not know', async () => {
      const unknown = { foo: 'bar', futureField: { nested: true } };
      const subject = { ...alice, nick: 'al' };
      decides(await evaluate({ subject, action: read, resource: record1, ...unknown }), true);
    });
    it('2.3.1 and 2.3.2 answer a boolean, and a context that is an object', async () => {
      const { body } = await evaluate({ subject: bob, action: write, resource: record1 });
      assert.equal(body.decision, false);
      assert.equal(Object.getPrototypeOf(body.context), Object.prototype);
    });

    for (const [missing, body] of Object.entries<object>({
      subject: { action: read, resource: record1 },
      action: { subject: alice, resource: record1 },
      resource: { subject: alice, action: read },
    }))
      it(`2.4.1 refuses a request without ${missing}`, async () => refused(await evaluate(body)));

    for (const [missing, part] of Object.entries<object>({
      'subject.type': { subject: { id: 'alice' } },
      'subject.id': { subject: { type: 'user' } },
      'action.name': { action: {} },
      'resource.type': { resource: { id: 'record-1' } },
      'resource.id': { resource: { type: 'record' } },
    }))
      it(`2.4.2 refuses a request without ${missing}`, async () => {
        refused(await evaluate({ subject: alice, action: read, resource: record1, ...part }));
      });

    const whole = JSON.stringify({ subject: alice, action: read, resource: record1 });
    for (const type of [
      'text/plain',
      'application/xml',
      'application/x-www-form-urlencoded',
      'application/hal+json',
    ])
      it(`2.4.3 refuses ${type}`, async () => refused(await evaluate(whole, { 'content-type': type })));
    it('2.4.3 takes application/json with a charset', async () => {
      decides(await evaluate(whole, { 'content-type': 'application/json; charset=utf-8' }), true);
    });
    it('2.4.4 refuses what is not JSON', async () => {
      for (const text of ['{"subject":', 'subject', `${whole},`, '[]', '"text"', 'null'])
        refused(await evaluate(text));
    });
    it('2.4.5 refuses an empty body', async () => {
      refused(await evaluate(''));
      refused(await evaluate(undefined));
      refused(await evaluateAll(undefined));
      refused(await search(undefined));
    });
    for (const [wrong, part] of Object.entries<object>({
      'a subject that is a string': { subject: 'alice' },
      'a subject that is the text of an object': { subject: JSON.stringify(alice) },
      'an action name that is a number': { action: { name: 123 } },
      'a resource that is a list': { resource: [record1] },
      'a context that is a string': { context: 'now' },
      'properties that are a list': { subject: { ...alice, properties: ['admin'] } },
      'a subject that is null': { subject: null },
      'an id that is a number': { resource: { type: 'record', id: 1 } },
    }))
      it(`2.4.6 refuses ${wrong}`, async () => {
        refused(await evaluate({ subject: alice, action: read, resource: record1, ...part }));
      });

    it('2.5.1 echoes X-Request-ID, whatever it is, also when it refuses', async () => {
      for (const id of ['bfe9eb29-ab87-4ca3-be83-a1d5d8305716', 'a/b+c== {"x": 1}', 'x'.repeat(300)])
        for (const body of [{ subject: alice, action: read, resource: record1 }, {}])
          assert.equal((await evaluate(body, { 'x-request-id': id })).headers.get('x-request-id'), id);
    });
    it('2.5.1 echoes it byte by byte over HTTP/1.1, also where it is not ASCII, nor UTF-8, nor a question', async () => {
      const { gateway, root } = certified;
      const body = JSON.stringify({ subject: alice, action: read, resource: record1 });
      const of = (text: string) => Buffer.from(text).toString('latin1');
      for (const id of [
        '\xe9',
        '\xff\x80',
        of('d\u00e9j\u00e0 vu \u2192 \u{1f600}'),
        `${of('\u00e9')}\t${'x'.repeat(300)}`,
      ])
        for (const [method, path, sent, status] of [
          ['POST', evaluationPath, body, 200],
          ['POST', `${evaluationPath}?x`, body, 400],
          ['POST', evaluationPath, '{', 400],
          ['GET', evaluationPath, '', 405],
          ['POST', '/access/v1/nothing', body, 404],
        ] as const) {
          const headers = [
            `Authorization: Bearer ${root.token}`,
            `X-Request-ID: ${id}`,
            'Content-Type: application/json',
            `Content-Length: ${sent.length}`,
          ];
          const bytes = rawRequest(path, { method, headers, body: sent });
          const answer = await sendRaw(gateway.url, Buffer.from(bytes, 'latin1'));
          assert.equal(statusOf(answer), status, answer);
          const [, echoed] = /\r\nX-Request-Id: (.*?)\r\n/is.exec(answer) ?? [];
          assert.equal(echoed, id, `${method} ${path}`);
        }
    });
    it('2.5.2 needs no X-Request-ID', async () => {
      const { status, headers } = await evaluate({ subject: alice, action: read, resource: record1 });
      assert.equal(status, 200);
      assert.ok(headers.get('x-request-id'));
    });
    it('2.6 decides the same each time', async () => {
      for (let time = 0; time < 5; time++)
        decides(await evaluate({ subject: alice, action: read, resource: record1 }), true);
    });
  });

  describe('Batch', () => {
    it('3.2.1 answers an evaluations array', async () => {
      const evaluations = [{ resource: record1 }, { resource: record2 }];
      decideAll(await evaluateAll({ subject: alice, action: read, evaluations }), true, true);
    });
    it('3.2.2 decides each, in order', async () => {
      const evaluations = [{ action: read }, { action: write }];
      decideAll(await evaluateAll({ subject: bob, resource: record1, evaluations }), true, false);
    });
    it('3.2.3 minds the properties of each resource', async () => {
      const evaluations = [
        { resource: { ...record1, properties: { status: 'active' } } },
        { resource: archived },
      ];
      decideAll(await evaluateAll({ subject: alice, action: write, evaluations }), true, false);
    });
    it('3.2.4 minds the properties of each subject', async () => {
      const evaluations = [{ subject: alice }, { subject: bobAsAdmin }];
      decideAll(await evaluateAll({ action: write, resource: archived, evaluations }), false, true);
    });
    it('3.2.5 needs no defaults', async () => {
      const evaluations = [
        { subject: alice, action: read, resource: record1 },
        { subject: bob, action: write, resource: record1 },
      ];
      decideAll(await evaluateAll({ evaluations }), true, false);
    });
    it('3.2.6 hands the context down', async () => {
      const context = { time: '2025-06-27T18:03-07:00' };
      const other = { time: '2025-06-27T19:00-07:00', source: 'batch-override' };
      const evaluations = [{ resource: record1 }, { resource: record2, context: other }];
      decideAll(await evaluateAll({ subject: alice, action: read, context, evaluations }), true, true);
    });
    it('3.2.7 hands entities down whole, and replaces them whole', async () => {
      const resource = { ...record1, properties: { status: 'active' } };
      const evaluations = [{}, { resource: archived }];
      decideAll(await evaluateAll({ subject: alice, action: write, resource, evaluations }), true, false);
      // The status of the default must not reach into a resource that has none.
      const none = [{ resource: record1 }];
      decideAll(
        await evaluateAll({ subject: alice, action: write, resource: archived, evaluations: none }),
        true,
      );
    });
    it('3.3.1 to 3.3.4 answer as many as were asked, in their order, each with a boolean and without one at the top', async () => {
      const evaluations = Array.from({ length: 40 }, (_, index) => ({
        action: index % 3 === 0 ? write : read,
      }));
      const expected = evaluations.map(({ action }) => action === read);
      decideAll(await evaluateAll({ subject: bob, resource: record1, evaluations }), ...expected);
    });
    it('3.4.1 denies a bad evaluation in its place', async () => {
      const options = { evaluations_semantic: 'execute_all' };
      const answer = await evaluateAll({
        subject: alice,
        action: read,
        options,
        evaluations: [{ resource: record1 }, {}],
      });
      decideAll(answer, true, false);
      assert.equal(typeof answer.body.evaluations[1].context, 'object');
    });
    it('3.4.2 without an array is a single evaluation', async () => {
      decides(await evaluateAll({ subject: alice, action: read, resource: record1 }), true);
    });
    it('3.4.3 with an empty array is a single evaluation', async () => {
      decides(await evaluateAll({ subject: alice, action: read, resource: record1, evaluations: [] }), true);
      refused(await evaluateAll({ subject: alice, action: read, evaluations: [] }));
    });
  });

  const context = { time: '2025-06-27T18:03-07:00', ip: '192.168.1.1' };

  describe('Search for subjects', () => {
    const asked = { subject: { type: 'user' }, action: read, resource: record1 };
    it('4.2.1 finds who may do it', async () => {
      findsAmong(await searchSubjects(asked), 'user', 'alice', 'bob');
    });
    it('4.2.2 takes a context, 4.2.3 passes over an id: the results are the same', async () => {
      const { results } = (await searchSubjects(asked)).body;
      for (const part of [{ context }, { subject: alice }, { subject: { type: 'user', id: 7 } }])
        assert.deepEqual((await searchSubjects({ ...asked, ...part })).body, { results });
    });
    it('4.2.4 minds the properties of the resource', async () => {
      const answer = await searchSubjects({ ...asked, action: write, resource: archived });
      findsAmong(answer, 'user', 'bob');
      assert.equal(
        answer.body.results.some(({ id }: { id: string }) => id === 'alice'),
        false,
      );
    });
    it('4.5.1 to 4.5.3 answer page by page', async () => {
      let page: object = { limit: 1 };
      const found: string[] = [];
      for (;;) {
        const answer = await searchSubjects({ ...asked, page });
        isJson(answer);
        const { results, page: given } = answer.body;
        assert.equal(given.count, results.length);
        found.push(...results.map(({ id }: { id: string }) => id));
        if (given.next_token === '') break;
        assert.equal(results.length, 1);
        page = { token: given.next_token };
      }
      const whole = (await searchSubjects(asked)).body.results;
      assert.deepEqual(
        found,
        whole.map(({ id }: { id: string }) => id),
      );
    });
    it('4.6.1 and 4.6.2 find nobody for what is not known, and that is no error', async () => {
      for (const part of [
        { subject: { type: 'spaceship' } },
        { resource: { type: 'spaceship', id: 'record-1' } },
        { resource: { type: 'document', id: '7b0e3c5a-5f0f-4d0e-9f6b-0d6a1d2f3c4b' } },
        { action: { name: 'teleport' } },
      ])
        finds(await searchSubjects({ ...asked, ...part }));
    });
    it('4.7.1 and 4.7.2 refuse what is not complete', async () => {
      const { subject, action, resource } = asked;
      for (const body of [
        { subject, resource },
        { subject, action },
        { action, resource },
        { subject: {}, action, resource },
        { subject, action: {}, resource },
        { subject, action, resource: { type: 'record' } },
      ])
        refused(await searchSubjects(body));
    });
  });

  describe('Search for resources', () => {
    const asked = { subject: alice, action: read, resource: { type: 'record' } };
    it('4.3.1 finds to what it may be done', async () => {
      findsAmong(await searchResources(asked), 'record', 'record-1');
    });
    it('4.3.2 takes a context, 4.3.3 passes over an id: the results are the same', async () => {
      const { results } = (await searchResources(asked)).body;
      for (const part of [{ context }, { resource: record1 }, { resource: { type: 'record', id: null } }])
        assert.deepEqual((await searchResources({ ...asked, ...part })).body, { results });
    });
    it('4.3.4 minds the properties of the subject', async () => {
      findsAmong(
        await searchResources({ ...asked, subject: bobAsAdmin, action: write }),
        'record',
        'record-2',
      );
    });
    it('4.5.1 to 4.5.3 answer page by page', async () => {
      const first = await searchResources({ ...asked, page: { limit: 1 } });
      findsAmong(first, 'record', 'record-1');
      const { next_token: token } = first.body.page;
      assert.ok(typeof token === 'string' && token !== '');
      const second = await searchResources({ ...asked, page: { token } });
      assert.deepEqual(second.body, { page: { next_token: '', count: 1 }, results: [record2] });
    });
    it('4.6.1 and 4.6.2 find nothing for what is not known, and that is no error', async () => {
      for (const part of [
        { subject: { type: 'user', id: 'nonexistent-user' } },
        { subject: { type: 'spaceship', id: 'alice' } },
        { resource: { type: 'spaceship' } },
        { action: { name: 'teleport' } },
      ])
        finds(await searchResources({ ...asked, ...part }));
    });
    it('4.7.1 and 4.7.2 refuse what is not complete', async () => {
      const { subject, action, resource } = asked;
      for (const body of [
        { action, resource },
        { subject, resource },
        { subject, action },
        { subject: { type: 'user' }, action, resource },
        { subject, action: {}, resource },
        { subject, action, resource: {} },
      ])
        refused(await searchResources(body));
    });
  });

  describe('Search for actions', () => {
    it('4.4.1 finds what may be done', async () => {
      finds(await search({ subject: alice, resource: record1 }), 'read', 'write');
    });
    it('4.4.2 takes a context', async () => {
      finds(await search({ subject: alice, resource: record1, context }), 'read', 'write');
    });
    it('4.4.3 minds properties', async () => {
      finds(await search({ subject: bobAsAdmin, resource: archived }), 'read', 'write');
    });
    it('4.5.1 to 4.5.3 answer page by page', async () => {
      const asked = { subject: alice, resource: record1 };
      const first = await search({ ...asked, page: { limit: 1 } });
      finds(first, 'read');
      const { next_token } = first.body.page;
      assert.ok(typeof next_token === 'string' && next_token !== '');
      const second = await search({ ...asked, page: { token: next_token } });
      finds(second, 'write');
      assert.deepEqual(second.body.page, { next_token: '', count: 1 });
    });
    it('4.6.1 finds nothing for a subject or a resource that is not known', async () => {
      const nobody = { type: 'user', id: 'nonexistent-user' };
      finds(await search({ subject: nobody, resource: record1 }));
      const nothing = { type: 'document', id: '7b0e3c5a-5f0f-4d0e-9f6b-0d6a1d2f3c4b' };
      finds(await search({ subject: alice, resource: nothing }));
    });
    it('4.6.2 finds nothing for types that are not known', async () => {
      finds(await search({ subject: { type: 'spaceship', id: 'alice' }, resource: record1 }));
      finds(await search({ subject: alice, resource: { type: 'spaceship', id: 'record-1' } }));
    });
    it('4.7.1 and 4.7.2 refuse what is not complete', async () => {
      refused(await search({ subject: alice }));
      refused(await search({ resource: record1 }));
      refused(await search({ subject: { type: 'user' }, resource: record1 }));
      refused(await search({ subject: alice, resource: { type: 'record' } }));
      refused(await search({ subject: alice, resource: record1, page: { limit: -1 } }));
      refused(await search({ subject: alice, resource: record1, page: { limit: '1' } }));
    });
  });

  describe('Transport', () => {
    it('5 answers application/json with 200, and identifies the request', async () => {
      const body = { subject: alice, action: read, resource: record1 };
      for (const path of [
        evaluationPath,
        evaluationsPath,
        actionSearchPath,
        subjectSearchPath,
        resourceSearchPath,
      ]) {
        const answer = await certified.root.post(path, body, { 'x-request-id': 'one' });
        isJson(answer);
        assert.equal(answer.headers.get('x-request-id'), 'one');
      }
    });
  });

  describe('Discovery', () => {
    it('6.2 to 6.5 tell where the endpoints are, below the identifier and without authentication', async () => {
      const answer = await anonymousClient(certified.gateway).get(metadataPath);
      isJson(answer);
      const { signed_metadata, ...plain } = answer.body;
      assert.match(signed_metadata, /^[\w-]+\.[\w-]+\.[\w-]+$/); // verified in signing/keys.test.ts
      assert.deepEqual(plain, {
        policy_decision_point: PUBLIC_URL,
        access_evaluation_endpoint: `${PUBLIC_URL}${evaluationPath}`,
        access_evaluations_endpoint: `${PUBLIC_URL}${evaluationsPath}`,
        search_subject_endpoint: `${PUBLIC_URL}${subjectSearchPath}`,
        search_resource_endpoint: `${PUBLIC_URL}${resourceSearchPath}`,
        search_action_endpoint: `${PUBLIC_URL}${actionSearchPath}`,
      });
      assert.match(answer.headers.get('cache-control') ?? '', /max-age=\d+/);
    });
  });
});
