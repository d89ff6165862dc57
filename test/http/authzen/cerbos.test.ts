/** Castellan hands the thinking to a real Cerbos. */
import assert from 'node:assert/strict';
import { type CerbosServer, startCerbos } from '../../cerbos-server.ts';
import { logIn, startGateway, type TestGateway } from '../../harness.ts';
import { demoId, ok, typesPath } from '../admin/staff.ts';
import { evaluationPath, evaluationsPath } from './fixture.ts';

const editor = { type: 'user', id: demoId(3) };
const paperOf = (ownerId: string) => ({ type: 'paper', id: 'p1', properties: { ownerId } });

describe('resource types that Cerbos decides about', function () {
  // The first time on a machine it is installed.
  this.timeout(120_000);
  let cerbos: CerbosServer | undefined;
  let gateway: TestGateway;
  let root: Awaited<ReturnType<typeof logIn>>;

  before(async function () {
    cerbos = await startCerbos();
    if (!cerbos) this.skip();
    gateway = await startGateway({
      env: { AUTHZEN_REMOTE_URL: cerbos.url, AUTHZEN_REMOTE_ROLES_PROPERTY: 'cerbos.roles' },
    });
    root = await logIn(gateway, 'superadmin');
    const paper = {
      type: 'paper',
      actions: ['read', 'update'],
      attributes: { id: { type: 'string' }, ownerId: { type: 'string' } },
      evaluator: 'authzen-remote',
    };
    ok(await root.post(typesPath, paper), 201);
  });
  after(async () => {
    await gateway?.close();
    await cerbos?.stop();
  });

  it('are allowed and denied as its policy says, by the roles that are stored here', async () => {
    const decide = async (action: string, ownerId: string) =>
      ok(
        await root.post(evaluationPath, {
          subject: editor,
          action: { name: action },
          resource: paperOf(ownerId),
        }),
      ).body.decision;
    assert.equal(await decide('read', 'nobody'), true);
    assert.equal(await decide('update', editor.id), true);
    assert.equal(await decide('update', demoId(4)), false);
  });

  it('are decided in batches, more than it takes in one call', async () => {
    const evaluations = Array.from({ length: 120 }, (_, at) => ({
      resource: { ...paperOf(at % 2 === 0 ? editor.id : 'nobody'), id: `p${at}` },
    }));
    const asked = { subject: editor, action: { name: 'update' }, evaluations };
    const { body } = ok(await root.post(evaluationsPath, asked));
    const decisions = body.evaluations.map(({ decision }: { decision: boolean }) => decision);
    assert.deepEqual(
      decisions,
      evaluations.map((_, at) => at % 2 === 0),
    );
  });

  it('keep the name of who asks, whatever roles a caller claims', async () => {
    const subject = {
      type: 'user',
      id: demoId(4),
      properties: { 'cerbos.roles': ['editor'], roles: ['editor'] },
    };
    const asked = { subject, action: { name: 'update' }, resource: paperOf(demoId(4)) };
    const { roles } = ok(await root.get(`/api/v1/admin/users/${demoId(4)}`)).body.user;
    assert.ok(!roles.includes('editor'));
    assert.equal(ok(await root.post(evaluationPath, asked)).body.decision, false);
  });
});
