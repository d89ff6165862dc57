/** Decisions are answered before Express: with every guard, header and error that Express would have answered with. */
import assert from 'node:assert/strict';
import { anonymousClient, Client } from '../../harness.ts';
import {
  alice,
  type Certified,
  evaluationPath,
  evaluationsPath,
  read,
  record1,
  startCertified,
} from './fixture.ts';

describe('an evaluation that is answered before Express', () => {
  let certified: Certified;
  before(async () => {
    certified = await startCertified();
  });
  after(() => certified.gateway.close());

  const asked = { subject: alice, action: read, resource: record1 };
  const root = () => certified.root;
  const nobody = () => anonymousClient(certified.gateway);
  const made = () => new Client(certified.gateway.url, 'cst_made-up');
  const given: [string, () => Client, unknown, Record<string, string>?][] = [
    ['a decision', root, asked],
    ['an id of the request that the log does not take', root, asked, { 'x-request-id': 'words, and <more>' }],
    ['nobody', nobody, asked],
    ['a token that is made up', made, asked],
    ['no body', root, undefined],
    ['what is not JSON', root, '{"subject":'],
    ['a key twice', root, '{"subject":1,"subject":2}'],
    ['another media type', root, asked, { 'content-type': 'text/plain' }],
    ['a body that is too large', root, { ...asked, more: 'x'.repeat(2 ** 20) }],
    ['a missing field', root, { subject: alice }],
    ['a revision that is none', root, asked, { 'castellan-min-revision': 'x' }],
    ['a body that is packed', root, asked, { 'content-encoding': 'gzip' }],
    ['a resource that is not known', root, { ...asked, resource: { type: 'none', id: '1' } }],
  ];
  for (const [what, client, body, headers] of given)
    it(`with ${what}: the status, the headers and the words are those of Express`, async () => {
      for (const path of [evaluationPath, evaluationsPath]) {
        const direct = await client().post(path, body, headers);
        // A query, though empty, goes the long way.
        const byExpress = await client().post(`${path}?`, body, headers);
        assert.deepEqual(told(direct), told(byExpress));
        assert.ok(direct.headers.get('x-request-id'));
      }
    });

  it('leaves other methods and spellings to Express', async () => {
    const { status, headers } = await root().get(evaluationPath);
    assert.equal(status, 405);
    assert.equal(headers.get('allow'), 'POST, OPTIONS');
    assert.equal((await root().post(`${evaluationPath}x`, asked)).status, 404);
  });
});

/** All of an answer but what no two have alike. */
function told({ status, headers, body }: Awaited<ReturnType<Client['post']>>) {
  const { requestId: _id, ...rest } = body;
  const context = { ...rest.context, decisionId: undefined };
  const names = [...headers].filter(([name]) => !['date', 'x-request-id', 'content-length'].includes(name));
  return { status, names, body: { ...rest, context } };
}
